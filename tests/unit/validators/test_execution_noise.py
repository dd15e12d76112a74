"""Execution noise: what is missed, late or slips, drawn by seed and traded by the fill rule."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

import numpy as np
import pytest

from include.backtesting.kernel import PURPOSES, Fills, simulate
from include.backtesting.portfolio import Market
from include.backtesting.retrading import Outcome, Retrading
from include.backtesting.run import decide
from include.backtesting.trades import trades_of
from include.domain.bars import Signals
from include.domain.enums import OrderPurpose
from include.domain.fill_rule import symbol_allocation
from include.qualification.metrics import METRICS
from include.validators.changed_entries import MISSED, change_entries, entries_of
from include.validators.distributions import BINS
from include.validators.execution_noise import (
    ALONE,
    EVERYTHING,
    LEAST_SLIPPAGE,
    ExecutionNoise,
    Noise,
    disturb_execution,
    draw_delays,
    slipped,
    summarise_runs,
)
from include.validators.samples import Unanswered
from tests.adapters.adversaries import Reverter
from tests.adapters.strategies import Idle
from tests.hourly_market import CAPITAL, START, bars_of, instrument, market

NOWHERE = np.nan
ALLOCATION = symbol_allocation(CAPITAL, 1)


def signals(*targets: float, stop: float = NOWHERE, profit: float = NOWHERE) -> Signals:
    """Weights and levels differ from row to row, so that it shows which row an entry was decided on."""
    rows = np.arange(len(targets), dtype=np.float64)
    return Signals(np.array(targets, dtype=np.float64), 0.5 + 0.01 * rows, np.full(len(rows), stop),
                   np.full(len(rows), profit))  # fmt: skip


def fills_of(wanted: Signals, closes: np.ndarray | None = None) -> Fills:
    closes = np.linspace(100.0, 101.0, len(wanted)) if closes is None else closes
    return simulate(bars_of(closes), wanted, instrument(), ALLOCATION)


def spans(fills: Fills) -> list[tuple[int, int]]:
    """(side, bar) of every fill."""
    return [(int(s), int(b)) for s, b in zip(fills.side, fills.bar_index, strict=True)]


def changed(wanted: Signals, *delays: int, closes: np.ndarray | None = None) -> list[tuple[int, int]]:
    entries = entries_of(fills_of(wanted, closes), len(wanted))
    assert len(entries) == len(delays)
    return spans(fills_of(change_entries(wanted, entries, np.array(delays)), closes))


X = np.nan


@pytest.mark.parametrize(
    ("targets", "delays", "expected"),
    [
        ((X, 1, 1, 1, 0, X, X), (0,), [(1, 2), (-1, 5)]),
        ((X, 1, 1, 1, 0, X, X), (MISSED,), []),
        ((X, 1, 1, 1, 0, X, X), (2,), [(1, 4), (-1, 5)]),
        ((X, 1, X, X, 0, X, X), (2,), [(1, 4), (-1, 5)]),
        ((X, 1, 1, 1, 0, X, X), (3,), []),
        ((X, 1, 1, 0, 1, 0, X, X), (3, 0), [(1, 5), (-1, 6)]),
        ((X, 1, 1, 0, 1, 0, X, X), (MISSED, 1), []),
        ((1, 1, -1, -1, 0, X), (MISSED, 0), [(-1, 3), (1, 5)]),
        ((1, 1, -1, -1, 0, X), (0, MISSED), [(1, 1), (-1, 3)]),
        ((1, 1, -1, -1, 0, X), (0, 1), [(1, 1), (-1, 3), (-1, 4), (1, 5)]),
        ((X, X, X, X, 1, X), (3,), []),
    ],
    ids=[
        "on time", "missed: gone until it would have been left", "two bars late while the target stays",
        "two bars late although the target was one row", "later than its own exit: not made",
        "superseded by the next entry", "missed and late beyond its exit", "missed long, the short is made",
        "missed short, the long is still closed", "late short, the long is closed in time",
        "later than the last bar: not made",
    ],
)  # fmt: skip
def test_what_becomes_of_an_entry(
    targets: tuple[float, ...], delays: tuple[int, ...], expected: list[tuple[int, int]]
) -> None:
    assert changed(signals(*targets), *delays) == expected


def test_a_missed_entry_is_not_made_a_bar_later_though_the_target_stays_and_the_stop_ended_it() -> None:
    closes = np.array([100.0, 100, 100, 90, 90, 90, 90, 90])
    wanted = signals(X, 1, 1, 1, 1, 1, 1, X, stop=95.0)
    assert spans(fills_of(wanted, closes))[:2] == [(1, 2), (-1, 3)]
    # Later entries (stopped at their open, since the target stays) are other positions and stay as they were.
    assert changed(wanted, MISSED, 0, 0, 0, 0, closes=closes) == spans(fills_of(wanted, closes))[2:]


def test_a_late_entry_has_the_weight_and_the_levels_of_its_decision() -> None:
    plain = signals(X, 1, X, X, X, X)
    wanted = replace(plain, stop=np.arange(90.0, 96.0), trailing=np.linspace(0.01, 0.02, 6))
    late = change_entries(wanted, entries_of(fills_of(plain), 6), np.array([2]))
    assert late.target[3] == 1 and np.isnan(late.target[1])
    assert late.trailing is not None and wanted.trailing is not None
    assert (late.weight[3], late.stop[3], late.trailing[3]) == (wanted.weight[1], wanted.stop[1], wanted.trailing[1])
    assert np.isnan(wanted.target[3]) and wanted.stop[3] == 93.0, "the strategy's own signals are left alone"


def test_missing_every_entry_but_one_leaves_exactly_its_trade() -> None:
    """The law behind the check: positions are flat to flat and not compounded, so each stands for itself while there is
    money for it."""
    found = earning()
    made = decide(Reverter(window=6), found.histories[0], found.start)
    fills = simulate(made.bars, made.wanted, found.instruments[0], ALLOCATION)
    entries, trades = entries_of(fills, len(made.bars)), trades_of(fills)
    for kept in (0, 7, len(trades) - 1):
        delays = np.full(len(entries), MISSED)
        delays[kept] = 0
        left = simulate(made.bars, change_entries(made.wanted, entries, delays), found.instruments[0], ALLOCATION)
        assert trades_of(left).pnl.tolist() == [trades.pnl[kept]]
        assert trades_of(left).entry_ms.tolist() == [trades.entry_ms[kept]]


def test_only_fills_that_took_liquidity_slip_and_always_against_the_trader() -> None:
    closes = np.array([100.0, 100, 100, 104, 104, 104])
    fills = fills_of(signals(X, 1, X, X, X, X, profit=103.0), closes)
    assert fills.maker.tolist() == [False, True]
    worse = slipped(fills, np.random.default_rng(1), 0.001)
    assert worse.price[0] > fills.price[0] and worse.price[1] == fills.price[1]
    assert worse.fee[0] / fills.fee[0] == pytest.approx(worse.price[0] / fills.price[0])
    taken = replace(fills, purpose=np.full(2, PURPOSES.index(OrderPurpose.LIQUIDATION), dtype=np.int8))
    assert slipped(taken, np.random.default_rng(1), 0.001).price.tolist() == taken.price.tolist()
    short = fills_of(signals(X, -1, 0, X, X))
    assert np.all((slipped(short, np.random.default_rng(1), 0.001).price - short.price) * short.side > 0)


def test_slippage_is_exponential_with_the_stated_mean() -> None:
    found = market(seed=3, days=240)
    made = decide(Reverter(window=2), found.histories[0], found.start)
    fills = simulate(made.bars, made.wanted, found.instruments[0], ALLOCATION)
    mean = Noise().mean_slippage(found.instruments[0])
    assert mean == pytest.approx(0.00015)  # half a basis point of spread and one of slippage
    extra = np.abs(slipped(fills, np.random.default_rng(2), mean).price / fills.price - 1)
    assert extra.mean() == pytest.approx(mean, rel=0.05) and extra.std() == pytest.approx(mean, rel=0.05)
    free = replace(instrument(), half_spread_bps=Decimal(0), slippage_bps=Decimal(0))
    assert Noise().mean_slippage(free) == LEAST_SLIPPAGE, "a venue that declares no costs is not believed"


def test_delays_come_with_the_stated_probabilities() -> None:
    wanted = signals(*([1.0, 0.0] * 10_000), X)
    entries = entries_of(fills_of(wanted), len(wanted))
    delays = draw_delays(entries, EVERYTHING, np.random.default_rng(1))
    assert np.mean(delays == MISSED) == pytest.approx(0.05, abs=0.01)
    assert np.mean(delays > 0) == pytest.approx(0.10 * 0.95, abs=0.01)
    late = delays[delays > 0]
    assert [np.mean(late == k) for k in (1, 2, 3)] == pytest.approx([1 / 3] * 3, abs=0.05)


def earning(symbols: tuple[str, ...] = ("BTC/USDT",)) -> Market:
    """Waves with noise on them, which a reverter lives on."""
    noise = np.random.default_rng(9).normal(0, 0.0005, (len(symbols), 24 * 200))
    waves = [0.006 * (np.arange(24 * 200) % 4 >= 2) + own for own in noise]
    bars = tuple(bars_of(100 * np.exp(w), symbol) for w, symbol in zip(waves, symbols, strict=True))
    return Market(bars, tuple(instrument(symbol) for symbol in symbols), START)


def disturbed(of: Market | None = None, seed: int = 1, runs: int = 40) -> ExecutionNoise:
    found = disturb_execution(Reverter(window=6), of or earning(), CAPITAL, seed=seed, runs=runs)
    assert isinstance(found, ExecutionNoise)
    return found


@pytest.fixture(scope="module")
def noisy() -> ExecutionNoise:
    return disturbed(earning(("BTC/USDT", "ETH/USDT")))


def test_the_undisturbed_run_is_the_candidates_own(noisy: ExecutionNoise) -> None:
    of = earning(("BTC/USDT", "ETH/USDT"))
    retrading = Retrading(of, CAPITAL)
    own = retrading.trade(retrading.decide(Reverter(window=6)))
    assert noisy.trades == own.trades and noisy.net_profit.realised == own.net_profit
    assert noisy.fan.realised[-1] == pytest.approx(1 + own.net_profit / float(CAPITAL))


def test_noise_costs_money_and_every_kind_of_it_is_told_apart(noisy: ExecutionNoise) -> None:
    assert [row.name for row in noisy.alone] == list(ALONE)
    slippage = noisy.alone[0]
    assert slippage.net_profit < noisy.net_profit.realised
    assert noisy.net_profit.quantiles[0.5] < noisy.net_profit.realised
    assert noisy.net_profit.quantiles[0.01] < noisy.net_profit.quantiles[0.99]


def test_the_metrics_are_known_names_and_stand_on_the_trades(noisy: ExecutionNoise) -> None:
    found = noisy.measurements()
    assert set(found) <= set(METRICS) and all(m.samples == noisy.trades for m in found.values())
    for m in found.values():
        assert m.value is not None and m.low is not None and m.high is not None and m.low <= m.value <= m.high
    assert len(noisy.net_profit.histogram.counts) <= BINS
    assert sum(noisy.net_profit.histogram.counts) == noisy.runs == 40


def test_the_same_seed_draws_the_same_whatever_the_number_of_threads() -> None:
    assert disturbed().measurements() == disturbed().measurements() != disturbed(seed=2).measurements()


def test_an_edge_smaller_than_the_noise_does_not_survive_it() -> None:
    """A basis point a trade beyond its declared costs is gone once fills slip; an edge of many stays."""
    hour = np.arange(24 * 200)
    wave = 100 * np.exp(np.where(hour % 4 < 2, 0.0, 0.0011))
    thin, thick = (
        disturbed(Market((bars_of(100 * (wave / 100) ** k),), (instrument(),), START), runs=30).profitable.value
        for k in (1.0, 4.0)
    )
    assert thick == 1.0 and thin is not None and thin < 0.1


def test_a_candidate_with_hardly_a_trade_has_no_answer() -> None:
    found = disturb_execution(Idle(warmup=5), market(), CAPITAL, seed=1)
    assert isinstance(found, Unanswered) and "trades=0 needed=30" in str(found)


def test_a_run_that_uses_up_its_capital_leaves_no_sharpe_and_still_a_drawdown() -> None:
    whole = Outcome(1_000.0, np.array([10.0, 30.0, 20.0]), 50)
    ruined = Outcome(1_000.0, np.array([10.0, -1_200.0, -1_100.0]), 50)
    found = summarise_runs(whole, [whole, ruined], (), market(), seed=1)
    assert found.sharpe is None and found.sharpe_5.value is None
    assert found.drawdown.quantiles[0.99] > 1 and found.profitable.value == 0.5
