"""Cases of the fill rule: deciding, market orders, quantities, stops and take-profits."""

from __future__ import annotations

from tests.unit.fill_rule_case import ODD_STEPS, PENNY, FillCase, fill_case

BASICS: tuple[FillCase, ...] = (
    # --- deciding and market orders ---------------------------------------------------------------------------
    fill_case(
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
    fill_case(
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
    fill_case(
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
    fill_case(
        "asking for the side already held changes nothing, however the weight grows",
        """
        100 101 99 100 | 1 . . 0.5
        100 101 99 100 | 1 . . 1
        100 101 99 100 | 1 . . 1
        100 101 99 100 |
        """,
        "1 BUY 5.000 100.1 ENTRY",
    ),
    fill_case(
        "a flat target while flat asks for nothing",
        """
        100 101 99 100 | 0
        100 101 99 100 | 0
        100 101 99 100 |
        """,
        "",
    ),
    fill_case(
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
    fill_case(
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
    fill_case(
        "nothing is decided on the last bar",
        """
        100 101 99 100 | 1
        100 101 99 100 |
        100 101 99 100 | 0
        """,
        "1 BUY 10.000 100.1 ENTRY",
    ),
    fill_case(
        "a buy never fills above the high of its bar",
        """
        100 101 99 100    | 1
        100 100 99 99.5   |
        100 101 99 100    |
        """,
        "1 BUY 10.000 100 ENTRY",
    ),
    fill_case(
        "a sell never fills below the low of its bar",
        """
        100 101 99 100 | -1
        100 101 100 101 |
        100 101 99 100  |
        """,
        "1 SELL 10.000 100 ENTRY",
    ),
    # --- quantities -------------------------------------------------------------------------------------------
    fill_case(
        "the quantity is rounded down to the lot",
        """
        101 101 101 101 | 1
        101 102 100 101 |
        101 102 100 101 |
        """,
        "1 BUY 9.900 101.2 ENTRY",
    ),
    fill_case(
        "an exact quotient is not lost to rounding",
        """
        70 70 70 70 | 1 . . 0.7
        70 71 69 70 |
        70 71 69 70 |
        """,
        "1 BUY 10.000 70.1 ENTRY",
    ),
    fill_case(
        "the weight scales the allocation and counts to six decimals",
        """
        100 101 99 100 | 1 . . 0.33333333
        100 101 99 100 |
        100 101 99 100 |
        """,
        "1 BUY 3.333 100.1 ENTRY",
    ),
    fill_case(
        "below the minimum notional nothing is asked for, at it something is",
        """
        100 101 99 100 | 1 . . 0.004999
        100 101 99 100 | 1 . . 0.005
        100 101 99 100 |
        """,
        "2 BUY 0.050 100.1 ENTRY",
    ),
    # --- resting orders inside the bar ------------------------------------------------------------------------
    fill_case(
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
    fill_case(
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
    fill_case(
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
    fill_case(
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
    fill_case(
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
    fill_case(
        "levels missed by one tick do not fill",
        """
        100 101 99 100 | 1 97 102
        100 101.9 97.1 100 |
        100 101.9 97.1 100 |
        """,
        "1 BUY 10.000 100.1 ENTRY",
    ),
    fill_case(
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
    fill_case(
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
    fill_case(
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
    fill_case(
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
    fill_case(
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
    fill_case(
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
    fill_case(
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
    fill_case(
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
    fill_case(
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
    fill_case(
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
    fill_case(
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
    fill_case(
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
    fill_case(
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
    fill_case(
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
    fill_case(
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
        2 SELL 9.984  99.9 ENTRY
        2 BUY  9.984  98 TAKE_PROFIT
        """,
    ),
    # --- life of the levels -----------------------------------------------------------------------------------
    fill_case(
        "levels are fixed when the entry is decided; later rows do not move them",
        """
        100 101 99 100 | 1 95 110
        100 101 99 100 | 1 99.5 100.5
        100 101 99 100 | . 99.5 100.5
        100 101 99 100 |
        """,
        "1 BUY 10.000 100.1 ENTRY",
    ),
    fill_case(
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
    fill_case(
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
    fill_case(
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
        2 BUY  9.867 98.1 ENTRY
        """,
    ),
    fill_case(
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
    fill_case(
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
    fill_case(
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
