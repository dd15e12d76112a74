"""Notices as JSON lines in a local file: the sink that is always there."""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path

from include.domain.alerts import Outcome
from include.domain.times import iso
from include.notifications.channel import DELIVERED, Receipt
from include.ports import Notice

logger = logging.getLogger(__name__)
_ROTATE_BYTES = 10_000_000


def _utc_now() -> datetime:
    return datetime.now(UTC)


class LogNotifier:
    """Appends one line a notice; the file is rotated once at 10 MB (`.1` keeps the older half)."""

    name = "log"

    def __init__(self, path: Path, clock: Callable[[], datetime] = _utc_now) -> None:
        self._path = path
        self._clock = clock

    def send(self, notice: Notice) -> bool:
        document = {
            "at": iso(self._clock()), "severity": notice.severity.value, "title": notice.title,
            "lines": list(notice.lines), "link": notice.link,
        }  # fmt: skip
        line = json.dumps(document, ensure_ascii=False) + "\n"
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            self._rotate()
            # One write to a file opened for appending: lines of several processes never mix.
            descriptor = os.open(self._path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o640)
            try:
                written = os.write(descriptor, line.encode())
            finally:
                os.close(descriptor)
        except OSError as error:
            logger.warning("notice %r not written to %s: %s", notice.title, self._path, error.strerror)
            return False
        return written == len(line.encode())

    def deliver(self, notices: Sequence[Notice], *, repeated: bool = False) -> Receipt:
        """One line for each, nothing merged; implements `channel.Channel`."""
        written = [self.send(notice) for notice in notices]
        return DELIVERED if all(written) else Receipt(Outcome.FAILED, "the log cannot be written")

    def _rotate(self) -> None:
        if self._path.exists() and self._path.stat().st_size > _ROTATE_BYTES:
            self._path.replace(self._path.with_name(self._path.name + ".1"))
