"""CSCV against a plain reimplementation, hand-worked extremes, and the mistakes it must refuse."""

import json
from itertools import combinations

import numpy as np
import pytest
from scipy.stats import linregress, rankdata

from include.domain.reason_codes import SampleCode
from include.domain.times import DAY_MS
from include.validators.cscv import GRID, MOST_RANKS, Overfitting, TrialReturns, probability_of_overfitting
from include.validators.samples import Unanswered


def trials_of(returns: np.ndarray) -> TrialReturns:
    days, count = returns.shape
    return TrialReturns(np.arange(days, dtype=np.int64) * DAY_MS, tuple(f"trial-{i}" for i in range(count)), returns)


def cross_validated(returns: np.ndarray, blocks: int = 16) -> Overfitting:
    found = probability_of_overfitting(trials_of(returns), blocks)
    assert isinstance(found, Overfitting)
    return found


def sharpes(returns: np.ndarray) -> np.ndarray:
    deviation = returns.std(axis=0, ddof=1)
    return np.where(deviation > 1e-12, returns.mean(axis=0) / np.where(deviation > 1e-12, deviation, 1.0), 0.0)


def plain(returns: np.ndarray, blocks: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The paper's steps one by one: logits, and Sharpe ratios of the chosen trial in and out of sample."""
    parts = np.split(returns, blocks)
    rows = []
    for half in combinations(range(blocks), blocks // 2):
        inside = sharpes(np.concatenate([parts[i] for i in half]))
        outside = sharpes(np.concatenate([parts[i] for i in range(blocks) if i not in half]))
        winners = inside == inside.max()
        share = rankdata(outside, method="average")[winners].mean() / (returns.shape[1] + 1)
        rows.append((np.log(share / (1 - share)), inside.max(), outside[winners].mean()))
    logits, chosen, after = np.array(rows).T
    return logits, chosen, after


def plain_by_rank(returns: np.ndarray, blocks: int) -> np.ndarray:
    """Mean result out of sample by rank in sample, half by half."""
    parts, total = np.split(returns, blocks), np.zeros(returns.shape[1])
    halves = list(combinations(range(blocks), blocks // 2))
    for half in halves:
        inside = sharpes(np.concatenate([parts[i] for i in half]))
        outside = sharpes(np.concatenate([parts[i] for i in range(blocks) if i not in half]))
        total += outside[np.argsort(-inside, kind="stable")]
    return total / len(halves)


@pytest.mark.parametrize("seed", range(4))
def test_the_result_is_that_of_the_papers_steps_one_by_one(seed: int) -> None:
    random = np.random.default_rng(seed)
    returns = random.normal(random.normal(0, 0.002, 7), 0.01, (160, 7))
    returns[:, 3] = returns[:, 5]  # a tie out of sample and, where it wins, in sample
    returns[:, 6] = 0.0  # never traded
    found = cross_validated(returns, 8)
    logits, chosen, after = plain(returns, 8)
    assert found.logits == pytest.approx(logits, abs=1e-9)
    assert found.in_sample == pytest.approx(chosen)
    assert found.out_of_sample == pytest.approx(after)
    assert found.probability == pytest.approx(np.mean(logits <= 1e-12))
    assert found.loss_probability == pytest.approx(np.mean(after < 0))
    assert found.slope == pytest.approx(linregress(chosen, after).slope)


def test_a_trial_that_is_best_everywhere_is_not_overfit() -> None:
    returns = np.random.default_rng(1).normal(0, 0.01, (480, 20))
    returns[:, 4] += 0.01
    found = cross_validated(returns)
    assert found.probability == 0.0 and found.loss_probability == 0.0
    assert found.logits == pytest.approx(np.log(20 / 21 / (1 - 20 / 21)))
    assert (found.trials, found.rows, found.blocks, len(found.logits)) == (20, 480, 16, 12_870)


def test_trials_that_win_one_half_and_lose_the_other_are_all_overfit() -> None:
    """Each trial earns in its own half of the blocks and loses as much in the rest."""
    noise = np.random.default_rng(2).normal(0, 0.001, (80, 6))
    signs = np.array([[1 if i in half else -1 for i in range(4)] for half in combinations(range(4), 2)])
    found = cross_validated(noise + np.repeat(signs.T, 20, axis=0) * 0.01, 4)
    assert found.probability == 1.0 and found.loss_probability == 1.0


def test_pure_noise_is_a_coin_flip_on_average() -> None:
    found = [
        cross_validated(np.random.default_rng(seed).normal(0, 0.01, (160, 20)), 8).probability for seed in range(60)
    ]
    assert np.mean(found) == pytest.approx(0.5, abs=0.1)


def test_copies_of_one_trial_are_the_median_and_count_as_overfit() -> None:
    """Nothing was selected, so nothing speaks for the selection: ties share the middle rank, whose logit is 0."""
    returns = np.repeat(np.random.default_rng(3).normal(0.001, 0.01, (160, 1)), 5, axis=1)
    found = cross_validated(returns)
    assert found.logits == pytest.approx(0.0)
    assert found.probability == 1.0


def test_the_order_of_the_trials_does_not_matter() -> None:
    random = np.random.default_rng(4)
    returns = random.normal(0, 0.01, (160, 9))
    returns[:, :3] = 0.0
    shuffled = cross_validated(returns[:, random.permutation(9)], 8)
    found = cross_validated(returns, 8)
    assert shuffled.logits == pytest.approx(found.logits)
    assert shuffled.probability == found.probability


def test_the_oldest_days_are_left_out_so_that_blocks_are_equal() -> None:
    returns = np.random.default_rng(5).normal(0, 0.01, (165, 4))
    assert cross_validated(returns).rows == 160
    assert cross_validated(returns).logits == pytest.approx(cross_validated(returns[5:]).logits)


def test_a_transposed_matrix_is_refused() -> None:
    returns = np.zeros((200, 5))
    days, names = np.arange(200, dtype=np.int64) * DAY_MS, tuple("abcde")
    with pytest.raises(ValueError, match="rows are days, columns are trials"):
        TrialReturns(days, names, returns.T)
    with pytest.raises(ValueError, match="days of trial returns must increase"):
        TrialReturns(days[::-1], names, returns)


@pytest.mark.parametrize("blocks", [0, 2, 7, 18])
def test_odd_too_few_or_too_many_blocks_are_refused(blocks: int) -> None:
    with pytest.raises(ValueError, match="even number from 4 to 16"):
        probability_of_overfitting(trials_of(np.zeros((200, 5))), blocks)


NOISE = np.random.default_rng(6).normal(0, 0.01, (200, 4))
UNANSWERED = [
    (NOISE[:, :1], SampleCode.TRIALS_TOO_FEW),
    (NOISE[:159], SampleCode.OBSERVATIONS_TOO_FEW),
    (np.where(NOISE[3, 2] == NOISE, np.nan, NOISE), SampleCode.OBSERVATIONS_NOT_FINITE),
    (np.zeros((200, 4)), SampleCode.VARIANCE_ZERO),
    (np.hstack([NOISE, np.full((200, 1), 0.01)]), SampleCode.VARIANCE_ZERO),
]


@pytest.mark.parametrize(("returns", "code"), UNANSWERED)
def test_trials_that_cannot_answer_are_refused_with_a_reason(returns: np.ndarray, code: SampleCode) -> None:
    found = probability_of_overfitting(trials_of(returns))
    assert isinstance(found, Unanswered) and found.code is code


def test_the_evidence_keeps_the_whole_picture_in_bounded_size() -> None:
    returns = np.random.default_rng(5).normal(0.0005, 0.01, (640, 150))
    found = cross_validated(returns, 16)
    kept = found.document(365)
    assert sum(n for *_, n in kept["cells"]) == sum(kept["logits"]["counts"]) == kept["halves"] == 12_870
    assert len(kept["cells"]) <= GRID * GRID and len(kept["by_rank"]) == MOST_RANKS
    weighted = sum(x * n for x, _, n in kept["cells"]) / kept["halves"]
    assert weighted == pytest.approx(np.sqrt(365) * found.in_sample.mean(), abs=0.1)
    assert len(json.dumps(kept)) < 30_000


def test_skill_keeps_its_rank_out_of_sample_and_noise_does_not() -> None:
    random = np.random.default_rng(6)
    noise = cross_validated(random.normal(0, 0.01, (640, 20)), 8)
    skill = cross_validated(random.normal(np.linspace(0, 0.004, 20), 0.01, (640, 20)), 8)
    assert skill.by_rank[0] > skill.by_rank[-1] + 0.3
    assert abs(noise.by_rank[:5].mean() - noise.by_rank[-5:].mean()) < 0.1


def test_the_mean_by_rank_is_that_of_the_papers_steps() -> None:
    returns = np.random.default_rng(7).normal(0.0005, 0.01, (160, 7))
    assert cross_validated(returns, 8).by_rank == pytest.approx(plain_by_rank(returns, 8))
