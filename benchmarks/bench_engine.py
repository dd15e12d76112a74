"""How fast the engine replays through sockets, ccxt and ledger, and how soon after a close an order is out.

    python -m benchmarks.bench_engine [--days N] [--candidate NAME]

A sandbox exchange in lockstep runs as a process of its own on a synthetic market; the engine runs here, on the embedded
PostgreSQL as it is shipped (commits reach the disk). Latency is from the moment the closed bars are read from the
stream to the moment an entry or exit is handed to the client library: signals, risk gate and the durable write-ahead
lie in between, and for later symbols of the same minute the orders before theirs. Exit 1 when a budget is missed.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import secrets
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

NOW = datetime(2026, 1, 1, tzinfo=UTC)
START = datetime(2024, 3, 1, tzinfo=UTC)
ACCOUNT = "bench"
BUDGETS = {"bars_per_sec": 1_500.0, "close_to_submit_p50_ms": 5.0, "close_to_submit_p99_ms": 25.0}


def _timed_venue(url: str, key: str, secret: str, latencies: list[float]) -> Any:
    from pydantic import SecretStr

    from include.domain.bars import Bar
    from include.domain.enums import OrderPurpose
    from include.domain.orders import Order, OrderReport
    from include.venues.ccxt_venue import CcxtVenue

    class Timed(CcxtVenue):
        read_at = 0.0

        async def events(self) -> AsyncIterator[Bar | OrderReport]:  # type: ignore[override]
            async for event in super().events():
                self.read_at = time.perf_counter() if isinstance(event, Bar) else self.read_at
                yield event

        async def submit(self, order: Order) -> OrderReport:
            if order.intent.purpose in (OrderPurpose.ENTRY, OrderPurpose.EXIT):
                latencies.append((time.perf_counter() - self.read_at) * 1_000)
            return await super().submit(order)

    return Timed(url, SecretStr(key), SecretStr(secret))


def _start_exchange(home: Path, candidate: Any, end: datetime, capital: Decimal, keys: dict[str, str]) -> Any:
    command = [sys.executable, "-m", "include.cli", "exchange", "--venue", candidate.venue, "--speed", "step"]
    command += ["--from", START.isoformat(), "--to", end.isoformat(), "--account", ACCOUNT, "--balance", str(capital)]
    command += [word for symbol in candidate.symbols for word in ("--symbol", symbol)]
    environment = {**os.environ, **keys, "AIRLOCK_HOME": str(home)}
    return subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)


def _deployment(candidate: Any, profile: Any, end: datetime) -> Any:
    from include.domain.deployments import Deployment, VenueConnection, VenueKind, deployment_id
    from include.domain.enums import DeploymentStatus, DesiredState, Mode

    return Deployment(
        id=deployment_id(candidate.id, Mode.SIMULATION, "bench"), candidate_id=candidate.id, profile=profile.name,
        profile_hash=profile.hash, mode=Mode.SIMULATION,
        connection=VenueConnection(VenueKind.REPLAY, candidate.venue, ACCOUNT, start=START, end=end),
        capital=Decimal(repr(profile.initial_capital)), capital_fraction=Decimal(1), session_key="bench",
        desired=DesiredState.RUNNING, status=DeploymentStatus.PENDING, status_reason="", created_at=NOW,
    )  # fmt: skip


async def _replay(ledger: Any, candidate: Any, profile: Any, deployment: Any, venue: Any) -> tuple[float, Any]:
    from include.risk.limits import build_limits
    from include.strategies.protocol import load_strategy
    from include.trading.engine import Engine
    from include.venues.pacer import SandboxPacer

    engine = Engine(
        ledger=ledger, venue=venue, pacer=SandboxPacer(venue), deployment=deployment, candidate=candidate,
        strategy=load_strategy(candidate.strategy, candidate.params), limits=build_limits(profile.risk),
        holder="bench:1",
    )  # fmt: skip
    running = asyncio.create_task(engine.run())
    await asyncio.wait({asyncio.create_task(engine.started.wait()), running}, return_when=asyncio.FIRST_COMPLETED)
    began = time.perf_counter()
    await running
    return time.perf_counter() - began, engine.session


def measure(days: float, name: str) -> dict[str, Any]:
    """Replay so many days of the synthetic market once."""
    from include.config.files import VENUES_FILE, find_candidate, find_profile
    from include.config.venues import load_venues
    from include.domain.accounts import credential_variables
    from include.ledger.embedded import start_server, stop_server
    from include.ledger.migrations import migrate
    from include.ledger.unit_of_work import PostgresLedger
    from include.market_data.importing import import_synthetic
    from include.market_data.lake import ParquetLake
    from include.market_data.synthetic import DEFAULT_SEED

    candidate, profile = find_candidate(name), find_profile("five-year")
    end = START + timedelta(days=days)
    key, secret = secrets.token_hex(16), secrets.token_hex(16)
    keys = dict(zip(credential_variables(ACCOUNT), (key, secret), strict=True))
    latencies: list[float] = []
    with tempfile.TemporaryDirectory(prefix="airlock-bench-") as folder:
        home = Path(folder)
        home.chmod(0o755)
        lake = ParquetLake(home / "lake", load_venues(VENUES_FILE))
        import_synthetic(lake, candidate.symbols, START - timedelta(days=3), end, seed=DEFAULT_SEED, now=NOW)
        url = start_server(home)
        migrate(url)
        ledger = PostgresLedger(url)
        deployment = _deployment(candidate, profile, end)
        with ledger.begin() as work:
            work.candidates.register(candidate)
            work.deployments.create(deployment)
            work.commit()
        exchange = _start_exchange(home, candidate, end, deployment.capital, keys)
        try:
            address = json.loads(exchange.stdout.readline())["url"]
            venue = _timed_venue(address, key, secret, latencies)
            seconds, session = asyncio.run(_replay(ledger, candidate, profile, deployment, venue))
        finally:
            exchange.terminate()
            exchange.wait(10)
            ledger.close()
            stop_server(home)
    cuts = statistics.quantiles(latencies, n=100) if len(latencies) > 1 else [float("nan")] * 99
    return {
        "days": days, "symbols": len(candidate.symbols), "bars": session.bars_handled, "seconds": round(seconds, 2),
        "bars_per_sec": round(session.bars_handled / seconds, 1), "orders": session.book.orders_sent,
        "fills": session.book.fills_count, "close_to_submit_p50_ms": round(cuts[49], 2),
        "close_to_submit_p99_ms": round(cuts[98], 2),
    }  # fmt: skip


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--days", type=float, default=1.0)
    parser.add_argument("--candidate", default="mean-reversion-scalper")
    arguments = parser.parse_args()
    found = measure(arguments.days, arguments.candidate)
    missed = [
        name
        for name, budget in BUDGETS.items()
        if not (found[name] >= budget if name == "bars_per_sec" else found[name] <= budget)
    ]
    print(json.dumps({**found, "missed": missed}, indent=2))
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
