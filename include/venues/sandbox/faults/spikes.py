"""A bad tick: the prices of a market event, off by a fraction. What the market does is not touched."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

JsonObject = dict[str, Any]
PRICE_FIELDS = {
    "aggTrade": ("p",), "trade": ("p",), "bookTicker": ("b", "a"), "markPriceUpdate": ("p", "i"),
    "24hrTicker": ("c", "h", "l"), "24hrMiniTicker": ("c", "h", "l"),
}  # fmt: skip
"""Where events carry prices that a client may take for the market's."""


def spiked(event: JsonObject | list[Any], fraction: float) -> JsonObject | list[Any]:
    """A copy of the event with its prices at 1 + fraction, with as many decimals as before.

    A kline keeps its open; high or low go along, so that the bar stays a possible one.
    """
    if isinstance(event, list):
        return [spiked(one, fraction) for one in event]
    if event.get("e") == "kline":
        k = dict(event["k"])
        k["c"] = _off(k["c"], fraction)
        reached = (Decimal(k["c"]), Decimal(k["o"]), Decimal(k["h"]), Decimal(k["l"]))
        places = _places(k["o"])
        k["h"], k["l"] = format(max(reached), f".{places}f"), format(min(reached), f".{places}f")
        return {**event, "k": k}
    # Spot book tickers carry no event type.
    names = PRICE_FIELDS.get(event.get("e", "bookTicker"), ())
    return {**event, **{name: _off(event[name], fraction) for name in names if name in event}}


def _off(text: str, fraction: float) -> str:
    return format(Decimal(text) * (1 + Decimal(str(fraction))), f".{_places(text)}f")


def _places(text: str) -> int:
    return len(text.partition(".")[2])
