"""Pure merge of incoming rows into stored ones: equal overlap is known, different is a conflict, the rest is new.

Extra columns may differ between the two sides. Where one has a number and the other none (no such column, or NaN) the
number is kept: that adds to what is known. Standard columns have no such exception.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from include.domain.bars import BAR_COLUMNS
from include.market_data.partitions import Columns, extras_of, without_empty_extras


@dataclass(frozen=True, slots=True)
class Conflict:
    """First stored bar that incoming rows contradict. `column` is `rows` when their number differs."""

    open_time: int
    column: str
    stored: float
    incoming: float


@dataclass(frozen=True, slots=True)
class Merged:
    """Stored rows with the new ones, which open times are new, and how many stored rows gained an extra value."""

    columns: dict[str, NDArray[Any]]
    new_times: NDArray[np.int64]
    enriched: int


def merge_rows(stored: Columns, incoming: Columns) -> Merged | Conflict:
    """Add the incoming rows whose open time is not stored yet, and extra values that stored rows do not have.

    Rows of a shared open time must agree in number and in every value that both sides have, bit by bit; in the standard
    columns NaN equals NaN and nothing else. The result has the extras of both sides. It is in order of time when stored
    and new rows each are; otherwise new rows follow the stored ones, so that no disorder is repaired in silence.
    """
    extras = extras_of([*without_empty_extras(stored), *without_empty_extras(incoming)])
    stored, incoming = _with_extras(stored, extras), _with_extras(incoming, extras)
    shared_in = np.isin(incoming["open_time"], stored["open_time"])
    enriched = 0
    if shared_in.any():
        rows = _in_order_of_time(stored, np.isin(stored["open_time"], incoming["open_time"]))
        known, given = _picked(stored, rows), _picked(incoming, _in_order_of_time(incoming, shared_in))
        conflict = _first_conflict(known, given)
        if conflict is not None:
            return conflict
        enriched = _enrich(stored, rows, given, extras)
    new = {name: values[~shared_in] for name, values in incoming.items()}
    merged = {name: np.concatenate([values, new[name]]) for name, values in stored.items()}
    if _increasing(stored["open_time"]) and _increasing(new["open_time"]):
        merged = _picked(merged, np.argsort(merged["open_time"], kind="stable"))
    return Merged(merged, new["open_time"], enriched)


def _with_extras(columns: Columns, extras: tuple[str, ...]) -> dict[str, NDArray[Any]]:
    """The standard columns as they are and these extras as copies, NaN where there are none."""
    nothing = np.full(len(columns["open_time"]), np.nan)
    return {name: columns[name] for name in BAR_COLUMNS} | {n: columns.get(n, nothing).copy() for n in extras}


def _enrich(stored: Columns, rows: NDArray[np.intp], given: Columns, extras: tuple[str, ...]) -> int:
    """Fill extras of stored rows that have none, in place; returns the number of rows that gained something."""
    gained = np.zeros(len(rows), dtype=np.bool_)
    for name in extras:
        missing = np.isnan(stored[name][rows]) & ~np.isnan(given[name])
        stored[name][rows[missing]] = given[name][missing]
        gained |= missing
    return int(np.count_nonzero(gained))


def _in_order_of_time(columns: Columns, chosen: NDArray[np.bool_]) -> NDArray[np.intp]:
    """Numbers of the chosen rows in order of time, rows of one time in stored order."""
    rows = np.flatnonzero(chosen)
    return rows[np.argsort(columns["open_time"][rows], kind="stable")]


def _picked(columns: Columns, rows: NDArray[np.intp]) -> dict[str, NDArray[Any]]:
    return {name: values[rows] for name, values in columns.items()}


def _first_conflict(stored: Columns, incoming: Columns) -> Conflict | None:
    times, counts = np.unique(stored["open_time"], return_counts=True)
    incoming_counts = np.unique(incoming["open_time"], return_counts=True)[1]
    if not np.array_equal(counts, incoming_counts):
        at = int(np.flatnonzero(counts != incoming_counts)[0])
        return Conflict(int(times[at]), "rows", float(counts[at]), float(incoming_counts[at]))
    for name, values in stored.items():
        if name == "open_time":
            continue
        other = incoming[name]
        either = np.logical_and if name in BAR_COLUMNS else np.logical_or
        wrong = (values.view(np.int64) != other.view(np.int64)) & ~either(np.isnan(values), np.isnan(other))
        if wrong.any():
            at = int(np.flatnonzero(wrong)[0])
            return Conflict(int(stored["open_time"][at]), name, float(values[at]), float(other[at]))
    return None


def _increasing(times: NDArray[np.int64]) -> bool:
    return bool((np.diff(times) > 0).all())
