"""The verdict vocabulary: one order, one effect and one exit code each."""

import pytest

from include.qualification.verdict import EFFECTS, EXIT_CODES, WORSENING, Effect, ExitCode, Verdict, worst

V = Verdict


def test_every_verdict_has_a_place_an_effect_and_an_exit_code() -> None:
    assert set(WORSENING) == set(Verdict) == set(EFFECTS) == set(EXIT_CODES)
    assert len(WORSENING) == len(Verdict)


@pytest.mark.parametrize(
    ("verdicts", "expected"),
    [
        ([V.PASS, V.PASS], V.PASS),
        ([V.PASS, V.INCONCLUSIVE], V.INCONCLUSIVE),
        ([V.INCONCLUSIVE, V.ERROR], V.ERROR),
        ([V.ERROR, V.FAIL, V.PASS], V.FAIL),
        ([V.PASS, V.RUNNING], V.RUNNING),
        ([], V.INCONCLUSIVE),
    ],
)
def test_the_worst_verdict_wins_and_nothing_measured_is_inconclusive(
    verdicts: list[Verdict], expected: Verdict
) -> None:
    assert worst(verdicts) is expected
    assert worst(reversed(verdicts)) is expected


def test_only_pass_advances_and_only_pass_exits_zero() -> None:
    assert [v for v in Verdict if EFFECTS[v] is Effect.ADVANCE] == [V.PASS]
    assert [v for v in Verdict if EXIT_CODES[v] is ExitCode.PASS] == [V.PASS]
    assert EXIT_CODES[V.FAIL] == 1
