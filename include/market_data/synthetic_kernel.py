"""The synthetic market's recursion, compiled: pure arithmetic on arrays, no randomness of its own."""

from __future__ import annotations

import math

import numba
import numpy as np

from include.domain.bars import FloatArray, IntArray

STEPS_PER_MINUTE = 6


def initial_state(start_price: float, tick_size: float) -> FloatArray:
    """State before the first minute: efficient deviation, transitory, common and own log-volatility, last close
    in ticks."""
    return np.array([0.0, 0.0, 0.0, 0.0, round(start_price / tick_size)], dtype=np.float64)


@numba.njit(cache=True, nogil=True)  # type: ignore[untyped-decorator]
def advance(
    parameters: FloatArray,
    state: FloatArray,
    season: FloatArray,
    minute_of_day: IntArray,
    common_steps: FloatArray,
    own_steps: FloatArray,
    transitory_steps: FloatArray,
    common_minutes: FloatArray,
    own_minutes: FloatArray,
    ticks: IntArray,
    lots: IntArray,
) -> None:
    """Advance `state` over the minutes of one noise block and write open, high, low, close in ticks and volume in lots.

    Shapes: minute arrays (n,) or (n, 3), step arrays (n, STEPS_PER_MINUTE), `ticks` (4, n), `lots` (n,).
    """
    (
        start_price, tick, efficient_keep, common_scale, own_scale, transitory_keep, transitory_scale,
        common_keep, common_shock, own_keep, own_shock, log_offset, min_activity, max_activity,
        news_probability, news_scale, max_news, gap_probability, mean_lots, volume_noise, max_move, usual_move,
    ) = parameters  # fmt: skip
    efficient, transitory, log_common, log_own, close_ticks = state
    for t in range(minute_of_day.shape[0]):
        log_common = common_keep * log_common + common_shock * common_minutes[t, 0]
        log_own = own_keep * log_own + own_shock * own_minutes[t, 0]
        activity = math.exp(log_common + log_own - log_offset) * season[minute_of_day[t]]
        activity = min(max(activity, min_activity), max_activity)
        if common_minutes[t, 1] < news_probability:
            efficient += min(max(news_scale * common_minutes[t, 2], -max_news), max_news)
        previous = math.log(close_ticks * tick / start_price)
        floor, ceiling = previous - max_move, previous + max_move
        late = own_minutes[t, 1] < gap_probability
        opened = previous
        low = high = previous
        for k in range(STEPS_PER_MINUTE):
            efficient = efficient_keep * efficient + activity * (
                common_scale * common_steps[t, k] + own_scale * own_steps[t, k]
            )
            transitory = transitory_keep * transitory + activity * transitory_scale * transitory_steps[t, k]
            price = min(max(efficient + transitory, floor), ceiling)
            if k == 0 and late:
                opened = low = high = price
            low, high = min(low, price), max(high, price)
        open_ticks = round(start_price * math.exp(opened) / tick) if late else round(close_ticks)
        close_ticks = round(start_price * math.exp(price) / tick)
        ticks[0, t] = max(1, open_ticks)
        ticks[1, t] = max(1, open_ticks, close_ticks, round(start_price * math.exp(high) / tick))
        ticks[2, t] = max(1, min(open_ticks, close_ticks, round(start_price * math.exp(low) / tick)))
        ticks[3, t] = max(1, close_ticks)
        size = 0.4 + 0.6 * abs(price - previous) / usual_move
        volume = mean_lots * activity * size * math.exp(volume_noise * own_minutes[t, 2] - 0.5 * volume_noise**2)
        lots[t] = max(1, round(volume))
    state[0], state[1], state[2], state[3], state[4] = efficient, transitory, log_common, log_own, close_ticks
