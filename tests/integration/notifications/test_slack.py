"""The Slack notifier against a stand-in of the Web API on loopback: what is sent, and every way it can fail."""

from __future__ import annotations

import json
import logging
import socket
from collections.abc import Iterator

import pytest
from pydantic import SecretStr

from include.domain.alerts import Outcome
from include.domain.enums import Severity
from include.notifications import SlackNotifier
from include.ports import Button, Notice
from tests.adapters.slack_stand import SlackStand

_TOKEN = "xoxb-1234-not-to-be-seen"
_NOTICE = Notice(Severity.CRITICAL, "Halted by ada", ("reason: drill",), "http://127.0.0.1:8080/")


@pytest.fixture
def stand() -> Iterator[SlackStand]:
    with SlackStand() as made:
        yield made


def _notifier(url: str, timeout_secs: int = 5) -> SlackNotifier:
    return SlackNotifier(SecretStr(_TOKEN), channel="#desk", url=url, timeout_secs=timeout_secs)


@pytest.fixture(autouse=True)
def _no_secret_in_any_log(caplog: pytest.LogCaptureFixture, capsys: pytest.CaptureFixture[str]) -> Iterator[None]:
    caplog.set_level(logging.DEBUG)
    yield
    captured = capsys.readouterr()
    # At this point caplog's own text is that of the teardown.
    logged = "\n".join(record.getMessage() for record in caplog.get_records("call"))
    assert _TOKEN not in logged + captured.out + captured.err


def test_a_notice_arrives_with_text_blocks_and_token(stand: SlackStand) -> None:
    assert _notifier(stand.url).send(_NOTICE) is True
    (call,) = stand.received
    assert (call["path"], call["channel"], call["token"]) == ("/api/chat.postMessage", "#desk", f"Bearer {_TOKEN}")
    assert call["text"] == "[CRITICAL] Halted by ada"
    blocks = call["blocks"] if isinstance(call["blocks"], list) else json.loads(call["blocks"])
    assert [block["type"] for block in blocks] == ["header", "section", "context"]


@pytest.mark.parametrize(
    ("status", "answer"),
    [
        (200, b'{"ok": false, "error": "channel_not_found"}'),
        (200, b'{"ok": false, "error": "invalid_auth %s"}' % _TOKEN.encode()),
        (429, b'{"ok": false, "error": "ratelimited"}'),
        (500, b"<html>trouble</html>"),
        (200, b"not json at all"),
    ],
)
def test_a_refusal_is_false_and_never_an_exception(
    stand: SlackStand, status: int, answer: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    stand.status, stand.answer = status, answer
    assert _notifier(stand.url).send(_NOTICE) is False
    assert "Slack notice to #desk not delivered" in caplog.text


def test_slack_that_does_not_answer_is_given_up_after_the_time_limit(stand: SlackStand) -> None:
    stand.release.clear()
    assert _notifier(stand.url, timeout_secs=1).send(_NOTICE) is False


def test_slack_that_is_away_is_false() -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    assert _notifier(f"http://127.0.0.1:{port}/api").send(_NOTICE) is False


def test_a_pause_that_slack_asks_for_is_in_the_receipt(stand: SlackStand) -> None:
    stand.status, stand.answer, stand.headers = 429, b'{"ok": false, "error": "ratelimited"}', {"Retry-After": "37"}
    receipt = _notifier(stand.url).deliver((_NOTICE,))
    assert (receipt.outcome, receipt.reason, receipt.retry_after_secs) == (Outcome.FAILED, "ratelimited", 37.0)


@pytest.mark.parametrize(
    ("status", "answer", "outcome"),
    [
        (200, b'{"ok": false, "error": "channel_not_found"}', Outcome.FAILED),
        (404, b'{"ok": false, "error": "x"}', Outcome.FAILED),
        (500, b"<html>trouble</html>", Outcome.UNKNOWN),
        (200, b"not json at all", Outcome.UNKNOWN),
    ],
)
def test_what_may_have_been_posted_is_told_apart_from_a_refusal(
    stand: SlackStand, status: int, answer: bytes, outcome: Outcome
) -> None:
    stand.status, stand.answer = status, answer
    assert _notifier(stand.url).deliver((_NOTICE,)).outcome is outcome


def test_slack_that_hangs_may_have_posted_and_slack_that_is_away_has_not(stand: SlackStand) -> None:
    stand.release.clear()
    assert _notifier(stand.url, timeout_secs=1).deliver((_NOTICE,)).outcome is Outcome.UNKNOWN
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    assert _notifier(f"http://127.0.0.1:{port}/api").deliver((_NOTICE,)).outcome is Outcome.FAILED


def test_a_verdict_arrives_with_criteria_and_buttons(stand: SlackStand) -> None:
    notice = Notice(
        Severity.WARNING, "<!channel> trend-follower: BACKTEST FAIL", verdict="FAIL",
        table=(("metric", "value"), ("win_rate", "88 %")), buttons=(Button("Approve", "http://127.0.0.1:8080/dags/q"),),
    )  # fmt: skip
    assert _notifier(stand.url).send(notice)
    (call,) = stand.received
    blocks = call["blocks"] if isinstance(call["blocks"], list) else json.loads(call["blocks"])
    assert [block["type"] for block in blocks] == ["header", "section", "table", "actions"]
    assert call["text"] == "[WARNING] &lt;!channel&gt; trend-follower: BACKTEST FAIL"
