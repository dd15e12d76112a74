"""Cases of the fill rule: trailing stops, time exits, scale-ins. Wishes are in the order
`target stop take_profit weight trailing hold add`.
"""

from __future__ import annotations

from datetime import timedelta

from include.domain.times import Timeframe
from tests.unit.fill_rule_case import PENNY, FillCase, fill_case

LIFE: tuple[FillCase, ...] = (
    # --- trailing stops ---------------------------------------------------------------------------------------
    fill_case(
        "a long's trailing stop follows the best price up and never down",
        """
        100 101 99 100  | 1 . . . 0.05
        100 110 99 109  |
        109 109 106 106 |
        106 107 104 105 |
        105 106 104 105 |
        """,
        """
        1 BUY  10.000 100.1 ENTRY
        3 SELL 10.000 104.3 TRAILING_STOP
        """,
    ),
    fill_case(
        "a short's trailing stop follows the best price down and never up",
        """
        100 101 99 100 | -1 . . . 0.05
        100 101 90 91  |
        91 94 91 94    |
        94 95 93 95    |
        95 96 94 95    |
        """,
        """
        1 SELL 10.000 99.9 ENTRY
        3 BUY  10.000 94.6 TRAILING_STOP
        """,
    ),
    fill_case(
        "a falling bar lifts a long's trailing stop at its high and meets it on the way down",
        """
        100 101 99 100  | 1 . . . 0.05
        100 101 99 100  |
        100 108 99 99.5 |
        99 100 98 99    |
        """,
        """
        1 BUY  10.000 100.1 ENTRY
        2 SELL 10.000 102.4 TRAILING_STOP
        """,
    ),
    fill_case(
        "a rising bar visits its low before the high that lifts a long's trailing stop",
        """
        100 101 99 100   | 1 . . . 0.05
        100 101 99 100   |
        100 108 96.1 107 |
        107 107 103 103  |
        103 104 102 103  |
        """,
        """
        1 BUY  10.000 100.1 ENTRY
        4 SELL 10.000 102.4 TRAILING_STOP
        """,
    ),
    fill_case(
        "a rising bar that closes far below its high meets a long's lifted trailing stop before the close",
        """
        100 101 99 100   | 1 . . . 0.02
        100 101 99 100   |
        100 108 99.2 104 |
        104 105 103 104  |
        """,
        """
        1 BUY  10.000 100.1 ENTRY
        2 SELL 10.000 105.6 TRAILING_STOP
        """,
    ),
    fill_case(
        "a rising bar lowers a short's trailing stop at its low and meets it on the way up",
        """
        100 101 99 100  | -1 . . . 0.05
        100 101 99 100  |
        100 101 92 100.5 |
        100 101 99 100  |
        """,
        """
        1 SELL 10.000 99.9 ENTRY
        2 BUY  10.000 96.7 TRAILING_STOP
        """,
    ),
    fill_case(
        "a falling bar visits its high before the low that lowers a short's trailing stop",
        """
        100 101 99 100  | -1 . . . 0.05
        100 101 99 100  |
        100 103.9 92 93 |
        93 96.5 93 96   |
        96 97 95 96     |
        """,
        """
        1 SELL 10.000 99.9 ENTRY
        4 BUY  10.000 96.7 TRAILING_STOP
        """,
    ),
    fill_case(
        "an open beyond the best price lifts a long's trailing stop at once",
        """
        100 101 99 100  | 1 . . . 0.05
        100 101 99 100  |
        110 110 103 104 |
        104 105 103 104 |
        """,
        """
        1 BUY  10.000 100.1 ENTRY
        2 SELL 10.000 104.3 TRAILING_STOP
        """,
    ),
    fill_case(
        "a trailing stop that the open has jumped over fills at the open worsened",
        """
        100 101 99 100 | 1 . . . 0.05
        100 101 99 100 |
        92 93 91 92    |
        92 93 91 92    |
        """,
        """
        1 BUY  10.000 100.1 ENTRY
        2 SELL 10.000 91.9 TRAILING_STOP
        """,
    ),
    fill_case(
        "a trailing stop can fill on the entry bar, from the best price since its open",
        """
        100 101 99 100   | 1 . . . 0.02
        101 104 100 101  |
        101 102 100 101  |
        """,
        """
        1 BUY  10.000 101.2 ENTRY
        1 SELL 10.000 101.7 TRAILING_STOP
        """,
    ),
    fill_case(
        "prices before the entry do not count as best",
        """
        100 120 99 100   | 1 . . . 0.05
        100 101 96.1 97  |
        97 98 96.1 97    |
        """,
        "1 BUY 10.000 100.1 ENTRY",
    ),
    fill_case(
        "a stop and a trailing stop at the same price: the stop fills",
        """
        100 101 99 100 | 1 95 . . 0.05
        100 100 95 96  |
        96 97 95 96    |
        """,
        """
        1 BUY  10.000 100 ENTRY
        1 SELL 10.000 95 STOP
        """,
    ),
    fill_case(
        "a lifted trailing stop above the stop is met first",
        """
        100 101 99 100 | 1 95 . . 0.05
        100 106 99 106 |
        106 106 90 91  |
        91 92 90 91    |
        """,
        """
        1 BUY  10.000 100.1 ENTRY
        2 SELL 10.000 100.5 TRAILING_STOP
        """,
    ),
    fill_case(
        "a stop above the trailing stop is met first",
        """
        100 101 99 100 | 1 97 . . 0.05
        100 100 90 91  |
        91 92 90 91    |
        """,
        """
        1 BUY  10.000 100 ENTRY
        1 SELL 10.000 96.9 STOP
        """,
    ),
    fill_case(
        "an open beyond the stop and the trailing stop: the stop fills",
        """
        100 101 99 100 | 1 94 . . 0.05
        100 101 99 100 |
        90 91 89 90    |
        90 91 89 90    |
        """,
        """
        1 BUY  10.000 100.1 ENTRY
        2 SELL 10.000 89.9 STOP
        """,
    ),
    fill_case(
        "a take-profit on the way up is met before the trailing stop that the high would lift",
        """
        100 101 99 100 | 1 . 105 . 0.02
        100 101 99 100 |
        100 108 99 99.5 |
        99 100 98 99   |
        """,
        """
        1 BUY  10.000 100.1 ENTRY
        2 SELL 10.000 105 TAKE_PROFIT
        """,
    ),
    fill_case(
        "a trailing stop below the open is met before a take-profit above it in a rising bar",
        """
        100 101 99 100  | 1 . 105 . 0.02
        100 101 99 100  |
        100 108 98 107  |
        107 108 106 107 |
        """,
        """
        1 BUY  10.000 100.1 ENTRY
        2 SELL 10.000 98.9 TRAILING_STOP
        """,
    ),
    fill_case(
        "the trailing distance is rounded to the nearest tenth of a percent",
        """
        100 101 99 100   | 1 . . . 0.0104
        100 100 99.1 99.2 |
        99.2 99.3 99 99.1 |
        99.1 99.2 99 99   |
        """,
        """
        1 BUY  10.000 100 ENTRY
        2 SELL 10.000 99 TRAILING_STOP
        """,
    ),
    fill_case(
        "a trailing stop rests at least one tick away from the best price",
        """
        0.0040 0.0041 0.0039 0.0040 | 1 . . . 0.001
        0.0040 0.0040 0.0040 0.0040 |
        0.0040 0.0040 0.0039 0.0039 |
        0.0039 0.0040 0.0038 0.0039 |
        """,
        """
        1 BUY  250000 0.0040 ENTRY
        2 SELL 250000 0.0039 TRAILING_STOP
        """,
        PENNY,
    ),
    # --- time exits -------------------------------------------------------------------------------------------
    fill_case(
        "a position held for one bar is left at the next open",
        """
        100 101 99 100 | 1 . . . . 1
        100 101 99 100 |
        100 101 99 100 |
        100 101 99 100 |
        """,
        """
        1 BUY  10.000 100.1 ENTRY
        2 SELL 10.000 99.9 TIME_EXIT
        """,
    ),
    fill_case(
        "a limit of three bars counts from the open of the bar of the first fill",
        """
        100 101 99 100 | -1 . . . . 3
        100 101 99 100 |
        100 101 99 100 |
        100 101 99 100 |
        100 101 99 100 |
        100 101 99 100 |
        """,
        """
        1 SELL 10.000 99.9 ENTRY
        4 BUY  10.000 100.1 TIME_EXIT
        """,
    ),
    fill_case(
        "time passes through holes in the data too",
        """
        100 101 99 100    | 1 . . . . 5
        100 101 99 100    |
        100 101 99 100    |
        +6 100 101 99 100 |
        100 101 99 100    |
        100 101 99 100    |
        """,
        """
        1 BUY  10.000 100.1 ENTRY
        4 SELL 10.000 99.9 TIME_EXIT
        """,
    ),
    fill_case(
        "a hole that ends exactly at the limit leaves no earlier",
        """
        100 101 99 100    | 1 . . . . 5
        100 101 99 100    |
        +3 100 101 99 100 |
        100 101 99 100    |
        100 101 99 100    |
        100 101 99 100    |
        """,
        """
        1 BUY  10.000 100.1 ENTRY
        4 SELL 10.000 99.9 TIME_EXIT
        """,
    ),
    fill_case(
        "a target that leaves on the limit's close is the reason given",
        """
        100 101 99 100 | 1 . . . . 2
        100 101 99 100 |
        100 101 99 100 | 0
        100 101 99 100 |
        """,
        """
        1 BUY  10.000 100.1 ENTRY
        3 SELL 10.000 99.9 EXIT
        """,
    ),
    fill_case(
        "the opposite side on the limit's close turns the position",
        """
        100 101 99 100 | 1 . . . . 2
        100 101 99 100 |
        100 101 99 100 | -1
        100 101 99 100 |
        """,
        """
        1 BUY  10.000 100.1 ENTRY
        3 SELL 10.000 99.9 EXIT
        3 SELL 9.984 99.9 ENTRY
        """,
    ),
    fill_case(
        "a target still held after a time exit enters again one bar later, with a new limit",
        """
        100 101 99 100 | 1 . . . . 1
        100 101 99 100 | 1 . . . . 1
        100 101 99 100 | 1 . . . . 1
        100 101 99 100 | 1 . . . . 1
        100 101 99 100 |
        """,
        """
        1 BUY  10.000 100.1 ENTRY
        2 SELL 10.000 99.9 TIME_EXIT
        3 BUY  9.970 100.1 ENTRY
        4 SELL 9.970 99.9 TIME_EXIT
        """,
    ),
    fill_case(
        "a limit named after the entry was decided does not count",
        """
        100 101 99 100 | 1
        100 101 99 100 | 1 . . . . 1
        100 101 99 100 | 1 . . . . 1
        100 101 99 100 |
        """,
        "1 BUY 10.000 100.1 ENTRY",
    ),
    fill_case(
        "a stop on the last bar of the limit closes first, and nothing is left to time out",
        """
        100 101 99 100 | 1 97 . . . 2
        100 101 99 100 |
        100 101 96 98  |
        98 99 97 98    |
        98 99 97 98    |
        """,
        """
        1 BUY  10.000 100.1 ENTRY
        2 SELL 10.000 96.9 STOP
        """,
    ),
    fill_case(
        "the limit counts bars of the timeframe, not minutes",
        """
        100 101 99 100 | 1 . . . . 2
        100 101 99 100 |
        100 101 99 100 |
        100 101 99 100 |
        """,
        """
        1 BUY  10.000 100.1 ENTRY
        3 SELL 10.000 99.9 TIME_EXIT
        """,
        timeframe=Timeframe(3600),
        after=timedelta(hours=1),
    ),
    # --- scale-ins --------------------------------------------------------------------------------------------
    fill_case(
        "adding to a position buys a share of the allocation at the next open",
        """
        100 101 99 100 | 1 . . 0.5
        100 101 99 100 | 1 . . . . . 0.25
        100 101 99 100 | 1
        100 101 99 100 | 0
        100 101 99 100 |
        """,
        """
        1 BUY  5.000 100.1 ENTRY
        2 BUY  2.500 100.1 SCALE_IN
        4 SELL 7.500 99.9 EXIT
        """,
    ),
    fill_case(
        "adding to a short sells",
        """
        100 101 99 100 | -1 . . 0.5
        100 101 99 100 | -1 . . . . . 0.25
        100 101 99 100 | 0
        100 101 99 100 |
        """,
        """
        1 SELL 5.000 99.9 ENTRY
        2 SELL 2.500 99.9 SCALE_IN
        3 BUY  7.500 100.1 EXIT
        """,
    ),
    fill_case(
        "additions stop where the position is worth the allocation at the close",
        """
        100 101 99 100   | 1 . . 0.5
        100 101 99 100   | 1 . . . . . 0.4
        100 125 100 125  | 1 . . . . . 0.4
        125 126 124 125  |
        """,
        """
        1 BUY 5.000 100.1 ENTRY
        2 BUY 4.000 100.1 SCALE_IN
        """,
    ),
    fill_case(
        "an addition is cut to what brings the position to the allocation",
        """
        100 101 99 100   | 1 . . 0.5
        100 104 100 104  | 1 . . . . . 0.9
        104 105 103 104  |
        """,
        """
        1 BUY 5.000 100.1 ENTRY
        2 BUY 4.615 104.2 SCALE_IN
        """,
    ),
    fill_case(
        "additions can go no further than a shrunken equity",
        """
        100 101 99 100  | 1 . . 0.5
        100 101 60 60   | 1 . . . . . 1
        60 61 59 60     |
        """,
        """
        1 BUY 5.000 100.1 ENTRY
        2 BUY 8.320 60.1 SCALE_IN
        """,
    ),
    fill_case(
        "an addition below the minimum notional is not asked for",
        """
        100 101 99 100 | 1 . . 0.5
        100 101 99 100 | 1 . . . . . 0.004
        100 101 99 100 |
        """,
        "1 BUY 5.000 100.1 ENTRY",
    ),
    fill_case(
        "no opinion, or the other side, adds nothing",
        """
        100 101 99 100 | 1 . . 0.5
        100 101 99 100 | . . . . . . 0.25
        100 101 99 100 | -1 . . 0.1 . . 0.25
        100 101 99 100 |
        """,
        """
        1 BUY  5.000 100.1 ENTRY
        3 SELL 5.000 99.9 EXIT
        3 SELL 1.000 99.9 ENTRY
        """,
    ),
    fill_case(
        "an addition wished together with the entry waits for a position",
        """
        100 101 99 100 | 1 . . 0.5 . . 0.25
        100 101 99 100 |
        100 101 99 100 |
        """,
        "1 BUY 5.000 100.1 ENTRY",
    ),
    fill_case(
        "what protects the first entry protects what was added, and levels beside an addition mean nothing",
        """
        100 101 99 100 | 1 97 . 0.5
        100 101 99 100 | 1 99.5 100.5 . . . 0.25
        100 101 98 99  |
        99 100 96 97   |
        97 98 96 97    |
        """,
        """
        1 BUY  5.000 100.1 ENTRY
        2 BUY  2.500 100.1 SCALE_IN
        3 SELL 7.500 96.9 STOP
        """,
    ),
    fill_case(
        "an addition and an exit meet in one close: the position is left",
        """
        100 101 99 100 | 1 . . 0.5 . 1
        100 101 99 100 | 1 . . . . . 0.25
        100 101 99 100 |
        """,
        """
        1 BUY  5.000 100.1 ENTRY
        2 SELL 5.000 99.9 TIME_EXIT
        """,
    ),
    fill_case(
        "an addition does not lengthen the time limit",
        """
        100 101 99 100 | 1 . . 0.5 . 2
        100 101 99 100 | 1 . . . . . 0.25
        100 101 99 100 |
        100 101 99 100 |
        """,
        """
        1 BUY  5.000 100.1 ENTRY
        2 BUY  2.500 100.1 SCALE_IN
        3 SELL 7.500 99.9 TIME_EXIT
        """,
    ),
    fill_case(
        "an addition starts the best price of the trailing stop again from its open",
        """
        100 101 99 100   | 1 . . 0.5 0.05
        100 110 100 109  | 1 . . . . . 0.25
        106 107 101 106  |
        106 107 100 101  |
        101 102 100 101  |
        """,
        """
        1 BUY  5.000 100.1 ENTRY
        2 BUY  2.293 106.2 SCALE_IN
        3 SELL 7.293 101.4 TRAILING_STOP
        """,
    ),
    fill_case(
        "an addition whose stop fills at the same open still fills first and is closed with the rest",
        """
        100 101 99 100 | 1 97 . 0.5
        100 101 99 100 | 1 . . . . . 0.25
        96 97 95 96    |
        96 97 95 96    |
        """,
        """
        1 BUY  5.000 100.1 ENTRY
        2 BUY  2.500 96.1 SCALE_IN
        2 SELL 7.500 95.9 STOP
        """,
    ),
    fill_case(
        "a stop on the path of the deciding bar leaves nothing to add to, and the target enters anew",
        """
        100 101 99 100 | 1 97 . 0.5
        100 101 96 98  | 1 . . 0.5 . . 0.25
        98 99 97 98    |
        98 99 97 98    |
        """,
        """
        1 BUY  5.000 100.1 ENTRY
        1 SELL 5.000 96.9 STOP
        2 BUY  5.102 98.1 ENTRY
        """,
    ),
)
