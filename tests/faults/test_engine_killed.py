"""Engines die at any moment; what they traded is the same as if they had not."""

from __future__ import annotations

import os
import signal
from collections import Counter
from collections.abc import Callable

import pytest

from include.domain.enums import DeploymentStatus, DesiredState, OrderStatus
from include.domain.errors import LeaseLostError
from tests.adapters.executors import kernel_trades, ledger_trades
from tests.adapters.worlds import START, World
from tests.samples import put_lease, sample_order

MINUTES = 400


def kill(world: World, deployment, number: int = signal.SIGKILL) -> int:  # type: ignore[no-untyped-def]
    engine = world.engine(deployment)
    assert engine is not None
    os.kill(engine.pid, number)
    return engine.pid


async def test_a_replay_whose_engine_is_killed_again_and_again_trades_as_if_undisturbed(
    world: Callable[[int], World],
) -> None:
    here = world(MINUTES)
    candidate, deployment = here.simulate(MINUTES)
    trader = here.trader()
    pids = set()
    for kill_at in (1, MINUTES // 3, MINUTES // 2):
        here.drive(trader, lambda at=kill_at: here.points(deployment) >= at and here.engine(deployment) is not None)
        pids.add(kill(here, deployment))
    here.drive_to(trader, deployment, DeploymentStatus.COMPLETED)

    assert len(pids) == 3
    assert ledger_trades(here.ledger, deployment) == kernel_trades(here.lake, candidate, deployment.capital, START)
    assert here.points(deployment) == MINUTES
    with here.ledger.begin() as work:
        orders = work.orders.all(deployment.id)
        token = work.leases.acquire(deployment.id, "test", 1)
    assert Counter(o.status for o in orders)[OrderStatus.DENIED] == 0
    assert len({o.client_order_id for o in orders}) == len(orders)
    assert token is not None and token.token >= 5


async def test_a_trader_that_is_restarted_adopts_engine_and_exchange(world: Callable[[int], World]) -> None:
    here = world(MINUTES)
    candidate, deployment = here.simulate(MINUTES)
    first = here.trader()
    here.drive(first, lambda: here.points(deployment) >= 1)
    before = here.engine(deployment)
    second = here.trader()
    second.step()
    assert here.engine(deployment) == before
    here.drive_to(second, deployment, DeploymentStatus.COMPLETED)
    here.drive(second, lambda: here.folder.all() == ())
    assert ledger_trades(here.ledger, deployment) == kernel_trades(here.lake, candidate, deployment.capital, START)


async def test_a_paused_engine_whose_lease_was_taken_trades_nothing_when_it_wakes_up(
    world: Callable[[int], World],
) -> None:
    here = world(MINUTES)
    _, deployment = here.simulate(MINUTES)
    trader = here.trader()
    here.drive(trader, lambda: here.points(deployment) >= 5)
    pid = kill(here, deployment, signal.SIGSTOP)
    try:
        with here.ledger.begin() as work:
            held = work.leases.current(deployment.id)
            assert held is not None
            work.leases.release(held)
            work.commit()
        taken = put_lease(here.ledger, deployment, "another-host:1", ttl_secs=600)
        orders_before = len(here.orders(deployment))
        assert taken.token == held.token + 1
    finally:
        os.kill(pid, signal.SIGCONT)
    here.wait(lambda: here.engine(deployment) is None)
    assert len(here.orders(deployment)) == orders_before
    # Frozen between two statements of a transaction it finds that the server undid it; anywhere else, the lost lease.
    last_words = here.log(deployment)
    undone = ("the connection broke during a commit", "server closed the connection", "undone")
    assert any(words in last_words for words in ("lease", *undone))
    with pytest.raises(LeaseLostError), here.ledger.begin() as work:
        work.orders.write_ahead(sample_order(deployment), held.token)


async def test_a_deployment_that_should_stop_is_stopped_and_its_exchange_ends(world: Callable[[int], World]) -> None:
    here = world(MINUTES)
    _, deployment = here.simulate(MINUTES)
    trader = here.trader()
    here.drive(trader, lambda: here.points(deployment) >= 1)
    with here.ledger.begin() as work:
        work.deployments.request(deployment.id, DesiredState.STOPPED, "ada", "enough")
        work.commit()
    here.drive_to(trader, deployment, DeploymentStatus.STOPPED)
    here.drive(trader, lambda: here.folder.all() == ())


async def test_an_engine_that_keeps_crashing_is_given_up_loudly(world: Callable[[int], World]) -> None:
    here = world(50)
    _, deployment = here.simulate(50, weight=-1.0)
    trader = here.trader(backoff_secs=(0.0,))
    here.drive(trader, lambda: here.stored(deployment).status is DeploymentStatus.FAILED)
    stored = here.stored(deployment)
    assert stored.desired is DesiredState.STOPPED
    with here.ledger.begin() as work:
        (incident,) = work.incidents.recent()
    assert incident.code == "ENGINE_CRASHED"
    assert deployment.id in incident.subject


async def test_a_replay_whose_exchange_died_fails_loudly_instead_of_starting_over(
    world: Callable[[int], World],
) -> None:
    here = world(MINUTES)
    _, deployment = here.simulate(MINUTES)
    trader = here.trader(backoff_secs=(0.0,))
    here.drive(trader, lambda: here.points(deployment) >= 5)
    exchange = here.folder.load("exchange", deployment.id)
    assert exchange is not None
    exchange.kill()
    here.drive(trader, lambda: here.stored(deployment).status is DeploymentStatus.FAILED)
    with here.ledger.begin() as work:
        assert work.incidents.recent()[0].code == "ENGINE_REFUSED"
