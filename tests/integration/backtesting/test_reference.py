"""vectorbt keeps the same books as the kernel, and an error in either is noticed."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path

import numpy as np
import pytest

from include.backtesting.equity import ProfitCurve, profit_curve
from include.backtesting.kernel import Fills, simulate
from include.backtesting.reference import Books, differences, own_books, reference_books, reference_symbol
from include.backtesting.trades import trades_of
from include.domain.bars import Bars, FloatArray, Signals
from include.domain.enums import OrderPurpose
from include.domain.instruments import Instrument
from include.domain.times import Timeframe
from include.strategies.protocol import checked_signals
from tests.adapters.memory_market import MINUTE, make_instrument, random_bars
from tests.adapters.strategies import Churn
from tests.unit.fill_rule_cases import CASES, FillCase

CAPITAL = 100_000.0
START = datetime(2024, 1, 1, tzinfo=UTC)


def both(bars: Bars, fills: Fills) -> tuple[Books, Books]:
    curve = profit_curve(bars, fills)
    theirs = reference_symbol(bars.open_time, bars.close, bars.timeframe, fills, CAPITAL)
    ours = own_books(trades_of(fills), float(fills.fee.sum()), curve, CAPITAL)
    return ours, reference_books([theirs], theirs.curve, CAPITAL)


@pytest.fixture(scope="module")
def churned() -> tuple[Bars, Fills]:
    """A busy run: entries, exits, reversals, stops and take-profits, several fills in one bar."""
    bars, instrument = random_bars("X/USDT", START, 20_000, seed=3, price=1000.0), make_instrument("X/USDT")
    fills = simulate(bars, checked_signals(Churn(), bars), instrument, Decimal("40000"))
    assert len(np.unique(fills.bar_index)) < len(fills) and len(np.unique(fills.purpose)) == 4
    return bars, fills


def test_both_accounts_agree_on_a_busy_run(churned: tuple[Bars, Fills]) -> None:
    ours, theirs = both(*churned)
    assert differences(ours, theirs) == ()
    assert ours.trades > 1_000 and 0 < ours.wins < ours.trades and ours.max_drawdown > 0


def test_a_run_without_fills_and_one_with_an_open_position_agree_too(churned: tuple[Bars, Fills]) -> None:
    bars, fills = churned
    for count in (0, 1, 2, 3):
        cut = {
            name: getattr(fills, name)[:count]
            for name in ("bar_index", "time_ms", "side", "lots", "quantity", "price", "fee", "purpose")
        }
        assert differences(*both(bars, replace(fills, **cut))) == ()


def test_funding_scale_ins_and_parts_of_orders_are_in_both_accounts(churned: tuple[Bars, Fills]) -> None:
    bars = replace(churned[0], volume=np.random.default_rng(5).uniform(0, 40, len(churned[0])))
    venue = replace(churned[1].instrument, participation=Decimal("0.1"), funding_rate=Decimal("0.0001"))
    n, nowhere = len(bars), np.full(len(bars), np.nan)
    targets = np.random.default_rng(6).choice([1.0, -1.0, 0.0, np.nan], n, p=[0.01, 0.01, 0.01, 0.97])
    signals = Signals(targets, np.full(n, 0.2), nowhere, nowhere, add=np.full(n, 0.05))
    fills = simulate(bars, signals, venue, Decimal("40000"))
    assert len(fills.funding_index) > 10 and len(fills) > 500
    assert differences(*both(bars, fills)) == ()


@pytest.mark.parametrize(
    "case", [c for c in CASES if c.funding or (c.fills and c.fills[-1].purpose is OrderPurpose.LIQUIDATION)],
    ids=lambda case: case.name,
)  # fmt: skip
def test_funding_and_liquidations_of_the_table_are_in_both_accounts(case: FillCase) -> None:
    bars = case.bars()
    assert differences(*both(bars, simulate(bars, case.signals(), case.instrument, case.allocation))) == ()


def test_a_candidate_that_loses_many_times_its_capital_is_accounted_to_the_end(churned: tuple[Bars, Fills]) -> None:
    bars, fills = churned
    dear = replace(
        fills,
        fee=fills.fee * 200,
        instrument=replace(fills.instrument, maker_fee_rate=Decimal("0.04"), taker_fee_rate=Decimal("0.08")),
    )
    ours, theirs = both(bars, dear)
    assert ours.final_equity < -10 * CAPITAL
    assert differences(ours, theirs) == ()


@pytest.mark.parametrize(
    ("field", "row", "change"),
    [("fee", 10, 0.02), ("price", 10, 0.1), ("fee", 10, -1.0)],
    ids=["a fee too high", "a price off by a tick", "a fee forgotten"],
)
def test_a_wrong_number_on_our_side_is_noticed(
    churned: tuple[Bars, Fills], field: str, row: int, change: float
) -> None:
    bars, fills = churned
    _, theirs = both(bars, fills)
    column = getattr(fills, field).copy()
    column[row] += change
    wrong = replace(fills, **{field: column})
    ours = own_books(trades_of(wrong), float(wrong.fee.sum()), profit_curve(bars, wrong), CAPITAL)
    assert differences(ours, theirs)


def test_each_difference_is_named_with_both_values() -> None:
    books = Books(10, 9, 5.0, 1000.0, 0.1)
    assert differences(books, books) == ()
    for name, value in (
        ("trades", 11),
        ("wins", 8),
        ("fees", 5.02),
        ("final_equity", 1000.02),
        ("max_drawdown", 0.1001),
    ):
        (line,) = differences(books, replace(books, **{name: value}))
        assert line.startswith(f"{name}: kernel") and "vectorbt" in line


def _free(symbol: str) -> Instrument:
    """No steps that matter and no costs but fees, so that vectorbt's own signals see the same market."""
    return Instrument(
        symbol,
        Decimal("0.1"),
        Decimal("0.00000001"),
        Decimal(0),
        Decimal("0.001"),
        Decimal("0.001"),
        Decimal(0),
        Decimal(0),
    )


def _through_flat(target: FloatArray) -> FloatArray:
    """The targets with a zero in place of each reversal: vectorbt's signals close a position before they turn it."""
    out, held = target.copy(), 0.0
    for t, wanted in enumerate(target):
        if wanted * held < 0:
            out[t] = 0.0
        if not np.isnan(wanted):
            held = out[t]
    return out


@pytest.mark.parametrize("seed", range(8))
def test_kernel_and_vectorbts_own_signal_engine_trade_alike_without_stops(seed: int) -> None:
    """vectorbt decides and trades by itself; its signals come a bar later, because it fills on the row they are on."""
    import pandas as pd
    import vectorbt as vbt

    bars = random_bars("X/USDT", START, 4_000, seed=seed, price=500.0)
    wishes = np.random.default_rng(seed).choice([1.0, -1.0, 0.0, np.nan], len(bars), p=[0.05, 0.05, 0.05, 0.85])
    target, nowhere = _through_flat(wishes), np.full(len(bars), np.nan)
    signals = Signals(target, np.full(len(bars), 0.2), nowhere, nowhere)  # losses stay far from capping an entry
    trades = trades_of(simulate(bars, signals, _free("X/USDT"), Decimal(10_000)))

    decided = np.concatenate(([np.nan], target[:-1]))
    quantity = np.concatenate(([np.nan], np.floor(2_000 / bars.close[:-1] * 1e8) / 1e8))
    index = pd.DatetimeIndex(bars.open_time.astype("datetime64[ms]"))
    portfolio = vbt.Portfolio.from_signals(
        pd.Series(bars.close, index=index), entries=decided == 1, short_entries=decided == -1,
        exits=decided == 0, short_exits=decided == 0, price=bars.open, size=quantity, size_type="amount",
        fees=0.001, init_cash=1e7, accumulate=False, freq="1min",
    )  # fmt: skip
    records = portfolio.positions.closed.records
    assert len(trades) == len(records) > 50
    assert bars.open_time[records["entry_idx"]].tolist() == trades.entry_ms.tolist()
    assert bars.open_time[records["exit_idx"]].tolist() == trades.exit_ms.tolist()
    assert np.where(records["direction"] == 0, 1, -1).tolist() == trades.side.tolist()
    assert records["size"].to_numpy() == pytest.approx(trades.quantity, rel=1e-12)
    assert records["pnl"].to_numpy() == pytest.approx(trades.pnl, abs=1e-6)


@pytest.mark.shared_data
def test_both_accounts_agree_on_recorded_minutes(shared_data: Path) -> None:
    from pyarrow import parquet

    table = parquet.read_table(shared_data / "usdm-1m" / "BTCUSDT" / "2022.parquet").slice(0, 60_000)
    columns = {name: table.column(name).to_numpy().astype(np.float64) for name in ("open", "high", "low", "close")}
    bars = Bars(
        "BTC/USDT", Timeframe(60), np.arange(table.num_rows, dtype=np.int64) * MINUTE.ms, columns["open"],
        columns["high"], columns["low"], columns["close"], np.ones(table.num_rows),
    )  # fmt: skip
    fills = simulate(bars, checked_signals(Churn(), bars), make_instrument("BTC/USDT"), Decimal("40000"))
    ours, theirs = both(bars, fills)
    assert differences(ours, theirs) == ()
    assert ours.trades > 5_000


def test_the_reference_curve_lies_on_the_bars(churned: tuple[Bars, Fills]) -> None:
    bars, fills = churned
    theirs: ProfitCurve = reference_symbol(bars.open_time, bars.close, bars.timeframe, fills, CAPITAL).curve
    assert theirs.profit == pytest.approx(profit_curve(bars, fills).profit, abs=1e-4)
