"""One holder at a time, judged by the database's clock; tokens only ever grow."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest

from include.domain.deployments import Lease
from include.domain.errors import LeaseLostError, RejectedError
from include.ledger.unit_of_work import PostgresLedger
from tests.postgres import run_sql
from tests.samples import NOON, put_deployment, put_lease

_EXPIRE = "UPDATE leases SET expires_at = clock_timestamp() - interval '1 ms'"


def _acquire(ledger: PostgresLedger, deployment_id: str, holder: str) -> Lease | None:
    with ledger.begin() as uow:
        lease = uow.leases.acquire(deployment_id, holder, 60)
        uow.commit()
    return lease


def test_a_live_lease_is_nobody_elses(ledger: PostgresLedger) -> None:
    deployment = put_deployment(ledger)
    held = put_lease(ledger, deployment, "host-a")
    assert held.token == 1
    assert _acquire(ledger, deployment.id, "host-b") is None
    with ledger.begin() as uow:
        assert uow.leases.current(deployment.id) == held


def test_an_expired_lease_is_taken_with_a_higher_token(ledger: PostgresLedger, database_url: str) -> None:
    deployment = put_deployment(ledger)
    lost = put_lease(ledger, deployment, "host-a")
    run_sql(database_url, _EXPIRE)
    with ledger.begin() as uow:
        assert uow.leases.current(deployment.id) is None
    taken = _acquire(ledger, deployment.id, "host-b")
    assert taken is not None
    assert (taken.holder, taken.token) == ("host-b", lost.token + 1)
    with pytest.raises(LeaseLostError), ledger.begin() as uow:
        uow.leases.renew(lost, 60)


def test_an_expired_lease_is_not_renewed_even_if_nobody_took_it(ledger: PostgresLedger, database_url: str) -> None:
    deployment = put_deployment(ledger)
    lease = put_lease(ledger, deployment)
    run_sql(database_url, _EXPIRE)
    with pytest.raises(LeaseLostError), ledger.begin() as uow:
        uow.leases.renew(lease, 60)


def test_renewing_extends_and_keeps_the_token(ledger: PostgresLedger) -> None:
    deployment = put_deployment(ledger)
    lease = put_lease(ledger, deployment, ttl_secs=30)
    with ledger.begin() as uow:
        renewed = uow.leases.renew(lease, 600)
        uow.commit()
    assert renewed.token == lease.token
    assert renewed.expires_at > lease.expires_at


def test_a_holder_that_asks_again_fences_its_earlier_self(ledger: PostgresLedger) -> None:
    deployment = put_deployment(ledger)
    first = put_lease(ledger, deployment, "host-a")
    again = _acquire(ledger, deployment.id, "host-a")
    assert again is not None
    assert again.token == first.token + 1
    with pytest.raises(LeaseLostError), ledger.begin() as uow:
        uow.leases.renew(first, 60)


def test_a_released_lease_is_free_and_its_token_goes_on_growing(ledger: PostgresLedger) -> None:
    deployment = put_deployment(ledger)
    lease = put_lease(ledger, deployment, "host-a")
    with ledger.begin() as uow:
        uow.leases.release(replace(lease, token=lease.token + 5))  # not ours: nothing happens
        assert uow.leases.current(deployment.id) == lease
        uow.leases.release(lease)
        assert uow.leases.current(deployment.id) is None
        uow.commit()
    taken = _acquire(ledger, deployment.id, "host-b")
    assert taken is not None
    assert taken.token == 2


def test_of_many_takers_exactly_one_gets_it(ledger: PostgresLedger) -> None:
    deployment = put_deployment(ledger)
    with ThreadPoolExecutor(8) as pool:
        leases = list(pool.map(lambda n: _acquire(ledger, deployment.id, f"host-{n}"), range(16)))
    assert len([lease for lease in leases if lease is not None]) == 1


def test_a_lease_needs_a_deployment(ledger: PostgresLedger) -> None:
    with pytest.raises(RejectedError, match="fk_leases_deployment_id"):
        _acquire(ledger, "0" * 64, "host-a")


def test_only_the_current_token_beats(ledger: PostgresLedger) -> None:
    deployment = put_deployment(ledger)
    lease = put_lease(ledger, deployment)
    with ledger.begin() as uow:
        assert uow.deployments.heartbeat(deployment.id) is None
        uow.deployments.beat(deployment.id, lease.token, None, 0, 0.0)
        uow.deployments.beat(deployment.id, lease.token, NOON, 7, 0.5)
        uow.commit()
    with ledger.begin() as uow:
        beat = uow.deployments.heartbeat(deployment.id)
    assert beat is not None
    assert (beat.event_time, beat.bars, beat.progress) == (NOON, 7, 0.5)
    with pytest.raises(LeaseLostError), ledger.begin() as uow:
        uow.deployments.beat(deployment.id, lease.token + 1, NOON, 8, 0.6)
