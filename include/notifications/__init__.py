"""Telling people: channels, the sender that works through the outbox, and the notifier that stages use.

Entry points: `build_channels`, `Sender`, `OutboxNotifier`, and `FanOut` past the outbox.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from pydantic import SecretStr

from include.notifications.apprise_channel import AppriseChannel
from include.notifications.channel import Channel, Receipt
from include.notifications.fan_out import FanOut
from include.notifications.log import LogNotifier
from include.notifications.outbox_notifier import OutboxNotifier
from include.notifications.sender import Sender
from include.notifications.slack import SlackNotifier

__all__ = [
    "AppriseChannel",
    "Channel",
    "FanOut",
    "LogNotifier",
    "OutboxNotifier",
    "Receipt",
    "Sender",
    "SlackNotifier",
    "build_channels",
]


def build_channels(
    logs: Path,
    *,
    slack_token: SecretStr | None,
    slack_channel: str,
    slack_url: str,
    urls: Mapping[str, SecretStr | None],
) -> dict[str, Channel]:
    """Every channel that is set up, by name; the local log always is.

    Args:
        urls: apprise URLs by channel name; None or empty for a channel that is not set up.

    Raises:
        ConfigurationError: a URL that apprise does not understand.
    """
    channels: dict[str, Channel] = {"log": LogNotifier(logs / "notices.jsonl")}
    if slack_token is not None and slack_token.get_secret_value():
        channels["slack"] = SlackNotifier(slack_token, channel=slack_channel, url=slack_url)
    for name, url in urls.items():
        if url is not None and url.get_secret_value():
            channels[name] = AppriseChannel(name, url, short=name == "sms")
    return channels
