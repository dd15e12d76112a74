"""The database goes away and comes back; engine and trader pick up where they were."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from include.domain.enums import DeploymentStatus
from include.ledger.embedded import start_server, stop_server
from include.ledger.migrations import migrate
from tests.adapters.executors import kernel_trades, ledger_trades
from tests.adapters.worlds import START, World, build_world

MINUTES = 300


@pytest.fixture
def own_world(tmp_path: Path) -> Iterator[World]:
    """A world with a database server of its own."""
    server = tmp_path / "server"
    server.mkdir()
    url = start_server(server)
    migrate(url)
    world = build_world(tmp_path / "home", url, MINUTES)
    yield world
    world.close()
    world.ledger.close()
    stop_server(server)


def test_a_replay_survives_a_restart_of_its_database_without_losing_or_doubling_an_order(
    own_world: World, tmp_path: Path
) -> None:
    here = own_world
    candidate, deployment = here.simulate(MINUTES)
    trader = here.trader(backoff_secs=(0.2,))
    here.drive(trader, lambda: here.points(deployment) >= 10)
    before = here.engine(deployment)
    assert before is not None
    stop_server(tmp_path / "server")
    here.wait(lambda: before.process() is None)
    start_server(tmp_path / "server")
    here.drive_to(trader, deployment, DeploymentStatus.COMPLETED)
    assert ledger_trades(here.ledger, deployment) == kernel_trades(here.lake, candidate, deployment.capital, START)
    orders = here.orders(deployment)
    assert len({order.client_order_id for order in orders}) == len(orders)
