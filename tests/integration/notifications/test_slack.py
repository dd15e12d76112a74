"""The Slack notifier against a stand-in of the Web API on loopback: what is sent, and every way it can fail."""

from __future__ import annotations

import json
import logging
import socket
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs

import pytest
from pydantic import SecretStr

from include.domain.enums import Severity
from include.notifications import SlackNotifier
from include.ports import Notice

_TOKEN = "xoxb-1234-not-to-be-seen"
_NOTICE = Notice(Severity.CRITICAL, "Halted by ada", ("reason: drill",), "http://127.0.0.1:8080/")


class Stand:
    """Answers `chat.postMessage` as it is told to and keeps what it received."""

    def __init__(self) -> None:
        self.received: list[dict[str, Any]] = []
        self.status, self.answer = 200, b'{"ok": true, "ts": "1.2"}'
        self.release = threading.Event()
        self.release.set()
        stand = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"])).decode()
                fields = json.loads(body) if body.startswith("{") else {k: v[0] for k, v in parse_qs(body).items()}
                stand.received.append({"path": self.path, "token": self.headers["Authorization"], **fields})
                stand.release.wait(20)
                self.send_response(stand.status)
                self.send_header("Content-Type", "application/json")
                self.end_headers()
                self.wfile.write(stand.answer)

            def log_message(self, *_: object) -> None: ...

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}/api/"


@pytest.fixture
def stand() -> Iterator[Stand]:
    made = Stand()
    thread = threading.Thread(target=made.server.serve_forever)
    thread.start()
    yield made
    made.release.set()
    made.server.shutdown()
    thread.join()
    made.server.server_close()


def _notifier(url: str, timeout_secs: int = 5) -> SlackNotifier:
    return SlackNotifier(SecretStr(_TOKEN), channel="#desk", url=url, timeout_secs=timeout_secs)


@pytest.fixture(autouse=True)
def _no_secret_in_any_log(caplog: pytest.LogCaptureFixture, capsys: pytest.CaptureFixture[str]) -> Iterator[None]:
    caplog.set_level(logging.DEBUG)
    yield
    captured = capsys.readouterr()
    assert _TOKEN not in caplog.text + captured.out + captured.err


def test_a_notice_arrives_with_text_blocks_and_token(stand: Stand) -> None:
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
    stand: Stand, status: int, answer: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    stand.status, stand.answer = status, answer
    assert _notifier(stand.url).send(_NOTICE) is False
    assert "Slack notice to #desk not delivered" in caplog.text


def test_slack_that_does_not_answer_is_given_up_after_the_time_limit(stand: Stand) -> None:
    stand.release.clear()
    assert _notifier(stand.url, timeout_secs=1).send(_NOTICE) is False


def test_slack_that_is_away_is_false() -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    assert _notifier(f"http://127.0.0.1:{port}/api").send(_NOTICE) is False
