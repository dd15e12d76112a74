"""Patience with a server: try again after a set-back, wait as long as one is asked to, give up with a reason."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from typing import TypeVar

from tenacity import RetryCallState, Retrying, retry_if_exception_type
from tenacity.wait import wait_exponential_jitter

from include.domain.errors import RetryableError

log = logging.getLogger(__name__)
T = TypeVar("T")

MAX_ATTEMPTS = 6
BACKOFF_SECS = 1.0
MAX_BACKOFF_SECS = 60.0
JITTER_SECS = 1.0
MAX_WAIT_SECS = 300.0
"""A server that asks for a longer wait is left alone; whoever called may come back then."""


class SetbackError(Exception):
    """One attempt failed in a way that another may not.

    Attributes:
        wait_secs: how long the other side asked us to stay away; None when it did not say.
    """

    def __init__(self, reason: str, wait_secs: float | None = None) -> None:
        super().__init__(reason)
        self.wait_secs = wait_secs


@dataclass(frozen=True, slots=True)
class Patience:
    """How often and how long.

    Attributes:
        attempts: requests in all before giving up.
        sleep: waits so many seconds; handed in so that tests need not.
    """

    attempts: int = MAX_ATTEMPTS
    sleep: Callable[[float], None] = time.sleep

    def call(self, what: str, attempt: Callable[[], T]) -> T:
        """The result of `attempt`, tried again after every SetbackError: after the time the other side asked for, else
        after a growing, jittered one.

        Raises:
            RetryableError: attempts or patience are used up; says what failed and how long to wait.
        """
        retrying = Retrying(
            retry=retry_if_exception_type(SetbackError),
            stop=lambda state: state.attempt_number >= self.attempts or (_asked(state) or 0.0) > MAX_WAIT_SECS,
            wait=_wait,
            sleep=self.sleep,
            before_sleep=lambda state: log.warning("%s: %s; again in %.0f s", what, _error(state), _upcoming(state)),
            reraise=True,
        )
        try:
            return retrying(attempt)
        except SetbackError as setback:
            tries = f"{retrying.statistics.get('attempt_number', 1)} of {self.attempts} attempts"
            later = f"in {setback.wait_secs:.0f} s" if setback.wait_secs is not None else "later"
            raise RetryableError(f"{what}: {setback}; gave up after {tries}, try again {later}") from None


def retry_after_secs(headers: Mapping[str, str]) -> float | None:
    """Seconds that `Retry-After` asks for, in either of its forms; a date counts from the server's own `Date`.

    Args:
        headers: of the answer, looked up as the HTTP client does (in any case).
    """
    asked = headers.get("Retry-After", "").strip()
    if asked.isdigit():
        return float(asked)
    until, server = http_date_ms(asked), http_date_ms(headers.get("Date", ""))
    return max(0.0, (until - server) / 1_000) if until is not None and server is not None else None


def http_date_ms(text: str) -> int | None:
    """Epoch milliseconds of an HTTP date; None for anything else."""
    try:
        return int(parsedate_to_datetime(text).timestamp() * 1_000)
    except ValueError:
        return None


# --- inside ------------------------------------------------------------------------------------------------

_backoff = wait_exponential_jitter(initial=BACKOFF_SECS, max=MAX_BACKOFF_SECS, jitter=JITTER_SECS)


def _error(state: RetryCallState) -> BaseException | None:
    return state.outcome.exception() if state.outcome else None


def _upcoming(state: RetryCallState) -> float:
    return state.next_action.sleep if state.next_action else 0.0


def _asked(state: RetryCallState) -> float | None:
    error = _error(state)
    return error.wait_secs if isinstance(error, SetbackError) else None


def _wait(state: RetryCallState) -> float:
    asked = _asked(state)
    return _backoff(state) if asked is None else asked
