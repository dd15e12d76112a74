"""Notices in the local log, in several places at once, and as Slack blocks."""

from __future__ import annotations

import json
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path

import pytest
from pydantic import SecretStr

from include.domain.alerts import Outcome
from include.domain.enums import Severity
from include.domain.errors import ConfigurationError
from include.notifications import FanOut, LogNotifier, Receipt, SlackNotifier, build_channels
from include.notifications.channel import DELIVERED
from include.notifications.slack_blocks import build_blocks
from include.ports import Button, Notice

_NOTICE = Notice(Severity.WARNING, "Drawdown 5.2 %", ("limit 5 %", "deployment a1b2"), "http://127.0.0.1:8080/x")


class Recording:
    """A channel that answers as it is told to."""

    name = "recording"

    def __init__(self, answer: Receipt | Exception) -> None:
        self.answer, self.heard = answer, 0

    def deliver(self, notices: Sequence[Notice], *, repeated: bool = False) -> Receipt:
        self.heard += len(notices)
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
    [
        ([], True),
        ([DELIVERED, DELIVERED], True),
        ([Receipt(Outcome.FAILED, "x"), DELIVERED], False),
        ([RuntimeError("x"), DELIVERED], False),
    ],
)
def test_everybody_hears_a_notice_whatever_the_others_do(answers: list[Receipt | Exception], delivered: bool) -> None:
    notifiers = [Recording(answer) for answer in answers]
    assert FanOut(notifiers).send(_NOTICE) is delivered
    assert [notifier.heard for notifier in notifiers] == [1] * len(answers)


def _channels(logs: Path, token: str, **urls: str) -> dict[str, object]:
    made = build_channels(
        logs, slack_token=SecretStr(token), slack_channel="#a", slack_url="http://127.0.0.1:1/",
        urls={name: SecretStr(url) for name, url in urls.items()},
    )  # fmt: skip
    return dict(made)


def test_only_channels_with_an_address_are_set_up_and_the_log_always_is(tmp_path: Path) -> None:
    assert list(_channels(tmp_path, "", email="", webhook="")) == ["log"]
    assert list(_channels(tmp_path, "xoxb-x", email="mailto://u:p@h.org", webhook="json://h/x")) == [
        "log", "slack", "email", "webhook",
    ]  # fmt: skip


def test_an_address_that_cannot_be_used_is_refused_without_being_shown(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="AIRLOCK_EMAIL_URL is not an address") as refused:
        _channels(tmp_path, "", email="nonsense://secret-part")
    assert "secret-part" not in str(refused.value)


def test_blocks_carry_title_lines_and_link_without_markup() -> None:
    blocks = build_blocks(Notice(Severity.CRITICAL, "Halted", ("<!channel> a & b", "second"), "http://x/?a=1&b=2"))
    assert [block["type"] for block in blocks] == ["header", "section", "context"]
    assert blocks[0]["text"]["text"] == ":rotating_light: Halted"
    assert blocks[1]["text"]["text"] == "&lt;!channel&gt; a &amp; b\nsecond"
    assert [block["type"] for block in build_blocks(Notice(Severity.INFO, "only a title"))] == ["header"]


def test_blocks_stay_within_slacks_limits() -> None:
    header, section = build_blocks(Notice(Severity.INFO, "t" * 500, ("l" * 2_999, "m" * 500)))
    assert len(header["text"]["text"]) == 150
    assert 2_900 < len(section["text"]["text"]) <= 3_000


def test_an_escape_is_never_cut_in_two() -> None:
    for length in range(2_970, 2_990):
        text = build_blocks(Notice(Severity.INFO, "t", ("x" * length + "&" * 20,)))[1]["text"]["text"]
        assert len(text) <= 3_000
        assert text.replace("&amp;", "").strip("x…") == ""


def test_a_verdict_comes_with_its_criteria_and_ways_onward() -> None:
    notice = Notice(
        Severity.WARNING, "trend-follower: BACKTEST FAIL", ("profile five-year",), verdict="FAIL",
        table=(("metric", "value", "limit", "verdict"), ("win_rate", "88 %", ">= 93 %", "FAIL"), ("sharpe", "2.1", "")),
        buttons=(Button("Approve", "http://127.0.0.1:8080/dags/q"), Button("Trap", "javascript:x"), Button("", "")),
    )  # fmt: skip
    header, verdict, lines, table, actions = build_blocks(notice)
    assert (header["type"], lines["type"]) == ("header", "section")
    assert verdict["text"]["text"] == ":x: *FAIL*"
    texts = [[cell["text"] for cell in row] for row in table["rows"]]
    assert texts[1:] == [["win_rate", "88 %", ">= 93 %", "FAIL"], ["sharpe", "2.1", "-", "-"]]
    assert [button["url"] for button in actions["elements"]] == ["http://127.0.0.1:8080/dags/q"]


def test_a_table_of_any_size_is_one_that_slack_takes() -> None:
    (_, table) = build_blocks(Notice(Severity.INFO, "t", table=(("c" * 500,) * 30,) * 500))
    cells = [cell["text"] for row in table["rows"] for cell in row]
    assert table["rows"]
    assert len(table["rows"]) <= 100
    assert {len(row) for row in table["rows"]} == {20}
    assert sum(map(len, cells)) <= 10_000
    assert max(map(len, cells)) <= 200


def test_the_token_is_in_no_representation() -> None:
    notifier = SlackNotifier(SecretStr("xoxb-secret"), channel="#a", url="http://127.0.0.1:1")
    assert "xoxb-secret" not in repr(notifier) + str(vars(notifier))
