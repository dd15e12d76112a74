"""Pure merge of incoming rows into stored ones: equal overlap is known, different is a conflict, the rest is new."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from include.market_data.partitions import Columns


@dataclass(frozen=True, slots=True)
class Conflict:
    """First stored bar that incoming rows contradict. `column` is `rows` when their number differs."""

    open_time: int
    column: str
    stored: float
    incoming: float


@dataclass(frozen=True, slots=True)
class Merged:
    """Stored rows with the new ones, and which open times are new."""

    columns: dict[str, NDArray[Any]]
    new_times: NDArray[np.int64]


def merge_rows(stored: Columns, incoming: Columns) -> Merged | Conflict:
    """Add the incoming rows whose open time is not stored yet.

    Rows of a shared open time must agree in number and in every column, bit by bit (NaN equals NaN). The result is in
    order of time when stored and new rows each are; otherwise new rows follow the stored ones, so that no disorder is
    repaired in silence. Both sides must have the same columns.
    """
    shared_in = np.isin(incoming["open_time"], stored["open_time"])
    if shared_in.any():
        shared_stored = np.isin(stored["open_time"], incoming["open_time"])
        conflict = _first_conflict(_sorted(stored, shared_stored), _sorted(incoming, shared_in))
        if conflict is not None:
            return conflict
    new = {name: values[~shared_in] for name, values in incoming.items()}
    merged = {name: np.concatenate([values, new[name]]) for name, values in stored.items()}
    if _increasing(stored["open_time"]) and _increasing(new["open_time"]):
        order = np.argsort(merged["open_time"], kind="stable")
        merged = {name: values[order] for name, values in merged.items()}
    return Merged(merged, new["open_time"])


def _sorted(columns: Columns, rows: NDArray[np.bool_]) -> dict[str, NDArray[Any]]:
    picked = {name: values[rows] for name, values in columns.items()}
    order = np.argsort(picked["open_time"], kind="stable")
    return {name: values[order] for name, values in picked.items()}


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
        same = (values == other) | (np.isnan(values) & np.isnan(other))
        if not same.all():
            at = int(np.flatnonzero(~same)[0])
            return Conflict(int(stored["open_time"][at]), name, float(values[at]), float(other[at]))
    return None


def _increasing(times: NDArray[np.int64]) -> bool:
    return bool((np.diff(times) > 0).all())
