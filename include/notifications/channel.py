"""A channel and what became of a message on it; a call that may hang is given up after its time."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from include.domain.alerts import Outcome
from include.ports import Notice


@dataclass(frozen=True, slots=True)
class Receipt:
    """What a channel says about one attempt. `reason` never holds an address or a secret."""

    outcome: Outcome
    reason: str = ""
    retry_after_secs: float = 0.0
    """How long the other side asks to be left alone."""

    @property
    def delivered(self) -> bool:
        return self.outcome is Outcome.DELIVERED


DELIVERED = Receipt(Outcome.DELIVERED)


class Channel(Protocol):
    """One way to reach people."""

    @property
    def name(self) -> str: ...

    def deliver(self, notices: Sequence[Notice], *, repeated: bool = False) -> Receipt:
        """Tell them, as one message where the channel has messages.

        Args:
            repeated: an earlier message with some of them may have arrived.
        """
        ...


class Patience:
    """Runs calls in a thread of their own, one at a time, and waits for each no longer than its time.

    A call that hangs keeps its thread; until that ends, further calls are refused rather than piled up.
    """

    def __init__(self, timeout_secs: float) -> None:
        self._timeout_secs = timeout_secs
        self._thread: threading.Thread | None = None

    def call(self, attempt: Callable[[], Receipt]) -> Receipt:
        """The attempt's receipt; UNKNOWN when it did not come in time, or broke off."""
        if self._thread is not None and self._thread.is_alive():
            return Receipt(Outcome.FAILED, "an earlier message still hangs")
        found: list[Receipt] = []

        def run() -> None:
            try:
                found.append(attempt())
            except Exception as error:  # a channel of a user's own; its text might quote an address
                found.append(Receipt(Outcome.UNKNOWN, f"it raised {type(error).__name__}"))

        self._thread = threading.Thread(target=run, name="airlock-delivery", daemon=True)
        self._thread.start()
        self._thread.join(self._timeout_secs)
        return found[0] if found else Receipt(Outcome.UNKNOWN, f"no answer within {self._timeout_secs:g} s")
