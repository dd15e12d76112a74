"""The real watch killed in the middle of sending: the next one delivers what it had in hand, and says so."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from include.domain.enums import Severity
from include.ledger.unit_of_work import PostgresLedger
from tests.adapters.slack_stand import SlackStand
from tests.postgres import run_sql
from tests.waiting import wait_for

_ROOT = Path(__file__).resolve().parents[2]
Start = Callable[[SlackStand], subprocess.Popen[bytes]]


@pytest.fixture
def start(tmp_path: Path, fresh_database_url: str) -> Iterator[Start]:
    """Starts `airlock alerts run` as `airlock up` does; ends what is left of it."""
    running: list[subprocess.Popen[bytes]] = []

    def run(stand: SlackStand) -> subprocess.Popen[bytes]:
        environment = {
            **os.environ, "AIRLOCK_HOME": str(tmp_path), "AIRLOCK_DATABASE_URL": fresh_database_url,
            "AIRLOCK_SLACK_TOKEN": "xoxb-secret", "AIRLOCK_SLACK_URL": stand.url, "PYTHONPATH": str(_ROOT),
        }  # fmt: skip
        with (tmp_path / "alerts.log").open("ab") as log:
            running.append(
                subprocess.Popen(
                    [sys.executable, "-m", "include.cli", "alerts", "run"], env=environment, cwd=tmp_path, stdout=log,
                    stderr=subprocess.STDOUT,
                )
            )  # fmt: skip
        return running[-1]

    yield run
    for process in running:
        if process.poll() is None:
            process.kill()
        process.wait()


def test_a_critical_alert_outlives_the_process_that_was_sending_it(
    start: Start, fresh_database_url: str, tmp_path: Path
) -> None:
    ledger = PostgresLedger(fresh_database_url)
    with ledger.begin() as work:
        work.incidents.open(Severity.CRITICAL, "ENGINE_FAILED", "deployment:d1", "it died")
        work.commit()
    with SlackStand() as stand:
        stand.release.clear()
        first = start(stand)
        wait_for(lambda: len(stand.received) == 1, secs=60, every=0.05)
        first.send_signal(signal.SIGKILL)
        first.wait()
        # The claim of the dead lasts some seconds; nobody needs to sit through them here.
        run_sql(fresh_database_url, "UPDATE outbox SET claimed_until = now(), due_at = now()",
                "UPDATE delivery_attempts SET started_at = started_at - interval '1 minute'")  # fmt: skip
        with ledger.begin() as work:
            (alert,) = work.alerts.open()
        stand.release.set()
        second = start(stand)
        wait_for(lambda: _delivered(ledger), secs=60, every=0.05)
        second.send_signal(signal.SIGTERM)
        assert second.wait(30) == 0
    texts = [str(call["blocks"]) for call in stand.received]
    assert len(texts) == 2, "once by the dead, which may not have arrived, and once by the living"
    assert "may repeat" not in texts[0]
    assert "may repeat" in texts[1]
    assert f"alerts ack {alert.id}" in texts[1]
    assert "xoxb-secret" not in (tmp_path / "alerts.log").read_text()
    ledger.close()


def _delivered(ledger: PostgresLedger) -> bool:
    with ledger.begin() as work:
        return any(attempt.outcome is not None for attempt in work.outbox.attempts("slack"))
