"""The fill rule in numbers: one table of candle cases that every executor must reproduce.

Engine-neutral: a case knows its bars, signals and expected fills and nothing of who executes them. An executor's
test takes `CASES`, plays `case.bars()` and `case.signals()` (or the exact `case.decimal_bars()`) with
`case.instrument` and `case.allocation`, and compares with `case.fills`.

A row is `open high low close | target stop take_profit weight`; `.` stands for no opinion (NaN), for no level, or for
the full weight. Missing columns on the right are `.`. Bars are minutes from `START`.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal

import numpy as np

from include.domain.bars import Bar, Bars, Signals
from include.domain.enums import OrderPurpose, Side
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


@dataclass(frozen=True, slots=True)
class ExpectedFill:
    """A fill by the index of its bar; its time is that bar's open time."""

    bar: int
    side: Side
    quantity: Decimal
    price: Decimal
    purpose: OrderPurpose

    @property
    def time(self) -> datetime:
        return START + self.bar * MINUTE.delta


@dataclass(frozen=True, slots=True)
class FillCase:
    """One sentence, its bars and signals, and the fills they must give."""

    name: str
    table: str
    fills: tuple[ExpectedFill, ...]
    instrument: Instrument = COIN
    allocation: Decimal = Decimal("1000")

    def rows(self) -> list[tuple[list[str], list[str]]]:
        split = [line.partition("|") for line in self.table.strip().splitlines()]
        return [(prices.split(), (wants.split() + ["."] * 4)[:4]) for prices, _, wants in split]

    def decimal_bars(self) -> list[Bar]:
        """Exact bars, oldest first; an impossible bar is refused by `Bar` itself."""
        return [
            Bar(self.instrument.symbol, START + i * MINUTE.delta, *(Decimal(p) for p in prices), Decimal(1))
            for i, (prices, _) in enumerate(self.rows())
        ]

    def bars(self) -> Bars:
        bars = self.decimal_bars()
        columns = (np.array([float(getattr(b, name)) for b in bars]) for name in ("open", "high", "low", "close"))
        times = np.array([to_ms(b.open_time) for b in bars], dtype=np.int64)
        return Bars(self.instrument.symbol, MINUTE, times, *columns, np.ones(len(bars)))

    def signals(self) -> Signals:
        wants = [want for _, want in self.rows()]
        target, stop, take_profit, weight = (
            np.array([default if want[i] == "." else float(want[i]) for want in wants])
            for i, default in enumerate((np.nan, np.nan, np.nan, 1.0))
        )
        return Signals(target=target, weight=weight, stop=stop, take_profit=take_profit)


def _fills(text: str) -> tuple[ExpectedFill, ...]:
    """Lines of `bar side quantity price purpose`."""
    lines = [line.split() for line in text.strip().splitlines() if line.strip()]
    return tuple(
        ExpectedFill(int(bar), Side[side], Decimal(quantity), Decimal(price), OrderPurpose[purpose])
        for bar, side, quantity, price, purpose in lines
    )


def _case(name: str, table: str, fills: str, instrument: Instrument = COIN, allocation: str = "1000") -> FillCase:
    return FillCase(name, table, _fills(fills), instrument, Decimal(allocation))


CASES: tuple[FillCase, ...] = (
    # --- deciding and market orders ---------------------------------------------------------------------------
    _case(
        "a long is entered and left at the next open, each time worsened against the trader",
        """
        100 101 99 100  | 1
        100 102 99 101  | 1
        101 103 100 102 | 0
        103 104 102 103 |
        """,
        """
        1 BUY  10.000 100.1 ENTRY
        3 SELL 10.000 102.8 EXIT
        """,
    ),
    _case(
        "a short is entered and left at the next open, each time worsened against the trader",
        """
        100 101 99 100 | -1
        100 102 97 98  |
        98 99 96 97    | 0
        97 98 96 97    |
        """,
        """
        1 SELL 10.000 99.9 ENTRY
        3 BUY  10.000 97.1 EXIT
        """,
    ),
    _case(
        "no opinion keeps the position and no opinion while flat keeps flat",
        """
        100 101 99 100 | .
        100 101 99 100 | 1
        100 101 99 100 | .
        100 101 99 100 | .
        100 101 99 100 | 0
        100 101 99 100 |
        """,
        """
        2 BUY  10.000 100.1 ENTRY
        5 SELL 10.000 99.9 EXIT
        """,
    ),
    _case(
        "asking for the side already held changes nothing, however the weight grows",
        """
        100 101 99 100 | 1 . . 0.5
        100 101 99 100 | 1 . . 1
        100 101 99 100 | 1 . . 1
        100 101 99 100 |
        """,
        "1 BUY 5.000 100.1 ENTRY",
    ),
    _case(
        "a flat target while flat asks for nothing",
        """
        100 101 99 100 | 0
        100 101 99 100 | 0
        100 101 99 100 |
        """,
        "",
    ),
    _case(
        "the opposite side leaves and then enters at the same open, sized at the deciding close",
        """
        100 101 99 100 | 1
        100 101 99 101 | -1
        101 102 99 100 |
        100 101 99 100 |
        """,
        """
        1 BUY  10.000 100.1 ENTRY
        2 SELL 10.000 100.8 EXIT
        2 SELL 9.900  100.8 ENTRY
        """,
    ),
    _case(
        "a reversal too small to enter only leaves",
        """
        100 101 99 100 | 1
        100 101 99 100 | -1 . . 0.004
        100 101 99 100 |
        """,
        """
        1 BUY  10.000 100.1 ENTRY
        2 SELL 10.000 99.9 EXIT
        """,
    ),
    _case(
        "nothing is decided on the last bar",
        """
        100 101 99 100 | 1
        100 101 99 100 |
        100 101 99 100 | 0
        """,
        "1 BUY 10.000 100.1 ENTRY",
    ),
    _case(
        "a buy never fills above the high of its bar",
        """
        100 101 99 100    | 1
        100 100 99 99.5   |
        100 101 99 100    |
        """,
        "1 BUY 10.000 100 ENTRY",
    ),
    _case(
        "a sell never fills below the low of its bar",
        """
        100 101 99 100 | -1
        100 101 100 101 |
        100 101 99 100  |
        """,
        "1 SELL 10.000 100 ENTRY",
    ),
    # --- quantities -------------------------------------------------------------------------------------------
    _case(
        "the quantity is rounded down to the lot",
        """
        101 101 101 101 | 1
        101 102 100 101 |
        101 102 100 101 |
        """,
        "1 BUY 9.900 101.2 ENTRY",
    ),
    _case(
        "an exact quotient is not lost to rounding",
        """
        70 70 70 70 | 1 . . 0.7
        70 71 69 70 |
        70 71 69 70 |
        """,
        "1 BUY 10.000 70.1 ENTRY",
    ),
    _case(
        "the weight scales the allocation and counts to six decimals",
        """
        100 101 99 100 | 1 . . 0.33333333
        100 101 99 100 |
        100 101 99 100 |
        """,
        "1 BUY 3.333 100.1 ENTRY",
    ),
    _case(
        "below the minimum notional nothing is asked for, at it something is",
        """
        100 101 99 100 | 1 . . 0.004999
        100 101 99 100 | 1 . . 0.005
        100 101 99 100 |
        """,
        "2 BUY 0.050 100.1 ENTRY",
    ),
    # --- resting orders inside the bar ------------------------------------------------------------------------
    _case(
        "a long's stop fills at its level worsened",
        """
        100 101 99 100 | 1 97 110
        100 101 99 100 |
        100 101 95 96  |
        96 97 95 96    |
        """,
        """
        1 BUY  10.000 100.1 ENTRY
        2 SELL 10.000 96.9 STOP
        """,
    ),
    _case(
        "a stop met at the very low fills at the low, not beyond it",
        """
        100 101 99 100 | 1 97
        100 101 97 98  |
        98 99 97 98    |
        """,
        """
        1 BUY  10.000 100.1 ENTRY
        1 SELL 10.000 97 STOP
        """,
    ),
    _case(
        "a short's stop fills at its level worsened",
        """
        100 101 99 100 | -1 103 90
        100 101 99 100 |
        100 105 99 104 |
        104 105 103 104 |
        """,
        """
        1 SELL 10.000 99.9 ENTRY
        2 BUY  10.000 103.2 STOP
        """,
    ),
    _case(
        "a take-profit fills at its limit price when it is touched",
        """
        100 101 99 100 | 1 90 102
        100 101 99 100 |
        100 102 99 101 |
        101 102 100 101 |
        """,
        """
        1 BUY  10.000 100.1 ENTRY
        2 SELL 10.000 102 TAKE_PROFIT
        """,
    ),
    _case(
        "a short's take-profit fills at its limit price when it is touched",
        """
        100 101 99 100 | -1 110 98
        100 101 99 100 |
        100 101 98 99  |
        99 100 98 99   |
        """,
        """
        1 SELL 10.000 99.9 ENTRY
        2 BUY  10.000 98 TAKE_PROFIT
        """,
    ),
    _case(
        "levels missed by one tick do not fill",
        """
        100 101 99 100 | 1 97 102
        100 101.9 97.1 100 |
        100 101.9 97.1 100 |
        """,
        "1 BUY 10.000 100.1 ENTRY",
    ),
    _case(
        "both levels in a rising bar: the low comes first, so a long is stopped",
        """
        100 101 99 100 | 1 97 103
        100 101 99 100 |
        100 104 96 101 |
        101 102 100 101 |
        """,
        """
        1 BUY  10.000 100.1 ENTRY
        2 SELL 10.000 96.9 STOP
        """,
    ),
    _case(
        "both levels in a falling bar: the high comes first, so a long takes its profit",
        """
        100 101 99 100 | 1 97 103
        100 101 99 100 |
        100 104 96 99  |
        99 100 98 99   |
        """,
        """
        1 BUY  10.000 100.1 ENTRY
        2 SELL 10.000 103 TAKE_PROFIT
        """,
    ),
    _case(
        "a bar that closes where it opened visits its low first",
        """
        100 101 99 100 | 1 97 103
        100 101 99 100 |
        100 104 96 100 |
        100 101 99 100 |
        """,
        """
        1 BUY  10.000 100.1 ENTRY
        2 SELL 10.000 96.9 STOP
        """,
    ),
    _case(
        "both levels in a falling bar: the high comes first, so a short is stopped",
        """
        100 101 99 100 | -1 103 97
        100 101 99 100 |
        100 104 96 99  |
        99 100 98 99   |
        """,
        """
        1 SELL 10.000 99.9 ENTRY
        2 BUY  10.000 103.2 STOP
        """,
    ),
    _case(
        "both levels in a rising bar: the low comes first, so a short takes its profit",
        """
        100 101 99 100 | -1 103 97
        100 101 99 100 |
        100 104 96 101 |
        101 102 100 101 |
        """,
        """
        1 SELL 10.000 99.9 ENTRY
        2 BUY  10.000 97 TAKE_PROFIT
        """,
    ),
    # --- resting orders at the open ---------------------------------------------------------------------------
    _case(
        "a stop the open has jumped over fills at the open worsened",
        """
        100 101 99 100 | 1 97 110
        100 101 99 100 |
        95 96 94 95    |
        95 96 94 95    |
        """,
        """
        1 BUY  10.000 100.1 ENTRY
        2 SELL 10.000 94.9 STOP
        """,
    ),
    _case(
        "a take-profit the open has jumped over fills at the open, better than its limit",
        """
        100 101 99 100  | 1 90 103
        100 101 99 100  |
        105 106 104 105 |
        105 106 104 105 |
        """,
        """
        1 BUY  10.000 100.1 ENTRY
        2 SELL 10.000 105 TAKE_PROFIT
        """,
    ),
    _case(
        "an exit asked for comes before a stop that the open has jumped over",
        """
        100 101 99 100 | 1 97 110
        100 101 99 100 | 0
        95 96 94 95    |
        95 96 94 95    |
        """,
        """
        1 BUY  10.000 100.1 ENTRY
        2 SELL 10.000 94.9 EXIT
        """,
    ),
    # --- the entry bar ----------------------------------------------------------------------------------------
    _case(
        "a stop can fill on the entry bar itself",
        """
        100 101 99 100 | 1 97 110
        100 101 95 96  |
        96 97 95 96    |
        """,
        """
        1 BUY  10.000 100.1 ENTRY
        1 SELL 10.000 96.9 STOP
        """,
    ),
    _case(
        "a take-profit can fill on the entry bar itself",
        """
        100 101 99 100 | 1 90 102
        100 103 99 101 |
        101 102 100 101 |
        """,
        """
        1 BUY  10.000 100.1 ENTRY
        1 SELL 10.000 102 TAKE_PROFIT
        """,
    ),
    _case(
        "a stop the entry's open has already reached fills at that open worsened",
        """
        100 101 99 100 | 1 97 110
        96 98 95 97    |
        97 98 96 97    |
        """,
        """
        1 BUY  10.000 96.1 ENTRY
        1 SELL 10.000 95.9 STOP
        """,
    ),
    _case(
        "a take-profit the entry's open has already reached fills at that open",
        """
        100 101 99 100  | 1 90 102
        104 105 103 104 |
        104 105 103 104 |
        """,
        """
        1 BUY  10.000 104.2 ENTRY
        1 SELL 10.000 104 TAKE_PROFIT
        """,
    ),
    _case(
        "a take-profit between the open and the worsened entry price still fills at its limit",
        """
        1000 1010 990 1000 | 1 900 1000.5
        1000 1010 990 1000 |
        1000 1010 990 1000 |
        """,
        """
        1 BUY  10.000 1001 ENTRY
        1 SELL 10.000 1000.5 TAKE_PROFIT
        """,
        allocation="10000",
    ),
    _case(
        "when the entry's open has reached both levels the stop fills",
        """
        100 101 99 100 | 1 101 99
        100 102 98 100 |
        100 101 99 100 |
        """,
        """
        1 BUY  10.000 100.1 ENTRY
        1 SELL 10.000 99.9 STOP
        """,
    ),
    _case(
        "a reversal's own levels rest at once and the old ones are gone",
        """
        100 101 99 100 | 1 97 110
        100 101 99 100 | -1 103 98
        100 101 96 97  |
        97 98 96 97    |
        """,
        """
        1 BUY  10.000 100.1 ENTRY
        2 SELL 10.000 99.9 EXIT
        2 SELL 10.000 99.9 ENTRY
        2 BUY  10.000 98 TAKE_PROFIT
        """,
    ),
    # --- life of the levels -----------------------------------------------------------------------------------
    _case(
        "levels are fixed when the entry is decided; later rows do not move them",
        """
        100 101 99 100 | 1 95 110
        100 101 99 100 | 1 99.5 100.5
        100 101 99 100 | . 99.5 100.5
        100 101 99 100 |
        """,
        "1 BUY 10.000 100.1 ENTRY",
    ),
    _case(
        "levels are rounded to the nearest tick and halves to the even one",
        """
        100 101 99 100   | 1 98.05 110
        100 101 98.1 99  |
        99 100 98 99     |
        99 100 98 99     |
        """,
        """
        1 BUY  10.000 100.1 ENTRY
        2 SELL 10.000 98 STOP
        """,
    ),
    _case(
        "a level a hair above a half is rounded up",
        """
        100 101 99 100   | 1 90 101.2500001
        100 101.2 98 99  |
        99 101.3 98 99   |
        99 100 98 99     |
        """,
        """
        1 BUY  10.000 100.1 ENTRY
        2 SELL 10.000 101.3 TAKE_PROFIT
        """,
    ),
    _case(
        "a target still held after a stop enters again at the next open",
        """
        100 101 99 100 | 1 97 110
        100 101 96 98  | 1 95 110
        98 99 97 98    |
        98 99 97 98    |
        """,
        """
        1 BUY  10.000 100.1 ENTRY
        1 SELL 10.000 96.9 STOP
        2 BUY  10.204 98.1 ENTRY
        """,
    ),
    _case(
        "an exit decided on the bar whose path already closed the position asks for nothing",
        """
        100 101 99 100 | 1 97 110
        100 101 96 98  | 0
        98 99 97 98    |
        """,
        """
        1 BUY  10.000 100.1 ENTRY
        1 SELL 10.000 96.9 STOP
        """,
    ),
    # --- other steps ------------------------------------------------------------------------------------------
    _case(
        "whole lots and small ticks",
        """
        0.7123 0.7130 0.7100 0.7125 | 1 0.7 0.72
        0.7125 0.7140 0.7110 0.7130 |
        0.7130 0.7205 0.7120 0.7201 |
        0.7201 0.7205 0.7190 0.7200 |
        """,
        """
        1 BUY  224561 0.7127 ENTRY
        2 SELL 224561 0.7200 TAKE_PROFIT
        """,
        PENNY,
        "160000",
    ),
    _case(
        "steps that are not powers of ten",
        """
        10.25 10.5 10 10.25 | -1 11.12 9.9
        10.25 10.5 10 10.25 |
        10.25 11.5 10 11.25 |
        11.25 11.5 11 11.25 |
        """,
        """
        1 SELL 9.6 10 ENTRY
        1 BUY  9.6 10 TAKE_PROFIT
        """,
        ODD_STEPS,
        "100",
    ),
)
