"""Reshuffled trades and resampled days against hand-worked cases and known distributions."""

import numpy as np
import pytest

from include.backtesting.daily_moves import DailyMoves
from include.domain.reason_codes import SampleCode
from include.qualification.metrics import METRICS
from include.validators.distributions import BINS, FAN_POINTS, FAN_QUANTILES
from include.validators.monte_carlo import (
    MIN_PATHS,
    DayBootstrap,
    TradeReshuffle,
    bootstrap_days,
    reshuffle_trades,
)
from include.validators.samples import Unanswered


def reshuffled(pnl: np.ndarray, capital: float = 1000.0, ruin: float = 0.5, seed: int = 1, paths: int = 2000):  # type: ignore[no-untyped-def]
    found = reshuffle_trades(pnl, capital, ruin_fraction=ruin, seed=seed, paths=paths)
    assert isinstance(found, TradeReshuffle)
    return found


def resampled(moves: DailyMoves, limit: float = 0.2, seed: int = 1, paths: int = 2000) -> DayBootstrap:
    found = bootstrap_days(moves, drawdown_limit=limit, seed=seed, paths=paths)
    assert isinstance(found, DayBootstrap)
    return found


def test_one_large_loss_falls_from_wherever_it_is_drawn() -> None:
    """Forty trades of +10 and one of -200 from 1,000: drawn after j wins it falls 200 from 1000 + 10 j."""
    pnl = np.array([10.0] * 40 + [-200.0])
    found = reshuffled(pnl, paths=20_000)
    assert found.drawdown.realised == pytest.approx(200 / 1400)
    assert found.drawdown_95.value == pytest.approx(200 / (1000 + 10 * 2), rel=0.01)  # two of 41 places lie before
    # It came last, which is the mildest of all places: one path in 41 equals it, none is milder.
    assert found.drawdown.realised_percentile == pytest.approx(0.5 / 41, abs=0.005)


def test_losses_drawn_first_ruin_and_drawn_last_do_not() -> None:
    """Ruin needs the loss of 500 before any of the 30 wins of 20: one place in 31."""
    found = reshuffled(np.array([20.0] * 30 + [-500.0]), paths=20_000)
    low, high = found.ruin.low, found.ruin.high
    assert low is not None and high is not None and low < 1 / 31 < high
    assert reshuffled(np.array([20.0] * 30 + [-499.0])).ruin.value == 0.0


def test_the_total_stays_and_only_the_path_differs() -> None:
    pnl = np.random.default_rng(2).normal(2, 20, 150)
    found = reshuffled(pnl)
    assert found.fan.levels[:, 0] == pytest.approx(1.0)
    assert found.fan.levels[:, -1] == pytest.approx(1 + pnl.sum() / 1000)
    assert found.fan.levels[0, 75] < found.fan.levels[-1, 75]
    assert found.fan.realised == pytest.approx(1 + np.concatenate(([0], np.cumsum(pnl)))[found.fan.steps] / 1000)


def test_every_order_is_equally_likely() -> None:
    """The middle of the path is the mean of the path, and its spread is that of drawing without replacement."""
    pnl = np.random.default_rng(3).normal(0, 10, 40)
    found = reshuffled(pnl, paths=20_000)
    half = np.searchsorted(found.fan.steps, 20)
    deviation = np.sqrt(20 * 20 / 39 * pnl.var()) / 1000
    assert found.fan.levels[2, half] == pytest.approx(1 + pnl.sum() / 2000, abs=0.05 * deviation)
    assert found.fan.levels[4, half] - found.fan.levels[0, half] == pytest.approx(2 * 1.645 * deviation, rel=0.05)


def test_the_trades_themselves_are_left_as_they_were() -> None:
    pnl = np.random.default_rng(2).normal(2, 20, 150)
    before = pnl.copy()
    reshuffled(pnl)
    assert np.array_equal(pnl, before)


def test_days_drawn_again_spread_as_the_central_limit_says() -> None:
    returns = np.random.default_rng(4).normal(0.0005, 0.01, 400)
    found = resampled(DailyMoves.of_returns(returns), paths=5000)
    logs = np.log1p(returns)
    spread = np.log(found.wealth.quantiles[0.95] / found.wealth.quantiles[0.05])
    assert spread == pytest.approx(2 * 1.645 * logs.std() * 20, rel=0.1)
    assert found.wealth.realised == pytest.approx(np.prod(1 + returns))
    assert found.fan.realised[-1] == pytest.approx(found.wealth.realised)
    assert 0 < found.wealth.realised_percentile < 1
    loss = found.loss
    assert (
        loss.value is not None and loss.low is not None and loss.high is not None and loss.low < loss.value < loss.high
    )


def test_days_that_fall_together_have_deeper_drawdowns_than_the_same_days_mixed() -> None:
    random = np.random.default_rng(5)
    clustered = np.repeat(random.permutation([0.01] * 24 + [-0.01] * 20), 10) + random.normal(0, 0.001, 440)
    together = resampled(DailyMoves.of_returns(clustered))
    mixed = resampled(DailyMoves.of_returns(random.permutation(clustered)))
    assert together.block > 5 > mixed.block
    assert together.drawdown_95.value > 1.5 * mixed.drawdown_95.value  # type: ignore[operator]


def test_falls_inside_a_day_count() -> None:
    flat = np.zeros(60)
    moves = DailyMoves(flat, np.full(60, -0.3), flat, np.full(60, 0.3))
    found = resampled(moves, limit=0.3)
    assert found.drawdown.quantiles[0.01] == found.drawdown.realised == pytest.approx(0.3)
    assert found.breach.value == 1.0
    assert found.loss.value == 0.0


def test_the_same_seed_gives_the_same_paths_and_another_seed_others() -> None:
    pnl = np.random.default_rng(6).normal(2, 20, 100)
    assert reshuffled(pnl, seed=1).drawdown == reshuffled(pnl, seed=1).drawdown != reshuffled(pnl, seed=2).drawdown
    moves = DailyMoves.of_returns(pnl / 1000)
    assert resampled(moves, seed=1).wealth == resampled(moves, seed=1).wealth != resampled(moves, seed=2).wealth


def test_work_and_chart_are_bounded_whatever_the_number_of_trades() -> None:
    found = reshuffled(np.random.default_rng(7).normal(1, 10, 60_000), paths=10_000)
    assert found.paths == MIN_PATHS and found.trades == 60_000
    assert found.fan.levels.shape == (len(FAN_QUANTILES), FAN_POINTS)
    assert found.fan.steps[0] == 0 and found.fan.steps[-1] == 60_000
    few = reshuffled(np.random.default_rng(7).normal(1, 10, 30))
    assert few.fan.steps.tolist() == list(range(31))


def test_metrics_carry_the_names_of_the_registry() -> None:
    pnl = np.random.default_rng(6).normal(2, 20, 100)
    measured = {**reshuffled(pnl).measurements(), **resampled(DailyMoves.of_returns(pnl / 1000)).measurements()}
    assert set(measured) == {
        "monte_carlo_drawdown", "monte_carlo_ruin_probability", "bootstrap_drawdown", "bootstrap_loss_probability",
        "bootstrap_breach_probability",
    }  # fmt: skip
    assert set(measured) <= set(METRICS)
    for found in measured.values():
        assert found.samples == 100
        assert found.low <= found.value <= found.high  # type: ignore[operator]


@pytest.mark.parametrize(
    ("pnl", "code"),
    [
        (np.ones(29), SampleCode.OBSERVATIONS_TOO_FEW),
        (np.append(np.ones(40), np.nan), SampleCode.OBSERVATIONS_NOT_FINITE),
    ],
)
def test_trades_that_cannot_answer_are_refused_with_a_reason(pnl: np.ndarray, code: SampleCode) -> None:
    found = reshuffle_trades(pnl, 1000.0, ruin_fraction=0.5, seed=1)
    assert isinstance(found, Unanswered) and found.code is code


@pytest.mark.parametrize(
    ("returns", "code"),
    [
        (np.empty(0), SampleCode.EQUITY_NOT_POSITIVE),
        (np.full(29, 0.01), SampleCode.OBSERVATIONS_TOO_FEW),
        (np.append(np.full(40, 0.01), np.inf), SampleCode.OBSERVATIONS_NOT_FINITE),
    ],
)
def test_days_that_cannot_answer_are_refused_with_a_reason(returns: np.ndarray, code: SampleCode) -> None:
    found = bootstrap_days(DailyMoves.of_returns(returns), drawdown_limit=0.2, seed=1)
    assert isinstance(found, Unanswered) and found.code is code


def test_without_capital_there_is_nothing_to_lose() -> None:
    with pytest.raises(ValueError, match="must be above 0"):
        reshuffle_trades(np.ones(50), 0.0, ruin_fraction=0.5, seed=1)


def test_histograms_count_every_path_and_are_bounded() -> None:
    found = reshuffled(np.random.default_rng(2).normal(2, 20, 150), paths=3000).drawdown.histogram
    assert sum(found.counts) == 3000
    assert len(found.counts) == len(found.edges) - 1 <= BINS
    assert np.all(np.diff(found.edges) > 0)


def test_equal_values_are_one_bin() -> None:
    found = reshuffled(np.full(40, 10.0)).drawdown.histogram
    assert found.counts == (2000,) and found.edges == (0.0, 0.0)
