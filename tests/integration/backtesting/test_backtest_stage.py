"""Stage BACKTEST: what passes, what fails, what is an error, and that the same input gives the same evidence."""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
import pytest
from pyarrow import parquet

from include.config.files import find_candidate, find_profile
from include.domain.bars import Bars, Signals
from include.domain.errors import ConfigurationError
from include.domain.instruments import Instrument
from include.market_data.synthetic import generate
from include.qualification.candidate import Candidate
from include.qualification.profile import Profile
from include.qualification.verdict import Verdict
from include.stages import backtest
from include.stages.backtest import TRADES_FILE, BacktestResult, run_backtest
from tests.adapters.memory_market import MINUTE, MemoryMarket, make_instrument, random_bars
from tests.adapters.strategies import Churn, Idle

START = datetime(2024, 1, 1, tzinfo=UTC)
END = START + timedelta(days=10)
NOW = datetime(2026, 1, 1, tzinfo=UTC)
SYMBOLS = ("X/USDT", "Y/USDT")
PROFILE: Profile = find_profile("five-year")


def market(symbols: tuple[str, ...] = SYMBOLS, minutes: int = 14_400) -> MemoryMarket:
    return MemoryMarket(
        {s: random_bars(s, START, minutes, seed=k, price=1000.0) for k, s in enumerate(symbols)},
        {s: make_instrument(s) for s in symbols},
    )


def candidate(strategy: str, symbols: tuple[str, ...] = SYMBOLS, **params: Any) -> Candidate:
    return Candidate(
        "test", strategy, MappingProxyType(params), symbols, MINUTE, "test", "ada", "a" * 64
    )  # fmt: skip


def run(strategy: str, data: MemoryMarket | None = None, folder: Path | None = None, **params: Any) -> BacktestResult:
    return run_backtest(
        candidate(strategy, **params), PROFILE, START, END, data or market(), now=NOW, report_dir=folder
    )


class Broken(Churn):
    def signals(self, bars: Bars) -> Signals:
        raise RuntimeError("model file is missing")


class Endless(Churn):
    def signals(self, bars: Bars) -> Signals:
        s = super().signals(bars)
        return Signals(np.where(s.target == 1, np.inf, s.target), s.weight, s.stop, s.take_profit)


class Peeking(Churn):
    def signals(self, bars: Bars) -> Signals:
        s = super().signals(bars)
        return Signals(np.sign(np.append(bars.close[1:], bars.close[-1]) - bars.close), s.weight, s.stop, s.take_profit)


class Early(Idle):
    """Asks for a long on every row, also on those that have no warm-up behind them."""

    def signals(self, bars: Bars) -> Signals:
        s = super().signals(bars)
        return Signals(np.ones(len(bars)), s.weight, s.stop, s.take_profit)


def named(strategy: type) -> str:
    return f"{strategy.__module__}:{strategy.__name__}"


def test_a_losing_strategy_fails_with_every_metric_measured_and_both_books_in_the_evidence(tmp_path: Path) -> None:
    result = run(named(Churn), folder=tmp_path)
    evidence = result.evidence
    assert evidence.verdict is Verdict.FAIL
    assert result.played is not None
    assert evidence.metrics["trades"].value == len(result.played.trades) > 1_000
    assert evidence.metrics["lookahead_rows"].value == 0
    assert evidence.metrics["warmup_mismatches"].value == 0
    books = evidence.details["books"]
    assert books["kernel"]["trades"] == books["vectorbt"]["trades"]
    assert evidence.synthetic
    digest = hashlib.sha256((tmp_path / TRADES_FILE).read_bytes()).hexdigest()
    assert evidence.artefacts == {TRADES_FILE: digest}


def test_cash_fees_and_trades_reconcile_with_the_equity(tmp_path: Path) -> None:
    result = run(named(Churn), folder=tmp_path)
    played = result.played
    assert played is not None
    table = parquet.read_table(tmp_path / TRADES_FILE).to_pydict()
    open_value = played.own.final_equity - PROFILE.initial_capital - sum(table["pnl"])
    assert abs(open_value) < 2 * 160_000 * 0.01 or played.trades.open_trades == 0
    gross = [
        (1 if side == "long" else -1) * (leave - enter) * quantity
        for side, enter, leave, quantity in zip(
            table["side"], table["entry_price"], table["exit_price"], table["quantity"], strict=True
        )
    ]
    assert sum(gross) - sum(table["fees"]) == pytest.approx(sum(table["pnl"]), abs=0.01)
    assert min(table["entry_time"]) >= START and max(table["exit_time"]) < END


def test_the_same_input_gives_the_same_digest_and_another_parameter_another_one(tmp_path: Path) -> None:
    once, again = (run(named(Churn), folder=tmp_path / name).evidence for name in ("a", "b"))
    assert once.digest == again.digest
    assert run(named(Churn), weight=0.3).evidence.digest != once.digest


def test_a_strategy_that_never_trades_is_inconclusive() -> None:
    evidence = run(named(Idle)).evidence
    assert evidence.verdict is Verdict.INCONCLUSIVE
    assert evidence.metrics["win_rate"].value is None


def test_looking_ahead_fails_by_its_own_criterion_however_good_the_profit() -> None:
    evidence = run(named(Peeking)).evidence
    assert evidence.verdict is Verdict.FAIL
    failed = [r.criterion.metric for r in evidence.results if r.verdict is Verdict.FAIL]
    assert "lookahead_rows" in failed
    assert evidence.details["symbols"]["X/USDT"]["lookahead"]["examples"]


@pytest.mark.parametrize(
    ("strategy", "reason"),
    [(Broken, "model file is missing"), (Endless, "target is not +1, 0, -1 or NaN")],
)
def test_a_strategy_that_breaks_is_an_error_that_says_why(strategy: type, reason: str) -> None:
    result = run(named(strategy))
    assert result.evidence.verdict is Verdict.ERROR
    assert reason in result.evidence.details["error"]
    assert result.played is None


@pytest.mark.parametrize(
    ("strategy", "params", "reason"),
    [
        ("tests.adapters.strategies:Nobody", {}, "Nobody"),
        ("tests.adapters.nowhere:Churn", {}, "cannot import"),
        ("tests.adapters.strategies:Churn", {"surprise": 1}, "params refused"),
        ("tests.adapters.strategies:Churn", {"warmup": 0}, "warmup"),
    ],
)
def test_a_strategy_that_cannot_be_built_is_an_error(strategy: str, params: dict[str, Any], reason: str) -> None:
    evidence = run(strategy, **params).evidence
    assert evidence.verdict is Verdict.ERROR
    assert reason in evidence.details["error"]


def test_data_that_cannot_be_traded_is_an_error() -> None:
    bars = random_bars("X/USDT", START, 1_000, seed=1)
    bars.high[500] = bars.low[500] - 1
    data = MemoryMarket({"X/USDT": bars}, {"X/USDT": make_instrument("X/USDT")})
    result = run_backtest(candidate(named(Churn), ("X/USDT",)), PROFILE, START, END, data, now=NOW)
    assert result.evidence.verdict is Verdict.ERROR
    assert "impossible prices" in result.evidence.details["error"]
    missing = run_backtest(candidate(named(Churn), ("Z/USDT",)), PROFILE, START, END, data, now=NOW)
    assert missing.evidence.verdict is Verdict.ERROR


def test_books_that_disagree_are_an_error_and_never_a_verdict(monkeypatch: pytest.MonkeyPatch) -> None:
    def cheaper(*args: Any) -> Any:
        books = real(*args)
        return type(books)(books.trades, books.wins, books.fees - 1.0, books.curve)

    real = backtest.reference_symbol
    monkeypatch.setattr(backtest, "reference_symbol", cheaper)
    evidence = run(named(Churn)).evidence
    assert evidence.verdict is Verdict.ERROR
    assert "kernel and vectorbt disagree: fees" in evidence.details["error"]


def test_bars_before_the_window_warm_the_strategy_up_and_are_not_traded() -> None:
    data = market()
    late = START + timedelta(days=2)
    with_history = run_backtest(candidate(named(Early), warmup=60), PROFILE, late, END, data, now=NOW)
    assert with_history.played is not None
    assert int(with_history.played.symbols[0].fills.time_ms[0]) == int(late.timestamp() * 1000) + 60_000
    without = run_backtest(candidate(named(Early), warmup=60), PROFILE, START, END, data, now=NOW)
    assert without.played is not None
    assert int(without.played.symbols[0].fills.time_ms[0]) == int(START.timestamp() * 1000) + 60 * 60_000


def test_a_report_folder_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    blocked = tmp_path / "file"
    blocked.write_text("")
    with pytest.raises(ConfigurationError, match="trades cannot be written"):
        run(named(Churn), folder=blocked)


def test_progress_grows_to_one() -> None:
    seen: list[float] = []
    run_backtest(
        candidate(named(Churn)), PROFILE, START, END, market(), now=NOW, progress=lambda done, _: seen.append(done)
    )
    assert seen == sorted(seen) and seen[-1] == 1.0


@pytest.mark.parametrize(
    ("name", "verdict"), [("mean-reversion-scalper", Verdict.PASS), ("trend-follower", Verdict.FAIL)]
)
def test_the_shipped_candidates_earn_their_verdicts_out_of_sample(name: str, verdict: Verdict) -> None:
    """Thirty days that nobody looked at when the parameters were chosen."""
    from include.config.files import VENUES_FILE
    from include.config.venues import load_venues

    shipped = find_candidate(name)
    start = datetime(2024, 5, 1, tzinfo=UTC)
    instruments: dict[str, Instrument] = {
        s: load_venues(VENUES_FILE)["synthetic"].instrument(s) for s in shipped.symbols
    }
    bars = {s: generate(s, start, start + timedelta(days=30)) for s in shipped.symbols}
    result = run_backtest(shipped, PROFILE, start, start + timedelta(days=30), MemoryMarket(bars, instruments), now=NOW)
    assert result.evidence.verdict is verdict, [r.reason for r in result.evidence.results]
    if verdict is Verdict.PASS:
        trades = result.evidence.metrics["trades"].value
        assert trades is not None and trades / 30 * 7 > 1_000
        assert result.evidence.metrics["win_rate_throughout"].value > 0.93  # type: ignore[operator]
