"""A whole small installation for tests: home folder, lake, ledger, and a trader that starts real processes."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from include.config.files import VENUES_FILE, find_profile
from include.config.venues import load_venues
from include.domain.deployments import Deployment, VenueConnection, VenueKind
from include.domain.enums import DeploymentStatus
from include.domain.orders import Order
from include.ledger.unit_of_work import PostgresLedger
from include.market_data.lake import ParquetLake
from include.market_data.partitions import to_table
from include.qualification.candidate import Candidate, source_digest
from include.trading.processes import Child, ProcessFolder, wait_until_gone
from include.trading.trader import Trader
from tests.adapters.engines import churn_candidate, put, replay_deployment
from tests.adapters.memory_market import MINUTE, random_bars

START = datetime(2024, 3, 1, tzinfo=UTC)
SYMBOLS = ("BTC/USDT", "ETH/USDT")
HISTORY = 60
ROOT = Path(__file__).resolve().parents[2]
PATIENCE_SECS = 120.0


@dataclass(slots=True)
class World:
    """One home. `environment` is what the trader runs with."""

    home: Path
    ledger: PostgresLedger
    lake: ParquetLake
    environment: dict[str, str]
    traders: list[Trader] = field(default_factory=list)

    @property
    def folder(self) -> ProcessFolder:
        return ProcessFolder(self.home / "run", self.home / "logs")

    def trader(self, **options: Any) -> Trader:
        """A trader as after a (re)start: it knows nothing but home and ledger."""
        made = Trader(
            self.ledger, run=self.home / "run", logs=self.home / "logs", environment=self.environment,
            **{"authorise": lambda deployment: None, **options},
        )  # fmt: skip
        self.traders.append(made)
        return made

    def simulate(
        self, minutes: int, key: str = "k", connection: VenueConnection | None = None, **params: Any
    ) -> tuple[Candidate, Deployment]:
        """A busy candidate that should be simulated for so many minutes, by a replay unless it has a connection."""
        from dataclasses import replace

        params = {"weight": 0.05, **params}
        candidate = replace(
            churn_candidate(SYMBOLS, **params),
            venue="synthetic",
            source_digest=source_digest("tests.adapters.strategies"),
        )
        connection = connection or VenueConnection(
            VenueKind.REPLAY, "synthetic", "simulation", start=START, end=START + timedelta(minutes=minutes)
        )
        profile = find_profile("five-year")
        with self.ledger.begin() as work:
            work.profiles.register(profile)
            work.commit()
        deployment = replay_deployment(
            candidate, minutes, key=key, connection=connection, profile_hash=profile.hash, created_at=START
        )
        return candidate, put(self.ledger, candidate, deployment)

    def stored(self, deployment: Deployment) -> Deployment:
        with self.ledger.begin() as work:
            found = work.deployments.get(deployment.id)
        assert found is not None
        return found

    def points(self, deployment: Deployment) -> int:
        """Bars handled, as the ledger has it."""
        with self.ledger.begin() as work:
            return len(work.orders.equity(deployment.id))

    def orders(self, deployment: Deployment) -> list[Order]:
        with self.ledger.begin() as work:
            return list(work.orders.all(deployment.id))

    def engine(self, deployment: Deployment) -> Child | None:
        """The engine's process, if it lives."""
        child = self.folder.load("engine", deployment.id)
        return child if child is not None and child.process() is not None else None

    def log(self, deployment: Deployment) -> str:
        path = self.home / "logs" / f"engine-{deployment.id[:12]}.log"
        return path.read_text(encoding="utf-8") if path.is_file() else "no engine has been started"

    def drive(self, trader: Trader, until: Callable[[], bool], patience_secs: float = PATIENCE_SECS) -> None:
        """Trader pass after pass until a condition holds."""
        give_up = time.monotonic() + patience_secs
        while not until():
            assert time.monotonic() < give_up, f"waited {patience_secs:g} s; {self._state()}"
            trader.step()
            time.sleep(0.05)

    def wait(self, until: Callable[[], bool], patience_secs: float = 30.0) -> None:
        """Without a trader, until a condition holds."""
        give_up = time.monotonic() + patience_secs
        while not until():
            assert time.monotonic() < give_up, f"waited {patience_secs:g} s; {self._state()}"
            time.sleep(0.05)

    def drive_to(self, trader: Trader, deployment: Deployment, status: DeploymentStatus) -> None:
        """Until the deployment has a status; any other end fails at once."""

        def reached() -> bool:
            now = self.stored(deployment).status
            wrong = now in {DeploymentStatus.FAILED, DeploymentStatus.COMPLETED} and now is not status
            assert not wrong, f"{now.value}: {self.stored(deployment).status_reason}\n{self.log(deployment)}"
            return now is status

        self.drive(trader, reached)

    def close(self) -> None:
        """End every process this world has started."""
        children = self.folder.all()
        for child in children:
            child.kill()
        wait_until_gone(children, 5)

    def _state(self) -> str:
        with self.ledger.begin() as work:
            deployments = work.deployments.all()
        return "; ".join(f"{d.short_id} {d.status.value} {d.status_reason}\n{self.log(d)[-2000:]}" for d in deployments)


def build_world(home: Path, url: str, minutes: int) -> World:
    """A home with a lake that holds so many minutes after START, and warm-up before."""
    lake = ParquetLake(home / "lake", load_venues(VENUES_FILE))
    for seed, symbol in enumerate(SYMBOLS):
        bars = random_bars(
            symbol, START - HISTORY * MINUTE.delta, HISTORY + minutes, seed=seed, price=1_000.0 * (seed + 1)
        )
        names = ("open_time", "open", "high", "low", "close", "volume")
        columns = {name: getattr(bars, name) for name in names}
        lake.ingest("synthetic", symbol, MINUTE, to_table(columns), source="test", now=START)
    environment = {
        **{name: value for name, value in os.environ.items() if not name.startswith("AIRLOCK_")},
        "AIRLOCK_HOME": str(home), "AIRLOCK_DATABASE_URL": url, "PYTHONPATH": str(ROOT),
    }  # fmt: skip
    return World(home, PostgresLedger(url), lake, environment)
