"""The synthetic market: seeded one-minute bars of five correlated symbols, for the demo, tests and benchmarks.

**This is not a model of any real market.** It contains, on purpose, a mean-reverting component far more generous than
anything found in real prices. A strategy that passes on it proves that the machinery works, not that it has an edge;
everything measured on it carries `synthetic: true`.

The model, per symbol, in steps of a sixth of a minute (log price = efficient + transitory):

- *Efficient price*: Gaussian steps of 4 to 8 bps a minute, sharing one common factor (its loading is the correlation),
  rare common news jumps, and a pull towards the start price with a half-life of a year, which only keeps five years
  of prices in the region where tick and lot make sense.
- *Transitory component*: an Ornstein-Uhlenbeck process with a half-life of four minutes, independent per symbol.
- *Volatility*: both scale with exp(common + own AR(1) log-volatility), half-lives of twelve and two hours, times a
  daily pattern that peaks at 15:00 UTC. Volume follows the same activity, the size of the bar's move and noise of its
  own.

How the parameters were chosen (once, by reasoning; they are not tuned until something passes). A round trip that
enters by market order and leaves by take-profit costs 4 + 1 + 2 = 7 bps (taker fee, half-spread and slippage, maker
fee), one that leaves by market order 10 bps. The transitory deviation is set to three to four times that, 32 bps, so
that a dislocation of one deviation pays for its trade. Its half-life is a few minutes, so that bars of one minute
resolve it, and over one half-life the efficient price moves 8 to 16 bps: less than the deviation, so that reversion
dominates what a holder of a few minutes sees, yet enough to make losers. News jumps do not revert, so fading every
move is punished now and then.

Deterministic: the market is one object that begins at `origin`; a window is cut out of it, so overlapping windows agree
bar by bar and a subset of the symbols gives the same bars. Noise is keyed by (seed, symbol, calendar block). Equality
holds for one numpy version (pinned), whose generators define the noise.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from fractions import Fraction

import numpy as np

from include.domain.bars import BAR_COLUMNS, Bars, FloatArray, IntArray
from include.domain.errors import ConfigurationError
from include.domain.instruments import symbol_id
from include.domain.times import DAY_MS, Timeframe, iso, to_ms
from include.market_data.synthetic_kernel import STEPS_PER_MINUTE, advance, initial_state
from include.ports import Progress, no_progress

VENUE = "synthetic"
TIMEFRAME = Timeframe(60)
DEFAULT_START = datetime(2020, 10, 1, tzinfo=UTC)
DEFAULT_END = datetime(2025, 11, 1, tzinfo=UTC)
DEFAULT_SEED = 20201001
BLOCK_DAYS = 16
"""Noise is drawn for whole calendar blocks of this many days, counted from the epoch."""
MINUTE_MS = 60_000
MINUTES_PER_DAY = 1_440


@dataclass(frozen=True, slots=True)
class SymbolModel:
    """One symbol. Volatilities in basis points, prices in quote and volumes in base currency.

    `tick_size` and `lot_size` must equal the instrument's in `include/config/venues.yaml`.
    """

    symbol: str
    start_price: float
    tick_size: Decimal
    lot_size: Decimal
    efficient_bps_per_minute: float
    market_loading: float
    """Correlation of the efficient price's steps with the common factor."""
    mean_volume: float


@dataclass(frozen=True, slots=True)
class MarketModel:
    """Everything that all symbols share; times in minutes, sizes in basis points, log-volatilities unitless."""

    symbols: tuple[SymbolModel, ...]
    origin: datetime = DEFAULT_START
    """Where the market begins: every symbol opens here at its start price."""
    transitory_bps: float = 32.0
    transitory_half_life: float = 4.0
    efficient_half_life: float = 525_600.0
    common_volatility: float = 0.35
    common_volatility_half_life: float = 720.0
    own_volatility: float = 0.20
    own_volatility_half_life: float = 120.0
    min_activity: float = 0.35
    max_activity: float = 3.0
    season_amplitude: float = 0.35
    season_peak_hour: float = 15.0
    news_per_day: float = 0.2
    news_bps: float = 60.0
    max_news_bps: float = 300.0
    gap_probability: float = 0.05
    """Share of bars whose first trade comes a step late, so that open differs from the close before."""
    volume_noise: float = 0.5
    max_move: float = 0.08
    """Bound on the log distance of any price from the close before: below the gate's 10 % by construction."""

    def named(self, symbol: str) -> SymbolModel:
        """Raises ConfigurationError when the market has no such symbol."""
        for model in self.symbols:
            if symbol_id(model.symbol) == symbol_id(symbol):
                return model
        known = ", ".join(model.symbol for model in self.symbols)
        raise ConfigurationError(f"synthetic market: no symbol {symbol!r}; it has {known}")


DEFAULT_MARKET = MarketModel(
    symbols=(
        SymbolModel("BTC/USDT", 30_000.0, Decimal("0.1"), Decimal("0.00001"), 4.0, 0.85, 100.0),
        SymbolModel("ETH/USDT", 2_000.0, Decimal("0.01"), Decimal("0.0001"), 5.0, 0.85, 900.0),
        SymbolModel("SOL/USDT", 60.0, Decimal("0.001"), Decimal("0.001"), 7.0, 0.75, 9_000.0),
        SymbolModel("AVAX/USDT", 25.0, Decimal("0.001"), Decimal("0.01"), 7.5, 0.70, 8_000.0),
        SymbolModel("MATIC/USDT", 1.0, Decimal("0.0001"), Decimal("0.1"), 8.0, 0.70, 200_000.0),
    )
)
SYMBOLS = tuple(model.symbol for model in DEFAULT_MARKET.symbols)


def generate(
    symbol: str,
    start: datetime = DEFAULT_START,
    end: datetime = DEFAULT_END,
    *,
    seed: int = DEFAULT_SEED,
    market: MarketModel = DEFAULT_MARKET,
    progress: Progress = no_progress,
) -> Bars:
    """Minute bars of one symbol with open times from `start` (inclusive) to `end` (exclusive).

    Complete, strictly increasing, valid OHLC on the tick grid, volumes of at least one lot. Time is spent from the
    market's origin to `end`: about 2 s and 0.3 GB for five years.

    Raises:
        ConfigurationError: unknown symbol, or a window that is empty, not on whole minutes or begins before the origin.
    """
    parts: list[Bars] = []
    for part, done in generate_blocks(symbol, start, end, seed=seed, market=market):
        parts.append(part)
        progress(done, f"synthetic {symbol}")
    times, opened, high, low, close, volume = (
        np.concatenate([getattr(part, name) for part in parts]) for name in BAR_COLUMNS
    )
    return Bars(market.named(symbol).symbol, TIMEFRAME, times, opened, high, low, close, volume)


def generate_blocks(
    symbol: str, start: datetime, end: datetime, *, seed: int = DEFAULT_SEED, market: MarketModel = DEFAULT_MARKET
) -> Iterator[tuple[Bars, float]]:
    """The bars of `generate` block by block (at most `BLOCK_DAYS` each; none before `start`), and the share done.

    Raises:
        ConfigurationError: see `generate`.
    """
    model = market.named(symbol)
    origin, first, last = to_ms(market.origin), to_ms(start), to_ms(end)
    if first % MINUTE_MS or last % MINUTE_MS or first >= last:
        raise ConfigurationError(f"synthetic market: {start} to {end} must be whole minutes, the end after the start")
    if first < origin:
        raise ConfigurationError(f"synthetic market: begins at {iso(market.origin)}, asked for {iso(start)}")
    parameters = _parameters(model, market)
    season = _season(market)
    state = initial_state(float(model.start_price), float(model.tick_size))
    at = origin
    for noise in _noise_blocks(model.symbol, seed, origin, last):
        size = noise.minute_of_day.shape[0]
        ticks: IntArray = np.empty((4, size), dtype=np.int64)
        lots: IntArray = np.empty(size, dtype=np.int64)
        advance(
            parameters, state, season, noise.minute_of_day, noise.common_steps, noise.own_steps,
            noise.transitory_steps, noise.common_minutes, noise.own_minutes, ticks, lots,
        )  # fmt: skip
        inside = slice(max(0, (first - at) // MINUTE_MS), None)
        open_time = np.arange(at, at + size * MINUTE_MS, MINUTE_MS, dtype=np.int64)[inside]
        at += size * MINUTE_MS
        prices = _on_grid(ticks[:, inside], model.tick_size)
        volume = _on_grid(lots[inside], model.lot_size)
        part = Bars(model.symbol, TIMEFRAME, open_time, prices[0], prices[1], prices[2], prices[3], volume)
        yield part, (at - origin) / (last - origin)


@dataclass(frozen=True, slots=True)
class _Noise:
    minute_of_day: IntArray
    common_steps: FloatArray
    own_steps: FloatArray
    transitory_steps: FloatArray
    common_minutes: FloatArray
    """(minutes, 3): log-volatility step, uniform of the news draw, size of the news."""
    own_minutes: FloatArray
    """(minutes, 3): log-volatility step, uniform of the gap draw, volume noise."""


def _noise_blocks(symbol: str, seed: int, first: int, last: int) -> Iterator[_Noise]:
    """Noise of the window, block by block; each block depends on (seed, stream, block number) alone."""
    block_ms = BLOCK_DAYS * DAY_MS
    minutes = BLOCK_DAYS * MINUTES_PER_DAY
    steps = (minutes, STEPS_PER_MINUTE)
    for block in range(first // block_ms, (last - 1) // block_ms + 1):
        common = _generator(seed, "common", block)
        own = _generator(seed, symbol_id(symbol), block)
        base = block * block_ms
        cut = slice(max(0, (first - base) // MINUTE_MS), min(minutes, (last - base) // MINUTE_MS))
        yield _Noise(
            np.arange(minutes, dtype=np.int64)[cut] % MINUTES_PER_DAY,
            common.standard_normal(steps)[cut],
            own.standard_normal(steps)[cut],
            own.standard_normal(steps)[cut],
            _minute_noise(common, minutes)[cut],
            _minute_noise(own, minutes)[cut],
        )


def _minute_noise(generator: np.random.Generator, minutes: int) -> FloatArray:
    normal, uniform = generator.standard_normal(minutes), generator.random(minutes)
    return np.stack([normal, uniform, generator.standard_normal(minutes)], axis=1)


def _generator(seed: int, stream: str, block: int) -> np.random.Generator:
    key = hashlib.sha256(f"{seed}/{stream}/{block}".encode()).digest()
    return np.random.Generator(np.random.PCG64(np.random.SeedSequence(int.from_bytes(key, "big"))))


def _parameters(model: SymbolModel, market: MarketModel) -> FloatArray:
    """Per-step and per-minute constants in the order in which the kernel unpacks them."""
    bps = 1e-4
    step = 1.0 / STEPS_PER_MINUTE
    transitory_keep = 0.5 ** (step / market.transitory_half_life)
    common_keep = 0.5 ** (1.0 / market.common_volatility_half_life)
    own_keep = 0.5 ** (1.0 / market.own_volatility_half_life)
    return np.array(
        [
            model.start_price,
            float(model.tick_size),
            0.5 ** (step / market.efficient_half_life),
            model.efficient_bps_per_minute * bps * step**0.5 * model.market_loading,
            model.efficient_bps_per_minute * bps * step**0.5 * (1.0 - model.market_loading**2) ** 0.5,
            transitory_keep,
            market.transitory_bps * bps * (1.0 - transitory_keep**2) ** 0.5,
            common_keep,
            market.common_volatility * (1.0 - common_keep**2) ** 0.5,
            own_keep,
            market.own_volatility * (1.0 - own_keep**2) ** 0.5,
            # Subtracting the variance makes the mean square of the activity one, so volatilities are as named.
            market.common_volatility**2 + market.own_volatility**2,
            market.min_activity,
            market.max_activity,
            market.news_per_day / MINUTES_PER_DAY,
            market.news_bps * bps * model.market_loading,
            market.max_news_bps * bps,
            market.gap_probability,
            model.mean_volume / float(model.lot_size),
            market.volume_noise,
            market.max_move,
            (model.efficient_bps_per_minute + market.transitory_bps * 0.5) * bps,
        ],
        dtype=np.float64,
    )


def _season(market: MarketModel) -> FloatArray:
    """Daily pattern of volatility by minute of day, mean square one, shape (1440,)."""
    hours = np.arange(MINUTES_PER_DAY) / 60.0
    season = 1.0 + market.season_amplitude * np.cos(2.0 * np.pi * (hours - market.season_peak_hour) / 24.0)
    return np.asarray(season / np.sqrt(np.mean(season**2)), dtype=np.float64)


def _on_grid(units: IntArray, step: Decimal) -> FloatArray:
    """Whole steps as the float64 nearest to their decimal value: one correctly rounded division."""
    ratio = Fraction(step)
    return np.asarray(units * ratio.numerator / float(ratio.denominator), dtype=np.float64)
