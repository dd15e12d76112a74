"""Notices to people: Slack where a token is set, always a local log. Entry point: `build_notifier`."""

from __future__ import annotations

from pathlib import Path

from pydantic import SecretStr

from include.notifications.fan_out import FanOut
from include.notifications.log import LogNotifier
from include.notifications.slack import SlackNotifier
from include.ports import Notifier

__all__ = ["FanOut", "LogNotifier", "SlackNotifier", "build_notifier"]


def build_notifier(logs: Path, *, slack_token: str | None, slack_channel: str, slack_url: str) -> Notifier:
    """The log under `logs`, and Slack beside it when there is a token."""
    log = LogNotifier(logs / "notices.jsonl")
    if not slack_token:
        return log
    return FanOut((log, SlackNotifier(SecretStr(slack_token), channel=slack_channel, url=slack_url)))
