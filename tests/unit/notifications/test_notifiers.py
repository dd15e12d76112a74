"""Notices in the local log, in several places at once, and as Slack blocks."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path

import pytest

from include.domain.enums import Severity
from include.notifications import FanOut, LogNotifier, SlackNotifier, build_notifier
from include.notifications.slack import build_blocks
from include.ports import Notice

_NOTICE = Notice(Severity.WARNING, "Drawdown 5.2 %", ("limit 5 %", "deployment a1b2"), "http://127.0.0.1:8080/x")


class Recording:
    def __init__(self, answer: bool | Exception) -> None:
        self.answer, self.heard = answer, 0

    def send(self, notice: Notice) -> bool:
        self.heard += 1
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer


def test_a_notice_is_one_json_line(tmp_path: Path) -> None:
    path = tmp_path / "logs" / "notices.jsonl"
    notifier = LogNotifier(path, clock=lambda: datetime(2024, 3, 5, 18, tzinfo=UTC))
    assert notifier.send(_NOTICE)
    assert notifier.send(Notice(Severity.INFO, "two\nlines"))
    first, second = (json.loads(line) for line in path.read_text().splitlines())
    assert first == {
        "at": "2024-03-05T18:00:00Z", "severity": "WARNING", "title": "Drawdown 5.2 %",
        "lines": ["limit 5 %", "deployment a1b2"], "link": "http://127.0.0.1:8080/x",
    }  # fmt: skip
    assert second["title"] == "two\nlines"


def test_lines_of_many_writers_do_not_mix(tmp_path: Path) -> None:
    path = tmp_path / "notices.jsonl"
    with ThreadPoolExecutor(8) as pool:
        assert all(pool.map(LogNotifier(path).send, [Notice(Severity.INFO, "x" * 2_000)] * 100))
    assert [len(json.loads(line)["title"]) for line in path.read_text().splitlines()] == [2_000] * 100


def test_a_large_log_is_rotated(tmp_path: Path) -> None:
    path = tmp_path / "notices.jsonl"
    path.write_bytes(b"x" * 10_000_001)
    assert LogNotifier(path).send(_NOTICE)
    assert path.stat().st_size < 1_000
    assert (tmp_path / "notices.jsonl.1").stat().st_size == 10_000_001


def test_a_log_that_cannot_be_written_says_false(tmp_path: Path) -> None:
    (tmp_path / "logs").write_text("a file where the folder should be")
    assert LogNotifier(tmp_path / "logs" / "notices.jsonl").send(_NOTICE) is False


@pytest.mark.parametrize(
    ("answers", "delivered"),
    [([], True), ([True, True], True), ([False, True], False), ([RuntimeError("x"), True], False)],
)
def test_everybody_hears_a_notice_whatever_the_others_do(answers: list[bool | Exception], delivered: bool) -> None:
    notifiers = [Recording(answer) for answer in answers]
    assert FanOut(notifiers).send(_NOTICE) is delivered
    assert [notifier.heard for notifier in notifiers] == [1] * len(answers)


def test_slack_is_used_only_where_a_token_is_set(tmp_path: Path) -> None:
    for token, kind in ((None, LogNotifier), ("", LogNotifier), ("xoxb-secret", FanOut)):
        made = build_notifier(tmp_path, slack_token=token, slack_channel="#a", slack_url="http://127.0.0.1:1/")
        assert type(made) is kind


def test_blocks_carry_title_lines_and_link_without_markup() -> None:
    blocks = build_blocks(Notice(Severity.CRITICAL, "Halted", ("<!channel> a & b", "second"), "http://x/?a=1&b=2"))
    assert [block["type"] for block in blocks] == ["header", "section", "context"]
    assert blocks[0]["text"]["text"] == ":rotating_light: Halted"
    assert blocks[1]["text"]["text"] == "&lt;!channel&gt; a &amp; b\nsecond"
    assert [block["type"] for block in build_blocks(Notice(Severity.INFO, "only a title"))] == ["header"]


def test_blocks_stay_within_slacks_limits() -> None:
    header, section = build_blocks(Notice(Severity.INFO, "t" * 500, ("l" * 2_999, "m" * 500)))
    assert len(header["text"]["text"]) == 150
    assert len(section["text"]["text"]) == 3_000


def test_the_token_is_in_no_representation() -> None:
    from pydantic import SecretStr

    notifier = SlackNotifier(SecretStr("xoxb-secret"), channel="#a", url="http://127.0.0.1:1")
    assert "xoxb-secret" not in repr(notifier) + str(vars(notifier))
