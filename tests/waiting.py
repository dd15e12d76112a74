"""Waiting for something another process does, with a bound; never a fixed sleep."""

from __future__ import annotations

import time
from collections.abc import Callable


def wait_for(condition: Callable[[], bool], *, secs: float, every: float = 0.2) -> None:
    """Ask until the condition holds.

    Raises:
        AssertionError: it did not within `secs`.
    """
    deadline = time.monotonic() + secs
    while not condition():
        assert time.monotonic() < deadline, f"still not so after {secs:g} s"
        time.sleep(every)
