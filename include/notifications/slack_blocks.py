"""A notice in Slack's Block Kit: verdict, lines, table, buttons. Pure; within Slack's limits whatever comes."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any

from include.domain.enums import Severity
from include.ports import Notice

# Limits of Block Kit, in characters and pieces.
_HEADER, _SECTION, _BUTTON, _URL = 150, 3_000, 75, 3_000
_BUTTONS = 5
_ROWS, _CELLS, _CELL, _TABLE = 100, 20, 200, 9_000
_CUT_ESCAPE = re.compile(r"&[a-z]{0,3}$")
_MARK: Mapping[Severity, str] = MappingProxyType(
    {
        Severity.INFO: ":information_source:",
        Severity.WARNING: ":warning:",
        Severity.CRITICAL: ":rotating_light:",
    }
)
_VERDICTS: Mapping[str, str] = MappingProxyType(
    {"PASS": ":white_check_mark:", "FAIL": ":x:", "INCONCLUSIVE": ":grey_question:", "ERROR": ":boom:"}
)


def build_blocks(notice: Notice) -> list[dict[str, Any]]:
    """Block Kit form of a notice."""
    title = cut(f"{_MARK[notice.severity]} {notice.title}", _HEADER)
    blocks: list[dict[str, Any]] = [{"type": "header", "text": {"type": "plain_text", "text": title, "emoji": True}}]
    if notice.verdict:
        verdict = f"{_VERDICTS.get(notice.verdict, ':grey_question:')} *{escape(notice.verdict)}*"
        blocks.append(_section(verdict))
    if notice.lines:
        blocks.append(_section(_joined([escape(line) for line in notice.lines])))
    if notice.table:
        blocks.append(_table(notice.table))
    if buttons := [_button(button.text, button.url) for button in notice.buttons if is_link(button.url)]:
        blocks.append({"type": "actions", "elements": buttons[:_BUTTONS]})
    if notice.link:
        element = {"type": "mrkdwn", "text": cut(escape(notice.link), _SECTION)}
        blocks.append({"type": "context", "elements": [element]})
    return blocks


def summary(notice: Notice) -> str:
    """What notifications and clients without blocks show."""
    return cut(escape(f"[{notice.severity.value}] {notice.title}"), _SECTION)


def escape(text: str) -> str:
    """Slack reads these three characters as markup; anything else is plain."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def cut(text: str, length: int) -> str:
    return text if len(text) <= length else text[: length - 1] + "…"


def is_link(url: str) -> bool:
    """Slack refuses a whole message for one button that leads nowhere."""
    return url.startswith(("http://", "https://")) and len(url) <= _URL and url.isprintable() and " " not in url


def _section(text: str) -> dict[str, Any]:
    return {"type": "section", "text": {"type": "mrkdwn", "text": cut(text, _SECTION)}}


def _joined(lines: Sequence[str]) -> str:
    """Escaped lines within the limit of a section; an escape is never cut in two."""
    text = "\n".join(lines)
    return text if len(text) <= _SECTION else _CUT_ESCAPE.sub("", text[: _SECTION - 1]) + "…"


def _table(rows: Sequence[Sequence[str]]) -> dict[str, Any]:
    kept: list[list[dict[str, str]]] = []
    room = _TABLE
    width = min(max(len(row) for row in rows), _CELLS)
    for row in rows[:_ROWS]:
        # A cell without text is refused.
        cells = [cut(cell, _CELL) or "-" for cell in (*row, *("-" for _ in range(width)))[:width]]
        room -= sum(len(cell) for cell in cells)
        if room < 0:
            break
        kept.append([{"type": "raw_text", "text": cell} for cell in cells])
    return {"type": "table", "rows": kept, "column_settings": [{"is_wrapped": True}] * width}


def _button(text: str, url: str) -> dict[str, Any]:
    return {"type": "button", "text": {"type": "plain_text", "text": cut(text, _BUTTON), "emoji": False}, "url": url}
