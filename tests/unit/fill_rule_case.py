"""What a case of the fill rule is, and how a row of its table reads.

A row is `open high low close volume funding | target stop take_profit weight trailing hold add`; missing columns on
the right are `.`, which stands for a volume of 1, for no funding rate, for no opinion (NaN), for no level, for the
full weight, and for nothing. Bars follow each other without a hole from `start`; a row that begins with `+3` opens
three bars' time after the one before.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from types import MappingProxyType

import numpy as np

from include.domain import fill_rule
from include.domain.bars import Bar, Bars, Signals
from include.domain.enums import Liquidity, OrderPurpose, Side
from include.domain.instruments import Instrument
from include.domain.times import Timeframe, to_ms

START = datetime(2024, 1, 1, tzinfo=UTC)
MINUTE = Timeframe(60)

# Cost of a market order: 5 + 5 basis points = 0.1 %, so one tick at a price of 100.
COIN = Instrument(
    symbol="COIN/USDT",
    tick_size=Decimal("0.1"),
    lot_size=Decimal("0.001"),
    min_notional=Decimal("5"),
    maker_fee_rate=Decimal("0.0002"),
    taker_fee_rate=Decimal("0.0005"),
    half_spread_bps=Decimal("5"),
    slippage_bps=Decimal("5"),
)
PENNY = Instrument(
    symbol="PENNY/USDT",
    tick_size=Decimal("0.0001"),
    lot_size=Decimal("1"),
    min_notional=Decimal("5"),
    maker_fee_rate=Decimal("0.0002"),
    taker_fee_rate=Decimal("0.0005"),
    half_spread_bps=Decimal("1.5"),
    slippage_bps=Decimal("1"),
)
ODD_STEPS = Instrument(
    symbol="ODD/USDT",
    tick_size=Decimal("0.25"),
    lot_size=Decimal("0.3"),
    min_notional=Decimal("1"),
    maker_fee_rate=Decimal("0"),
    taker_fee_rate=Decimal("0.001"),
    half_spread_bps=Decimal("3"),
    slippage_bps=Decimal("0"),
)

_COLUMNS = ("target", "stop", "take_profit", "weight", "trailing", "hold", "add")


@dataclass(frozen=True, slots=True)
class ExpectedFill:
    """A fill by the index of its bar; `FillCase.time_of` knows its time."""

    bar: int
    side: Side
    quantity: Decimal
    price: Decimal
    purpose: OrderPurpose


def fee_of(fills: Sequence[ExpectedFill], k: int, instrument: Instrument) -> Decimal:
    """Fee of the k-th fill (rule 17)."""
    fill = fills[k]
    if fill.purpose is not OrderPurpose.LIQUIDATION:
        maker = fill.purpose is OrderPurpose.TAKE_PROFIT
        return instrument.fee(fill.quantity, fill.price, Liquidity.MAKER if maker else Liquidity.TAKER)
    position = entered = value = Decimal(0)
    for before in fills[:k]:
        if position == 0:
            entered = value = Decimal(0)
        if position * before.side.sign >= 0:
            entered, value = entered + before.quantity, value + before.quantity * before.price
        position += before.side.sign * before.quantity
    bankruptcy = fill_rule.bankruptcy_price(instrument, fill.side, value / entered)
    return fill_rule.liquidation_fee(instrument, fill.quantity, fill.price, bankruptcy)


@dataclass(frozen=True, slots=True)
class Row:
    """One line of a table: a bar and what is wanted at its close; None for `.`."""

    bar: Bar
    funding: Decimal | None
    target: int | None
    stop: Decimal | None
    take_profit: Decimal | None
    weight: Decimal
    trailing: Decimal | None
    hold: int | None
    add: Decimal | None


@dataclass(frozen=True, slots=True)
class FillCase:
    """One sentence, its bars and signals, and the fills they must give.

    Attributes:
        funding: (bar, amount paid) at the opens where funding is paid; a negative amount is received.
    """

    name: str
    table: str
    fills: tuple[ExpectedFill, ...]
    instrument: Instrument = COIN
    allocation: Decimal = Decimal("1000")
    funding: tuple[tuple[int, Decimal], ...] = ()
    start: datetime = START
    timeframe: Timeframe = MINUTE

    def rows(self) -> list[Row]:
        """Exact rows, oldest first; an impossible bar is refused by `Bar` itself."""
        rows: list[Row] = []
        at = self.start - self.timeframe.delta
        for line in self.table.strip().splitlines():
            before, _, after = line.partition("|")
            prices, wants = before.split(), after.split()
            at += self.timeframe.delta * (int(prices.pop(0)) if prices[0].startswith("+") else 1)
            o, h, l, c, volume, funding = (_decimal(p) for p in [*prices, ".", "."][:6])
            want = [_decimal(w) for w in (wants + ["."] * 7)[:7]]
            assert o is not None and h is not None and l is not None and c is not None, line
            bar = Bar(self.instrument.symbol, at, o, h, l, c, Decimal(1) if volume is None else volume)
            target, stop, take_profit, weight, trailing, hold, add = want
            rows.append(
                Row(
                    bar, funding, None if target is None else int(target), stop, take_profit,
                    Decimal(1) if weight is None else weight, trailing, None if hold is None else int(hold), add,
                )
            )  # fmt: skip
        return rows

    def decimal_bars(self) -> list[Bar]:
        return [row.bar for row in self.rows()]

    def bars(self) -> Bars:
        """The bars in floats; with an extra column `funding_rate` when a row of the table names a rate."""
        rows = self.rows()
        columns = [
            np.array([float(getattr(r.bar, name)) for r in rows]) for name in ("open", "high", "low", "close", "volume")
        ]
        times = np.array([to_ms(r.bar.open_time) for r in rows], dtype=np.int64)
        rates = (
            {"funding_rate": np.array([_float(r.funding) for r in rows])}
            if any(r.funding is not None for r in rows)
            else {}
        )
        return Bars(self.instrument.symbol, self.timeframe, times, *columns, MappingProxyType(rates))

    def signals(self) -> Signals:
        """Columns that no row uses are None, as a strategy would leave them."""
        rows = self.rows()
        columns = {name: np.array([_float(getattr(row, name)) for row in rows]) for name in _COLUMNS}
        for name in ("trailing", "hold", "add"):
            if np.isnan(columns[name]).all():
                del columns[name]
        return Signals(**columns)

    def time_of(self, fill: ExpectedFill) -> datetime:
        """Open time of the bar that filled."""
        return self.rows()[fill.bar].bar.open_time


def _decimal(text: str) -> Decimal | None:
    return None if text == "." else Decimal(text)


def _float(value: Decimal | int | None) -> float:
    return float("nan") if value is None else float(value)


def _fills(text: str) -> tuple[ExpectedFill, ...]:
    """Lines of `bar side quantity price purpose`."""
    lines = [line.split() for line in text.strip().splitlines() if line.strip()]
    return tuple(
        ExpectedFill(int(bar), Side[side], Decimal(quantity), Decimal(price), OrderPurpose[purpose])
        for bar, side, quantity, price, purpose in lines
    )


def fill_case(
    name: str, table: str, fills: str, instrument: Instrument = COIN, allocation: str = "1000", *,
    funding: str = "", after: timedelta = timedelta(), timeframe: Timeframe = MINUTE,
) -> FillCase:  # fmt: skip
    """A case from text.

    Args:
        fills: lines of `bar side quantity price purpose`.
        funding: lines of `bar amount`.
        after: from `START` to the open of the first bar.
    """
    paid = tuple((int(bar), Decimal(amount)) for bar, amount in (line.split() for line in funding.strip().splitlines()))
    return FillCase(name, table, _fills(fills), instrument, Decimal(allocation), paid, START + after, timeframe)
