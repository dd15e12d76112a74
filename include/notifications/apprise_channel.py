"""Telegram, e-mail, SMS, webhooks and everything else that `apprise` knows. The address is a secret and stays one."""

from __future__ import annotations

import logging
import re
from collections.abc import Iterable, Mapping, Sequence
from types import MappingProxyType
from typing import Any

from pydantic import SecretStr

from include.alerting.wording import merge_notices
from include.domain.alerts import Outcome
from include.domain.enums import Severity
from include.domain.errors import ConfigurationError
from include.notifications.channel import DELIVERED, Receipt
from include.ports import Notice

logger = logging.getLogger(__name__)
_SHORT = 300
"""Characters of a text message: two parts of an SMS."""
_BODY = 3_500
"""Characters elsewhere: within one message of the strictest (Telegram), so that nothing arrives in pieces."""
_TYPES: Mapping[Severity, str] = MappingProxyType(
    {Severity.INFO: "info", Severity.WARNING: "warning", Severity.CRITICAL: "failure"}
)
_SERVER_ERROR = 500
_STATUS = re.compile(r"error=(\d{3})\b")


class AppriseChannel:
    """One apprise URL.

    Args:
        name: channel of the policy that it serves.
        short: a text message: the title alone.

    Raises:
        ConfigurationError: apprise does not understand the URL, which is not repeated.
    """

    def __init__(self, name: str, url: SecretStr, *, short: bool = False, timeout_secs: float = 8.0) -> None:
        self.name = name
        self._url = url
        self._short = short
        self._timeout_secs = timeout_secs
        # What they log quotes addresses, tokens included. A failed delivery's warning is read below and goes nowhere
        # else; of an address that cannot be used nothing may be said at all.
        library = logging.getLogger("apprise")
        library.propagate = False
        library.setLevel(logging.CRITICAL)
        try:
            self._build()
        finally:
            library.setLevel(logging.WARNING)
        logging.getLogger("urllib3.connectionpool").setLevel(logging.INFO)

    def __repr__(self) -> str:
        return f"AppriseChannel({self.name!r})"

    def deliver(self, notices: Sequence[Notice], *, repeated: bool = False) -> Receipt:
        """Send one message; implements `channel.Channel`."""
        notice = merge_notices(notices, repeated=repeated)
        title = f"[{notice.severity.value}] {notice.title}"
        body = "Details: airlock alerts list" if self._short else render_text(notice)
        try:
            result = self._build().notify(
                title=title[:_SHORT], body=body[:_BODY], body_format="text", notify_type=_TYPES[notice.severity],
                timeout=self._timeout_secs,
            )  # fmt: skip
            receipt = DELIVERED if result else _failure(result)
        except Exception as error:
            receipt = Receipt(Outcome.UNKNOWN, type(error).__name__)
        if not receipt.delivered:
            logger.warning("notice on channel %s not delivered: %s", self.name, receipt.reason)
        return receipt

    def _build(self) -> Any:
        from apprise import Apprise, AppriseAsset

        asset = AppriseAsset(app_id="Airlock", app_desc="Airlock", app_url="", async_mode=False, storage_mode="memory")
        made = Apprise(asset=asset)
        if not made.add(self._url.get_secret_value()):
            raise ConfigurationError(
                f"AIRLOCK_{self.name.upper()}_URL is not an address that apprise understands; see docs/alerts.md"
            )
        return made


def render_text(notice: Notice) -> str:
    """A notice as plain text: verdict, lines, table with aligned columns, links."""
    parts = [notice.verdict, *notice.lines, *_aligned(notice.table)]
    parts += [f"{button.text}: {button.url}" for button in notice.buttons]
    return "\n".join(part for part in (*parts, notice.link) if part) or notice.title


def _aligned(rows: Sequence[Sequence[str]]) -> Iterable[str]:
    widths = [
        max((len(row[i]) for row in rows if i < len(row)), default=0) for i in range(max(map(len, rows), default=0))
    ]
    return ("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=False)).rstrip() for row in rows)


def _failure(result: Any) -> Receipt:
    """A status that the other side answered is a refusal; everything else may have arrived."""
    status = next((match[1] for entry in result.logs() if (match := _STATUS.search(entry.message))), None)
    if status is not None and int(status) < _SERVER_ERROR:
        return Receipt(Outcome.FAILED, f"refused with status {status}")
    if status is not None:
        return Receipt(Outcome.UNKNOWN, f"the server failed with status {status}")
    return Receipt(Outcome.UNKNOWN, "no confirmation")
