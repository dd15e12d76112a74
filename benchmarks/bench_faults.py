"""A long campaign of seeded faults: after each scenario the engine's ledger and the exchange have to be equal.

    python -m benchmarks.bench_faults [--scenarios N] [--first SEED]

A scenario is a replay in lockstep through sockets, ccxt and the ledger, under two to five kinds of faults; engines that
give up are replaced, as the trader's supervisor does. Exit 1 when a single order, fill, position or digit of money
differs.
"""

from __future__ import annotations

import argparse
import asyncio
import logging
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("--scenarios", type=int, default=100)
    parser.add_argument("--first", type=int, default=1)
    options = parser.parse_args()
    logging.disable(logging.CRITICAL)

    from include.ledger.embedded import start_server, stop_server
    from include.ledger.migrations import migrate
    from include.ledger.unit_of_work import PostgresLedger

    with tempfile.TemporaryDirectory() as folder:
        url = start_server(Path(folder))
        try:
            migrate(url)
            ledger = PostgresLedger(url)
            try:
                return asyncio.run(_campaign(ledger, range(options.first, options.first + options.scenarios)))
            finally:
                ledger.close()
        finally:
            stop_server(Path(folder))


async def _campaign(ledger: object, seeds: range) -> int:
    from include.ledger.unit_of_work import PostgresLedger
    from tests.adapters.fault_campaign import run_scenario

    assert isinstance(ledger, PostgresLedger)
    began, kinds, strikes, starts, orders, failed = time.perf_counter(), Counter[str](), 0, 0, 0, 0
    for seed in seeds:
        try:
            result = await run_scenario(ledger, seed)
        except AssertionError as error:
            failed += 1
            print(f"seed {seed}: {error}", flush=True)
            continue
        kinds.update(result.faults)
        strikes, starts, orders = strikes + result.strikes, starts + result.starts, orders + result.orders
        if result.differences:
            failed += 1
            print(f"seed {seed} ({', '.join(result.faults)}): {'; '.join(result.differences)}", flush=True)
    elapsed = time.perf_counter() - began
    print(f"{len(seeds)} scenarios, {strikes} faults, {starts} engines, {orders} orders in {elapsed:.0f} s")
    print(f"{failed} differ")
    print("scenarios with each kind: " + ", ".join(f"{kind} {count}" for kind, count in sorted(kinds.items())))
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
