"""The one verdict vocabulary, its order from best to worst, and what each verdict makes the ladder do."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from enum import IntEnum, StrEnum
from types import MappingProxyType


class Verdict(StrEnum):
    """PENDING and RUNNING are phases on the way; the other four are final."""

    PENDING = "PENDING"
    RUNNING = "RUNNING"
    PASS = "PASS"
    FAIL = "FAIL"
    INCONCLUSIVE = "INCONCLUSIVE"
    ERROR = "ERROR"


class Effect(StrEnum):
    """What the ladder does with a verdict."""

    WAIT = "WAIT"
    ADVANCE = "ADVANCE"
    REJECT = "REJECT"
    ASK_PERSON = "ASK_PERSON"
    RETRY_THEN_ASK = "RETRY_THEN_ASK"


class ExitCode(IntEnum):
    """Exit status of the command line (stable contract)."""

    PASS = 0
    FAIL = 1
    USAGE = 2
    INCONCLUSIVE = 3


# Best to worst. FAIL is worst of all: a measured breach is not excused by a measurement that broke elsewhere.
WORSENING: tuple[Verdict, ...] = (
    Verdict.PASS,
    Verdict.PENDING,
    Verdict.RUNNING,
    Verdict.INCONCLUSIVE,
    Verdict.ERROR,
    Verdict.FAIL,
)

EFFECTS: Mapping[Verdict, Effect] = MappingProxyType(
    {
        Verdict.PENDING: Effect.WAIT,
        Verdict.RUNNING: Effect.WAIT,
        Verdict.PASS: Effect.ADVANCE,
        Verdict.FAIL: Effect.REJECT,
        Verdict.INCONCLUSIVE: Effect.ASK_PERSON,
        Verdict.ERROR: Effect.RETRY_THEN_ASK,
    }
)

EXIT_CODES: Mapping[Verdict, ExitCode] = MappingProxyType(
    {
        Verdict.PASS: ExitCode.PASS,
        Verdict.FAIL: ExitCode.FAIL,
        Verdict.PENDING: ExitCode.INCONCLUSIVE,
        Verdict.RUNNING: ExitCode.INCONCLUSIVE,
        Verdict.INCONCLUSIVE: ExitCode.INCONCLUSIVE,
        Verdict.ERROR: ExitCode.INCONCLUSIVE,
    }
)


def worst(verdicts: Iterable[Verdict]) -> Verdict:
    """The worst of several verdicts; of none it is INCONCLUSIVE, because nothing measured is nothing shown."""
    return max(verdicts, key=WORSENING.index, default=Verdict.INCONCLUSIVE)
