"""Cases of the fill rule: equity, funding, leverage and liquidation. Wishes are in the order
`target stop take_profit weight trailing hold add`, bars in `open high low close volume funding`.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from decimal import Decimal

from include.domain.times import Timeframe
from tests.unit.fill_rule_case import COIN, FillCase, fill_case

DAY, HOUR = Timeframe(86_400), Timeframe(3600)

FUNDED = replace(COIN, funding_rate=Decimal("0.0001"))
FIVE_TIMES = replace(COIN, leverage=5, maintenance_margin_rate=Decimal("0.01"), liquidation_fee_rate=Decimal("0.0125"))
UNLEVERED = replace(FIVE_TIMES, leverage=1)

ACCOUNT: tuple[FillCase, ...] = (
    # --- equity caps an entry ---------------------------------------------------------------------------------
    fill_case(
        "after a loss an entry uses what is left of the symbol's equity",
        """
        100 101 99 100 | 1
        100 101 50 50  | 0
        50 51 49 50    | 1
        50 51 49 50    |
        """,
        """
        1 BUY  10.000 100.1 ENTRY
        2 SELL 10.000 49.9 EXIT
        3 BUY  9.945 50.1 ENTRY
        """,
    ),
    fill_case(
        "a weight that needs less than the equity left is not cut",
        """
        100 101 99 100 | 1
        100 101 50 50  | 0
        50 51 49 50    | 1 . . 0.4
        50 51 49 50    |
        """,
        """
        1 BUY  10.000 100.1 ENTRY
        2 SELL 10.000 49.9 EXIT
        3 BUY  8.000 50.1 ENTRY
        """,
    ),
    fill_case(
        "gains do not enlarge the next entry",
        """
        100 101 99 100    | 1
        100 150 100 150   | 0
        150 151 149 150   | 1
        150 151 149 150   |
        """,
        """
        1 BUY  10.000 100.1 ENTRY
        2 SELL 10.000 149.8 EXIT
        3 BUY  6.666 150.2 ENTRY
        """,
    ),
    fill_case(
        "a reversal is sized with the open loss of the position it leaves",
        """
        100 101 99 100 | 1
        100 101 80 80  | -1
        80 81 79 80    |
        80 81 79 80    |
        """,
        """
        1 BUY  10.000 100.1 ENTRY
        2 SELL 10.000 79.9 EXIT
        2 SELL 9.981 79.9 ENTRY
        """,
    ),
    fill_case(
        "a symbol whose equity has fallen below the minimum notional stops",
        """
        100 101 99 100  | 1
        100 101 0.4 0.4 | 0
        0.4 0.5 0.3 0.4 | 1
        0.4 0.5 0.3 0.4 | -1
        0.4 0.5 0.3 0.4 |
        """,
        """
        1 BUY  10.000 100.1 ENTRY
        2 SELL 10.000 0.3 EXIT
        """,
    ),
    # --- funding ----------------------------------------------------------------------------------------------
    fill_case(
        "a long pays funding at the open of the bar that reaches a funding time",
        """
        100 101 99 100 | 1
        100 101 99 100 |
        102 103 101 102 | 0
        102 103 101 102 |
        """,
        """
        1 BUY  10.000 100.1 ENTRY
        3 SELL 10.000 101.8 EXIT
        """,
        FUNDED,
        funding="2 0.1020",
        after=timedelta(hours=7, minutes=58),
    ),
    fill_case(
        "a short receives funding",
        """
        100 101 99 100 | -1
        100 101 99 100 |
        102 103 101 102 |
        102 103 101 102 |
        """,
        "1 SELL 10.000 99.9 ENTRY",
        FUNDED,
        funding="2 -0.1020",
        after=timedelta(hours=7, minutes=58),
    ),
    fill_case(
        "a negative rate turns funding round",
        """
        100 101 99 100 | 1
        100 101 99 100 |
        102 103 101 102 |
        102 103 101 102 |
        """,
        "1 BUY 10.000 100.1 ENTRY",
        replace(COIN, funding_rate=Decimal("-0.00025")),
        funding="2 -0.25500",
        after=timedelta(hours=7, minutes=58),
    ),
    fill_case(
        "a position entered at the open of a funding time does not pay, one left at it does",
        """
        100 101 99 100 | 1
        100 101 99 100 | 0
        100 101 99 100 | 1
        +479 100 101 99 100 | 0
        100 101 99 100 |
        """,
        """
        1 BUY  10.000 100.1 ENTRY
        2 SELL 10.000 99.9 EXIT
        3 BUY  9.970 100.1 ENTRY
        4 SELL 9.970 99.9 EXIT
        """,
        FUNDED,
        after=timedelta(hours=7, minutes=59),
    ),
    fill_case(
        "an exit that fills at a funding time pays first",
        """
        100 101 99 100 | 1
        100 101 99 100 | 0
        100 101 99 100 |
        """,
        """
        1 BUY  10.000 100.1 ENTRY
        2 SELL 10.000 99.9 EXIT
        """,
        FUNDED,
        funding="2 0.1000",
        after=timedelta(hours=7, minutes=58),
    ),
    fill_case(
        "a daily bar pays for each of its three funding times at once",
        """
        100 101 99 100  | 1
        100 101 99 100  |
        110 111 109 110 |
        110 111 109 110 |
        """,
        "1 BUY 10.000 100.1 ENTRY",
        FUNDED,
        funding="2 0.3300\n3 0.3300",
        timeframe=DAY,
    ),
    fill_case(
        "a hole in the data pays for every funding time that it hides",
        """
        100 101 99 100     | 1
        100 101 99 100     |
        +18 100 101 99 100 |
        100 101 99 100     |
        """,
        "1 BUY 10.000 100.1 ENTRY",
        FUNDED,
        funding="2 0.2000",
        timeframe=HOUR,
    ),
    fill_case(
        "rates in the data replace the instrument's at every open that has one",
        """
        100 101 99 100 1 0.5     | 1
        100 101 99 100 1 0.0003  |
        100 101 99 100 1 0.0003  |
        100 101 99 100 1 .       |
        100 101 99 100 1 -0.0002 |
        100 101 99 100           |
        """,
        "1 BUY 10.000 100.1 ENTRY",
        FUNDED,
        funding="2 0.3000\n4 -0.2000",
        after=timedelta(hours=7, minutes=58),
    ),
    fill_case(
        "a rate in the data counts to eight decimals",
        """
        100 101 99 100              | 1
        100 101 99 100              |
        100 101 99 100 1 0.000012344999 |
        100 101 99 100              |
        """,
        "1 BUY 10.000 100.1 ENTRY",
        funding="2 0.012340",
    ),
    fill_case(
        "a position closed inside the bar before pays nothing",
        """
        100 101 99 100 | 1 97
        100 101 96 97  |
        97 98 96 97    |
        97 98 96 97    |
        """,
        """
        1 BUY  10.000 100.1 ENTRY
        1 SELL 10.000 96.9 STOP
        """,
        FUNDED,
        after=timedelta(hours=7, minutes=58),
    ),
    fill_case(
        "funding paid is gone from the equity that sizes the next entry",
        """
        100 101 99 100        | 1
        100 101 99 100        |
        100 101 99 100 1 0.25 | 0
        100 101 99 100        | 1
        100 101 99 100        |
        """,
        """
        1 BUY  10.000 100.1 ENTRY
        3 SELL 10.000 99.9 EXIT
        4 BUY  7.470 100.1 ENTRY
        """,
        funding="2 250.00",
    ),
    fill_case(
        "a symbol that funding has ruined asks for nothing more",
        """
        100 101 99 100       | 1
        100 101 99 100       |
        100 101 99 100 1 1   | 0
        100 101 99 100       | 1
        100 101 99 100       |
        """,
        """
        1 BUY  10.000 100.1 ENTRY
        3 SELL 10.000 99.9 EXIT
        """,
        funding="2 1000",
    ),
    fill_case(
        "an addition pays funding from the next funding time on",
        """
        100 101 99 100 | 1 . . 0.5
        100 101 99 100 | 1 . . . . . 0.25
        100 101 99 100 |
        100 101 99 100 |
        """,
        """
        1 BUY 5.000 100.1 ENTRY
        2 BUY 2.500 100.1 SCALE_IN
        """,
        FUNDED,
        funding="2 0.1500\n3 0.22500",
        timeframe=DAY,
    ),
    # --- leverage and liquidation -----------------------------------------------------------------------------
    fill_case(
        "leverage multiplies the quantity",
        """
        100 101 99 100 | 1 . . 0.5
        100 101 99 100 | 0
        100 101 99 100 |
        """,
        """
        1 BUY  25.000 100.1 ENTRY
        2 SELL 25.000 99.9 EXIT
        """,
        FIVE_TIMES,
    ),
    fill_case(
        "a long at five times is liquidated where its margin falls to the maintenance margin",
        """
        100 101 99 100 | 1
        100 101 99 100 |
        100 101 80 85  |
        85 86 84 85    | 1
        85 86 84 85    |
        """,
        """
        1 BUY  50.000 100.1 ENTRY
        2 SELL 50.000 80.8 LIQUIDATION
        """,
        FIVE_TIMES,
    ),
    fill_case(
        "a liquidation level missed by one tick does nothing",
        """
        100 101 99 100 | 1
        100 101 99 100 |
        100 101 81 85  |
        85 86 84 85    |
        """,
        "1 BUY 50.000 100.1 ENTRY",
        FIVE_TIMES,
    ),
    fill_case(
        "a short at five times is liquidated above its entry",
        """
        100 101 99 100  | -1
        100 101 99 100  |
        100 119 99 110  |
        110 111 109 110 | -1
        110 111 109 110 |
        """,
        """
        1 SELL 50.000 99.9 ENTRY
        2 BUY  50.000 118.8 LIQUIDATION
        """,
        FIVE_TIMES,
    ),
    fill_case(
        "a short without leverage is liquidated when the price has nearly doubled",
        """
        100 101 99 100  | -1
        100 197 99 190  |
        190 198 189 195 |
        195 196 194 195 | -1
        195 196 194 195 |
        """,
        """
        1 SELL 10.000 99.9 ENTRY
        2 BUY  10.000 198 LIQUIDATION
        """,
        UNLEVERED,
    ),
    fill_case(
        "a long without leverage is never liquidated",
        """
        100 101 99 100  | 1
        100 101 0.1 0.1 |
        0.1 0.1 0.1 0.1 | 0
        0.1 0.2 0.1 0.1 |
        """,
        """
        1 BUY  10.000 100.1 ENTRY
        3 SELL 10.000 0.1 EXIT
        """,
        UNLEVERED,
    ),
    fill_case(
        "an open beyond the level liquidates at the open",
        """
        100 101 99 100      | 1
        100 101 99 100      |
        80.5 80.6 80.2 80.5 |
        80 81 79 80         |
        """,
        """
        1 BUY  50.000 100.1 ENTRY
        2 SELL 50.000 80.4 LIQUIDATION
        """,
        FIVE_TIMES,
    ),
    fill_case(
        "beyond the price that uses the margin up the insurance fund pays, outside the bar too",
        """
        100 101 99 100 | 1
        100 101 99 100 |
        60 61 59 60    |
        60 61 59 60    | 1
        60 61 59 60    |
        """,
        """
        1 BUY  50.000 100.1 ENTRY
        2 SELL 50.000 80.1 LIQUIDATION
        """,
        FIVE_TIMES,
    ),
    fill_case(
        "a short's loss ends where its margin is used up",
        """
        100 101 99 100  | -1
        100 101 99 100  |
        150 151 149 150 |
        150 151 149 150 |
        """,
        """
        1 SELL 50.000 99.9 ENTRY
        2 BUY  50.000 119.8 LIQUIDATION
        """,
        FIVE_TIMES,
    ),
    fill_case(
        "an exit asked for comes too late when the open has reached the liquidation level",
        """
        100 101 99 100      | 1
        100 101 99 100      | -1
        80.5 80.6 80.2 80.5 |
        80 81 79 80         |
        80 81 79 80         |
        """,
        """
        1 BUY  50.000 100.1 ENTRY
        2 SELL 50.000 80.4 LIQUIDATION
        """,
        FIVE_TIMES,
    ),
    fill_case(
        "a stop above the liquidation level is met before it",
        """
        100 101 99 100 | 1 81
        100 101 99 100 |
        100 101 79 80  |
        80 81 79 80    |
        """,
        """
        1 BUY  50.000 100.1 ENTRY
        2 SELL 50.000 80.9 STOP
        """,
        FIVE_TIMES,
    ),
    fill_case(
        "at the same price the liquidation comes before the stop",
        """
        100 101 99 100 | 1 80.9
        100 101 99 100 |
        100 101 79 80  |
        80 81 79 80    |
        """,
        """
        1 BUY  50.000 100.1 ENTRY
        2 SELL 50.000 80.8 LIQUIDATION
        """,
        FIVE_TIMES,
    ),
    fill_case(
        "a liquidation can come on the entry bar",
        """
        100 101 99 100 | 1
        100 101 80 90  |
        90 91 89 90    | 1
        90 91 89 90    |
        """,
        """
        1 BUY  50.000 100.1 ENTRY
        1 SELL 50.000 80.8 LIQUIDATION
        """,
        FIVE_TIMES,
    ),
    fill_case(
        "a margin below the cost of trading is gone at the entry's own open",
        """
        100 101 99 100 | 1
        100 101 99 100 |
        100 101 99 100 | 1
        100 101 99 100 |
        """,
        """
        1 BUY  1250.000 101 ENTRY
        1 SELL 1250.000 100.2 LIQUIDATION
        """,
        replace(COIN, leverage=125, slippage_bps=Decimal("95")),
    ),
    fill_case(
        "an addition moves the liquidation level with the average entry price",
        """
        100 101 99 100  | 1 . . 0.5
        100 120 100 120 | 1 . . . . . 0.4
        120 121 92 95   |
        95 96 86 90     |
        90 91 86 87     |
        90 91 86 87     |
        """,
        """
        1 BUY  25.000 100.1 ENTRY
        2 BUY  16.666 120.2 SCALE_IN
        3 SELL 41.666 87.3 LIQUIDATION
        """,
        FIVE_TIMES,
    ),
    fill_case(
        "additions count with leverage, and no further than the equity carries",
        """
        100 101 99 100 | 1 . . 0.5
        100 101 92 92  | 1 . . . . . 0.5
        92 93 91 92    |
        """,
        """
        1 BUY 25.000 100.1 ENTRY
        2 BUY 18.273 92.1 SCALE_IN
        """,
        FIVE_TIMES,
    ),
    fill_case(
        "a liquidated long at five times leaves the symbol closed to the other side as well",
        """
        100 101 99 100 | 1 . . 0.2
        100 101 80 85  | -1
        85 86 84 85    | -1
        85 86 84 85    | 1
        85 86 84 85    |
        """,
        """
        1 BUY  10.000 100.1 ENTRY
        1 SELL 10.000 80.8 LIQUIDATION
        """,
        FIVE_TIMES,
    ),
    fill_case(
        "funding is paid before a liquidation at the same open",
        """
        100 101 99 100  | 1
        100 101 99 100  |
        70 71 69 70     |
        70 71 69 70     |
        """,
        """
        1 BUY  50.000 100.1 ENTRY
        2 SELL 50.000 80.1 LIQUIDATION
        """,
        replace(FIVE_TIMES, funding_rate=Decimal("0.0001")),
        funding="2 0.3500",
        after=timedelta(hours=7, minutes=58),
    ),
)
