"""Time: aware UTC datetimes at the edges, epoch milliseconds inside arrays. A bar is named by its open time."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from include.domain.errors import ConfigurationError

_UNIT_SECONDS = {"s": 1, "m": 60, "h": 3_600, "d": 86_400, "w": 604_800}
DAY_MS = 86_400_000
_MONDAY_MS = 4 * DAY_MS
"""1970-01-05, the first Monday."""
DAYS_PER_YEAR = 365
"""Crypto markets trade every day; daily ratios are annualised with its square root."""


@dataclass(frozen=True, slots=True, order=True)
class Timeframe:
    """Length of a bar in whole seconds."""

    seconds: int

    @classmethod
    def parse(cls, text: str) -> Timeframe:
        """Read ccxt notation (`1m`, `5m`, `2h`, `1d`).

        Raises:
            ConfigurationError: the text is not a positive whole number followed by s, m, h, d or w.
        """
        match = re.fullmatch(r"([1-9]\d*)([smhdw])", text.strip())
        if match is None:
            raise ConfigurationError(f"timeframe {text!r} is not understood; write for example 1m, 5m, 2h or 1d")
        return cls(int(match[1]) * _UNIT_SECONDS[match[2]])

    @property
    def ms(self) -> int:
        return self.seconds * 1_000

    @property
    def anchor_ms(self) -> int:
        """Epoch milliseconds from which open times are multiples: weekly bars open on Mondays."""
        return _MONDAY_MS if self.seconds % _UNIT_SECONDS["w"] == 0 else 0

    @property
    def delta(self) -> timedelta:
        return timedelta(seconds=self.seconds)

    def __str__(self) -> str:
        for unit in ("w", "d", "h", "m"):
            if self.seconds % _UNIT_SECONDS[unit] == 0:
                return f"{self.seconds // _UNIT_SECONDS[unit]}{unit}"
        return f"{self.seconds}s"


def to_ms(moment: datetime) -> int:
    """Epoch milliseconds of an aware datetime.

    Raises:
        ValueError: the datetime has no time zone; guessing one is how data shifts by hours.
    """
    if moment.tzinfo is None:
        raise ValueError(f"{moment.isoformat()} has no time zone; every time in Airlock is aware")
    delta = moment.astimezone(UTC) - datetime(1970, 1, 1, tzinfo=UTC)
    return delta // timedelta(milliseconds=1)


def from_ms(milliseconds: int) -> datetime:
    """Aware UTC datetime of epoch milliseconds."""
    return datetime(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=int(milliseconds))


def iso(moment: datetime) -> str:
    """ISO-8601 in UTC with a trailing Z, milliseconds only when there are some."""
    utc = moment.astimezone(UTC)
    return utc.isoformat(timespec="milliseconds" if utc.microsecond else "seconds").replace("+00:00", "Z")


def parse_utc(text: str) -> datetime:
    """Read a date (`2024-01-31`) or ISO time as UTC; a time without a zone is taken as UTC.

    Raises:
        ConfigurationError: the text is not a date or an ISO-8601 time.
    """
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise ConfigurationError(f"{text!r} is not a date or ISO-8601 time; write for example 2024-01-31") from None
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
