"""Trades run from flat to flat, from kernel fills and from a ledger's fills alike."""

from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from pathlib import Path

import numpy as np
import pytest
from pyarrow import parquet

from include.backtesting.kernel import simulate
from include.backtesting.trades import Trades, merge_trades, trades_of, trades_of_ledger, write_trades
from include.domain.enums import Liquidity, Side
from include.domain.orders import Fill, FundingPayment
from include.domain.times import to_ms
from tests.unit.fill_rule_case import fee_of
from tests.unit.fill_rule_cases import CASES, COIN, PENNY, START, FillCase


def fill(minute: int, side: Side, quantity: str, price: str, fee: str = "0") -> Fill:
    at = START + timedelta(minutes=minute)
    return Fill(
        f"t{minute}-{side}-{price}-{quantity}", "al-x", "COIN/USDT", side, Decimal(quantity), Decimal(price),
        Decimal(fee), Liquidity.TAKER, at,
    )  # fmt: skip


def rows(trades: Trades) -> list[tuple[int, int, int, float, float, float, float, float]]:
    """(entry minute, exit minute, side, quantity, entry, exit, fees, pnl)"""
    start = to_ms(START)
    columns = (trades.quantity, trades.entry_price, trades.exit_price, trades.fees, trades.pnl)
    return [
        (int(a - start) // 60_000, int(b - start) // 60_000, int(s), *(round(float(v), 9) for v in values))
        for a, b, s, *values in zip(trades.entry_ms, trades.exit_ms, trades.side, *columns, strict=True)
    ]


B, S = Side.BUY, Side.SELL
PAIRINGS = {
    "a long is bought and sold": (
        [fill(1, B, "2", "100", "0.1"), fill(3, S, "2", "103", "0.1")],
        [(1, 3, 1, 2, 100, 103, 0.2, 5.8)], 0,
    ),
    "a short is sold and bought": (
        [fill(1, S, "2", "100", "0.1"), fill(3, B, "2", "103", "0.1")],
        [(1, 3, -1, 2, 100, 103, 0.2, -6.2)], 0,
    ),
    "parts of an order are one trade at the average price": (
        [fill(1, B, "1", "100"), fill(2, B, "3", "104"), fill(4, S, "1", "110"), fill(5, S, "3", "106")],
        [(1, 5, 1, 4, 103, 107, 0, 16)], 0,
    ),
    "a position still open is counted and not measured": (
        [fill(1, B, "1", "100"), fill(2, S, "1", "101"), fill(3, S, "1", "101")],
        [(1, 2, 1, 1, 100, 101, 0, 1)], 1,
    ),
    "a fill through zero closes one trade and opens the next, its fee shared by quantity": (
        [fill(1, B, "1", "100"), fill(2, S, "3", "101", "0.3"), fill(3, B, "2", "100")],
        [(1, 2, 1, 1, 100, 101, 0.1, 0.9), (2, 3, -1, 2, 101, 100, 0.2, 1.8)], 0,
    ),
    "no fills are no trades": ([], [], 0),
    "an entry alone is no trade": ([fill(1, B, "1", "100")], [], 1),
}  # fmt: skip


@pytest.mark.parametrize("name", PAIRINGS)
def test_pairing(name: str) -> None:
    fills, expected, open_trades = PAIRINGS[name]
    trades = trades_of_ledger(fills, COIN)
    assert rows(trades) == expected
    assert trades.open_trades == open_trades


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_kernel_fills_and_ledger_fills_give_the_same_trades(case: FillCase) -> None:
    kernel = simulate(case.bars(), case.signals(), case.instrument, case.allocation)
    ledger = [
        Fill(
            str(k), "al-x", case.instrument.symbol, f.side, f.quantity, f.price,
            fee_of(case.fills, k, case.instrument), kernel.liquidity_of(k), case.time_of(f),
        )
        for k, f in enumerate(case.fills)
    ]  # fmt: skip
    opens = [row.bar.open_time for row in case.rows()]
    paid = [FundingPayment(str(bar), case.instrument.symbol, -amount, opens[bar]) for bar, amount in case.funding]
    one, other = trades_of(kernel), trades_of_ledger(ledger, case.instrument, paid)
    assert rows(one) == rows(other)
    assert one.funding == pytest.approx(other.funding, rel=1e-12)
    assert one.open_trades == other.open_trades


def test_funding_is_in_the_profit_of_the_trade_that_was_open_and_in_no_other() -> None:
    fills = [fill(1, B, "1", "100"), fill(3, S, "1", "101"), fill(4, B, "1", "100"), fill(6, S, "1", "100")]
    paid = [
        FundingPayment(str(minute), symbol, Decimal(amount), START + timedelta(minutes=minute))
        for minute, symbol, amount in (
            (2, "COIN/USDT", "-0.25"), (3, "COIN/USDT", "-0.5"), (5, "OTHER/USDT", "-9"), (6, "COIN/USDT", "0.125"),
        )
    ]  # fmt: skip
    trades = trades_of_ledger(fills, COIN, paid)
    assert trades.funding.tolist() == [0.75, -0.125]
    assert trades.pnl.tolist() == [0.25, 0.125]


@pytest.mark.parametrize(
    "stranger",
    [replace(fill(1, B, "1", "1"), symbol="OTHER/USDT"), replace(fill(1, B, "1", "1"), quantity=Decimal("0.0001"))],
    ids=["another symbol", "less than a lot"],
)
def test_fills_that_do_not_fit_the_instrument_are_refused(stranger: Fill) -> None:
    with pytest.raises(ValueError, match="does not fit"):
        trades_of_ledger([stranger], COIN)


def test_symbols_are_merged_in_order_of_exit() -> None:
    first = trades_of_ledger([fill(1, B, "1", "100"), fill(9, S, "1", "101")], COIN)
    penny = [replace(f, symbol="PENNY/USDT") for f in (fill(2, B, "1", "100"), fill(4, S, "1", "99"))]
    merged = merge_trades([first, trades_of_ledger(penny, PENNY)])
    assert [merged.symbols[i] for i in merged.symbol] == ["PENNY/USDT", "COIN/USDT"]
    assert merged.pnl.tolist() == [-1.0, 1.0]
    assert len(merge_trades([])) == 0


def test_the_file_of_trades_has_the_columns_of_the_contract(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "trades.parquet"
    write_trades(trades_of_ledger([fill(1, S, "2", "100", "0.1"), fill(3, B, "2", "97", "0.1")], COIN), path)
    (row,) = parquet.read_table(path).to_pylist()
    assert list(row) == [
        "entry_time", "exit_time", "symbol", "side", "quantity", "entry_price", "exit_price", "fees", "pnl",
        "funding",
    ]  # fmt: skip
    assert (row["symbol"], row["side"], row["entry_time"]) == ("COIN/USDT", "short", START + timedelta(minutes=1))
    assert row["pnl"] == pytest.approx(5.8)
    assert [p.name for p in path.parent.iterdir()] == ["trades.parquet"]


def test_the_columns_are_arrays_of_equal_length() -> None:
    trades = trades_of_ledger([fill(1, B, "1", "100"), fill(2, S, "1", "101")], COIN)
    assert {np.shape(getattr(trades, n)) for n in ("symbol", "entry_ms", "exit_ms", "side", "quantity", "pnl")} == {
        (1,)
    }
