"""A ccxt.pro client whose streams go into one queue: nothing coalesced, nothing lost, in order of arrival.

ccxt.pro keeps the newest state and wakes whoever watches; two messages that arrive together wake him once. An engine
needs every closed bar and every report, so a thin subclass looks at each message first and hands those two kinds over
itself. Everything else (subscription answers, connections, listen keys, errors) stays ccxt's business. ccxt itself is
not modified.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from pydantic import SecretStr

from include.venues.ccxt_streams import Streams
from include.venues.dialect import Dialect, Sandbox
from include.venues.rate_limits import RateGovernor

NOBODY = SecretStr("")


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Where an exchange is, and how long it may take to answer.

    Attributes:
        base_url: `http://host:port` that every request and stream goes to; empty for the exchange's own addresses.
        sandbox: the exchange's own test environment. With `base_url` it says nothing.
    """

    base_url: str = ""
    sandbox: bool = False
    timeout_ms: int = 10_000

    @property
    def is_real(self) -> bool:
        """Whether orders sent there trade real money."""
        return not self.base_url and not self.sandbox


def build_client(
    dialect: Dialect,
    endpoint: Endpoint,
    streams: Streams,
    governor: RateGovernor,
    key: SecretStr = NOBODY,
    secret: SecretStr = NOBODY,
) -> Any:
    """A ccxt.pro client of the dialect's exchange that hands its messages to `streams` and its headers to `governor`.

    With a base URL every address is rewritten: a route that the server does not have is refused there, never asked of
    the real exchange.
    """
    import ccxt.pro

    class Client(getattr(ccxt.pro, dialect.ccxt_id)):  # type: ignore[misc]
        """Sees every message and every answer before ccxt does."""

        def handle_message(self, client: Any, message: Any) -> None:
            if not streams.take(message):
                super().handle_message(client, message)

        def handle_subscription_status(self, client: Any, message: Any) -> Any:
            streams.confirmed(_is_user(dialect, client))
            return super().handle_subscription_status(client, message)

        def handle_user_data_stream_subscribe(self, client: Any, message: Any) -> Any:
            streams.confirmed(True)
            return super().handle_user_data_stream_subscribe(client, message)

        def on_connected(self, client: Any, message: Any = None) -> None:
            super().on_connected(client, message)
            if "listenKey=" in client.url:  # a listen key in the address is the subscription
                streams.confirmed(True)

        def on_rest_response(self, code: int, reason: Any, url: str, method: str, headers: Any, *rest: Any) -> Any:
            governor.note(code, headers)
            return super().on_rest_response(code, reason, url, method, headers, *rest)

        def handle_errors(self, code: int, reason: Any, url: str, *rest: Any) -> Any:
            if code == 200 and dialect.limits.stated is not None and "exchangeInfo" in url:
                governor.note_stated(rest[3])  # method, headers, body, then the answer as it was read
            return super().handle_errors(code, reason, url, *rest)

    client = Client(_settings(dialect, endpoint, key, secret))
    client.has["fetchCurrencies"] = False
    _point(client, dialect, endpoint)
    return client


def _settings(dialect: Dialect, endpoint: Endpoint, key: SecretStr, secret: SecretStr) -> dict[str, Any]:
    return {
        "apiKey": key.get_secret_value(),
        "secret": secret.get_secret_value(),
        "timeout": endpoint.timeout_ms,
        "enableRateLimit": False,
        "timeout_on_exit": 0,
        "options": {
            "fetchMargins": False,
            "fetchCurrencies": False,
            "fetchOpenOrders": {"warnWithoutSymbol": False},
            "watchPositions": {"fetchPositionsSnapshot": False, "awaitPositionsSnapshot": False},
            "ws": {"compress": 0},
            **dialect.options,
        },
    }


def _point(client: Any, dialect: Dialect, endpoint: Endpoint) -> None:
    if endpoint.base_url:
        client.urls["api"] = redirected(client.urls["api"], endpoint.base_url)
    elif endpoint.sandbox and dialect.sandbox is Sandbox.DEMO:
        client.enable_demo_trading(True)
    elif endpoint.sandbox:
        client.set_sandbox_mode(True)


def _is_user(dialect: Dialect, client: Any) -> bool:
    return dialect.user_url in client.url


def redirected(urls: Any, base_url: str) -> Any:
    """ccxt's table of API addresses with every host replaced by ours; paths stay."""
    if isinstance(urls, dict):
        return {name: redirected(url, base_url) for name, url in urls.items()}
    scheme, _, rest = str(urls).partition("://")
    path = "/" + rest.partition("/")[2] if "/" in rest else ""
    host = base_url.partition("://")[2]
    return f"{'ws' if scheme in {'ws', 'wss'} else 'http'}://{host}{path}"
