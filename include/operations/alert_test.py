"""One alert through every channel, to see whether it arrives; past the outbox, so that each answer is this try's."""

from __future__ import annotations

import time
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from include.domain.alerts import Outcome
from include.domain.enums import Severity
from include.domain.times import iso
from include.notifications import Channel
from include.notifications.channel import Patience
from include.notifications.sender import TIMEOUT_SECS
from include.ports import Notice


@dataclass(frozen=True, slots=True)
class ChannelTry:
    """What became of the test on one channel."""

    channel: str
    outcome: Outcome
    reason: str
    secs: float

    @property
    def delivered(self) -> bool:
        return self.outcome is Outcome.DELIVERED

    def document(self) -> dict[str, Any]:
        return {
            "channel": self.channel, "outcome": self.outcome.value, "reason": self.reason, "secs": round(self.secs, 3),
        }  # fmt: skip


def try_channels(channels: Mapping[str, Channel], now: datetime) -> list[ChannelTry]:
    """Send the same test through each channel, side by side."""
    notice = Notice(
        Severity.INFO,
        "Airlock test: this channel works",
        (f"sent {iso(now)}", "Nothing is wrong. Alerts will arrive here."),
    )

    def attempt(channel: Channel) -> ChannelTry:
        begun = time.monotonic()
        receipt = Patience(TIMEOUT_SECS).call(lambda: channel.deliver((notice,)))
        return ChannelTry(channel.name, receipt.outcome, receipt.reason, time.monotonic() - begun)

    with ThreadPoolExecutor(max(1, len(channels))) as pool:
        return list(pool.map(attempt, channels.values()))
