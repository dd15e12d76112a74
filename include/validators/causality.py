"""The causality test: take later bars away and no earlier decision may change (requirement B-7)."""

from __future__ import annotations

import numpy as np

from include.domain.bars import Bars, Signals
from include.domain.instruments import Instrument
from include.strategies.protocol import Strategy, checked_signals
from include.validators.signal_rows import EXAMPLES, SignalCheck, describe_row, differing_rows, sample_rows

FUTURE_BARS = 1024
"""Bars shown behind a cut in the short comparisons; the long one covers farther looks."""


def check_causality(
    strategy: Strategy, bars: Bars, signals: Signals, instrument: Instrument, *, seed: int
) -> SignalCheck:
    """Recompute signals on truncated histories and count past rows that change.

    Two comparisons: at sampled rows a short stretch with and without the `FUTURE_BARS` behind the row, and once all of
    history up to a random cut against `signals`, which saw everything (a scaling by the whole sample shows there).

    Args:
        signals: the strategy's signals on all of `bars`.

    Raises:
        StrategyError: the strategy broke on a truncated history.
    """
    compared, differing = 0, 0
    examples: list[str] = []
    for row in sample_rows(signals, min(strategy.warmup, len(bars)), seed):
        begin = max(0, int(row) - strategy.warmup - FUTURE_BARS)
        informed = checked_signals(strategy, bars.window(begin, int(row) + 1 + FUTURE_BARS))
        blind = checked_signals(strategy, bars.window(begin, int(row) + 1))
        changed = np.flatnonzero(differing_rows(informed.window(0, len(blind)), blind, instrument))
        compared, differing = compared + len(blind), differing + len(changed)
        examples += [describe_row(bars.window(begin, len(bars)), int(i), blind, int(i), informed) for i in changed[:1]]
    if len(bars) > strategy.warmup + 1:
        cut = int(np.random.default_rng(seed).integers((strategy.warmup + len(bars)) // 2, len(bars)))
        blind = checked_signals(strategy, bars.window(0, cut))
        changed = np.flatnonzero(differing_rows(signals.window(0, cut), blind, instrument))
        compared, differing = compared + cut, differing + len(changed)
        examples += [describe_row(bars, int(i), blind, int(i), signals) for i in changed[:1]]
    return SignalCheck(compared, differing, tuple(examples[:EXAMPLES]))
