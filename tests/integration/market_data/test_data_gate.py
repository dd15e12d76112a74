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
from include.domain.enums import Stage
from include.domain.errors import DataError
from include.domain.reason_codes import DataRule
from include.market_data.importing import import_synthetic
from include.market_data.synthetic import DEFAULT_START, SYMBOLS
from include.qualification.profile import Profile
from include.qualification.verdict import Verdict
from include.stages.data_gate import DataGateResult, bounded, gate_data, run_data_gate
from include.validators.data_quality import JUDGED_TWICE, Scope
from include.validators.expectations import ExpectationSuite
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


def duplicate(c: Columns) -> Columns:
    return take(c, np.r_[0:700, 699, 700:COUNT])


def shuffle(c: Columns) -> Columns:
    return take(c, np.random.default_rng(0).permutation(COUNT))


def swap(a: str, b: str) -> Callable[[Columns], Columns]:
    return lambda c: {**c, a: c[b], b: c[a]}


def put(column: str, value: float) -> Callable[[Columns], Columns]:
    def change(c: Columns) -> Columns:
        c[column][700] = value
        return c

    return change


def thousandfold(c: Columns) -> Columns:
    for name in ("open", "high", "low", "close"):
        c[name][700] *= 1_000
    return c


def off_grid(c: Columns) -> Columns:
    c["open_time"][700] += 30_000
    return c


def frozen(c: Columns) -> Columns:
    for name in ("open", "high", "low", "close"):
        c[name][700:740] = c[name][700]
    return c


def halted(c: Columns) -> Columns:
    c["volume"][700:720] = 0.0
    return c


def half_hour_zone(c: Columns) -> Columns:
    # A zone half a minute off cannot exist; a feed that stamps its bars at their middle can.
    c["open_time"] += 30_000
    return c


def zone_behind(c: Columns) -> Columns:
    c["open_time"] -= 8 * 3_600_000
    return c


DEFECTS: dict[str, tuple[Callable[[Columns], Columns], DataRule]] = {
    "a duplicate": (duplicate, DataRule.DUPLICATE_TIME),
    "shuffled rows": (shuffle, DataRule.OUT_OF_ORDER),
    "high and low swapped": (swap("high", "low"), DataRule.OHLC_INCONSISTENT),
    "close taken for high": (swap("high", "close"), DataRule.OHLC_INCONSISTENT),
    "NaN": (put("close", np.nan), DataRule.NON_FINITE),
    "infinity": (put("high", np.inf), DataRule.NON_FINITE),
    "NaN volume": (put("volume", np.nan), DataRule.NON_FINITE),
    "zero price": (put("low", 0.0), DataRule.NON_POSITIVE_PRICE),
    "negative price": (put("low", -3.0), DataRule.NON_POSITIVE_PRICE),
    "negative volume": (put("volume", -1.0), DataRule.NEGATIVE_VOLUME),
    "a price times a thousand": (thousandfold, DataRule.JUMP),
    "a time between minutes": (off_grid, DataRule.OFF_GRID),
    "all times half a minute off": (half_hour_zone, DataRule.OFF_GRID),
    "a hole of ten minutes": (lambda c: take(c, np.r_[0:700, 710:COUNT]), DataRule.GAP),
    "a single minute missing": (lambda c: take(c, np.r_[0:700, 701:COUNT]), DataRule.COMPLETENESS),
    "the end missing": (lambda c: take(c, np.r_[0:1_200]), DataRule.COMPLETENESS),
    "times of a zone eight hours off": (zone_behind, DataRule.COMPLETENESS),
    "prices that stand still": (frozen, DataRule.STALE_PRICE),
    "a halt": (halted, DataRule.ZERO_VOLUME_HALT),
}


def test_clean_bars_pass_with_full_scores_and_nothing_listed(tmp_path: Path) -> None:
    result = gated(tmp_path, clean())
    assert result.verdict is Verdict.PASS
    assert result.violations == ()
    assert {name: m.value for name, m in result.metrics.items() if name != "max_jump"} == {
        "completeness": 1.0, "quality": 1.0, "compatibility": 1.0, "history_days": 1.0, "max_gap_minutes": 0.0,
    }  # fmt: skip


@pytest.mark.parametrize("name", DEFECTS)
def test_an_injected_defect_is_listed_under_the_rule_made_for_it(tmp_path: Path, name: str) -> None:
    inject, rule = DEFECTS[name]
    result = gated(tmp_path, inject(clean()))
    assert rule in rules(result)
    assert all(v.first <= v.last and v.symbol == "BTC/USDT" for v in result.violations)
    json.dumps(result.document(), allow_nan=False)
    # Bars that break a rule lower quality, bars that are not there lower completeness: no defect leaves both at one.
    assert result.metrics["compatibility"].value is not None
    assert result.metrics["compatibility"].value < 1.0


@pytest.mark.parametrize(
    ("name", "metric"),
    [
        ("shuffled rows", "quality"), ("high and low swapped", "quality"), ("a price times a thousand", "max_jump"),
        ("all times half a minute off", "completeness"), ("a hole of ten minutes", "max_gap_minutes"),
        ("the end missing", "completeness"), ("times of a zone eight hours off", "completeness"),
    ],
)  # fmt: skip
def test_a_grave_defect_fails_the_criterion_that_speaks_of_it(tmp_path: Path, name: str, metric: str) -> None:
    result = gated(tmp_path, DEFECTS[name][0](clean()))
    assert result.verdict is Verdict.FAIL
    failed = {r.criterion.metric for r in result.results if r.verdict is Verdict.FAIL}
    assert metric in failed


def test_violations_carry_time_count_and_values(tmp_path: Path) -> None:
    result = gated(tmp_path, thousandfold(take(clean(), np.r_[0:800, 810:COUNT])))
    gap = next(v for v in result.violations if v.rule is DataRule.GAP)
    assert (gap.first, gap.last, gap.count) == (START + minutes(799), START + minutes(810), 10)
    assert gap.sample == (10.0,)
    jump = next(v for v in result.violations if v.rule is DataRule.JUMP)
    assert (jump.first, jump.last, jump.count) == (START + minutes(700), START + minutes(700), 1)
    assert jump.sample[2] == pytest.approx(999, rel=0.01)


def test_scores_are_the_documented_shares(tmp_path: Path) -> None:
    columns = take(clean(), np.r_[0:700, 703:COUNT])
    columns["volume"][100:110] = -1.0
    result = gated(tmp_path, columns)
    assert result.metrics["completeness"].value == (COUNT - 3) / COUNT
    assert result.metrics["quality"].value == pytest.approx(1 - 10 / (COUNT - 3))


def test_an_unfinished_last_bar_is_named(tmp_path: Path) -> None:
    result = gated(tmp_path, clean(), now=END - timedelta(seconds=30))
    (violation,) = result.violations
    assert (violation.rule, violation.first) == (DataRule.UNFINISHED_BAR, END - minutes(1))


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


def test_one_bad_symbol_decides_for_all(tmp_path: Path) -> None:
    lake = lake_at(tmp_path)
    lake.ingest("synthetic", "BTC/USDT", MINUTE, table(clean()), source="test", now=NOW)
    lake.ingest("synthetic", "ETH/USDT", MINUTE, table(take(clean(), np.r_[0:1_000])), source="test", now=NOW)
    result = gate_data("synthetic", ["BTC/USDT", "ETH/USDT"], MINUTE, START, END, profile(), lake, now=NOW)
    assert result.verdict is Verdict.FAIL
    assert [g.verdict for g in result.symbols.values()] == [Verdict.PASS, Verdict.FAIL]
    assert result.metrics["completeness"].value == pytest.approx(1_000 / COUNT)


def test_a_hole_that_all_symbols_share_is_the_exchange_s_and_any_other_is_the_symbol_s(tmp_path: Path) -> None:
    lake, shared = lake_at(tmp_path), np.r_[0:100, 120:COUNT]
    halted = bars(COUNT, seed=1)
    halted["volume"][600:610] = 0.0
    lake.ingest("synthetic", "BTC/USDT", MINUTE, table(take(clean(), shared)), source="test", now=NOW)
    own = np.r_[0:100, 120:800, 815:COUNT]
    lake.ingest("synthetic", "ETH/USDT", MINUTE, table(take(halted, own)), source="test", now=NOW)
    result = gate_data("synthetic", ["BTC/USDT", "ETH/USDT"], MINUTE, START, END, profile(), lake, now=NOW)
    scopes = [(v.symbol, v.rule, v.count, v.scope) for v in result.violations if v.rule is not DataRule.COMPLETENESS]
    assert scopes == [
        ("BTC/USDT", DataRule.GAP, 20, Scope.EXCHANGE),
        ("ETH/USDT", DataRule.GAP, 20, Scope.EXCHANGE),
        ("ETH/USDT", DataRule.GAP, 15, Scope.SYMBOL),
        ("ETH/USDT", DataRule.ZERO_VOLUME_HALT, 10, Scope.SYMBOL),
    ]


def test_evidence_carries_fingerprint_scores_and_bounded_violations(tmp_path: Path) -> None:
    lake = lake_at(tmp_path)
    broken = clean()
    broken["volume"][::2] = -1.0
    lake.ingest("synthetic", "BTC/USDT", MINUTE, table(broken), source="test", now=NOW)
    evidence = run_data_gate(sample_candidate(), profile(), START, END, lake, now=NOW, report_dir=tmp_path / "report")
    assert (evidence.stage, evidence.verdict, evidence.synthetic) == (Stage.DATA_GATE, Verdict.FAIL, True)
    assert evidence.fingerprint == lake.fingerprint("synthetic", ["BTC/USDT"], MINUTE, START, END)
    assert len(evidence.details["violations"]) == 50
    counts = evidence.details["symbols"]["BTC/USDT"]["violation_counts"]["NEGATIVE_VOLUME"]
    assert counts == {"events": COUNT // 2, "bars": COUNT // 2}
    report = json.loads((tmp_path / "report" / "data-gate.json").read_text())
    assert len(report["violations"]) == COUNT // 2
    assert set(evidence.artefacts) == {"data-gate.json"}
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
    inject = next(inject for inject, caught_by in DEFECTS.values() if caught_by is rule)
    assert all(r.success for r in suite.validate(clean()))
    failed = [r for r in suite.validate(inject(clean())) if r.rule is rule and not r.success]
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
