"""Nonsense never crashes the exchange and always gets an answer in its shape. The long form is in benchmarks."""

from __future__ import annotations

import pytest

from include.venues.sandbox.weights import Segment
from tests.adapters.fuzzing import Findings, Fuzzer, fuzz_frames, fuzz_rest, shape_problem
from tests.integration.venues.sandbox import ALICE, Running, running


async def survives(sandbox: Running, findings: Findings) -> None:
    """The findings are clean, the campaign was not all refusals, and the exchange still trades."""
    assert findings.wrong == []
    status = await sandbox.advance(2)
    assert status["event_time"]


async def test_requests_that_make_no_sense_are_answered_in_the_exchanges_shape() -> None:
    async with running() as sandbox:
        await sandbox.advance()
        findings = await fuzz_rest(sandbox.url, Fuzzer(20_240_301, ALICE), 1_000)
        await survives(sandbox, findings)
    assert findings.statuses[200] > 20
    assert findings.statuses[400] > 200
    assert findings.statuses[404] > 10


@pytest.mark.parametrize(("segment", "path"), [(Segment.USDM, "/ws-fapi/v1"), (Segment.SPOT, "/ws-api/v3")])
async def test_frames_that_make_no_sense_are_answered_in_the_exchanges_shape(segment: Segment, path: str) -> None:
    async with running() as sandbox:
        await sandbox.advance()
        findings = await fuzz_frames(sandbox.url, Fuzzer(7, ALICE), segment, path, 400)
        await survives(sandbox, findings)
    assert findings.statuses[400] > 100


@pytest.mark.parametrize(
    ("status", "body"),
    [(500, b'{"code":-1000,"msg":"x"}'), (400, b"Bad Request"), (404, b"{}"), (400, b'{"code":"1","msg":"x"}')],
)
def test_the_judge_of_shapes_can_say_no(status: int, body: bytes) -> None:
    assert shape_problem(status, body)
