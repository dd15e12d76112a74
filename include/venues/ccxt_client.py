"""A ccxt.pro client whose streams go into one queue: nothing coalesced, nothing lost, in order of arrival.

ccxt.pro keeps the newest state and wakes whoever watches; two messages that arrive together wake him once. An engine
needs every closed bar and every report, so a thin subclass looks at each message first and hands those two kinds over
itself. Everything else (subscription answers, connections, listen keys, errors) stays ccxt's business. ccxt itself is
not modified.
"""

from __future__ import annotations

from typing import Any

from pydantic import SecretStr

from include.venues.ccxt_streams import Message, Streams

USER_EVENTS = frozenset({"ORDER_TRADE_UPDATE", "ALGO_UPDATE", "ACCOUNT_UPDATE"})


def build_client(base_url: str, key: SecretStr, secret: SecretStr, timeout_ms: int, streams: Streams) -> Any:
    """A ccxt.pro `binanceusdm` that talks to `base_url` (http://host:port) only and hands its messages to `streams`.

    Every URL is rewritten: a route that the server does not have is refused there, never asked of the real exchange.
    """
    import ccxt.pro

    class Client(ccxt.pro.binanceusdm):  # type: ignore[misc]
        """Sees every websocket message before ccxt does."""

        def handle_message(self, client: Any, message: Any) -> None:
            event = message.get("e") if isinstance(message, dict) else None
            if event == "kline":
                streams.on_kline(message)
            elif event in USER_EVENTS:
                streams.on_user_event(message)
            else:
                super().handle_message(client, message)

        def handle_subscription_status(self, client: Any, message: Message) -> Any:
            streams.market_open.set()
            return super().handle_subscription_status(client, message)

        def on_connected(self, client: Any, message: Any = None) -> None:
            super().on_connected(client, message)
            if "listenKey=" in client.url:
                streams.user_open.set()

    client = Client(
        {
            "apiKey": key.get_secret_value(),
            "secret": secret.get_secret_value(),
            "timeout": timeout_ms,
            "enableRateLimit": False,
            "timeout_on_exit": 0,
            "options": {
                "fetchMargins": False,
                "fetchCurrencies": False,
                "fetchOpenOrders": {"warnWithoutSymbol": False},
                "watchPositions": {"fetchPositionsSnapshot": False, "awaitPositionsSnapshot": False},
                "ws": {"compress": 0},
            },
        }
    )
    client.has["fetchCurrencies"] = False
    client.urls["api"] = redirected(client.urls["api"], base_url)
    return client


def redirected(urls: Any, base_url: str) -> Any:
    """ccxt's table of API addresses with every host replaced by ours; paths stay."""
    if isinstance(urls, dict):
        return {name: redirected(url, base_url) for name, url in urls.items()}
    scheme, _, rest = str(urls).partition("://")
    path = "/" + rest.partition("/")[2] if "/" in rest else ""
    host = base_url.partition("://")[2]
    return f"{'ws' if scheme in {'ws', 'wss'} else 'http'}://{host}{path}"
