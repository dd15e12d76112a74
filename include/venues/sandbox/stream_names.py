"""Stream names read: `btcusdt@kline_5m`, `ethusdt@depth20@100ms`, `!ticker@arr` and the like."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from types import MappingProxyType

from include.domain.times import DAY_MS

NAME = re.compile(r"(?P<id>[A-Za-z0-9]+)(?P<contract>_perpetual)?@(?P<kind>[A-Za-z]+)(?P<detail>[^@]*)(?P<speed>@.*)?")
UPDATE_MS = re.compile(r"@(100|250|500|1000)ms")
UPDATE_SECONDS = re.compile(r"@[13]s")
PLAIN = frozenset({"aggTrade", "trade", "bookTicker", "miniTicker", "avgPrice"})
DEPTH_LEVELS = frozenset({"", "5", "10", "20"})
WINDOWS: Mapping[str, int] = MappingProxyType({"": DAY_MS, "_1h": 3_600_000, "_4h": 4 * 3_600_000, "_1d": DAY_MS})
"""Rolling windows of `ticker` streams in milliseconds, by how their names end."""
OF_ALL = re.compile(
    r"!(?P<kind>bookTicker|miniTicker|ticker|markPrice)(?P<detail>_1h|_4h|_1d)?(?P<list>@arr(@[13]s)?)?"
)


@dataclass(frozen=True, slots=True)
class Channel:
    """What a name asks for. `market_id` None: every market."""

    market_id: str | None
    kind: str
    detail: str = ""
    """Interval of klines, number of levels of a book, window of a ticker as the name spells it."""


def parse(name: str, intervals: Collection[str]) -> Channel | None:
    """Read a stream name; None when there is no such stream. `intervals`: the timeframes that are served."""
    if name.startswith("!"):
        return _of_all(name)
    match = NAME.fullmatch(name)
    if match is None:
        return None
    kind, detail, speed = match["kind"], match["detail"], match["speed"] or ""
    channel = Channel(match["id"].upper(), kind, detail.removeprefix("_") if "line" in kind else detail)
    if match["contract"]:
        return channel if kind == "continuousKline" and channel.detail in intervals and not speed else None
    if kind == "depth":
        return channel if detail in DEPTH_LEVELS and (not speed or UPDATE_MS.fullmatch(speed)) else None
    if kind == "markPrice":
        return channel if not detail and (not speed or UPDATE_SECONDS.fullmatch(speed)) else None
    if speed:
        return None
    is_known = (
        (kind == "kline" and channel.detail in intervals)
        or (kind == "ticker" and detail in WINDOWS)
        or (kind in PLAIN and not detail)
    )
    return channel if is_known else None


def _of_all(name: str) -> Channel | None:
    match = OF_ALL.fullmatch(name)
    if match is None or bool(match["list"]) == (match["kind"] == "bookTicker"):
        return None
    if match["detail"] and (match["kind"] != "ticker" or match["detail"] not in WINDOWS):
        return None
    return Channel(None, match["kind"], match["detail"] or "")
