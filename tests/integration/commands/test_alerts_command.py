"""`airlock alerts` as people run it: trying channels, looking, taking, silencing, one pass of the watch."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from include.domain.alerts import AlertState
from include.domain.enums import Severity
from include.ledger.unit_of_work import PostgresLedger
from tests.adapters.slack_stand import SlackStand
from tests.integration.commands.test_report_and_audit import Shell

_TOKEN = "xoxb-not-to-be-seen"


@pytest.fixture
def airlock(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path, database_url: str
) -> Shell:
    monkeypatch.setenv("AIRLOCK_HOME", str(tmp_path))
    monkeypatch.setenv("AIRLOCK_DATABASE_URL", database_url)
    return Shell(monkeypatch, capsys)


@pytest.fixture
def stand(monkeypatch: pytest.MonkeyPatch) -> Iterator[SlackStand]:
    with SlackStand() as made:
        monkeypatch.setenv("AIRLOCK_SLACK_TOKEN", _TOKEN)
        monkeypatch.setenv("AIRLOCK_SLACK_URL", made.url)
        yield made


def _incident(ledger: PostgresLedger, message: str = "it died") -> None:
    with ledger.begin() as work:
        work.incidents.open(Severity.CRITICAL, "ENGINE_FAILED", "deployment:d1", message)
        work.commit()


def test_the_test_goes_through_every_channel_that_is_set_up(airlock: Shell, stand: SlackStand) -> None:
    code, out, err = airlock("alerts", "test", "--json")
    results = json.loads(out)["channels"]
    assert code == 0
    assert [(r["channel"], r["outcome"]) for r in results] == [("log", "DELIVERED"), ("slack", "DELIVERED")]
    assert "this channel works" in str(stand.received[0]["blocks"])
    assert _TOKEN not in out + err


def test_the_test_fails_when_one_channel_fails_and_says_which(airlock: Shell, stand: SlackStand) -> None:
    stand.answer = b'{"ok": false, "error": "channel_not_found"}'
    code, out, _ = airlock("alerts", "test")
    assert code == 1
    assert [line.split()[:2] for line in out.splitlines()[1:]] == [["log", "DELIVERED"], ["slack", "FAILED"]]
    assert "channel_not_found" in out


def test_only_the_log_is_nobody(airlock: Shell) -> None:
    code, _, err = airlock("alerts", "test")
    assert code == 2
    assert "nobody is told" in err
    assert airlock("alerts", "test", "--channel", "email")[0] == 2


def test_an_alert_is_found_told_taken_and_listed(airlock: Shell, stand: SlackStand, ledger: PostgresLedger) -> None:
    _incident(ledger)
    assert airlock("alerts", "run", "--once")[0] == 0
    assert "ENGINE_FAILED" in str(stand.received[0]["blocks"])
    (alert,) = json.loads(airlock("alerts", "list", "--json")[1])["alerts"]
    assert (alert["state"], alert["code"], alert["severity"]) == ("FIRING", "INCIDENT_OPENED", "CRITICAL")
    taken = ("alerts", "ack", str(alert["id"]), "--by", "ada", "--reason", "restarting it")
    assert airlock(*taken)[:2] == (0, f"alert {alert['id']} is ACKNOWLEDGED by ada\n")
    assert airlock(*taken)[0] == 3, "it is not firing any more"
    out = airlock("alerts", "list")[1]
    assert f"{alert['id']} CRITICAL ACKNOWLEDGED by ada INCIDENT_OPENED" in out
    with ledger.begin() as work:
        (row,) = work.audit.recent(1)
    assert (row.actor, row.action, row.details["reason"]) == ("ada", "alert.acknowledge", "restarting it")


def test_of_several_alerts_all_or_none_are_taken(airlock: Shell, ledger: PostgresLedger) -> None:
    for message in ("one", "two"):
        _incident(ledger, message)
    airlock("alerts", "run", "--once")
    with ledger.begin() as work:
        ids = [str(alert.id) for alert in work.alerts.open()]
    assert airlock("alerts", "ack", *ids, "999999", "--by", "ada", "--reason", "x")[0] == 2
    with ledger.begin() as work:
        assert {alert.state for alert in work.alerts.open()} == {AlertState.FIRING}
    assert airlock("alerts", "ack", *ids, "--by", "ada", "--reason", "x")[0] == 0


def test_a_pass_with_a_channel_that_fails_says_so_and_keeps_what_was_to_be_told(
    airlock: Shell, stand: SlackStand, ledger: PostgresLedger
) -> None:
    stand.answer = b'{"ok": false, "error": "channel_not_found"}'
    _incident(ledger)
    code, _, err = airlock("alerts", "run", "--once")
    assert code == 3
    assert "not delivered on slack; kept in the outbox" in err
    assert "channel slack: 1 not delivered yet; channel_not_found" in airlock("alerts", "list")[1]


def test_a_silence_is_set_listed_and_lifted(airlock: Shell, ledger: PostgresLedger) -> None:
    code, out, _ = airlock(
        "alerts", "silence", "--rule", "drawdown-warning", "--for", "2h", "--by", "ada", "--reason", "known"
    )
    assert code == 0
    number = out.split()[1].rstrip(":")
    assert "known" in airlock("alerts", "list")[1]
    assert airlock("alerts", "unsilence", number, "--by", "bob", "--reason", "over")[0] == 0
    assert "known" not in airlock("alerts", "list")[1]
    assert airlock("alerts", "unsilence", number, "--by", "bob", "--reason", "over")[0] == 2


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("silence", "--rule", "nonsense", "--for", "2h", "--by", "a", "--reason", "b"), "no such rule"),
        (("silence", "--rule", "*", "--for", "60d", "--by", "a", "--reason", "b"), "at most 30d"),
        (("silence", "--rule", "*", "--for", "soon", "--by", "a", "--reason", "b"), "30m, 2h or 1d"),
        (("silence", "--rule", "*", "--for", "2h", "--by", " ", "--reason", "b"), "named person"),
        (("ack", "1", "--by", "a", "--reason", "b"), "not in the ledger"),
        (("ack", "1", "--by", "a", "--reason", " "), "being done"),
    ],
)
def test_what_cannot_be_done_is_a_usage_error_with_its_reason(
    airlock: Shell, arguments: tuple[str, ...], words: str
) -> None:
    code, _, err = airlock("alerts", *arguments)
    assert code == 2
    assert words in err


def test_rules_of_ones_own_are_read_from_the_file_that_the_settings_name(
    airlock: Shell, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "mine.yaml").write_text("version: 1\nrulse: []\n")
    monkeypatch.setenv("AIRLOCK_ALERTS", str(tmp_path / "mine.yaml"))
    code, _, err = airlock("alerts", "run", "--once")
    assert code == 2
    assert "mine.yaml" in err
    assert "rulse" in err
