"""Cases of the fill rule: fills take at most a share of a bar's volume. Wishes are in the order
`target stop take_profit weight trailing hold add`, bars in `open high low close volume funding`.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from decimal import Decimal

from tests.unit.fill_rule_case import COIN, FillCase, fill_case

TENTH = replace(COIN, participation=Decimal("0.1"))
TENTH_LEVERED = replace(
    TENTH, leverage=5, maintenance_margin_rate=Decimal("0.01"), liquidation_fee_rate=Decimal("0.0125")
)

VOLUME: tuple[FillCase, ...] = (
    fill_case(
        "an entry larger than a tenth of the volume fills over several bars, each at its own open",
        """
        100 101 99 100 40  | 1
        100 101 99 100 40  |
        101 102 100 101 30 |
        102 103 101 102 90 |
        103 104 102 103 90 |
        """,
        """
        1 BUY 4.000 100.1 ENTRY
        2 BUY 3.000 101.2 ENTRY
        3 BUY 3.000 102.2 ENTRY
        """,
        TENTH,
    ),
    fill_case(
        "an exit fills over several bars, and nothing is decided meanwhile",
        """
        100 101 99 100 400 | 1
        100 101 99 100 400 | 0
        100 101 99 100 40  | 1
        99 100 98 99 40    | -1
        98 99 97 98 40     | 1 . . 0.5
        97 98 96 97 400    |
        """,
        """
        1 BUY  10.000 100.1 ENTRY
        2 SELL 4.000 99.9 EXIT
        3 SELL 4.000 98.9 EXIT
        4 SELL 2.000 97.9 EXIT
        5 BUY  5.102 97.1 ENTRY
        """,
        TENTH,
    ),
    fill_case(
        "bars without volume fill nothing",
        """
        100 101 99 100 0    | 1
        100 101 99 100 0    |
        101 102 100 101 0   |
        102 103 101 102 1000 | 0
        103 104 102 103 0   |
        104 105 103 104 1000 |
        """,
        """
        3 BUY  10.000 102.2 ENTRY
        5 SELL 10.000 103.8 EXIT
        """,
        TENTH,
    ),
    fill_case(
        "the share of the volume is rounded down to the lot",
        """
        100 101 99 100 40       | 1
        100 101 99 100 40.019   |
        100 101 99 100 1000     |
        """,
        """
        1 BUY 4.001 100.1 ENTRY
        2 BUY 5.999 100.1 ENTRY
        """,
        TENTH,
    ),
    fill_case(
        "a flat target withdraws the rest of an entry and leaves what has filled",
        """
        100 101 99 100 40   | 1
        100 101 99 100 40   | 0
        100 101 99 100 1000 |
        100 101 99 100 1000 |
        """,
        """
        1 BUY  4.000 100.1 ENTRY
        2 SELL 4.000 99.9 EXIT
        """,
        TENTH,
    ),
    fill_case(
        "the opposite side withdraws the rest of an entry, leaves and enters",
        """
        100 101 99 100 40   | 1
        100 101 99 100 40   | -1 . . 0.5
        100 101 99 100 1000 |
        100 101 99 100 1000 |
        """,
        """
        1 BUY  4.000 100.1 ENTRY
        2 SELL 4.000 99.9 EXIT
        2 SELL 5.000 99.9 ENTRY
        """,
        TENTH,
    ),
    fill_case(
        "an entry of which nothing has filled is withdrawn without a trace",
        """
        100 101 99 100 40   | 1
        100 101 99 100 0    | 0
        100 101 99 100 1000 |
        100 101 99 100 1000 |
        """,
        "",
        TENTH,
    ),
    fill_case(
        "an entry of which nothing has filled gives way to the opposite side",
        """
        100 101 99 100 40   | 1
        100 101 99 100 0    | -1
        100 101 99 100 1000 |
        100 101 99 100 1000 |
        """,
        "2 SELL 10.000 99.9 ENTRY",
        TENTH,
    ),
    fill_case(
        "an entry in work ignores the same side, no opinion and other levels",
        """
        100 101 99 100 40   | 1
        100 101 99 100 40   | 1 99.5 100.5 0.1 . 1 0.5
        100 101 99 100 40   |
        100 101 99 100 1000 |
        100 101 99 100 1000 |
        """,
        """
        1 BUY 4.000 100.1 ENTRY
        2 BUY 4.000 100.1 ENTRY
        3 BUY 2.000 100.1 ENTRY
        """,
        TENTH,
    ),
    fill_case(
        "a reversal leaves slowly, and its entry takes what the exit leaves of the volume",
        """
        100 101 99 100 1000 | 1
        100 101 99 100 1000 | -1
        100 101 99 100 60   | 1
        99 100 98 99 60     | 1
        98 99 97 98 1000    |
        97 98 96 97 1000    |
        """,
        """
        1 BUY  10.000 100.1 ENTRY
        2 SELL 6.000 99.9 EXIT
        3 SELL 4.000 98.9 EXIT
        3 SELL 2.000 98.9 ENTRY
        4 BUY  2.000 98.1 EXIT
        4 BUY  10.027 98.1 ENTRY
        """,
        TENTH,
    ),
    fill_case(
        "what is left of a stop fills at the next opens, wherever they are",
        """
        100 101 99 100 1000 | 1 97
        100 101 99 100 1000 |
        100 101 96 98 60    | 0
        99 100 98 99 30     | -1
        98 99 97 98 30      |
        98 99 97 98 1000    |
        """,
        """
        1 BUY  10.000 100.1 ENTRY
        2 SELL 6.000 96.9 STOP
        3 SELL 3.000 98.9 STOP
        4 SELL 1.000 97.9 STOP
        """,
        TENTH,
    ),
    fill_case(
        "a stop touched in a bar without volume has triggered and fills at the next open",
        """
        100 101 99 100 1000 | 1 97
        100 101 99 100 1000 |
        100 101 96 98 0     |
        99 100 98 99 1000   |
        99 100 98 99 1000   |
        """,
        """
        1 BUY  10.000 100.1 ENTRY
        3 SELL 10.000 98.9 STOP
        """,
        TENTH,
    ),
    fill_case(
        "a trailing stop that has triggered does not move on",
        """
        100 101 99 100 1000  | 1 . . . 0.02
        100 101 99 100 1000  |
        100 101 98 99 60     |
        105 110 104 109 20   |
        110 111 109 110 1000 |
        """,
        """
        1 BUY  10.000 100.1 ENTRY
        2 SELL 6.000 98.9 TRAILING_STOP
        3 SELL 2.000 104.8 TRAILING_STOP
        4 SELL 2.000 109.8 TRAILING_STOP
        """,
        TENTH,
    ),
    fill_case(
        "what is left of a take-profit rests on at its price",
        """
        100 101 99 100 1000 | 1 90 102
        100 101 99 100 1000 |
        100 103 99 101 60   |
        101 101.9 100 101 1000 |
        101 103 100 102 20  |
        103 104 102 103 1000 |
        """,
        """
        1 BUY  10.000 100.1 ENTRY
        2 SELL 6.000 102 TAKE_PROFIT
        4 SELL 2.000 102 TAKE_PROFIT
        5 SELL 2.000 103 TAKE_PROFIT
        """,
        TENTH,
    ),
    fill_case(
        "a take-profit that has filled in part leaves the rest to the stop",
        """
        100 101 99 100 1000 | 1 97 102
        100 101 99 100 1000 |
        100 103 99 101 60   |
        101 101.5 95 96 1000 |
        96 97 95 96 1000    |
        """,
        """
        1 BUY  10.000 100.1 ENTRY
        2 SELL 6.000 102 TAKE_PROFIT
        3 SELL 4.000 96.9 STOP
        """,
        TENTH,
    ),
    fill_case(
        "a take-profit and then the stop on one path: the stop finds no volume left and fills at the next open",
        """
        100 101 99 100 1000 | 1 97 102
        100 101 99 100 1000 |
        100 103 96 96.5 60  |
        96 97 95 96 1000    |
        96 97 95 96 1000    |
        """,
        """
        1 BUY  10.000 100.1 ENTRY
        2 SELL 6.000 102 TAKE_PROFIT
        3 SELL 4.000 95.9 STOP
        """,
        TENTH,
    ),
    fill_case(
        "a take-profit withdraws the rest of its entry",
        """
        100 101 99 100 1000  | 1 . 102
        100 101 99 100 40    |
        102 103 101 102 120  |
        101 101.5 100 101 1000 |
        101 101.5 100 101 1000 |
        """,
        """
        1 BUY  4.000 100.1 ENTRY
        2 BUY  6.000 102.2 ENTRY
        2 SELL 6.000 102 TAKE_PROFIT
        """,
        TENTH,
    ),
    fill_case(
        "a stop withdraws the rest of its entry",
        """
        100 101 99 100 40   | 1 97
        100 101 99 100 40   |
        97 98 96 97 30      |
        97 98 96 97 1000    |
        97 98 96 97 1000    |
        """,
        """
        1 BUY  4.000 100.1 ENTRY
        2 BUY  3.000 97.1 ENTRY
        3 SELL 7.000 96.9 STOP
        """,
        TENTH,
    ),
    fill_case(
        "the entry has taken the volume, so a stop on its path fills at the next open",
        """
        100 101 99 100 40  | 1 97
        100 101 96 98 40   |
        99 100 98 99 1000  |
        99 100 98 99 1000  |
        """,
        """
        1 BUY  4.000 100.1 ENTRY
        2 SELL 4.000 98.9 STOP
        """,
        TENTH,
    ),
    fill_case(
        "a position that a take-profit has begun to close is not added to",
        """
        100 101 99 100 1000 | 1 . 102 0.5
        100 101 99 100 1000 |
        100 103 99 101 20   | 1 . . . . . 0.3
        101 101.5 100 101 1000 | 1 . . . . . 0.3
        101 101.5 100 101 1000 |
        """,
        """
        1 BUY  5.000 100.1 ENTRY
        2 SELL 2.000 102 TAKE_PROFIT
        """,
        TENTH,
    ),
    fill_case(
        "an addition fills over several bars and is withdrawn by a flat target",
        """
        100 101 99 100 1000 | 1 . . 0.5
        100 101 99 100 1000 | 1 . . . . . 0.5
        100 101 99 100 20   |
        100 101 99 100 10   | 0
        100 101 99 100 1000 |
        """,
        """
        1 BUY  5.000 100.1 ENTRY
        2 BUY  2.000 100.1 SCALE_IN
        3 BUY  1.000 100.1 SCALE_IN
        4 SELL 8.000 99.9 EXIT
        """,
        TENTH,
    ),
    fill_case(
        "the time limit counts from the first part of an entry and withdraws the rest",
        """
        100 101 99 100 1000 | 1 . . . . 2
        100 101 99 100 0    |
        100 101 99 100 30   |
        100 101 99 100 30   |
        100 101 99 100 30   |
        100 101 99 100 30   |
        100 101 99 100 30   |
        """,
        """
        2 BUY  3.000 100.1 ENTRY
        3 BUY  3.000 100.1 ENTRY
        4 SELL 3.000 99.9 TIME_EXIT
        5 SELL 3.000 99.9 TIME_EXIT
        """,
        TENTH,
    ),
    fill_case(
        "each part of an entry starts the best price of the trailing stop again",
        """
        100 101 99 100 1000   | 1 . . . 0.05
        100 106 100 104 50    |
        102 103 99 102 1000   |
        102 103 98 99 1000    |
        98 99 97.9 98 1000    |
        """,
        """
        1 BUY  5.000 100.1 ENTRY
        2 BUY  5.000 102.2 ENTRY
        """,
        TENTH,
    ),
    fill_case(
        "while an exit is in work its stop changes nothing",
        """
        100 101 99 100 1000 | 1 97
        100 101 99 100 1000 | 0
        100 101 96 97 40    |
        97 98 96 97 1000    |
        97 98 96 97 1000    |
        """,
        """
        1 BUY  10.000 100.1 ENTRY
        2 SELL 4.000 99.9 EXIT
        3 SELL 6.000 96.9 EXIT
        """,
        TENTH,
    ),
    fill_case(
        "the entry of a reversal waits for its exit, whatever stop that position touches meanwhile",
        """
        100 101 99 100 1000 | 1 97
        100 101 99 100 1000 | -1
        100 101 96 97 40    |
        97 98 96 97 100     |
        97 98 96 97 1000    |
        """,
        """
        1 BUY  10.000 100.1 ENTRY
        2 SELL 4.000 99.9 EXIT
        3 SELL 6.000 96.9 EXIT
        3 SELL 4.000 96.9 ENTRY
        4 SELL 5.984 96.9 ENTRY
        """,
        TENTH,
    ),
    fill_case(
        "an exit decided in time but without volume can still end in a liquidation, which needs none",
        """
        100 101 99 100 10000 | 1
        100 101 99 100 10000 | 0
        100 101 99 100 0     |
        100 101 80 85 0      |
        85 86 84 85 10000    | 1
        85 86 84 85 10000    |
        """,
        """
        1 BUY  50.000 100.1 ENTRY
        3 SELL 50.000 80.8 LIQUIDATION
        """,
        TENTH_LEVERED,
    ),
    fill_case(
        "a liquidation takes what the stop could not, on the same path",
        """
        100 101 99 100 10000 | 1 90
        100 101 99 100 10000 |
        100 101 79 80 200    |
        80 81 79 80 10000    |
        """,
        """
        1 BUY  50.000 100.1 ENTRY
        2 SELL 20.000 89.9 STOP
        2 SELL 30.000 80.8 LIQUIDATION
        """,
        TENTH_LEVERED,
    ),
    fill_case(
        "an entry in work is gone when its first part is liquidated",
        """
        100 101 99 100 10000 | 1
        100 101 80 85 100    |
        85 86 84 85 10000    |
        85 86 84 85 10000    |
        """,
        """
        1 BUY  10.000 100.1 ENTRY
        1 SELL 10.000 80.8 LIQUIDATION
        """,
        TENTH_LEVERED,
    ),
    fill_case(
        "what shrinks keeps its liquidation level, and pays funding on what is held",
        """
        100 101 99 100 10000   | 1 . 102
        100 101 99 100 10000   |
        100 103 99 101 200     |
        100 101.5 99 100 10000 |
        100 101 80.9 90 10000  |
        90 91 89 90 10000      |
        """,
        """
        1 BUY  50.000 100.1 ENTRY
        2 SELL 20.000 102 TAKE_PROFIT
        4 SELL 30.000 80.9 LIQUIDATION
        """,
        replace(TENTH_LEVERED, funding_rate=Decimal("0.0001")),
        funding="3 0.3000",
        after=timedelta(hours=7, minutes=57),
    ),
)
