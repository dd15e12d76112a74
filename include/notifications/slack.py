"""Notices to a Slack channel by the Web API. Never raises, never waits long, never shows the token."""

from __future__ import annotations

import logging
import re
from collections.abc import Sequence
from typing import Any
from urllib.error import URLError

from pydantic import SecretStr

from include.alerting.wording import merge_notices
from include.domain.alerts import Outcome
from include.notifications.channel import DELIVERED, Receipt
from include.notifications.slack_blocks import build_blocks, summary
from include.ports import Notice

logger = logging.getLogger(__name__)
_CLIENT_ERROR, _SERVER_ERROR = 400, 500
_CODE = re.compile(r"[a-z][a-z0-9_]*( |$)")
_LONGEST_WAIT_SECS = 300.0


class SlackNotifier:
    """Posts to one channel. The client is built with each notice: nothing happens at import or construction."""

    name = "slack"

    def __init__(self, token: SecretStr, *, channel: str, url: str, timeout_secs: int = 5) -> None:
        self._token = token
        self._channel = channel
        self._url = url if url.endswith("/") else url + "/"
        self._timeout_secs = timeout_secs

    def __repr__(self) -> str:
        return f"SlackNotifier(channel={self._channel!r}, url={self._url!r})"

    def send(self, notice: Notice) -> bool:
        """Deliver one notice; implements `ports.Notifier`."""
        return self.deliver((notice,)).delivered

    def deliver(self, notices: Sequence[Notice], *, repeated: bool = False) -> Receipt:
        """Post one message; implements `channel.Channel`."""
        from slack_sdk import WebClient

        notice = merge_notices(notices, repeated=repeated)
        try:
            quiet = logger.getChild("client")
            quiet.setLevel(logging.CRITICAL)  # its lines quote answers, and an answer may quote the token
            client = WebClient(
                token=self._token.get_secret_value(), base_url=self._url, timeout=self._timeout_secs, logger=quiet
            )
            answer = client.chat_postMessage(
                channel=self._channel, text=summary(notice), blocks=build_blocks(notice), unfurl_links=False,
                unfurl_media=False,
            )  # fmt: skip
            receipt = DELIVERED if answer.get("ok") else Receipt(Outcome.FAILED, "Slack did not say ok")
        except Exception as error:
            # Whatever goes wrong here must stop neither stage nor engine; the caller is told by the receipt.
            receipt = self._receipt(error)
        if not receipt.delivered:
            logger.warning("Slack notice to %s not delivered: %s", self._channel, receipt.reason)
        return receipt

    def _receipt(self, error: Exception) -> Receipt:
        response = getattr(error, "response", None)
        cause = getattr(error, "reason", None)
        if response is not None:
            code = str(response.get("error", "")) if hasattr(response, "get") else ""
            return _refusal(getattr(response, "status_code", 0), self._hidden(code), _retry_after(response))
        timed_out = isinstance(error, TimeoutError) or isinstance(cause, TimeoutError)
        never_sent = isinstance(error, URLError) and isinstance(cause, OSError) and not timed_out
        return Receipt(
            Outcome.FAILED if never_sent else Outcome.UNKNOWN, self._hidden(str(cause or type(error).__name__))
        )

    def _hidden(self, text: str) -> str:
        return text.split("\n", 1)[0].replace(self._token.get_secret_value(), "***")


def _refusal(status: int, code: str, retry_after_secs: float) -> Receipt:
    """What Slack answered: its own error code is a refusal; anything else did not come from Slack's own code."""
    if _CODE.match(code) and status < _SERVER_ERROR:
        return Receipt(Outcome.FAILED, code, retry_after_secs)
    refused = _CLIENT_ERROR <= status < _SERVER_ERROR
    return Receipt(Outcome.FAILED if refused else Outcome.UNKNOWN, f"status {status} without Slack's answer")


def _retry_after(response: Any) -> float:
    headers = getattr(response, "headers", None) or {}
    found = next((value for name, value in dict(headers).items() if str(name).lower() == "retry-after"), "0")
    text = str(found[0] if isinstance(found, list) else found)
    return min(float(text), _LONGEST_WAIT_SECS) if text.isdigit() else 0.0
