"""Which order of price columns a series looks like: finds columns that were read under each other's names.

Bitfinex, for example, delivers open, close, high, low. Read as open, high, low, close its rows contradict themselves
in a way that no accident does: under the right names every one of them is consistent.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import permutations

import numpy as np

from include.domain.bars import PRICE_COLUMNS, FloatArray
from include.validators.bar_rules import BoolArray, Rows

SUSPICIOUS_SHARE = 0.05
"""Inconsistent rows below this share are single faults, not a mapping."""
EXPLAINED_SHARE = 0.99
"""Share of the inconsistent rows that another order must make consistent to be named."""
CONTINUITY = 3.0
"""A bar opens about where the last one closed. Open and close are swapped when it closes closer, by this factor, to
where the last one opened."""
SAMPLE = 20_000
KNOWN = {("open", "close", "high", "low"): "as Bitfinex delivers them: import with --mapping bitfinex"}


@dataclass(frozen=True, slots=True)
class SwappedColumns:
    """The order that the columns seem to have, and the rows that say so."""

    order: tuple[str, ...]
    """What the columns named open, high, low, close seem to hold."""
    rows: BoolArray
    hint: str


def find_swap(rows: Rows, inconsistent: BoolArray) -> SwappedColumns | None:
    """The likely order of columns, or None when they look right or no order explains the rows.

    Args:
        inconsistent: rows that break OHLC_INCONSISTENT.
    """
    suspects = np.flatnonzero(inconsistent)
    if len(suspects) < SUSPICIOUS_SHARE * len(rows):
        return _open_and_close(rows)
    at = suspects[suspects > 0][:: max(1, len(suspects) // SAMPLE)]
    now, before = _matrix(rows, at), _matrix(rows, at - 1)
    consistent = {order: _consistent_share(_named(now, order)) for order in permutations(PRICE_COLUMNS)}
    good = [order for order, share in consistent.items() if share >= EXPLAINED_SHARE]
    if not good:
        return None
    best = min(good, key=lambda order: _distance(_named(now, order)["open"], _named(before, order)["close"]))
    return SwappedColumns(best, inconsistent, _hint(best))


def _open_and_close(rows: Rows) -> SwappedColumns | None:
    """Open and close swapped: every row stays consistent, but bars no longer open where the last one closed."""
    if len(rows) < 2:
        return None
    at = np.arange(1, len(rows), max(1, len(rows) // SAMPLE))
    as_is = _distance(rows.open[at], rows.close[at - 1])
    swapped = _distance(rows.close[at], rows.open[at - 1])
    if not as_is > CONTINUITY * swapped:
        return None
    order = ("close", "high", "low", "open")
    return SwappedColumns(order, np.ones(len(rows), dtype=np.bool_), _hint(order))


def _matrix(rows: Rows, at: np.ndarray[tuple[int], np.dtype[np.int64]]) -> list[FloatArray]:
    return [rows.open[at], rows.high[at], rows.low[at], rows.close[at]]


def _named(columns: list[FloatArray], order: tuple[str, ...]) -> dict[str, FloatArray]:
    return dict(zip(order, columns, strict=True))


def _consistent_share(c: dict[str, FloatArray]) -> float:
    top, bottom = np.maximum(c["open"], c["close"]), np.minimum(c["open"], c["close"])
    return float(np.mean((c["high"] >= top) & (c["low"] <= bottom))) if len(top) else 0.0


def _distance(a: FloatArray, b: FloatArray) -> float:
    """Mean relative distance of two prices; infinite when none can be compared."""
    usable = np.isfinite(a) & np.isfinite(b) & (a > 0) & (b > 0)
    return float(np.mean(np.abs(np.log(a[usable] / b[usable])))) if usable.any() else float("inf")


def _hint(order: tuple[str, ...]) -> str:
    found = ", ".join(order)
    return f"the columns look like {found}" + (f", {KNOWN[order]}" if order in KNOWN else "; check the mapping")
