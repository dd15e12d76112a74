"""Position sizing for strategies: what to put into `Signals.weight`, and where to put a stop.

Each function is pure and elementwise over bars (row t uses row t of its arguments, `average_true_range` rows up to t),
so a strategy stays causal and the backtest and the engine get the same floats. A weight is a share of the symbol's
allocation in [0, 1]. NaN in gives NaN out: where a size cannot be computed, none is invented, and `checked_signals`
refuses an entry on such a row; a strategy asks for an entry only where its weight is above zero.

Sources:
- fixed fraction, stop-distance risk: R. Vince, *The Mathematics of Money Management* (1992); V. Tharp, *Trade Your Way
  to Financial Freedom* (1998);
- Kelly: J. L. Kelly, *A New Interpretation of Information Rate*, Bell System Technical Journal 35 (1956); E. O. Thorp,
  *The Kelly Criterion in Blackjack, Sports Betting and the Stock Market* (2006);
- volatility target: A. Moreira, T. Muir, *Volatility-Managed Portfolios*, Journal of Finance 72 (2017);
- share of volume: R. Almgren et al., *Direct Estimation of Equity Market Impact* (2005), which says why;
- true range and its average: J. W. Wilder, *New Concepts in Technical Trading Systems* (1978).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from include.domain.bars import FloatArray
from include.strategies.rolling import rolling_mean


def fixed_fraction(target: FloatArray, fraction: float) -> FloatArray:
    """The same share for every entry.

    Raises:
        ValueError: `fraction` is not in (0, 1].
    """
    _require_share("fraction", fraction)
    return np.full(target.shape[0], fraction)


def risk_fraction(
    close: FloatArray, stop: FloatArray, *, risk: float = 0.02, cost: float = 0.0, leverage: float = 1.0
) -> FloatArray:
    """So much that being stopped out loses `risk` of the allocation: w = risk / (leverage x (|close - stop| / close +
    cost)), at most 1 (fixed fractional risk; 2 % is requirement R-3's).

    Args:
        cost: fees and slippage of the round trip, a fraction of the notional.
        leverage: the candidate's; the fill rule multiplies it into every entry.

    Raises:
        ValueError: `risk` is not in (0, 1], `cost` is negative, or `leverage` below 1.
    """
    _require_share("risk", risk)
    if not cost >= 0 or not leverage >= 1:
        raise ValueError(f"cost is {cost} and leverage {leverage}; they must be at least 0 and 1")
    with np.errstate(divide="ignore", invalid="ignore"):
        lost = np.abs(close - stop) / close + cost
        return _capped(risk / (leverage * lost), known=(close > 0) & (stop > 0) & (lost > 0))


def kelly_fraction(win_rate: float, win_loss_ratio: float, *, share: float = 0.25, cap: float = 0.2) -> float:
    """Kelly's fraction p - (1 - p) / b, of it a `share` (a quarter unless asked), never above `cap` or below zero.

    Args:
        win_rate: p in [0, 1], as measured out of sample.
        win_loss_ratio: b, mean win over mean loss, both positive.

    Raises:
        ValueError: an argument is outside its range or not a number.
    """
    _require_share("share", share)
    _require_share("cap", cap)
    if not 0 <= win_rate <= 1:
        raise ValueError(f"win_rate is {win_rate}, it must be from 0 to 1")
    if not 0 < win_loss_ratio < float("inf"):
        raise ValueError(f"win_loss_ratio is {win_loss_ratio}, it must be above 0")
    return min(max(share * (win_rate - (1 - win_rate) / win_loss_ratio), 0.0), cap)


def volatility_target(volatility: FloatArray, target: float) -> FloatArray:
    """w = target / volatility, at most 1: less where the market moves more.

    Args:
        volatility: of returns over any period, a fraction; `target` over the same period.

    Raises:
        ValueError: `target` is not above zero.
    """
    if not target > 0:
        raise ValueError(f"target is {target}, it must be above 0")
    with np.errstate(divide="ignore", invalid="ignore"):
        return _capped(target / volatility, known=volatility > 0)


def liquidity_cap(
    weight: FloatArray, close: FloatArray, volume: FloatArray, *, allocation: float, participation: float
) -> FloatArray:
    """`weight`, cut to where an entry takes `participation` of the volume it may count on:
    min(w, participation x volume x close / allocation).

    Args:
        volume: expected in a bar, base currency (a rolling mean, known at the row).
        allocation: notional of weight 1, quote currency (with the leverage, where there is one).

    Raises:
        ValueError: `participation` is not in (0, 1] or `allocation` not above zero.
    """
    _require_share("participation", participation)
    if not allocation > 0:
        raise ValueError(f"allocation is {allocation}, it must be above 0")
    most = participation * volume * close / allocation
    return np.where((volume >= 0) & (close > 0), np.minimum(weight, most), np.nan)


def correlation_aware(weight: FloatArray, correlation: float, count: int) -> FloatArray:
    """`weight` for one of `count` equal positions that move together: w / sqrt(1 + (count - 1) x correlation), the
    diversification of an equally weighted portfolio (H. Markowitz, *Portfolio Selection*, 1952), so that all together
    carry the risk that unrelated ones would. A negative correlation earns nothing: it is counted as zero.

    Raises:
        ValueError: `correlation` is not in [-1, 1] or `count` below 1.
    """
    if not -1 <= correlation <= 1 or count < 1:
        raise ValueError(f"correlation is {correlation} and count {count}; they must be in [-1, 1] and at least 1")
    return np.asarray(weight / np.sqrt(1 + (count - 1) * max(correlation, 0.0)))


def average_true_range(high: FloatArray, low: FloatArray, close: FloatArray, window: int) -> FloatArray:
    """Mean of the last `window` true ranges max(high, close before) - min(low, close before); NaN for the first
    `window` rows. A plain mean, since Wilder's smoothing remembers more bars than a strategy's warm-up shows.

    Raises:
        ValueError: `window` is below 1.
    """
    if window < 1:
        raise ValueError(f"window is {window}, it must be at least 1")
    ranges = np.full(close.shape[0], np.nan)
    ranges[1:] = np.maximum(high[1:], close[:-1]) - np.minimum(low[1:], close[:-1])
    found = np.full(close.shape[0], np.nan)
    if close.shape[0] > window:
        found[1:] = rolling_mean(ranges[1:], window)
    return found


def atr_stop(target: FloatArray, close: FloatArray, atr: FloatArray, *, multiple: float = 1.5) -> FloatArray:
    """Stop `multiple` average true ranges from the close, below a long and above a short (1.5 is requirement R-3's).
    NaN where nothing is entered, or no price above zero is left.

    Raises:
        ValueError: `multiple` is not above zero.
    """
    if not multiple > 0:
        raise ValueError(f"multiple is {multiple}, it must be above 0")
    level = close - np.sign(target) * multiple * atr
    return np.where((np.abs(target) == 1) & (atr > 0) & (level > 0), level, np.nan)


def _capped(weight: FloatArray, known: NDArray[np.bool_]) -> FloatArray:
    return np.where(known & np.isfinite(weight), np.minimum(weight, 1.0), np.nan)


def _require_share(name: str, value: float) -> None:
    if not 0 < value <= 1:
        raise ValueError(f"{name} is {value}, it must be above 0 and at most 1")
