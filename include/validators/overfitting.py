"""Everything that says how likely a good backtest is luck, for one candidate and all trials of its family."""

from __future__ import annotations

from include.domain.bars import FloatArray
from include.domain.times import DAYS_PER_YEAR
from include.validators.cscv import TrialReturns, probability_of_overfitting
from include.validators.samples import Measured, Unanswered
from include.validators.sharpe_inference import (
    SharpeEstimate,
    Trials,
    deflated_sharpe,
    estimate_sharpe,
    minimum_backtest,
    minimum_track_record,
    probabilistic_sharpe,
)


def assess_overfitting(
    returns: FloatArray, trials: Trials | Unanswered, trial_returns: TrialReturns | None = None
) -> dict[str, Measured | Unanswered]:
    """Probabilistic and deflated Sharpe ratio, minimum lengths and, with trial returns, the probability of overfitting.

    Args:
        returns: the candidate's daily returns, shape (d,).
        trials: of every backtest of the family that was ever logged (`summarise_trials`); where they are not known,
            what needs them has no answer.
        trial_returns: daily returns of trials on the same days, for example of a parameter sweep.

    Returns:
        Results by name; `samples.collect` turns them into metrics and reasons.
    """
    estimate = estimate_sharpe(returns)
    results = {
        "probabilistic_sharpe": estimate if isinstance(estimate, Unanswered) else probabilistic_sharpe(estimate),
        "track_record": estimate if isinstance(estimate, Unanswered) else minimum_track_record(estimate),
        **_against_trials(estimate, trials),
    }
    if trial_returns is not None:
        results["cross_validation"] = probability_of_overfitting(trial_returns)
    return results


def _against_trials(
    estimate: SharpeEstimate | Unanswered, trials: Trials | Unanswered
) -> dict[str, Measured | Unanswered]:
    if isinstance(estimate, Unanswered):
        return dict.fromkeys(("deflated_sharpe", "backtest_length"), estimate)
    if isinstance(trials, Unanswered):
        return dict.fromkeys(("deflated_sharpe", "backtest_length"), trials)
    return {
        "deflated_sharpe": deflated_sharpe(estimate, trials),
        "backtest_length": minimum_backtest(estimate, trials, DAYS_PER_YEAR),
    }
