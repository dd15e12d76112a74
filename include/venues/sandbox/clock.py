"""What makes the market's time pass: a client in lockstep, the wall clock at a chosen speed, or nothing at all."""

from __future__ import annotations

import asyncio
import math
from dataclasses import dataclass

from include.domain.errors import ConfigurationError
from include.venues.sandbox.exchange import Exchange


@dataclass(frozen=True, slots=True)
class Clock:
    """`speed`: market seconds per wall second; 0 is lockstep, infinity as fast as listeners can read."""

    speed: float

    @classmethod
    def parse(cls, text: str) -> Clock:
        """Read `step`, `max` or a positive number. Raises ConfigurationError for anything else."""
        if text in {"step", "max"}:
            return cls(0.0 if text == "step" else math.inf)
        try:
            speed = float(text)
        except ValueError:
            speed = math.nan
        if not (speed > 0 and math.isfinite(speed)):
            raise ConfigurationError(
                f"--speed {text!r} is not understood; write step, max or market seconds per second"
            )
        return cls(speed)

    @property
    def is_lockstep(self) -> bool:
        return self.speed == 0.0

    @property
    def tells_partial_klines(self) -> bool:
        """Unfinished bars are told where somebody may watch them pass."""
        return not self.is_lockstep and math.isfinite(self.speed)

    async def run(self, exchange: Exchange) -> None:
        """Let time pass until the replay is done (at once in lockstep: there the client moves it).

        The opens come half a bar's wall time after the closes, so that an order decided on a close is there in time.
        """
        if self.is_lockstep:
            return
        if math.isinf(self.speed):
            await self._run_freely(exchange)
        else:
            await self._run_paced(exchange)

    async def _run_freely(self, exchange: Exchange) -> None:
        await exchange.hub.first_listener.wait()
        while not exchange.is_done:
            exchange.open_bar()
            await exchange.hub.flushed()
            await asyncio.sleep(0)
            exchange.finish_bar()
            await exchange.hub.flushed()
            await asyncio.sleep(0)

    async def _run_paced(self, exchange: Exchange) -> None:
        loop = asyncio.get_running_loop()
        began, first = loop.time(), exchange.event_time
        half = exchange.replay.interval_ms // 2
        while not exchange.is_done:
            next_open = int(exchange.replay.timeline[exchange.replay.step])
            await asyncio.sleep(began + (next_open + half - first) / 1_000 / self.speed - loop.time())
            exchange.open_bar()
            await asyncio.sleep(began + (next_open + 2 * half - first) / 1_000 / self.speed - loop.time())
            exchange.finish_bar()
