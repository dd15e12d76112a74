"""Laws of repairs: idempotent, nothing lost, no price invented, the input left alone."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from include.domain.bars import PRICE_COLUMNS
from include.domain.errors import DataError
from include.domain.times import to_ms
from include.validators.repair_policies import QUARANTINABLE, Policy, PolicyKind, parse_policies
from include.validators.repairs import FILLED, Repaired, filled_rows, repair
from tests.market import MINUTE, NOW, Columns, bars, take

BARS = 60
NOW_MS = to_ms(NOW)


@st.composite
def broken_rows(draw: st.DrawFn) -> Columns:
    """Rows with holes, repeats that agree or not, disorder, times off the grid and impossible values."""
    picked = draw(st.lists(st.integers(0, BARS - 1), min_size=1, max_size=30))
    columns = take(bars(BARS), np.array(picked))
    columns["count"] = np.arange(len(picked)) % 3.0
    for _ in range(draw(st.integers(0, 3))):
        name = draw(st.sampled_from([*PRICE_COLUMNS, "volume", "count"]))
        row = draw(st.integers(0, len(picked) - 1))
        columns[name][row] = draw(st.sampled_from([np.nan, np.inf, -1.0, 0.0, 101.0]))
    if draw(st.booleans()):
        columns["open_time"][draw(st.integers(0, len(picked) - 1))] += 17
    return columns


policy_sets = st.lists(
    st.one_of(
        st.sampled_from(["sort", "drop-duplicates", "quarantine"]), st.integers(1, 9).map("forward-fill:{}".format),
        st.lists(st.sampled_from([r.value for r in QUARANTINABLE]), min_size=1, unique=True).map(
            lambda rules: "quarantine:" + ",".join(rules)
        ),
    ),
    min_size=1, max_size=4, unique_by=lambda text: text.partition(":")[0],
).map(parse_policies)  # fmt: skip


def repaired(columns: Columns, policies: tuple[Policy, ...]) -> Repaired:
    """What can be repaired; what is refused says nothing about these laws."""
    try:
        return repair(columns, policies, MINUTE, unfinished=[], now_ms=NOW_MS)
    except DataError:
        assume(False)
        raise


def equal(one: Columns, other: Columns) -> bool:
    return one.keys() == other.keys() and all(
        np.array_equal(one[name], other[name], equal_nan=one[name].dtype.kind == "f") for name in one
    )


@settings(max_examples=60, deadline=None)
@given(broken_rows(), policy_sets)
def test_doing_it_again_changes_nothing(columns: Columns, policies: tuple[Policy, ...]) -> None:
    once = repaired(columns, policies)
    twice = repair(once.columns, policies, MINUTE, unfinished=[], now_ms=NOW_MS)
    assert equal(twice.columns, once.columns)
    assert [change.count for change in twice.changes] == [0] * len(policies)


@settings(max_examples=50, deadline=None)
@given(broken_rows(), policy_sets)
def test_the_input_is_left_as_it_is(columns: Columns, policies: tuple[Policy, ...]) -> None:
    before = {name: values.copy() for name, values in columns.items()}
    repaired(columns, policies)
    assert equal(columns, before)


@settings(max_examples=50, deadline=None)
@given(broken_rows(), policy_sets.filter(lambda policies: policies[0].kind is PolicyKind.QUARANTINE))
def test_what_was_taken_out_and_what_remains_are_the_original(columns: Columns, policies: tuple[Policy, ...]) -> None:
    found = repaired(columns, policies[:1])
    out = found.quarantined["row"]
    back = {}
    for name, rest in found.columns.items():
        back[name] = np.empty(len(columns["open_time"]), dtype=rest.dtype)
        back[name][out] = found.quarantined[name]
        back[name][np.setdiff1d(np.arange(len(back[name])), out)] = rest
    assert equal(back, columns)
    assert all(found.quarantined["rules"])


@settings(max_examples=60, deadline=None)
@given(broken_rows(), policy_sets.filter(lambda policies: policies[-1].kind is PolicyKind.FORWARD_FILL))
def test_filling_adds_marked_flat_bars_at_the_last_close_and_touches_no_other(
    columns: Columns, policies: tuple[Policy, ...]
) -> None:
    found = repaired(columns, policies)
    marked = found.columns[FILLED] == 1.0
    rest = take(found.columns, ~marked)
    del rest[FILLED]
    before = repair(columns, policies[:-1], MINUTE, unfinished=[], now_ms=NOW_MS).columns if policies[:-1] else columns
    assert equal(rest, before)
    assert np.array_equal(filled_rows(found.columns), marked)
    assert not marked[0] and not marked[-1]
    for at in np.flatnonzero(marked):
        real = at - 1 - int(np.argmin(marked[:at][::-1]))
        assert all(found.columns[name][at] == found.columns["close"][real] for name in PRICE_COLUMNS)
        assert found.columns["volume"][at] == 0.0
        assert np.isnan(found.columns["count"][at])


@settings(max_examples=60, deadline=None)
@given(st.lists(st.integers(0, BARS - 1), min_size=1, unique=True).map(sorted), st.integers(1, 9))
def test_a_hole_is_filled_whole_or_not_at_all(kept: list[int], longest: int) -> None:
    columns = take(bars(BARS), np.array(kept))
    found = repair(columns, [Policy(PolicyKind.FORWARD_FILL, longest)], MINUTE, unfinished=[], now_ms=NOW_MS)
    holes = np.diff(kept) - 1
    short, long = holes[(holes > 0) & (holes <= longest)], holes[holes > longest]
    (change,) = found.changes
    assert change.count == len(found.columns["open_time"]) - len(kept) == short.sum()
    assert change.detail == {"holes_filled": len(short), "holes_left": len(long), "bars_left": long.sum()}
    assert sum(count for _, _, count in change.events) == change.count
    left = np.diff(found.columns["open_time"]) // MINUTE.ms - 1
    assert sorted(left[left > 0]) == sorted(long)


@settings(max_examples=50, deadline=None)
@given(broken_rows())
def test_dropping_duplicates_refuses_contradictions_and_keeps_one_row_of_each_time(columns: Columns) -> None:
    times = columns["open_time"]
    different = {(t, *(repr(columns[n][i]) for n in columns)) for i, t in enumerate(times.tolist())}
    if len(different) > len(set(times.tolist())):
        with pytest.raises(DataError, match="contradict"):
            repair(columns, parse_policies(["drop-duplicates"]), MINUTE, unfinished=[], now_ms=NOW_MS)
        return
    found = repaired(columns, parse_policies(["drop-duplicates"]))
    first = [i for i, t in enumerate(times.tolist()) if t not in times[:i]]
    assert equal(found.columns, take(columns, np.array(first)))


@settings(max_examples=40, deadline=None)
@given(policy_sets)
def test_a_policy_is_what_it_is_recorded_as(policies: tuple[Policy, ...]) -> None:
    assert parse_policies([str(policy) for policy in reversed(policies)]) == policies
