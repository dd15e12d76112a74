"""Notices to a Slack channel by the Web API. Never raises, never waits long, never shows the token."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from pydantic import SecretStr

from include.domain.enums import Severity
from include.ports import Notice

logger = logging.getLogger(__name__)

# Limits of Block Kit: a header holds 150 characters, a section 3000.
_HEADER_LENGTH = 150
_SECTION_LENGTH = 3_000
_MARK: Mapping[Severity, str] = MappingProxyType(
    {
        Severity.INFO: ":information_source:",
        Severity.WARNING: ":warning:",
        Severity.CRITICAL: ":rotating_light:",
    }
)


class SlackNotifier:
    """Posts to one channel. The client is built with each notice: nothing happens at import or construction."""

    def __init__(self, token: SecretStr, *, channel: str, url: str, timeout_secs: int = 5) -> None:
        self._token = token
        self._channel = channel
        self._url = url if url.endswith("/") else url + "/"
        self._timeout_secs = timeout_secs

    def __repr__(self) -> str:
        return f"SlackNotifier(channel={self._channel!r}, url={self._url!r})"

    def send(self, notice: Notice) -> bool:
        from slack_sdk import WebClient

        try:
            client = WebClient(token=self._token.get_secret_value(), base_url=self._url, timeout=self._timeout_secs)
            answer = client.chat_postMessage(
                channel=self._channel, text=f"[{notice.severity.value}] {notice.title}", blocks=build_blocks(notice)
            )
            return bool(answer.get("ok"))
        except Exception as error:
            # Whatever goes wrong here must stop neither stage nor engine; the caller is told by the return value.
            logger.warning("Slack notice to %s not delivered: %s", self._channel, self._reason(error))
            return False

    def _reason(self, error: Exception) -> str:
        """Slack's own error code, else the kind of failure: exception texts may quote the request."""
        response = getattr(error, "response", None)
        code = response.get("error") if response is not None and hasattr(response, "get") else None
        detail = str(code or getattr(error, "reason", "") or type(error).__name__).split("\n", 1)[0]
        return detail.replace(self._token.get_secret_value(), "***")


def build_blocks(notice: Notice) -> list[dict[str, Any]]:
    """Block Kit form of a notice: header, lines, link."""
    title = f"{_MARK[notice.severity]} {notice.title}"
    blocks: list[dict[str, Any]] = [
        {"type": "header", "text": {"type": "plain_text", "text": _cut(title, _HEADER_LENGTH), "emoji": True}}
    ]
    if notice.lines:
        text = _cut("\n".join(_escape(line) for line in notice.lines), _SECTION_LENGTH)
        blocks.append({"type": "section", "text": {"type": "mrkdwn", "text": text}})
    if notice.link:
        element = {"type": "mrkdwn", "text": _cut(_escape(notice.link), _SECTION_LENGTH)}
        blocks.append({"type": "context", "elements": [element]})
    return blocks


def _escape(text: str) -> str:
    """Slack reads these three characters as markup; anything else is plain."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def _cut(text: str, length: int) -> str:
    return text if len(text) <= length else text[: length - 1] + "…"
