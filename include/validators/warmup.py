"""The warm-up test: a decision from the last `warmup` bars alone must equal the one from all of history.

The live engine shows a strategy only its last `warmup` bars, so a mismatch here is a trade that backtest and engine
would do differently.
"""

from __future__ import annotations

from include.domain.bars import Bars, Signals
from include.domain.instruments import Instrument
from include.strategies.protocol import Strategy, checked_signals
from include.validators.signal_rows import EXAMPLES, SignalCheck, describe_row, differing_rows, sample_rows


def check_warmup(strategy: Strategy, bars: Bars, signals: Signals, instrument: Instrument, *, seed: int) -> SignalCheck:
    """Recompute sampled decisions from `warmup` bars and count those that differ.

    Args:
        signals: the strategy's signals on all of `bars`.

    Raises:
        StrategyError: the strategy broke on the short history.
    """
    rows = sample_rows(signals, strategy.warmup - 1, seed)
    examples: list[str] = []
    differing = 0
    for row in map(int, rows):
        short = checked_signals(strategy, bars.window(row + 1 - strategy.warmup, row + 1))
        last = len(short) - 1
        if differing_rows(short.window(last, last + 1), signals.window(row, row + 1), instrument)[0]:
            differing += 1
            examples.append(describe_row(bars, row, short, -1, signals))
    return SignalCheck(len(rows), differing, tuple(examples[:EXAMPLES]))
