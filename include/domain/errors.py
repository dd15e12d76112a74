"""Exceptions, sorted by what the caller must do.

Every message is one line that names what failed, where, and what to do about it; it never holds a secret.
The command line maps `exit_code` to its exit status (see `docs/operations.md`).
"""

from __future__ import annotations


class AirlockError(Exception):
    """Root of every expected failure."""

    exit_code = 3


class ConfigurationError(AirlockError):
    """The input is wrong (file, key, value, argument): fix it and run again; retrying does not help."""

    exit_code = 2


class DataError(ConfigurationError):
    """Market data that cannot be used at all: missing file, wrong columns, unreadable content."""


class RetryableError(AirlockError):
    """Nothing happened; the same call may succeed later (connection refused, rate limit, maintenance)."""


class OutcomeUnknownError(AirlockError):
    """The request was sent and no answer can be trusted: resolve by client id, never assume rejection."""


class RejectedError(AirlockError):
    """The other side understood and refused; the same request will be refused again."""

    def __init__(self, message: str, *, code: str = "") -> None:
        super().__init__(message)
        self.code = code


class FatalError(AirlockError):
    """Stop and ask a person: wrong credentials, corrupt state, an account that does not reconcile."""


class LeaseLostError(FatalError):
    """Another holder owns the deployment (or nobody does): stop trading at once."""


class TransitionError(AirlockError):
    """A lifecycle table forbids the move; carries both ends for the log."""

    def __init__(self, subject: str, current: str, target: str) -> None:
        super().__init__(f"{subject}: {current} -> {target} is not a legal transition")
        self.subject, self.current, self.target = subject, current, target
