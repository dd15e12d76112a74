"""The assessment of one candidate: what is measured, and that nothing is where a sample cannot answer."""

import numpy as np

from include.domain.reason_codes import SampleCode
from include.domain.times import DAY_MS
from include.qualification.criterion import Comparison, Criterion, evaluate_criterion
from include.qualification.metrics import METRICS
from include.qualification.verdict import Verdict
from include.validators.cscv import TrialReturns
from include.validators.overfitting import assess_overfitting
from include.validators.samples import Unanswered, collect
from include.validators.sharpe_inference import Trials, summarise_trials

DAYS = np.arange(730, dtype=np.int64) * DAY_MS
NOISE = np.random.default_rng(11).normal(0, 0.01, (730, 500))
ALL = {
    "probabilistic_sharpe", "deflated_sharpe", "track_record_coverage", "backtest_length_coverage",
    "probability_of_overfitting", "out_of_sample_loss_probability",
}  # fmt: skip


def sharpes(returns: np.ndarray) -> np.ndarray:
    return np.asarray(returns.mean(axis=0) / returns.std(axis=0, ddof=1))


def assess(matrix: np.ndarray, pick: int) -> tuple[dict[str, float | None], dict[str, str]]:
    names = tuple(map(str, range(matrix.shape[1])))
    trials = summarise_trials(sharpes(matrix).tolist())
    metrics, reasons = collect(assess_overfitting(matrix[:, pick], trials, TrialReturns(DAYS, names, matrix)))
    assert set(metrics) <= set(METRICS)
    return {name: found.value for name, found in metrics.items()}, reasons


def test_the_best_of_500_noise_strategies_looks_good_alone_and_is_told_from_skill_by_its_trials() -> None:
    best = int(np.argmax(sharpes(NOISE)))
    found, reasons = assess(NOISE, best)
    assert set(found) == ALL and reasons == {}
    assert found["probabilistic_sharpe"] > 0.99  # type: ignore[operator]
    assert found["track_record_coverage"] > 1  # type: ignore[operator]
    assert found["deflated_sharpe"] < 0.95  # type: ignore[operator]
    assert found["backtest_length_coverage"] < 1.1  # type: ignore[operator]
    assert found["probability_of_overfitting"] > 0.2  # type: ignore[operator]


def test_skill_among_500_noise_strategies_is_recognised() -> None:
    skilled = NOISE.copy()
    skilled[:, 7] += 0.003
    found, _ = assess(skilled, 7)
    assert found["deflated_sharpe"] > 0.99  # type: ignore[operator]
    assert found["probability_of_overfitting"] < 0.01  # type: ignore[operator]
    assert found["backtest_length_coverage"] > 1  # type: ignore[operator]


def test_without_a_trial_log_the_deflated_sharpe_has_no_value_and_a_criterion_on_it_asks_a_person() -> None:
    results = assess_overfitting(NOISE[:, 0], summarise_trials([]))
    metrics, reasons = collect(results)
    assert "deflated_sharpe" not in metrics and "probability_of_overfitting" not in metrics
    assert reasons["deflated_sharpe"] == reasons["backtest_length"] == "TRIALS_TOO_FEW trials=0 with_sharpe=0"
    criterion = Criterion("deflated_sharpe", Comparison.GE, 0.95)
    assert evaluate_criterion(criterion, metrics).verdict is Verdict.INCONCLUSIVE


def test_returns_without_variance_answer_nothing() -> None:
    results = assess_overfitting(np.zeros(730), Trials(10, 0.001))
    assert {found.code for found in results.values() if isinstance(found, Unanswered)} == {SampleCode.VARIANCE_ZERO}
    assert collect(results)[0] == {}


def test_a_loser_has_probabilities_but_no_length_that_is_enough() -> None:
    metrics, reasons = collect(assess_overfitting(NOISE[:, 0] - 0.002, Trials(10, 0.001)))
    assert set(metrics) == {"probabilistic_sharpe", "deflated_sharpe"}
    assert metrics["probabilistic_sharpe"].value < 0.01  # type: ignore[operator]
    assert set(reasons) == {"track_record", "backtest_length"}
    assert all(text.startswith("SHARPE_NOT_ABOVE") for text in reasons.values())
