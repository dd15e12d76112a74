"""Notices of stages: recorded in the outbox where there is a ledger, delivered at once where nobody watches."""

from __future__ import annotations

from pathlib import Path

import pytest

from include import bootstrap
from include.config.settings import load_settings
from include.domain.alerts import Outcome
from include.domain.enums import Severity
from include.domain.errors import RetryableError
from include.ledger.unit_of_work import PostgresLedger
from include.notifications import FanOut, LogNotifier, OutboxNotifier, Receipt, Sender
from include.ports import Ledger, Notice
from tests.adapters.alert_desk import Clock, ScriptedChannel, audience

_NOTICE = Notice(Severity.WARNING, "trend-follower: BACKTEST FAIL")


class Office:
    """A notifier with one channel, and all that it writes to."""

    def __init__(self, ledger: PostgresLedger, tmp_path: Path) -> None:
        self.ledger, self.clock, self.slack = ledger, Clock(), ScriptedChannel()
        self.path = tmp_path / "notices.jsonl"
        self.away: Exception | None = None
        self.notifier = OutboxNotifier(
            self._open, audience(channels=["log", "slack"]), log=LogNotifier(self.path), senders=self._senders,
            direct=FanOut([self.slack]), clock=self.clock,
        )  # fmt: skip

    def _open(self) -> Ledger:
        if self.away is not None:
            raise self.away
        return self.ledger

    def _senders(self, ledger: Ledger) -> list[Sender]:
        return [Sender(ledger, self.slack, name="n", pace_secs=dict.fromkeys(Severity, 0), clock=self.clock)]

    def waiting(self) -> int:
        with self.ledger.begin() as work:
            return sum(backlog.waiting for backlog in work.outbox.backlogs(self.clock()))

    def watch_is_alive(self) -> None:
        with self.ledger.begin() as work:
            work.alerts.beat("airlock", self.clock())
            work.commit()


@pytest.fixture
def office(ledger: PostgresLedger, tmp_path: Path) -> Office:
    return Office(ledger, tmp_path)


def test_a_notice_is_left_to_the_watch_while_it_is_alive(office: Office) -> None:
    office.watch_is_alive()
    assert office.notifier.send(_NOTICE)
    assert (office.slack.titles, office.waiting()) == ([], 1)
    assert _NOTICE.title in office.path.read_text()


def test_a_notice_is_delivered_at_once_when_nobody_watches(office: Office) -> None:
    office.watch_is_alive()
    office.clock.forward(61)
    assert office.notifier.send(_NOTICE)
    assert (office.slack.titles, office.waiting()) == ([_NOTICE.title], 0)


def test_what_could_not_be_delivered_stays_for_later(office: Office) -> None:
    office.slack.receipts = [Receipt(Outcome.FAILED, "away")]
    assert office.notifier.send(_NOTICE)
    assert office.waiting() == 1


@pytest.mark.parametrize("error", [RetryableError("database away"), RuntimeError("anything")])
def test_without_a_ledger_a_notice_goes_directly(office: Office, error: Exception) -> None:
    office.away = error
    assert office.notifier.send(_NOTICE)
    assert office.slack.titles == [_NOTICE.title]
    office.slack.receipts = [Receipt(Outcome.FAILED, "away")]
    assert office.notifier.send(_NOTICE) is False


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("AIRLOCK_EMAIL_URL", "nonsense://secret-part"),
        ("AIRLOCK_ALERTS", "/no/such/file.yaml"),
        ("AIRLOCK_REPORT_TIME_ZONE", "Middle/Earth"),
    ],
)
def test_a_notifier_is_built_and_works_whatever_is_wrong_with_the_settings(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, caplog: pytest.LogCaptureFixture, variable: str, value: str
) -> None:
    monkeypatch.setenv("AIRLOCK_HOME", str(tmp_path))
    monkeypatch.setenv("AIRLOCK_WEBHOOK_URL", "json://127.0.0.1:1/x")
    monkeypatch.setenv(variable, value)
    assert bootstrap.build_notifier(load_settings()).send(_NOTICE)
    assert _NOTICE.title in (tmp_path / "logs" / "notices.jsonl").read_text()
    assert "telling people by log and Slack alone" in caplog.text
    assert "secret-part" not in caplog.text


def test_where_nothing_but_the_log_is_set_up_no_ledger_is_opened(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("AIRLOCK_HOME", str(tmp_path))
    monkeypatch.setenv("AIRLOCK_DATABASE_URL", "postgresql://127.0.0.1:1/nowhere")
    notifier = bootstrap.build_notifier(load_settings())
    assert isinstance(notifier, LogNotifier)
    assert notifier.send(_NOTICE)
