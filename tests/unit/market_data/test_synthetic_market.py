"""The synthetic market: complete, valid, on the grid, reproducible, and of the character its docstring promises."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import numpy as np
import pytest

from include.config.files import VENUES_FILE
from include.config.venues import load_venues
from include.domain.bars import Bars
from include.domain.conversion import to_decimal
from include.domain.errors import ConfigurationError
from include.domain.times import to_ms
from include.market_data.synthetic import DEFAULT_END, DEFAULT_MARKET, DEFAULT_START, SYMBOLS, VENUE, generate

DAYS_20 = DEFAULT_START + timedelta(days=20)


@pytest.fixture(scope="module")
def market() -> dict[str, Bars]:
    return {symbol: generate(symbol, DEFAULT_START, DAYS_20) for symbol in SYMBOLS}


def test_five_symbols_and_five_years_and_a_month_are_the_default() -> None:
    assert SYMBOLS == ("BTC/USDT", "ETH/USDT", "SOL/USDT", "AVAX/USDT", "MATIC/USDT")
    assert datetime(2020, 10, 1, tzinfo=UTC) == DEFAULT_START
    assert datetime(2025, 11, 1, tzinfo=UTC) == DEFAULT_END


@pytest.mark.parametrize("symbol", SYMBOLS)
def test_bars_are_complete_and_valid_and_on_the_grid(market: dict[str, Bars], symbol: str) -> None:
    bars, model = market[symbol], DEFAULT_MARKET.named(symbol)
    assert np.array_equal(bars.open_time, np.arange(to_ms(DEFAULT_START), to_ms(DAYS_20), 60_000))
    assert (bars.high >= np.maximum(bars.open, bars.close)).all()
    assert (bars.low <= np.minimum(bars.open, bars.close)).all()
    assert (bars.low > 0).all()
    assert (bars.volume >= float(model.lot_size)).all()
    for prices in (bars.open, bars.high, bars.low, bars.close):
        ticks = prices / float(model.tick_size)
        assert np.abs(ticks - np.round(ticks)).max() < 1e-6


@pytest.mark.parametrize("symbol", SYMBOLS)
def test_a_price_is_the_float_nearest_to_its_decimal_so_conversion_restores_it(
    market: dict[str, Bars], symbol: str
) -> None:
    tick = DEFAULT_MARKET.named(symbol).tick_size
    for price in market[symbol].close[:500]:
        exact = to_decimal(float(price), tick)
        assert exact % tick == Decimal(0)
        assert float(exact) == price


def test_steps_agree_with_the_declared_instruments() -> None:
    facts = load_venues(VENUES_FILE)[VENUE]
    assert facts.synthetic
    for model in DEFAULT_MARKET.symbols:
        instrument = facts.instrument(model.symbol)
        assert (model.tick_size, model.lot_size) == (instrument.tick_size, instrument.lot_size), model.symbol


def test_no_move_between_closes_comes_near_the_limit_of_the_gate(market: dict[str, Bars]) -> None:
    for bars in market.values():
        assert np.abs(bars.close[1:] / bars.close[:-1] - 1).max() < 0.085


def test_a_wild_market_still_keeps_its_bound_on_moves() -> None:
    wild = replace(DEFAULT_MARKET, transitory_bps=5_000.0)
    bars = generate("BTC/USDT", DEFAULT_START, DEFAULT_START + timedelta(days=1), market=wild)
    moves = np.abs(np.log(bars.close[1:] / bars.close[:-1]))
    assert 0.07 < moves.max() <= wild.max_move + 1e-5


def test_the_open_is_the_close_before_but_for_the_occasional_gap(market: dict[str, Bars]) -> None:
    bars = market["ETH/USDT"]
    gaps = np.mean(bars.open[1:] != bars.close[:-1])
    assert 0.02 < gaps < 0.08


def test_what_moves_in_a_minute_mostly_comes_back_within_the_hour(market: dict[str, Bars]) -> None:
    # Without a transitory component the variance of an hour is sixty times that of a minute; here it is far less.
    log = np.log(market["BTC/USDT"].close)
    ratio = np.var(log[60:] - log[:-60]) / (60 * np.var(np.diff(log)))
    assert 0.05 < ratio < 0.4


def test_symbols_are_correlated_through_the_common_factor(market: dict[str, Bars]) -> None:
    half_days = {s: np.diff(np.log(b.close[::720])) for s, b in market.items()}
    assert np.corrcoef(half_days["BTC/USDT"], half_days["ETH/USDT"])[0, 1] > 0.3


def test_volatility_clusters_and_follows_the_day(market: dict[str, Bars]) -> None:
    moves = np.abs(np.diff(np.log(market["SOL/USDT"].close)))
    hours = moves[: len(moves) // 60 * 60].reshape(-1, 60).mean(axis=1)
    assert np.corrcoef(hours[1:], hours[:-1])[0, 1] > 0.2
    by_hour = hours[: len(hours) // 24 * 24].reshape(-1, 24).mean(axis=0)
    assert by_hour[14:17].mean() > 1.3 * by_hour[2:5].mean()


def test_the_same_seed_gives_the_same_market_and_another_seed_another() -> None:
    end = DEFAULT_START + timedelta(hours=6)
    first, again, other = (generate("SOL/USDT", DEFAULT_START, end, seed=seed) for seed in (1, 1, 2))
    assert np.array_equal(first.close, again.close)
    assert not np.array_equal(first.close, other.close)


def test_a_window_is_cut_out_of_the_one_market(market: dict[str, Bars]) -> None:
    start, end = DEFAULT_START + timedelta(days=3, minutes=7), DEFAULT_START + timedelta(days=5)
    cut, whole = generate("AVAX/USDT", start, end), market["AVAX/USDT"]
    rows = slice(*np.searchsorted(whole.open_time, [to_ms(start), to_ms(end)]))
    for name in ("open_time", "open", "high", "low", "close", "volume"):
        assert np.array_equal(getattr(cut, name), getattr(whole, name)[rows]), name


@pytest.mark.parametrize(
    ("symbol", "start", "end", "says"),
    [
        ("DOGE/USDT", DEFAULT_START, DAYS_20, "no symbol 'DOGE/USDT'"),
        ("BTC/USDT", DAYS_20, DEFAULT_START, "whole minutes"),
        ("BTC/USDT", DEFAULT_START.replace(second=1), DAYS_20, "whole minutes"),
        ("BTC/USDT", DEFAULT_START - timedelta(days=1), DAYS_20, "begins at 2020-10-01"),
    ],
)
def test_an_impossible_request_is_refused_in_one_line(symbol: str, start: datetime, end: datetime, says: str) -> None:
    with pytest.raises(ConfigurationError, match=says) as refused:
        generate(symbol, start, end)
    assert "\n" not in str(refused.value)
