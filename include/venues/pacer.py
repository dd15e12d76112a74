"""`ports.Pacer` over a sandbox exchange in lockstep: asks for the next step and waits until its messages are here."""

from __future__ import annotations

from typing import Any

import orjson

from include.domain.errors import ConfigurationError, RetryableError
from include.venues.ccxt_venue import CcxtVenue

STEP_TIMEOUT_SECS = 10.0


class SandboxPacer:
    """Steps the exchange that `venue` is connected to.

    The exchange counts the events it has sent to this account and on these streams, the venue those it has received;
    their difference when pacing begins (or begins again after a reconnect) is history, and from then on both must stay
    equal. What other clients listen to does not count.
    """

    def __init__(self, venue: CcxtVenue) -> None:
        self._venue = venue
        self._progress = 0.0
        self._done = False
        self._offset: dict[str, int] = {}
        self._reconnects = -1

    @property
    def progress(self) -> float:
        """Share of the replay done, 0 to 1."""
        return self._progress

    async def advance(self) -> bool:
        """Let the exchange take one step; returns after everything it sent has arrived. False: the replay was over.

        Raises:
            RetryableError: the exchange is gone, or messages were lost on the way.
            ConfigurationError: the exchange's clock runs by itself.
        """
        if self._reconnects != self._venue.reconnects:
            await self._take_bearings()
        if self._done:
            return False
        status = await self._ask("POST", "/sandbox/v1/advance")
        sent, offset = status["sent"], self._offset
        await self._venue.streams.wait_received(
            sent["market"] - offset["market"], sent["user"] - offset["user"], STEP_TIMEOUT_SECS
        )
        self._note(status)
        return True

    async def _take_bearings(self) -> None:
        await self._venue.streams.wait_open(STEP_TIMEOUT_SECS)
        reconnects = self._venue.reconnects
        status = await self._ask("GET", "/sandbox/v1/status")
        received = self._venue.streams.received
        self._offset = {stream: status["sent"][stream] - received[stream] for stream in received}
        self._reconnects = reconnects
        self._note(status)

    def _note(self, status: Any) -> None:
        self._progress, self._done = float(status["progress"]), bool(status["done"])

    async def _ask(self, method: str, path: str) -> Any:
        import aiohttp

        url = self._venue.base_url + path
        key, ours = self._venue.listening
        options: dict[str, Any] = {
            "headers": {"X-MBX-APIKEY": key}, "params": ours,
            "timeout": aiohttp.ClientTimeout(total=STEP_TIMEOUT_SECS),
        }  # fmt: skip
        try:
            async with self._venue.session.request(method, url, **options) as response:
                if response.status == 409:
                    raise ConfigurationError(f"{url}: the exchange's clock runs by itself; start it with --speed step")
                if response.status != 200:
                    raise RetryableError(f"{url}: answered {response.status}")
                return orjson.loads(await response.read())
        except (aiohttp.ClientError, TimeoutError, OSError, ValueError) as error:
            raise RetryableError(f"{url}: {type(error).__name__}: {error}") from None
