"""How fast the ledger writes: write-ahead and report, each in a durable transaction of its own.

    python benchmarks/bench_ledger.py [--orders N]

Runs on an embedded server in a temporary folder with every safety on (fsync, synchronous commit). The budget is the
ledger's share of "bar close to order submitted": 2 ms for a write-ahead, commit included.
"""

from __future__ import annotations

import argparse
import json
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from include.domain.enums import OrderStatus
from include.ledger.embedded import start_server, stop_server
from include.ledger.migrations import migrate
from include.ledger.unit_of_work import PostgresLedger
from tests.samples import put_deployment, put_lease, sample_fill, sample_order, sample_report

BUDGET_MS = 2.0


def measure(act: Callable[[int], None], count: int) -> dict[str, float]:
    """Milliseconds per call, after a warm-up of 50 calls."""
    times: list[float] = []
    for number in range(count + 50):
        begun = time.perf_counter()
        act(number)
        times.append((time.perf_counter() - begun) * 1e3)
    kept = sorted(times[50:])
    return {
        "p50_ms": round(statistics.median(kept), 3),
        "p99_ms": round(kept[int(len(kept) * 0.99) - 1], 3),
        "per_second": round(len(kept) / sum(kept) * 1e3),
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

            figures = {
                "write_ahead": measure(write_ahead, orders),
                "apply_fill": measure(apply_fill, orders),
                "read_one": measure(empty, orders),
                "audit_append": measure(append_audit, min(orders, 500)),
            }
            ledger.close()
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
