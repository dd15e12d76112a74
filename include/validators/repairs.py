"""Repairs of bars as explicit policies: pure functions on column arrays. Nothing is repaired unless it is asked for.

`repair` applies policies in one fixed order (quarantine, sort, drop-duplicates, forward-fill) and says exactly what
changed. Every policy is idempotent, none invents a price: a filled bar repeats the close before it, has no volume, and
is marked in the column `filled`, so that the gate can leave it out (`filled_rows`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import reduce
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from include.domain.bars import PRICE_COLUMNS, IntArray
from include.domain.errors import DataError
from include.domain.reason_codes import DataRule
from include.domain.times import Timeframe, from_ms, iso
from include.validators.bar_rules import BoolArray, Rows, own_masks
from include.validators.repair_policies import Policy, PolicyKind

FILLED = "filled"
"""Extra column of repaired series: 1 where a bar was filled in, 0 where it was traded or quoted."""
MAX_LISTED = 10_000
"""Events listed for each change, earliest first; counts always cover all of them."""

Columns = Mapping[str, NDArray[Any]]


@dataclass(frozen=True, slots=True)
class Change:
    """What one policy did. `events` are runs of consecutive bars: first and last open time, rows."""

    policy: str
    count: int
    """Rows taken out, moved, dropped or added."""
    events: tuple[tuple[datetime, datetime, int], ...]
    """The first MAX_LISTED of `event_count`."""
    event_count: int
    first: datetime | None
    last: datetime | None
    detail: Mapping[str, int]
    """Rows by rule (quarantine), holes and bars filled and left (forward-fill)."""

    def document(self) -> dict[str, Any]:
        return {
            "policy": self.policy, "count": self.count, "first": iso(self.first) if self.first else None,
            "last": iso(self.last) if self.last else None, "detail": dict(self.detail),
            "event_count": self.event_count,
            "events": [{"first": iso(a), "last": iso(b), "count": n} for a, b, n in self.events],
        }  # fmt: skip


@dataclass(frozen=True, slots=True)
class Repaired:
    """The rows that remain, what was changed, and the rows that were taken out."""

    columns: dict[str, NDArray[Any]]
    changes: tuple[Change, ...]
    quarantined: dict[str, NDArray[Any]]
    """All columns of the rows taken out, with `row` (position as stored) and `rules` (codes joined by a comma)."""


def repair(
    columns: Columns, policies: Sequence[Policy], timeframe: Timeframe, *, unfinished: Sequence[int], now_ms: int
) -> Repaired:
    """Apply policies to the stored rows of one symbol; the input is left as it is.

    Args:
        columns: `open_time` int64 epoch milliseconds, everything else float64, shape (n,) each, in stored order.
        policies: in order of application (`repair_policies.parse_policies`).
        unfinished: open times of bars that were ingested before they had closed.

    Raises:
        DataError: nothing would remain, or the rows are in a state that a policy cannot decide on (contradicting
            repeats, disorder, unfinished bars); which one to add is said.
    """
    rest = dict(columns)
    changes: list[Change] = []
    taken = {**{name: values[:0] for name, values in rest.items()}, "row": np.empty(0, np.int64), "rules": _texts([])}
    for policy in policies:
        match policy.kind:
            case PolicyKind.QUARANTINE:
                rest, taken, change = _quarantine(rest, policy, timeframe, unfinished, now_ms)
            case PolicyKind.SORT:
                rest, change = _sort(rest, timeframe)
            case PolicyKind.DROP_DUPLICATES:
                rest, change = _drop_duplicates(rest, timeframe)
            case PolicyKind.FORWARD_FILL:
                rest, change = _forward_fill(rest, policy, timeframe)
        changes.append(change)
    times = rest["open_time"]
    if not len(times):
        raise DataError("no row would remain; look at the series with `airlock data gate` first")
    open_ended = np.isin(times, np.array(sorted(unfinished), np.int64)) | (times + timeframe.ms > now_ms)
    if open_ended.any():
        at = iso(from_ms(int(times[open_ended].min())))
        raise DataError(f"bar {at} had not closed when it was ingested; quarantine UNFINISHED_BAR or end the window"
                        " before it")  # fmt: skip
    return Repaired(rest, tuple(changes), taken)


def filled_rows(columns: Columns) -> BoolArray:
    """Rows that are marked as filled and carry nothing of their own: flat at the close before them, no volume.

    A marked row that carries anything else is a row like any other: the mark hides nothing from the gate.
    """
    if FILLED not in columns:
        return np.zeros(len(columns["open_time"]), dtype=np.bool_)
    close = columns["close"]
    empty = (columns[FILLED] == 1.0) & (columns["volume"] == 0.0)
    for name in PRICE_COLUMNS:
        empty &= columns[name] == close
    empty[1:] &= close[1:] == close[:-1]
    return np.asarray(empty, dtype=np.bool_)


# --- the policies ------------------------------------------------------------------------------------------


def _quarantine(
    columns: dict[str, NDArray[Any]], policy: Policy, timeframe: Timeframe, unfinished: Sequence[int], now_ms: int
) -> tuple[dict[str, NDArray[Any]], dict[str, NDArray[Any]], Change]:
    rows = Rows(**{name: columns[name] for name in ("open_time", *PRICE_COLUMNS, "volume")},
                backwards=np.zeros(len(columns["open_time"]), np.bool_))  # fmt: skip
    masks = own_masks(rows, timeframe, np.array(sorted(unfinished), np.int64), now_ms)
    masks[DataRule.DUPLICATE_TIME] = _contradicted(columns)
    wanted = {rule: masks[rule] for rule in policy.rules}
    out = reduce(np.logical_or, wanted.values())
    at = np.flatnonzero(out)
    codes = [",".join(rule.value for rule, mask in wanted.items() if mask[i]) for i in at.tolist()]
    taken = {**_pick(columns, at), "row": at.astype(np.int64), "rules": _texts(codes)}
    detail = {rule.value: int(np.count_nonzero(mask)) for rule, mask in wanted.items() if mask.any()}
    return _pick(columns, ~out), taken, _change(policy, columns["open_time"][at], timeframe, detail)


def _sort(columns: dict[str, NDArray[Any]], timeframe: Timeframe) -> tuple[dict[str, NDArray[Any]], Change]:
    times = columns["open_time"]
    order = np.argsort(times, kind="stable")
    moved = times[order[order != np.arange(len(order))]]
    return _pick(columns, order), _change(Policy(PolicyKind.SORT), moved, timeframe, {})


def _drop_duplicates(columns: dict[str, NDArray[Any]], timeframe: Timeframe) -> tuple[dict[str, NDArray[Any]], Change]:
    """Of equal rows of one open time the first as stored stays; rows that contradict each other are refused."""
    times = columns["open_time"]
    contradicted = _contradicted(columns)
    if contradicted.any():
        at = iso(from_ms(int(times[contradicted].min())))
        raise DataError(
            f"{len(np.unique(times[contradicted]))} open times have rows that contradict each other, the first {at}:"
            " which is right is not ours to guess; add `--policy quarantine:DUPLICATE_TIME` to take all of them out"
        )
    again = np.ones(len(times), dtype=np.bool_)
    again[np.unique(times, return_index=True)[1]] = False
    return _pick(columns, ~again), _change(Policy(PolicyKind.DROP_DUPLICATES), times[again], timeframe, {})


def _forward_fill(
    columns: dict[str, NDArray[Any]], policy: Policy, timeframe: Timeframe
) -> tuple[dict[str, NDArray[Any]], Change]:
    """Fill holes of up to `max_bars` bars between two rows with flat bars at the last close."""
    times, close = columns["open_time"], columns["close"]
    steps = np.diff(times)
    if (steps <= 0).any():
        raise DataError("forward-fill: rows repeat or go backwards; add `--policy drop-duplicates` or `--policy sort`")
    if (steps % timeframe.ms).any():
        raise DataError(f"forward-fill: rows are off the grid of {timeframe}; add `--policy quarantine:OFF_GRID`")
    holes = steps // timeframe.ms - 1
    # Nothing is carried on from a close that is none: such a hole stays, and the gate sees it.
    fill = (holes > 0) & (holes <= policy.max_bars) & np.isfinite(close[:-1]) & (close[:-1] > 0)
    added = np.append(np.where(fill, holes, 0), 0)[: len(times)]
    source = np.repeat(np.arange(len(times)), added + 1)
    offset = np.arange(len(source)) - (np.cumsum(added + 1) - (added + 1))[source]
    new = offset > 0
    result = _pick(columns, source)
    result["open_time"] = times[source] + offset * timeframe.ms
    for name in result.keys() - {"open_time", FILLED}:
        result[name][new] = close[source[new]] if name in PRICE_COLUMNS else 0.0 if name == "volume" else np.nan
    result[FILLED] = np.where(new, 1.0, columns[FILLED][source] if FILLED in columns else 0.0)
    left = (holes > 0) & ~fill
    detail = {"holes_filled": int(np.count_nonzero(fill)), "holes_left": int(np.count_nonzero(left)),
              "bars_left": int(holes[left].sum())}  # fmt: skip
    return result, _change(policy, result["open_time"][new], timeframe, detail)


# --- parts -------------------------------------------------------------------------------------------------


def _contradicted(columns: Columns) -> BoolArray:
    """Rows whose open time is shared by rows that differ in any column (NaN equals NaN)."""
    times = columns["open_time"]
    order = np.argsort(times, kind="stable")
    starts = np.ones(len(times), dtype=np.bool_)
    starts[1:] = np.diff(times[order]) != 0
    group = np.cumsum(starts) - 1
    first = order[np.flatnonzero(starts)][group]
    differs = np.zeros(len(times), dtype=np.bool_)
    for name, values in columns.items():
        if name != "open_time":
            differs |= ~((values[order] == values[first]) | (np.isnan(values[order]) & np.isnan(values[first])))
    mixed = np.zeros(len(times), dtype=np.bool_)
    mixed[np.unique(group[differs])] = True
    result = np.empty(len(times), dtype=np.bool_)
    result[order] = mixed[group]
    return result


def _pick(columns: Columns, rows: NDArray[Any]) -> dict[str, NDArray[Any]]:
    return {name: values[rows] for name, values in columns.items()}


def _texts(values: list[str]) -> NDArray[Any]:
    return np.array(values, dtype=object)


def _change(policy: Policy, times: IntArray, timeframe: Timeframe, detail: Mapping[str, int]) -> Change:
    """A change of the rows with these open times, gathered into runs of consecutive bars."""
    ordered = np.sort(times)
    ends = np.flatnonzero(np.append(np.diff(ordered) > timeframe.ms, True)) if len(ordered) else np.empty(0, np.int64)
    begins = np.append(0, ends[:-1] + 1) if len(ends) else ends
    events = tuple(
        (from_ms(int(ordered[a])), from_ms(int(ordered[b])), int(b - a + 1))
        for a, b in zip(begins[:MAX_LISTED], ends[:MAX_LISTED], strict=True)
    )
    first, last = (from_ms(int(ordered[0])), from_ms(int(ordered[-1]))) if len(ordered) else (None, None)
    return Change(str(policy), len(ordered), events, len(begins), first, last, MappingProxyType(dict(detail)))
