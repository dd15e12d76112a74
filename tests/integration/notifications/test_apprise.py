"""E-mail, webhook and the others, through unmodified apprise to servers on loopback: what arrives and what fails."""

from __future__ import annotations

import email
import json
import logging
import socket
import threading
from collections.abc import Iterator
from email.message import Message
from email.policy import default
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, AuthResult, Envelope, LoginPassword, Session
from pydantic import SecretStr

from include.domain.alerts import Outcome
from include.domain.enums import Severity
from include.notifications import AppriseChannel
from include.ports import Button, Notice

pytestmark = pytest.mark.filterwarnings("ignore:Requiring AUTH while not requiring TLS")
_PASSWORD = "not-to-be-seen-9"
_NOTICE = Notice(
    Severity.CRITICAL, "LIVE d1: drawdown 9.00% (limit > 8.00%)", ("since 12:00", "Do: halt & think <now>"),
    "http://127.0.0.1:8080/", "FAIL", (("metric", "value"), ("win_rate", "88 %")), (Button("Open", "http://x/1"),),
)  # fmt: skip


class Mailbox:
    """An SMTP server that asks for a password and keeps what it accepts."""

    def __init__(self) -> None:
        self.received: list[tuple[str, list[str], Message]] = []
        self.answer = "250 OK"
        self.controller = Controller(
            self, hostname="127.0.0.1", port=_free_port(), authenticator=self._authenticate, auth_required=True,
            auth_require_tls=False,
        )  # fmt: skip

    def _authenticate(self, server: SMTP, session: Session, envelope: Envelope, method: str, data: Any) -> AuthResult:
        known = isinstance(data, LoginPassword) and data.password == _PASSWORD.encode()
        return AuthResult(success=known, handled=False)

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:  # noqa: N802
        content = envelope.content
        assert isinstance(content, bytes)
        if self.answer.startswith("250"):
            message = email.message_from_bytes(content, policy=default)
            self.received.append((str(envelope.mail_from), envelope.rcpt_tos, message))
        return self.answer

    def url(self, password: str = _PASSWORD) -> str:
        where = f"127.0.0.1:{self.controller.port}"
        return f"mailto://desk:{password}@{where}/?from=airlock@example.org&to=ada@example.org&mode=insecure"


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.fixture
def mailbox() -> Iterator[Mailbox]:
    made = Mailbox()
    made.controller.start()
    yield made
    made.controller.stop()


class Hook:
    """Takes JSON by POST."""

    def __init__(self) -> None:
        self.received: list[dict[str, Any]] = []
        self.status = 200
        self.release = threading.Event()
        self.release.set()
        hook = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                hook.received.append(json.loads(body))
                hook.release.wait(20)
                self.send_response(hook.status)
                self.end_headers()

            def log_message(self, *_: object) -> None: ...

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"json://127.0.0.1:{self.server.server_port}/{_PASSWORD}"


@pytest.fixture
def hook() -> Iterator[Hook]:
    made = Hook()
    thread = threading.Thread(target=made.server.serve_forever)
    thread.start()
    yield made
    made.release.set()
    made.server.shutdown()
    thread.join()
    made.server.server_close()


@pytest.fixture(autouse=True)
def _no_secret_in_any_log(caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]) -> Iterator[None]:
    caplog.set_level(logging.DEBUG)
    yield
    captured = capfd.readouterr()
    # At this point caplog's own text is that of the teardown.
    logged = "\n".join(record.getMessage() for record in caplog.get_records("call"))
    assert _PASSWORD not in logged + captured.out + captured.err


def _channel(name: str, url: str, **options: Any) -> AppriseChannel:
    return AppriseChannel(name, SecretStr(url), **options)


def test_an_e_mail_arrives_with_everything_in_it(mailbox: Mailbox) -> None:
    assert _channel("email", mailbox.url()).deliver((_NOTICE,)).delivered
    ((sender, recipients, message),) = mailbox.received
    assert (sender, recipients) == ("airlock@example.org", ["ada@example.org"])
    assert message["Subject"] == "[CRITICAL] LIVE d1: drawdown 9.00% (limit > 8.00%)"
    body = message.get_body(("plain", "html")).get_content()  # type: ignore[attr-defined]
    for part in ("since 12:00", "halt", "win_rate  88 %", "Open: http://x/1", "http://127.0.0.1:8080/"):
        assert part in body.replace("&nbsp;", " "), part


def test_several_notices_arrive_as_one_e_mail(mailbox: Mailbox) -> None:
    notices = [Notice(Severity.WARNING, f"notice {n}") for n in range(40)]
    assert _channel("email", mailbox.url()).deliver(notices, repeated=True).delivered
    ((_, _, message),) = mailbox.received
    assert message["Subject"] == "[WARNING] notice 0 (and 39 more)"
    body = message.get_body(("plain", "html")).get_content()  # type: ignore[attr-defined]
    assert "notice 14" in body
    assert "and 25 more" in body
    assert "may repeat" in body


@pytest.mark.parametrize("answer", ["451 try later", "554 no"])
def test_a_mail_server_that_refuses_is_no_delivery(mailbox: Mailbox, answer: str) -> None:
    mailbox.answer = answer
    assert not _channel("email", mailbox.url()).deliver((_NOTICE,)).delivered


def test_a_wrong_password_is_no_delivery(mailbox: Mailbox) -> None:
    assert not _channel("email", mailbox.url("wrong")).deliver((_NOTICE,)).delivered
    assert mailbox.received == []


def test_a_webhook_gets_json(hook: Hook) -> None:
    assert _channel("webhook", hook.url).deliver((_NOTICE,)).delivered
    (document,) = hook.received
    assert document["title"] == "[CRITICAL] LIVE d1: drawdown 9.00% (limit > 8.00%)"
    assert document["type"] == "failure"
    assert "Do: halt & think <now>" in document["message"]


def test_a_text_message_is_short(hook: Hook) -> None:
    assert (
        _channel("sms", hook.url, short=True).deliver((Notice(Severity.INFO, "t" * 5_000, ("l" * 5_000,)),)).delivered
    )
    (document,) = hook.received
    assert len(document["title"] + document["message"]) <= 340


@pytest.mark.parametrize(
    ("status", "outcome", "reason"),
    [
        (403, Outcome.FAILED, "refused with status 403"),
        (500, Outcome.UNKNOWN, "the server failed with status 500"),
    ],
)
def test_a_refusal_is_told_apart_from_what_may_have_arrived(
    hook: Hook, status: int, outcome: Outcome, reason: str
) -> None:
    hook.status = status
    receipt = _channel("webhook", hook.url).deliver((_NOTICE,))
    assert (receipt.outcome, receipt.reason) == (outcome, reason)


def test_a_server_that_does_not_answer_is_given_up(hook: Hook) -> None:
    hook.release.clear()
    receipt = _channel("webhook", hook.url, timeout_secs=0.5).deliver((_NOTICE,))
    assert receipt.outcome is Outcome.UNKNOWN


def test_a_server_that_is_away_is_no_delivery() -> None:
    assert not _channel("webhook", f"json://127.0.0.1:{_free_port()}/{_PASSWORD}").deliver((_NOTICE,)).delivered


def test_the_address_is_in_no_representation(hook: Hook) -> None:
    channel = _channel("webhook", hook.url)
    assert _PASSWORD not in repr(channel) + str(vars(channel))
