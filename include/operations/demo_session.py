"""One demonstration in progress: its settings, what it has seen, and how it waits."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime

from include.config.settings import Settings
from include.domain.errors import FatalError
from include.operations.airflow_client import AirflowClient
from include.operations.demo_state import Climb
from include.operations.demo_view import DemoView
from include.stages.live import DeploymentHealth

EARNS_ITS_WAY, TURNED_DOWN = "mean-reversion-scalper", "trend-follower"
PROFILE = "five-year"
STARTED_BY = "paula"
MIN_FILLS = 6
"""Real fills on the sandbox exchange to wait for: a few round trips."""
POLL_SECS = 1.0


@dataclass(slots=True)
class Demo:
    """One demonstration in progress."""

    settings: Settings
    view: DemoView
    hands_on: bool
    url: str = ""
    passwords: dict[str, str] = field(default_factory=dict)
    climbs: list[Climb] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)
    reports: dict[str, str] = field(default_factory=dict)
    live: DeploymentHealth | None = None
    began: datetime = field(default_factory=lambda: datetime.now(UTC))
    asked: set[str] = field(default_factory=set)

    def client(self, user: str) -> AirflowClient:
        return AirflowClient(self.url, user=user, password=self.passwords[user])


def wait_for(demo: Demo, what: str, done: Callable[[], bool], within_secs: float | None) -> None:
    deadline = None if within_secs is None else time.monotonic() + within_secs
    while not done():
        if deadline is not None and time.monotonic() > deadline:
            raise FatalError(f"waited {within_secs:.0f} s in vain for {what}; see {demo.url}")
        time.sleep(POLL_SECS)
