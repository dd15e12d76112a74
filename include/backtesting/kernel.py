"""The fill rule (`docs/fill-rule.md`) for one symbol as numba kernels in whole ticks and lots.

Integers make it exact: every price, quantity and decision equals, to the last digit, what `include/domain/fill_rule.py`
gives in Decimal. `tests/unit/test_kernel.py` and `tests/property/test_kernel_laws.py` hold the two together.

There are two loops of one rule: `kernel_events.py` jumps from event to event and knows no trailing stop, scale-in or
volume limit, `kernel_tracked.py` looks at every bar that one of those concerns. `simulate` takes the first where it
can.
"""

from __future__ import annotations

from decimal import Decimal
from typing import NamedTuple

import numpy as np

from include.backtesting.exact import PARTS, Scale, nearest_steps, rate_steps, scale_of, too_fine
from include.backtesting.fills import PURPOSES, ByteArray, Fills
from include.backtesting.kernel_events import play_events
from include.backtesting.kernel_steps import Columns, Funding, Played, columns_of
from include.backtesting.kernel_tracked import play_tracked
from include.domain.bars import Bars, Signals
from include.domain.errors import DataError
from include.domain.fill_rule import FUNDING_EVERY_MS, RATE_STEP
from include.domain.instruments import Instrument

__all__ = ["PURPOSES", "ByteArray", "Fills", "nearest_steps", "simulate"]

FUNDING_COLUMN = "funding_rate"


class Play(NamedTuple):
    """One symbol made ready for the loops; `is_tracked` says which of the two it needs."""

    columns: Columns
    funding: Funding
    scale: Scale
    is_tracked: bool


def simulate(bars: Bars, signals: Signals, instrument: Instrument, allocation: Decimal) -> Fills:
    """Play the signals on the bars by the fill rule.

    Args:
        bars: with a column `funding_rate` where the data says what funding is due at an open.
        signals: as long as `bars` and obeyable (`strategies.protocol.checked_signals` sees to it).
        allocation: quote currency for this symbol (`domain.fill_rule.symbol_allocation`), counted to the cent.

    Raises:
        ValueError: bars and signals differ in length.
        DataError: a volume or a funding rate that is needed is not a number.
        ConfigurationError: prices or steps too fine for exact 64-bit arithmetic; never rounded silently.
    """
    play = prepare(bars, signals, instrument, allocation)
    asked = play.columns, bars.timeframe.ms, play.funding, play.scale
    played = play_tracked(*asked) if play.is_tracked else play_events(*asked, 0, len(bars))
    return fills_of(played, play, bars, instrument)


def prepare(bars: Bars, signals: Signals, instrument: Instrument, allocation: Decimal) -> Play:
    """What the loops need; arguments and errors of `simulate`."""
    if len(bars) != len(signals):
        raise ValueError(f"{bars.symbol}: {len(signals)} signals for {len(bars)} bars")
    lowest, highest = (float(bars.low.min()), float(bars.high.max())) if len(bars) else (1.0, 1.0)
    scale = scale_of(instrument, allocation, lowest, highest, _largest_volume(bars, instrument))
    funding = _funding(bars, instrument)
    trailing, hold, add = (
        _NOTHING if column is None else column for column in (signals.trailing, signals.hold, signals.add)
    )
    columns = Columns(
        bars.open, bars.high, bars.low, bars.close, bars.volume, signals.target, signals.weight, signals.stop,
        signals.take_profit, bars.open_time, trailing, hold, add,
    )  # fmt: skip
    return Play(columns, funding, scale, bool(instrument.participation is not None or len(trailing) or len(add)))


def fills_of(played: Played, play: Play, bars: Bars, instrument: Instrument) -> Fills:
    """What a loop gave, in quote currency.

    Raises:
        ConfigurationError: a sum did not fit 64 bits.
    """
    fills, paid, exact = played
    if not exact:
        raise too_fine(instrument, float(bars.high.max()))
    scale = play.scale
    side, lots, price, quantity, fee, purpose = columns_of(fills, scale)
    return Fills(
        instrument, fills[:, 0].copy(), bars.open_time[fills[:, 0]], side, lots, quantity, price, fee, purpose,
        paid[:, 0].copy(), paid[:, 1] * (scale.tick * scale.lot_num / scale.lot_den) * (paid[:, 2] / PARTS),
    )  # fmt: skip


_NOTHING = np.empty(0)


def _largest_volume(bars: Bars, instrument: Instrument) -> float:
    if instrument.participation is None or not len(bars):
        return 0.0
    if not (bars.volume >= 0).all():
        raise DataError(
            f"{bars.symbol}: the volume at row {int(np.argmin(bars.volume >= 0))} is no number of at least 0, and "
            "fills may take a share of it; see `airlock data gate`"
        )
    return float(bars.volume.max())


def _funding(bars: Bars, instrument: Instrument) -> Funding:
    """Funding times from the bars' own column, else from their open times at the instrument's rate (rule 16)."""
    rates = bars.extras.get(FUNDING_COLUMN)
    if rates is not None:
        rows = np.flatnonzero(~np.isnan(rates) & (rates != 0))
        if not (np.abs(rates[rows]) <= 1).all():
            raise DataError(f"{bars.symbol}: a {FUNDING_COLUMN} is not between -1 and 1; rates are fractions")
        steps = nearest_steps(rates[rows], RATE_STEP)
    elif rate := rate_steps(instrument, instrument.funding_rate):
        times = np.diff(bars.open_time // FUNDING_EVERY_MS, prepend=bars.open_time[:1] // FUNDING_EVERY_MS)
        rows = np.flatnonzero(times)
        steps = times[rows] * rate
    else:
        rows = steps = np.empty(0, dtype=np.int64)
    return Funding(np.append(rows, len(bars)), steps)
