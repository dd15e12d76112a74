"""Who may climb: the authorisation rule as a truth table. One departure from the covered case, one code."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from include.config.files import find_profile
from include.domain.approvals import Approval, Decision
from include.domain.enums import Role, Stage
from include.domain.reason_codes import SignOffCode
from include.domain.times import Timeframe
from include.ports import RecordedEvidence
from include.qualification.candidate import Candidate
from include.qualification.criterion import Measurement
from include.qualification.evidence import build_evidence
from include.qualification.verdict import Verdict
from include.stages.ladder import evaluate_authorisation, evaluate_candidate, evaluate_stages, required_before
from include.stages.qualification import evaluate_qualification

MEASURED_AT = datetime(2024, 5, 1, 12, tzinfo=UTC)
ASKED_AT = MEASURED_AT + timedelta(hours=1)
PROFILE = find_profile("two-year")  # it demands part of the robustness battery
REQUIRED = required_before(Stage.PROMOTION, PROFILE)
CANDIDATE = Candidate("mine", "pack.mod:Cls", {}, ("BTC/USDT",), Timeframe.parse("1m"), "synthetic", "olga", "ab" * 32)
PEOPLE = {
    Role.PROJECT_LEAD: "paula",
    Role.RISK_MANAGER: "ravi",
    Role.MLOPS_ENGINEER: "mila",
    Role.TRADING_OPERATIONS: "tomas",
}
HOLDERS = {role: frozenset({person}) for role, person in PEOPLE.items()}


def recorded(stage: Stage, verdict: Verdict = Verdict.PASS, name: str = "d") -> RecordedEvidence:
    document = {"fingerprint": "f", "synthetic": False, "criteria": []}
    return RecordedEvidence(
        1, f"{name}-{stage}", "c", CANDIDATE.id, stage, PROFILE.name, PROFILE.hash, verdict, MEASURED_AT, document
    )


def evidence() -> dict[Stage, RecordedEvidence | None]:
    return {stage: recorded(stage) for stage in REQUIRED}


def approval(role: Role, **changes: Any) -> Approval:
    digests = tuple(f"d-{stage}" for stage in REQUIRED)
    plain = Approval(
        CANDIDATE.id, PROFILE.hash, role, PEOPLE[role], Decision.APPROVE, "", digests,
        ASKED_AT, ASKED_AT + timedelta(hours=2), {},
    )  # fmt: skip
    return replace(plain, **changes)


@dataclass
class Case:
    """The covered case; each row of the table changes one thing in it."""

    latest: dict[Stage, RecordedEvidence | None]
    approvals: list[Approval]
    broken: list[str]


def replace_approval(role: Role, **changes: Any) -> Callable[[Case], None]:
    def change(case: Case) -> None:
        case.approvals = [a for a in case.approvals if a.role is not role] + [approval(role, **changes)]

    return change


def authorise(case: Case) -> list[SignOffCode]:
    refusals = evaluate_authorisation(
        candidate=CANDIDATE, profile=PROFILE, latest=case.latest, approvals=case.approvals,
        holders=HOLDERS, broken_chains=case.broken,
    )  # fmt: skip
    return [refusal.code for refusal in refusals]


def covered() -> Case:
    return Case(evidence(), [approval(role) for role in Role], [])


def test_four_approvals_of_exactly_the_present_evidence_authorise() -> None:
    assert authorise(covered()) == []


R = Role.RISK_MANAGER
LATE = ASKED_AT + timedelta(hours=PROFILE.promotion.response_timeout_hours, seconds=1)


@pytest.mark.parametrize(
    ("what", "change", "expected"),
    [
        ("no answer", lambda c: c.approvals.pop(), [SignOffCode.RESPONSE_MISSING]),
        ("rejected", replace_approval(R, decision=Decision.REJECT), [SignOffCode.RESPONSE_REJECTED]),
        ("nobody's answer", replace_approval(R, person=""), [SignOffCode.RESPONDER_UNKNOWN]),
        ("not his role", replace_approval(R, person="zoe"), [SignOffCode.RESPONDER_NOT_ASSIGNED]),
        (
            "two roles",
            replace_approval(R, person="paula"),
            [SignOffCode.RESPONDER_NOT_ASSIGNED, SignOffCode.RESPONDER_REPEATED],
        ),
        (
            "own work",
            replace_approval(R, person="olga"),
            [SignOffCode.RESPONDER_NOT_ASSIGNED, SignOffCode.RESPONDER_IS_OWNER],
        ),
        ("too late", replace_approval(R, answered_at=LATE), [SignOffCode.RESPONSE_LATE]),
        ("too early", replace_approval(R, answered_at=MEASURED_AT - timedelta(1)), [SignOffCode.RESPONSE_STALE]),
        ("other profile content", replace_approval(R, profile_hash="0" * 64), [SignOffCode.PROFILE_CHANGED]),
        ("other evidence", replace_approval(R, evidence_digests=("x",)), [SignOffCode.EVIDENCE_CHANGED]),
        ("some of the evidence", replace_approval(R, evidence_digests=("d-BACKTEST",)), [SignOffCode.EVIDENCE_CHANGED]),
        ("no evidence shown", replace_approval(R, evidence_digests=()), [SignOffCode.EVIDENCE_CHANGED]),
        ("tampered chain", lambda c: c.broken.append("evidence 3"), [SignOffCode.CHAIN_BROKEN]),
        (
            "measured again after the signatures",
            lambda c: c.latest.update({Stage.BACKTEST: recorded(Stage.BACKTEST, name="new")}),
            [SignOffCode.EVIDENCE_CHANGED] * 4,
        ),
    ],
)  # fmt: skip
def test_one_departure_refuses_with_its_own_code(
    what: str, change: Callable[[Case], None], expected: list[SignOffCode]
) -> None:
    case = covered()
    change(case)
    assert authorise(case) == expected, what


@pytest.mark.parametrize("stage", REQUIRED)
@pytest.mark.parametrize("verdict", [v for v in Verdict if v is not Verdict.PASS])
def test_a_stage_that_is_not_pass_refuses_even_with_every_signature(stage: Stage, verdict: Verdict) -> None:
    case = covered()
    case.latest[stage] = recorded(stage, verdict)
    assert SignOffCode.EVIDENCE_NOT_PASS in authorise(case)


@pytest.mark.parametrize("stage", REQUIRED)
def test_a_stage_without_evidence_refuses(stage: Stage) -> None:
    case = covered()
    case.latest[stage] = None
    assert SignOffCode.EVIDENCE_MISSING in authorise(case)


def test_a_later_rejection_by_the_same_role_overrides_the_approval() -> None:
    case = covered()
    case.approvals.append(approval(R, decision=Decision.REJECT))
    assert authorise(case) == [SignOffCode.RESPONSE_REJECTED]


@pytest.mark.parametrize(
    ("profile", "battery"),
    [
        ("five-year", ()),
        ("two-year", (Stage.WALK_FORWARD, Stage.SENSITIVITY, Stage.MONTE_CARLO, Stage.REGIMES)),
    ],
)
def test_simulation_needs_the_gates_before_it_and_the_checks_its_profile_demands(
    profile: str, battery: tuple[Stage, ...]
) -> None:
    assert required_before(Stage.SIMULATION, find_profile(profile)) == (Stage.DATA_GATE, Stage.BACKTEST, *battery)


def test_a_gate_without_evidence_keeps_a_candidate_out_of_the_simulation() -> None:
    needed = (Stage.DATA_GATE, Stage.BACKTEST)
    codes = [r.code for r in evaluate_stages(needed, {Stage.DATA_GATE: recorded(Stage.DATA_GATE)})]
    assert codes == [SignOffCode.EVIDENCE_MISSING]


def test_changed_source_or_file_is_refused() -> None:
    assert evaluate_candidate(CANDIDATE, CANDIDATE.source_digest, CANDIDATE) == ()
    edited = evaluate_candidate(CANDIDATE, "cd" * 32)
    other_file = evaluate_candidate(CANDIDATE, CANDIDATE.source_digest, replace(CANDIDATE, params={"k": 2}))
    assert [r.code for r in (*edited, *other_file)] == [SignOffCode.CANDIDATE_CHANGED] * 2


@pytest.mark.parametrize(
    ("verdicts", "broken", "expected"),
    [
        ((Verdict.PASS, Verdict.PASS, Verdict.PASS), [], Verdict.PASS),
        ((Verdict.PASS, Verdict.FAIL, Verdict.PASS), [], Verdict.FAIL),
        ((Verdict.PASS, Verdict.INCONCLUSIVE, Verdict.PASS), [], Verdict.FAIL),
        ((Verdict.PASS, Verdict.ERROR, Verdict.PASS), [], Verdict.ERROR),
        ((Verdict.PASS, Verdict.PASS, None), [], Verdict.INCONCLUSIVE),
        ((None, None, None), [], Verdict.INCONCLUSIVE),
        ((Verdict.PASS, Verdict.PASS, Verdict.PASS), ["evidence 1"], Verdict.ERROR),
    ],
)
def test_the_qualification_check_needs_every_stage(
    verdicts: tuple[Verdict | None, ...], broken: list[str], expected: Verdict
) -> None:
    profile = find_profile("five-year")
    stages = (Stage.DATA_GATE, Stage.BACKTEST, Stage.SIMULATION)
    latest = {stage: recorded(stage, v) if v else None for stage, v in zip(stages, verdicts, strict=True)}
    assert evaluate_qualification(CANDIDATE, profile, latest, broken, now=ASKED_AT).verdict is expected


def test_the_qualification_check_needs_the_robustness_checks_that_the_profile_demands() -> None:
    latest: dict[Stage, RecordedEvidence | None] = {stage: recorded(stage) for stage in PROFILE.measured_stages}
    assert evaluate_qualification(CANDIDATE, PROFILE, latest, [], now=ASKED_AT).verdict is Verdict.PASS
    latest[Stage.WALK_FORWARD] = None
    assert evaluate_qualification(CANDIDATE, PROFILE, latest, [], now=ASKED_AT).verdict is Verdict.INCONCLUSIVE


def test_a_measurement_that_broke_is_error_whatever_the_numbers_say() -> None:
    good = {c.metric: Measurement(c.threshold) for c in PROFILE.stage_criteria(Stage.DATA_GATE, CANDIDATE.timeframe)}
    make = {"candidate": CANDIDATE, "stage": Stage.DATA_GATE, "profile": PROFILE, "fingerprint": "f",
            "measured_at": ASKED_AT, "metrics": good, "synthetic": True}  # fmt: skip
    assert build_evidence(**make).verdict is Verdict.PASS
    broken = build_evidence(**make, error="disk full")
    assert broken.verdict is Verdict.ERROR
    assert broken.details["error"] == "disk full"
    assert broken.digest != build_evidence(**make).digest
