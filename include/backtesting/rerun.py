"""A run traded again with a few signals changed: what no change has touched is taken over as it was.

A position entered from flat does not depend on those before it, except where money is short (rule 3 of
`docs/fill-rule.md`). So only the stretches with changed rows are played, from one flat close to the next where both
runs are flat, and the answer is what playing everything gives. Where money is short, or the loop of
`kernel_tracked.py` is needed, everything is played.
"""

from __future__ import annotations

from decimal import Decimal

import numba
import numpy as np

from include.backtesting.exact import PARTS, Scale
from include.backtesting.fills import ENTRY, LIQUIDATION, Fills
from include.backtesting.kernel import fills_of, prepare, simulate
from include.backtesting.kernel_events import play_events
from include.backtesting.kernel_steps import Columns, Funding, Played, fee_rate
from include.domain.bars import Bars, IntArray, Signals
from include.domain.instruments import Instrument


class Rerun:
    """One symbol's undisturbed run, and others that differ from it in a few rows; several threads may ask.

    Args: those of `kernel.simulate`, which also says what is raised.
    """

    def __init__(self, bars: Bars, signals: Signals, instrument: Instrument, allocation: Decimal) -> None:
        self._bars, self._instrument, self._allocation = bars, instrument, allocation
        self._play = play = prepare(bars, signals, instrument, allocation)
        self._before: Played | None = None
        if play.is_tracked:
            self.fills: Fills = simulate(bars, signals, instrument, allocation)
            return
        before = play_events(play.columns, bars.timeframe.ms, play.funding, play.scale, 0, len(bars))
        self.fills = fills_of(before, play, bars, instrument)
        if _afforded(play.columns, before, play.scale, float(allocation), instrument.leverage, True):
            self._before, self._starts = before, _flat_starts(before.fills)

    def again(self, signals: Signals, rows: IntArray) -> Fills:
        """What `simulate` gives for other signals.

        Args:
            rows: decisions that opened a position in the undisturbed run, increasing; the signals differ from its only
                from one of these rows on and before the next decision that opened one.
        """
        if self._before is not None:
            play, hold = self._play, self._play.columns.hold if signals.hold is None else signals.hold
            columns = play.columns._replace(
                target=signals.target,
                weight=signals.weight,
                stop=signals.stop,
                take_profit=signals.take_profit,
                hold=hold,
            )
            found = np.searchsorted(self._starts, rows, side="right") - 1
            changed = found[np.diff(found, prepend=-1) > 0]
            played = replay(
                columns, self._bars.timeframe.ms, play.funding, play.scale, self._before, self._starts, changed
            )
            money, leverage = float(self._allocation), self._instrument.leverage
            if played.exact and _afforded(columns, played, play.scale, money, leverage, False):
                return fills_of(played, play, self._bars, self._instrument)
        return simulate(self._bars, signals, self._instrument, self._allocation)


def _flat_starts(fills: IntArray) -> IntArray:
    """Rows on whose close an entry was decided with nothing held, shape (positions not turned round into,)."""
    held = np.cumsum(fills[:, 1] * fills[:, 2])
    flat = np.append(0, held[:-1]) == 0
    alone = np.diff(fills[:, 0], prepend=-1) > 0  # the first fill of its bar: not a turn-round
    starts: IntArray = fills[flat & alone, 0] - 1
    return starts


@numba.njit(cache=True, nogil=True)
def replay(
    c: Columns, bar_ms: int, funding: Funding, s: Scale, before: Played, starts: IntArray, changed: IntArray
) -> Played:
    """Play from each changed start until both runs are flat at a start, and take over the rest.

    Args:
        starts: rows of `_flat_starts` of `before`. changed: indices into it, increasing.

    Returns:
        the whole run, as if no money were ever short.
    """
    n, count = c.open.shape[0], starts.shape[0]
    first_fill = np.searchsorted(before.fills[:, 0], starts, side="right")
    first_paid = np.searchsorted(before.funding[:, 0], starts, side="right")
    fills = np.empty((2 * before.fills.shape[0] + 1024, 5), dtype=np.int64)
    paid = np.empty((funding.rate.shape[0], 3), dtype=np.int64)
    k, f, p, i, exact = 0, 0, 0, 0, True
    while k < count:
        while i < changed.shape[0] and changed[i] < k:
            i += 1
        until = changed[i] if i < changed.shape[0] else count
        if until > k:  # nothing has changed up to there
            low, high = first_fill[k], first_fill[until] if until < count else before.fills.shape[0]
            fills, f = _joined(fills, f, before.fills[low:high])
            low, high = first_paid[k], first_paid[until] if until < count else before.funding.shape[0]
            paid, p = _joined(paid, p, before.funding[low:high])
            k = until
            continue
        end, more = k + 1, 1
        while True:
            stop = starts[end] + 1 if end < count else n
            played = play_events(c, bar_ms, funding, s, starts[k], stop)
            exact = exact and played.exact
            dead = played.fills.shape[0] > 0 and played.fills[-1, 4] == LIQUIDATION
            if end >= count or dead or (played.fills[:, 1] * played.fills[:, 2]).sum() == 0:
                break
            end, more = min(end + more, count), 2 * more
        fills, f = _joined(fills, f, played.fills)
        paid, p = _joined(paid, p, played.funding)
        k = count if dead else end
    return Played(fills[:f].copy(), paid[:p].copy(), exact)


@numba.njit(cache=True, nogil=True)
def _joined(rows: IntArray, count: int, more: IntArray) -> tuple[IntArray, int]:
    """The rows with others behind the first `count`."""
    size = more.shape[0]
    while count + size > rows.shape[0]:
        rows = np.concatenate((rows, np.empty_like(rows)))
    rows[count : count + size] = more
    return rows, count + size


@numba.njit(cache=True, nogil=True)
def _afforded(c: Columns, played: Played, s: Scale, allocation: float, leverage: int, to_end: bool) -> bool:
    """Whether every entry was decided with more equity than it took, by a margin that no rounding reaches.

    Args:
        to_end: whether an entry could also have been made after the last one.
    """
    lot = s.lot_num / s.lot_den
    position, spent, due = 0, 0.0, 0
    bar, held, before = -1, 0, 0.0
    for i in range(played.fills.shape[0]):
        row, side, lots, ticks, purpose = played.fills[i]
        while due < played.funding.shape[0] and played.funding[due, 0] < row:
            spent += played.funding[due, 1] * s.tick * lot * (played.funding[due, 2] / PARTS)
            due += 1
        if row != bar:
            bar, held, before = row, position, spent
        if purpose == ENTRY:
            close = c.close[row - 1]
            equity = allocation + held * lot * close - before
            if equity < (lots + 1) * lot * close / leverage * (1 + 1e-9) + 0.02:
                return False
        value = lots * lot * ticks * s.tick
        position += side * lots
        spent += side * value + value * (fee_rate(purpose, s) / PARTS)
        if abs(spent) > 0.5 * s.most * s.tick * lot:
            return False
    enough = 2 * (s.least / 100 + s.min_value * s.tick * lot + lot * c.close.max()) + 0.02
    return not to_end or position != 0 or allocation - spent > enough
