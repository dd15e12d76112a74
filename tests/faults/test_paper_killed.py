"""An engine on paper is killed; the next one has its account, its books and its market."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta

from include.domain.deployments import Deployment, VenueConnection, VenueKind
from include.domain.enums import DeploymentStatus
from tests.adapters.worlds import ROOT, START, SYMBOLS, World

MINUTES = 2_000
ACCOUNTS = 'on-paper: {exchange: binance-usdm, local: true, paper: {deposit: "800000", venue: synthetic}}\n'


@contextmanager
def market_data(world: World) -> Iterator[str]:
    """A sandbox exchange that gives out five bars a second and has no account; its address."""
    moment = "%Y-%m-%dT%H:%MZ"
    symbols = [word for symbol in SYMBOLS for word in ("--symbol", symbol)]
    end = START + timedelta(minutes=MINUTES)
    process = subprocess.Popen(
        [sys.executable, "-m", "include.cli", "exchange", "--venue", "synthetic", *symbols, "--speed", "300",
         "--from", START.strftime(moment), "--to", end.strftime(moment), "--account", "nobody:new"],
        cwd=ROOT, env=world.environment, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
    )  # fmt: skip
    try:
        assert process.stdout is not None
        for line in process.stdout:
            if "url" in (said := json.loads(line)):
                yield said["url"]
                break
    finally:
        process.terminate()
        process.wait(10)


def trial(world: World, url: str) -> Deployment:
    (world.home / "accounts.yaml").write_text(ACCOUNTS)
    connection = VenueConnection(VenueKind.PAPER, "synthetic", "on-paper", url)
    return world.simulate(MINUTES, connection=connection)[1]


async def test_an_engine_on_paper_that_is_killed_comes_back_to_the_same_account(
    world: Callable[[int], World],
) -> None:
    here = world(MINUTES)
    with market_data(here) as url:
        deployment = trial(here, url)
        trader = here.trader()

        def filled(count: int) -> bool:
            with here.ledger.begin() as work:
                return len(work.orders.fills(deployment.id)) >= count

        here.drive(trader, lambda: filled(6))
        first = here.engine(deployment)
        assert first is not None
        os.kill(first.pid, signal.SIGKILL)
        with here.ledger.begin() as work:
            known = list(work.orders.fills(deployment.id))
        here.drive(trader, lambda: here.engine(deployment) not in (None, first))
        here.drive(trader, lambda: filled(len(known) + 6))
    assert here.stored(deployment).status is DeploymentStatus.RUNNING
    with here.ledger.begin() as work:
        fills = list(work.orders.fills(deployment.id))
        assert [i for i in work.incidents.recent() if not i.code.startswith("FEED_")] == []
    assert fills[: len(known)] == known
    assert len({(fill.symbol, fill.trade_id) for fill in fills}) == len(fills)
    assert (here.home / "accounts" / f"on-paper-{deployment.short_id}.journal").is_file()
