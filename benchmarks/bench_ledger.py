"""How fast the ledger writes: write-ahead and report, each in a durable transaction of its own.

    python benchmarks/bench_ledger.py [--orders N]

Runs on an embedded server in a temporary folder with every safety on (fsync, synchronous commit). The budget is the
ledger's share of "bar close to order submitted": 2 ms for a write-ahead, commit included. The bare driver's insert
and commit, measured in the same run, says how much of a figure is the disk and how much is ours.
"""

from __future__ import annotations

import argparse
import json
import statistics
import tempfile
import time
from collections.abc import Callable, Mapping
from pathlib import Path

import psycopg2

from include.domain.enums import OrderStatus
from include.ledger.connection import driver_arguments
from include.ledger.embedded import start_server, stop_server
from include.ledger.migrations import migrate
from include.ledger.unit_of_work import PostgresLedger
from tests.samples import put_deployment, put_lease, sample_fill, sample_order, sample_report

BUDGET_MS = 2.0


def measure(acts: Mapping[str, Callable[[int], None]], count: int) -> dict[str, dict[str, float]]:
    """Milliseconds per call, after a warm-up of 50 rounds. Turn by turn, so that a busy moment hits all alike."""
    times: dict[str, list[float]] = {name: [] for name in acts}
    for number in range(count + 50):
        for name, act in acts.items():
            begun = time.perf_counter()
            act(number)
            times[name].append((time.perf_counter() - begun) * 1e3)
    return {name: _summary(sorted(taken[50:])) for name, taken in times.items()}


def _summary(taken: list[float]) -> dict[str, float]:
    return {
        "p50_ms": round(statistics.median(taken), 3),
        "p99_ms": round(taken[int(len(taken) * 0.99) - 1], 3),
        "per_second": round(len(taken) / sum(taken) * 1e3),
    }


def run(orders: int) -> dict[str, dict[str, float]]:
    with tempfile.TemporaryDirectory(prefix="airlock-bench-") as folder:
        home = Path(folder)
        url = start_server(home)
        try:
            migrate(url)
            ledger = PostgresLedger(url)
            deployment = put_deployment(ledger)
            token = put_lease(ledger, deployment, ttl_secs=3_600).token
            made = [sample_order(deployment, number) for number in range(orders + 50)]

            def write_ahead(number: int) -> None:
                with ledger.begin() as uow:
                    uow.orders.write_ahead(made[number], token)
                    uow.commit()

            def apply_fill(number: int) -> None:
                report = sample_report(made[number], OrderStatus.FILLED, sample_fill(made[number], str(number)))
                with ledger.begin() as uow:
                    uow.orders.apply(report.client_order_id, report)
                    uow.commit()

            def empty(_: int) -> None:
                with ledger.begin() as uow:
                    uow.orders.get("al-none")

            def append_audit(number: int) -> None:
                with ledger.begin() as uow:
                    uow.audit.record("bench", "bench.append", f"order:{number}", {})
                    uow.commit()

            bare = psycopg2.connect(**driver_arguments(url))

            def bare_commit(number: int) -> None:
                with bare.cursor() as cursor:
                    cursor.execute("INSERT INTO trials (family, candidate_id, fingerprint) VALUES ('b', 'b', 'b')")
                bare.commit()

            acts = {
                "bare_insert_and_commit": bare_commit,
                "write_ahead": write_ahead,
                "apply_fill": apply_fill,
                "read_one": empty,
                "audit_append": append_audit,
            }
            figures = measure(acts, orders)
            bare.close()
            ledger.close()
            floor = figures["bare_insert_and_commit"]["p50_ms"]
            for figure in figures.values():
                figure["times_bare"] = round(figure["p50_ms"] / floor, 2)
            return figures
        finally:
            stop_server(home)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--orders", type=int, default=2_000)
    figures = run(parser.parse_args().orders)
    print(json.dumps(figures, indent=2))
    return 0 if figures["write_ahead"]["p50_ms"] <= BUDGET_MS else 1


if __name__ == "__main__":
    raise SystemExit(main())
