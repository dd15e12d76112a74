"""Repairs, policy by policy: what is done, what is refused and what to do then."""

from __future__ import annotations

import numpy as np
import pytest

from include.domain.errors import ConfigurationError, DataError
from include.domain.reason_codes import DataRule
from include.domain.times import iso, to_ms
from include.validators.repair_policies import QUARANTINABLE, parse_policies
from include.validators.repairs import FILLED, Repaired, filled_rows, repair
from tests.market import MINUTE, NOW, START, Columns, bars, minutes, take

ALL = ["quarantine", "sort", "drop-duplicates", "forward-fill:5"]


def run(columns: Columns, *policies: str, unfinished: tuple[int, ...] = ()) -> Repaired:
    return repair(columns, parse_policies(policies), MINUTE, unfinished=unfinished, now_ms=to_ms(NOW))


def changed(columns: Columns, name: str, row: int, value: float) -> Columns:
    columns = {key: values.copy() for key, values in columns.items()}
    columns[name][row] = value
    return columns


# --- policies ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("texts", "wanted"),
    [
        (["forward-fill:5", "sort"], ["sort", "forward-fill:5"]),
        (["quarantine:ohlc_inconsistent, NON_FINITE"], ["quarantine:NON_FINITE,OHLC_INCONSISTENT"]),
        (["quarantine"], ["quarantine:" + ",".join(QUARANTINABLE)]),
        (["drop-duplicates", "quarantine:OFF_GRID"], ["quarantine:OFF_GRID", "drop-duplicates"]),
    ],
)
def test_policies_are_applied_in_one_order_and_recorded_in_one_spelling(texts: list[str], wanted: list[str]) -> None:
    assert [str(policy) for policy in parse_policies(texts)] == wanted


@pytest.mark.parametrize(
    "texts",
    [[], ["fill"], ["forward-fill"], ["forward-fill:0"], ["forward-fill:-3"], ["forward-fill:x"], ["sort:2"],
     ["quarantine:JUMP"], ["quarantine:OUT_OF_ORDER"], ["sort", "sort"], ["forward-fill:2", "forward-fill:3"]],
)  # fmt: skip
def test_a_text_that_is_no_policy_is_refused(texts: list[str]) -> None:
    with pytest.raises(ConfigurationError):
        parse_policies(texts)


# --- what each does ----------------------------------------------------------------------------------------


def test_clean_rows_stay_as_they_are_under_every_policy() -> None:
    clean = bars(30)
    found = run(clean, *ALL)
    assert all(np.array_equal(found.columns[name], clean[name]) for name in clean)
    assert not found.columns[FILLED].any()
    assert [change.count for change in found.changes] == [0, 0, 0, 0]


@pytest.mark.parametrize(
    ("rule", "column", "value"),
    [
        (DataRule.NON_FINITE, "close", np.nan), (DataRule.NON_FINITE, "volume", np.inf),
        (DataRule.NON_POSITIVE_PRICE, "low", 0.0), (DataRule.NEGATIVE_VOLUME, "volume", -1.0),
        (DataRule.OHLC_INCONSISTENT, "high", 1.0), (DataRule.OFF_GRID, "open_time", to_ms(START) + 7 * 60_000 + 1),
    ],
)  # fmt: skip
def test_a_broken_row_is_taken_out_with_its_values_and_leaves_a_hole(rule: DataRule, column: str, value: float) -> None:
    broken = changed(bars(20), column, 7, value)
    found = run(broken, f"quarantine:{rule.value}")
    assert found.columns["open_time"].tolist() == np.delete(broken["open_time"], 7).tolist()
    assert found.quarantined["row"].tolist() == [7]
    assert rule.value in found.quarantined["rules"][0].split(",")
    assert all(np.array_equal(found.quarantined[n], broken[n][7:8], equal_nan=True) for n in broken)
    (change,) = found.changes
    assert (change.count, change.detail[rule.value], len(change.events)) == (1, 1, 1)


def test_only_the_rules_that_were_named_take_rows_out() -> None:
    broken = changed(changed(bars(20), "volume", 3, -1.0), "close", 7, np.nan)
    assert run(broken, "quarantine:NEGATIVE_VOLUME").quarantined["row"].tolist() == [3]


def test_rows_that_contradict_each_other_are_refused_or_all_taken_out() -> None:
    repeated = take(bars(10), np.array([0, 1, 2, 2, 2, 3]))
    repeated = changed(repeated, "close", 4, float(repeated["low"][4]))
    with pytest.raises(DataError, match=f"1 open times .* first {iso(START + minutes(2))}.*quarantine:DUPLICATE_TIME"):
        run(repeated, "drop-duplicates")
    found = run(repeated, "drop-duplicates", "quarantine:DUPLICATE_TIME")
    assert found.columns["open_time"].tolist() == [to_ms(START + minutes(i)) for i in (0, 1, 3)]
    assert found.quarantined["row"].tolist() == [2, 3, 4]


def test_repeats_that_agree_are_dropped_but_the_first_wherever_they_stand() -> None:
    repeated = take(bars(10), np.array([3, 1, 3, 2, 1]))
    found = run(repeated, "drop-duplicates")
    assert found.columns["open_time"].tolist() == [to_ms(START + minutes(i)) for i in (3, 1, 2)]
    assert (found.changes[0].count, found.changes[0].first) == (2, START + minutes(1))


def test_sorting_keeps_repeats_in_their_order() -> None:
    repeated = take(bars(10), np.array([3, 1, 1, 0]))
    repeated["volume"] = np.array([1.0, 2.0, 3.0, 4.0])
    found = run(repeated, "sort")
    assert found.columns["volume"].tolist() == [4.0, 2.0, 3.0, 1.0]
    assert found.changes[0].count == 2


def test_short_holes_are_filled_flat_at_the_last_close_and_long_ones_left() -> None:
    holed = take(bars(30), np.array([0, 1, 4, 5, 12, 13]))
    holed["count"] = np.arange(6.0)
    found = run(holed, "forward-fill:2")
    marked = found.columns[FILLED] == 1.0
    assert found.columns["open_time"][marked].tolist() == [to_ms(START + minutes(i)) for i in (2, 3)]
    for name in ("open", "high", "low", "close"):
        assert set(found.columns[name][marked]) == {holed["close"][1]}
    assert not found.columns["volume"][marked].any()
    assert np.isnan(found.columns["count"][marked]).all()
    (change,) = found.changes
    assert change.events == ((START + minutes(2), START + minutes(3), 2),)
    assert change.detail == {"holes_filled": 1, "holes_left": 1, "bars_left": 6}


def test_a_hole_after_a_close_that_is_none_is_left() -> None:
    holed = changed(take(bars(30), np.array([0, 1, 3])), "close", 1, np.nan)
    found = run(holed, "forward-fill:5")
    assert (found.changes[0].count, found.changes[0].detail["holes_left"]) == (0, 1)


@pytest.mark.parametrize(
    ("picked", "shift", "advice"),
    [([0, 2, 1], 0, "--policy sort"), ([0, 1, 1], 0, "drop-duplicates"), ([0, 1, 2], 1, "OFF_GRID")],
)
def test_filling_refuses_rows_that_are_in_no_order(picked: list[int], shift: int, advice: str) -> None:
    rows = take(bars(5), np.array(picked))
    rows["open_time"][1] += shift
    with pytest.raises(DataError, match=advice):
        run(rows, "forward-fill:5")


def test_a_bar_that_had_not_closed_is_never_passed_on_as_finished() -> None:
    rows = bars(5)
    last = int(rows["open_time"][-1])
    with pytest.raises(DataError, match=r"22:04:00Z had not closed .* UNFINISHED_BAR"):
        run(rows, "sort", unfinished=(last,))
    found = run(rows, "quarantine:UNFINISHED_BAR", unfinished=(last,))
    assert len(found.columns["open_time"]) == 4


def test_nothing_left_is_refused() -> None:
    rows = bars(3)
    rows["close"][:] = np.nan
    with pytest.raises(DataError, match="no row would remain"):
        run(rows, "quarantine")


# --- what counts as filled ---------------------------------------------------------------------------------


@pytest.mark.parametrize(("column", "value"), [("high", 1e6), ("close", 1.0), ("volume", 0.1), ("open", np.nan)])
def test_a_mark_on_a_row_that_carries_anything_hides_nothing(column: str, value: float) -> None:
    filled = run(take(bars(10), np.array([0, 1, 4, 5])), "forward-fill:5").columns
    assert filled_rows(filled).tolist() == [False, False, True, True, False, False]
    tampered = changed(filled, column, 3, value)
    assert filled_rows(tampered).tolist()[3] is False
    marked = changed(filled, FILLED, 5, 1.0)
    assert not filled_rows(marked)[5]
    assert not filled_rows(bars(5)).any()
