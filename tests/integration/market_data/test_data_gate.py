"""The data gate on stored bars: each injected defect is caught by the rule made for it; nothing missing passes."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path

import numpy as np
import pytest

from include.config.files import find_profile
from include.domain.aggregation import aggregate
from include.domain.bars import BAR_COLUMNS, Bars
from include.domain.enums import Stage
from include.domain.errors import DataError
from include.domain.reason_codes import DataRule
from include.domain.times import Timeframe
from include.market_data.importing import import_synthetic
from include.market_data.synthetic import DEFAULT_START, SYMBOLS
from include.qualification.profile import Profile
from include.qualification.verdict import Verdict
from include.stages.data_gate import DataGateResult, bounded, gate_data, run_data_gate
from include.validators.data_quality import JUDGED_TWICE
from include.validators.expectations import ExpectationSuite
from include.validators.violations import EVERY_SYMBOL, Scope
from tests.market import MINUTE, NOW, START, Columns, bars, lake_at, minutes, table, take
from tests.samples import sample_candidate

COUNT = 1_440
END = START + minutes(COUNT)


def profile(**rules: float) -> Profile:
    """The shipped five-year profile, without its demand for five years."""
    shipped = find_profile("five-year")
    criteria = {
        stage: [c for c in documents if c.metric != "history_days"] for stage, documents in shipped.criteria.items()
    }
    data = shipped.data.model_copy(update={"min_history_days": 0, **rules})
    return shipped.model_copy(update={"data": data, "criteria": criteria})


def gated(root: Path, columns: Columns, now: datetime = NOW, used: Profile | None = None) -> DataGateResult:
    lake = lake_at(root)
    lake.ingest("synthetic", "BTC/USDT", MINUTE, table(columns), source="test", now=now)
    return gate_data("synthetic", ["BTC/USDT"], MINUTE, START, END, used or profile(), lake, now=now)


def rules(result: DataGateResult) -> set[DataRule]:
    return {violation.rule for violation in result.violations}


def clean() -> Columns:
    return bars(COUNT)


def put(column: str, value: float) -> Callable[[Columns], Columns]:
    def change(c: Columns) -> Columns:
        c[column][700] = value
        return c

    return change


DEFECTS: dict[DataRule, Callable[[Columns], Columns]] = {
    DataRule.NON_FINITE: put("close", np.nan),
    DataRule.NON_POSITIVE_PRICE: put("low", 0.0),
    DataRule.NEGATIVE_VOLUME: put("volume", -1.0),
    DataRule.OHLC_INCONSISTENT: put("high", 1.0),
    DataRule.DUPLICATE_TIME: lambda c: take(c, np.r_[0:700, 699, 700:COUNT]),
    DataRule.OUT_OF_ORDER: lambda c: take(c, np.random.default_rng(0).permutation(COUNT)),
}
"""One of each rule that Great Expectations judges too; `test_injected_defects` has all of them."""


def test_clean_bars_pass_with_full_scores_and_nothing_listed(tmp_path: Path) -> None:
    result = gated(tmp_path, clean())
    assert result.verdict is Verdict.PASS
    assert result.violations == ()
    assert {name: m.value for name, m in result.metrics.items() if name != "max_jump"} == {
        "completeness": 1.0, "quality": 1.0, "compatibility": 1.0, "history_days": 1.0, "max_gap_minutes": 0.0,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("defect", "metric"),
    [
        (DEFECTS[DataRule.OUT_OF_ORDER], "quality"), (lambda c: take(c, np.r_[0:700, 710:COUNT]), "max_gap_minutes"),
        (lambda c: take(c, np.r_[0:1_200]), "completeness"), (lambda c: {**c, "close": c["close"] * 1e3}, "quality"),
        (put("close", 5.0), "max_jump"),
    ],
    ids=["shuffled rows", "a hole of ten minutes", "the end missing", "closes in another unit", "a misprint"],
)  # fmt: skip
def test_a_grave_defect_fails_the_criterion_that_speaks_of_it_and_is_named(
    tmp_path: Path, defect: Callable[[Columns], Columns], metric: str
) -> None:
    result = gated(tmp_path, defect(clean()))
    assert result.verdict is Verdict.FAIL
    (failed,) = (r for r in result.results if r.criterion.metric == metric)
    assert failed.verdict is Verdict.FAIL
    assert "; worst: " in failed.reason
    json.dumps(result.document(), allow_nan=False)


def test_violations_carry_time_count_and_values(tmp_path: Path) -> None:
    columns = clean()
    for name in ("open", "high", "low", "close"):
        columns[name][700] *= 1_000
        columns[name][1_000:] *= 1.2
    result = gated(tmp_path, take(columns, np.r_[0:800, 810:COUNT]))
    gap = next(v for v in result.violations if v.rule is DataRule.GAP)
    assert (gap.first, gap.last, gap.count) == (START + minutes(799), START + minutes(810), 10)
    assert gap.sample == (10.0,)
    tick = next(v for v in result.violations if v.rule is DataRule.BAD_TICK)
    assert (tick.first, tick.last, tick.count) == (START + minutes(700), START + minutes(700), 1)
    assert tick.sample[2] == pytest.approx(999, rel=0.01)
    jump = next(v for v in result.violations if v.rule is DataRule.JUMP)
    assert (jump.first, jump.last, jump.count) == (START + minutes(1_000), START + minutes(1_000), 1)
    assert jump.sample == pytest.approx((columns["close"][999], columns["close"][1_000], 0.2), rel=0.01)


def test_scores_are_the_documented_shares(tmp_path: Path) -> None:
    columns = take(clean(), np.r_[0:700, 703:COUNT])
    columns["volume"][100:110] = -1.0
    result = gated(tmp_path, columns)
    assert result.metrics["completeness"].value == (COUNT - 3) / COUNT
    assert result.metrics["quality"].value == pytest.approx(1 - 10 / (COUNT - 3))


def test_too_short_a_history_is_listed_and_fails(tmp_path: Path) -> None:
    result = gated(tmp_path, clean(), used=find_profile("five-year"))
    assert DataRule.HISTORY_LENGTH in rules(result)
    assert result.verdict is Verdict.FAIL


def test_a_window_without_rows_fails_and_a_symbol_that_is_not_there_is_an_error(tmp_path: Path) -> None:
    lake = lake_at(tmp_path)
    lake.ingest("synthetic", "BTC/USDT", MINUTE, table(clean()), source="test", now=NOW)
    later = END + timedelta(days=30)
    result = gate_data("synthetic", ["BTC/USDT"], MINUTE, later, later + timedelta(hours=1), profile(), lake, now=NOW)
    assert result.verdict is Verdict.FAIL
    assert [v.rule for v in result.violations] == [DataRule.EMPTY]
    with pytest.raises(DataError, match="ETHUSDT 1m: not in the lake"):
        gate_data("synthetic", ["BTC/USDT", "ETH/USDT"], MINUTE, START, END, profile(), lake, now=NOW)


def test_a_symbol_beside_itself_is_not_judged_as_a_whole_exchange(tmp_path: Path) -> None:
    lake = lake_at(tmp_path)
    lake.ingest("synthetic", "BTC/USDT", MINUTE, table(clean()), source="test", now=NOW)
    with pytest.raises(DataError, match="named twice"):
        gate_data("synthetic", ["BTC/USDT", "BTCUSDT"], MINUTE, START, END, profile(), lake, now=NOW)


def test_one_bad_symbol_decides_for_all(tmp_path: Path) -> None:
    lake = lake_at(tmp_path)
    lake.ingest("synthetic", "BTC/USDT", MINUTE, table(clean()), source="test", now=NOW)
    lake.ingest("synthetic", "ETH/USDT", MINUTE, table(take(clean(), np.r_[0:1_000])), source="test", now=NOW)
    result = gate_data("synthetic", ["BTC/USDT", "ETH/USDT"], MINUTE, START, END, profile(), lake, now=NOW)
    assert result.verdict is Verdict.FAIL
    assert [g.verdict for g in result.symbols.values()] == [Verdict.PASS, Verdict.FAIL]
    assert result.metrics["completeness"].value == pytest.approx(1_000 / COUNT)


def test_what_the_exchange_is_to_blame_for_is_listed_and_counted_once(tmp_path: Path) -> None:
    lake, shared = lake_at(tmp_path), np.r_[0:100, 120:COUNT]
    halted = bars(COUNT, seed=1)
    halted["volume"][600:610] = 0.0
    lake.ingest("synthetic", "BTC/USDT", MINUTE, table(take(clean(), shared)), source="test", now=NOW)
    own = np.r_[0:100, 120:800, 815:COUNT]
    lake.ingest("synthetic", "ETH/USDT", MINUTE, table(take(halted, own)), source="test", now=NOW)
    result = gate_data("synthetic", ["BTC/USDT", "ETH/USDT"], MINUTE, START, END, profile(), lake, now=NOW)
    scopes = [(v.symbol, v.rule, v.count, v.scope) for v in result.violations if v.rule is not DataRule.COMPLETENESS]
    assert scopes == [
        (EVERY_SYMBOL, DataRule.GAP, 20, Scope.EXCHANGE),
        ("ETH/USDT", DataRule.GAP, 15, Scope.SYMBOL),
        ("ETH/USDT", DataRule.ZERO_VOLUME_HALT, 10, Scope.SYMBOL),
    ]
    assert result.document()["exchange"] == {"violation_counts": {"GAP": {"events": 1, "bars": 20}}}


def test_stored_hours_of_the_venue_and_other_venues_of_the_symbol_are_compared_with(tmp_path: Path) -> None:
    lake, days = lake_at(tmp_path), 10
    minutes_late, hour = bars(days * COUNT), Timeframe.parse("1h")
    right = {**minutes_late, "open_time": minutes_late["open_time"] - 8 * hour.ms}
    hours = aggregate(Bars("BTC/USDT", MINUTE, **{name: right[name] for name in BAR_COLUMNS}), hour).bars
    lake.ingest("binance-usdm", "BTC/USDT", MINUTE, table(minutes_late), source="test", now=NOW)
    whole = (START, START + days * timedelta(days=1))
    alone = gate_data("binance-usdm", ["BTC/USDT"], MINUTE, *whole, profile(), lake, now=NOW)
    assert (alone.verdict, alone.references) == (Verdict.PASS, ())
    columns = {name: getattr(hours, name) for name in BAR_COLUMNS}
    lake.ingest("binance-usdm", "BTC/USDT", hour, table(columns), source="test", now=NOW)
    lake.ingest("binance-spot", "BTC/USDT", hour, table(columns), source="test", now=NOW)
    result = gate_data("binance-usdm", ["BTC/USDT"], MINUTE, *whole, profile(), lake, now=NOW)
    assert rules(result) == {DataRule.WRONG_ZONE, DataRule.TIMEFRAME_MISMATCH}
    assert result.violations[0].sample[0] == "8 h later than binance-usdm BTC/USDT 1h"
    assert result.document()["references"] == ["binance-usdm BTC/USDT 1h", "binance-spot BTC/USDT 1h"]
    (check,) = result.document()["cross_checks"]
    assert check["differing"] == check["bars"] > 200
    assert (result.verdict, result.metrics["quality"].value) == (Verdict.FAIL, 0.0)


def test_evidence_carries_fingerprint_scores_and_bounded_violations(tmp_path: Path) -> None:
    lake = lake_at(tmp_path)
    broken = clean()
    broken["volume"][::2] = -1.0
    lake.ingest("synthetic", "BTC/USDT", MINUTE, table(broken), source="test", now=NOW)
    reported: list[DataGateResult] = []

    def report(result: DataGateResult) -> dict[str, str]:
        reported.append(result)
        return {"gate.json": "0" * 64}

    evidence = run_data_gate(sample_candidate(), profile(), START, END, lake, now=NOW, report=report)
    assert (evidence.stage, evidence.verdict, evidence.synthetic) == (Stage.DATA_GATE, Verdict.FAIL, True)
    assert evidence.fingerprint == lake.fingerprint("synthetic", ["BTC/USDT"], MINUTE, START, END)
    assert len(evidence.details["violations"]) == 50
    counts = evidence.details["symbols"]["BTC/USDT"]["violation_counts"]["NEGATIVE_VOLUME"]
    assert counts == {"events": COUNT // 2, "bars": COUNT // 2}
    assert len(reported[0].violations) == COUNT // 2
    assert evidence.artefacts == {"gate.json": "0" * 64}
    (quality,) = (r for r in evidence.results if r.criterion.metric == "quality")
    assert "worst: NEGATIVE_VOLUME BTC/USDT" in quality.reason
    assert len(evidence.digest) == 64


def test_data_that_cannot_be_read_is_error_evidence_never_a_pass(tmp_path: Path) -> None:
    lake = lake_at(tmp_path)
    missing = run_data_gate(sample_candidate(), profile(), START, END, lake, now=NOW)
    assert missing.verdict is Verdict.ERROR
    assert "not in the lake" in missing.details["error"]
    lake.ingest("synthetic", "BTC/USDT", MINUTE, table(clean()), source="test", now=NOW)
    path = min(lake.root.rglob("*.parquet"))
    path.write_bytes(path.read_bytes()[:-100])
    damaged = run_data_gate(sample_candidate(), profile(), START, END, lake, now=NOW)
    assert damaged.verdict is Verdict.ERROR
    assert path.name in damaged.details["error"]


def test_the_two_implementations_of_a_rule_must_agree(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    honest = ExpectationSuite.validate

    def blind(self: ExpectationSuite, columns: Columns):  # type: ignore[no-untyped-def]
        return tuple(replace(r, success=True) for r in honest(self, columns))

    monkeypatch.setattr(ExpectationSuite, "validate", blind)
    with pytest.raises(DataError, match="disagree on NEGATIVE_VOLUME"):
        gated(tmp_path, put("volume", -1.0)(clean()))


@pytest.mark.parametrize("rule", JUDGED_TWICE)
def test_great_expectations_judges_every_rule_it_is_said_to_judge(rule: DataRule) -> None:
    suite = ExpectationSuite()
    assert all(r.success for r in suite.validate(clean()))
    failed = [r for r in suite.validate(DEFECTS[rule](clean())) if r.rule is rule and not r.success]
    assert failed
    assert all(r.unexpected > 0 for r in failed)


def test_a_bound_keeps_the_first_of_each_rule_and_symbol(tmp_path: Path) -> None:
    columns = clean()
    columns["volume"][0:20:2] = -1.0
    columns["open"][30:50:2] = np.nan
    kept = bounded(gated(tmp_path, columns).violations, limit=3)
    assert [v.first for v in kept if v.rule is DataRule.NEGATIVE_VOLUME] == [START + minutes(i) for i in (0, 2, 4)]
    assert len([v for v in kept if v.rule is DataRule.NON_FINITE]) == 3


def test_the_synthetic_market_passes_its_gate(tmp_path: Path) -> None:
    lake, end = lake_at(tmp_path), DEFAULT_START + timedelta(days=3)
    import_synthetic(lake, SYMBOLS, DEFAULT_START, end, seed=7, now=NOW)
    result = gate_data("synthetic", SYMBOLS, MINUTE, DEFAULT_START, end, profile(), lake, now=NOW)
    assert result.verdict is Verdict.PASS
    assert result.violations == ()
