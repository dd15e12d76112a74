"""Candidates, trials and deployments: stored once, moved along the table, pushed to listeners."""

from __future__ import annotations

import math
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal

import pytest

from include.domain.deployments import VenueConnection, VenueKind
from include.domain.enums import DeploymentStatus, DesiredState, Mode, Severity, TradingState
from include.domain.errors import ConfigurationError, RejectedError, RetryableError, TransitionError
from include.ledger.listening import DEPLOYMENTS_CHANNEL, TRADING_STATE_CHANNEL, Notification, listen
from include.ledger.unit_of_work import PostgresLedger
from tests.postgres import run_sql, with_database
from tests.samples import NOON, put_deployment, sample_candidate, sample_deployment


def test_a_candidate_is_stored_once_and_rebuilt_with_its_id(ledger: PostgresLedger) -> None:
    candidate = sample_candidate(window=20, share=0.1, name_of="x", on=True)
    with ledger.begin() as uow:
        assert uow.candidates.register(candidate) is True
        assert uow.candidates.register(replace(candidate, name="renamed")) is False
        uow.commit()
    with ledger.begin() as uow:
        found = uow.candidates.get(candidate.id)
        assert found is not None
        assert (found.id, found.name, dict(found.params)) == (candidate.id, "sample", dict(candidate.params))
        assert [c.id for c in uow.candidates.all()] == [candidate.id]
        assert uow.candidates.get("0" * 64) is None


def test_trials_count_each_candidate_and_data_set_once(ledger: PostgresLedger) -> None:
    with ledger.begin() as uow:
        for sharpe in (1.0, 1.0, None):
            uow.trials.record("mean-reversion", "c1", "f1", sharpe)
        uow.trials.record("mean-reversion", "c1", "f2", math.nan)
        uow.trials.record("mean-reversion", "c2", "f1", 0.3)
        uow.trials.record("trend", "c3", "f1", 0.3)
        assert uow.trials.count("mean-reversion") == 3
        assert uow.trials.count("unknown") == 0


def test_the_sharpe_of_each_trial_is_the_latest_in_order_of_first_record(ledger: PostgresLedger) -> None:
    with ledger.begin() as uow:
        for candidate, fingerprint, sharpe in (
            ("c9", "f1", 1.0),
            ("c1", "f1", 2.0),
            ("c9", "f2", None),
            ("c9", "f1", 3.0),
        ):
            uow.trials.record("trend", candidate, fingerprint, sharpe)
        assert uow.trials.sharpes("trend") == [3.0, 2.0, None]
        assert uow.trials.sharpes("unknown") == []


def test_a_deployment_comes_back_exactly_and_is_made_once(ledger: PostgresLedger) -> None:
    replay = VenueConnection(
        VenueKind.REPLAY, "synthetic", "paper", start=NOON - timedelta(days=7), end=NOON + timedelta(minutes=1)
    )
    deployment = put_deployment(ledger, connection=replay, capital=Decimal("80000.010"))
    with ledger.begin() as uow:
        assert uow.deployments.get(deployment.id) == deployment
        assert uow.deployments.create(replace(deployment, profile="other")) == deployment
        assert uow.deployments.all() == [deployment]
        assert uow.deployments.all(Mode.LIVE) == []
        assert uow.deployments.get("0" * 64) is None


def test_a_deployment_needs_its_candidate(ledger: PostgresLedger) -> None:
    with pytest.raises(RejectedError, match="fk_deployments_candidate_id"), ledger.begin() as uow:
        uow.deployments.create(sample_deployment(sample_candidate()))


def test_status_moves_along_the_table_only(ledger: PostgresLedger) -> None:
    deployment = put_deployment(ledger)
    with ledger.begin() as uow:
        uow.deployments.mark(deployment.id, DeploymentStatus.RUNNING)
        uow.deployments.mark(deployment.id, DeploymentStatus.RUNNING)
        uow.deployments.mark(deployment.id, DeploymentStatus.COMPLETED, "window replayed")
        uow.commit()
    with ledger.begin() as uow:
        done = uow.deployments.get(deployment.id)
        assert done is not None
        assert (done.status, done.status_reason) == (DeploymentStatus.COMPLETED, "window replayed")
        with pytest.raises(TransitionError, match="COMPLETED -> RUNNING"):
            uow.deployments.mark(deployment.id, DeploymentStatus.RUNNING)
        with pytest.raises(ConfigurationError, match="not in the ledger"):
            uow.deployments.mark("0" * 64, DeploymentStatus.RUNNING)


def test_a_request_is_stored_audited_and_pushed(ledger: PostgresLedger, database_url: str) -> None:
    deployment = put_deployment(ledger)
    with listen(database_url, [DEPLOYMENTS_CHANNEL]) as listener:
        with ledger.begin() as uow:
            uow.deployments.request(deployment.id, DesiredState.STOPPED, "ada", "end of day")
            assert listener.wait(0) == ()  # nothing before the commit
            uow.commit()
        assert listener.wait(20) == (Notification(DEPLOYMENTS_CHANNEL, deployment.id),)
    with ledger.begin() as uow:
        stored = uow.deployments.get(deployment.id)
        assert stored is not None
        assert stored.desired is DesiredState.STOPPED
        row = uow.audit.recent(1)[0]
    assert (row.actor, row.subject) == ("ada", f"deployment:{deployment.id}")
    assert row.details == {"desired": "STOPPED", "before": "RUNNING", "reason": "end of day"}


def test_a_rolled_back_change_is_not_pushed(ledger: PostgresLedger, database_url: str) -> None:
    with listen(database_url, [TRADING_STATE_CHANNEL]) as listener:
        with ledger.begin() as uow:
            uow.trading_states.set("all", TradingState.HALTED, "ada", "never committed")
        with ledger.begin() as uow:
            uow.trading_states.set("account:paper", TradingState.HALTED, "ada", "drill")
            uow.commit()
        assert [notice.payload for notice in listener.wait(20)] == ["account:paper"]


def test_a_listener_whose_server_goes_away_says_so(database_url: str, postgres_server: str) -> None:
    with listen(database_url, [DEPLOYMENTS_CHANNEL]) as listener:
        name = database_url.split("?", maxsplit=1)[0].rsplit("/", 1)[1]
        run_sql(
            with_database(postgres_server, "postgres"),
            f"SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE datname = '{name}'",
        )
        with pytest.raises(RetryableError, match="cannot be used now"):
            for _ in range(3):
                listener.wait(20)


def test_incidents_are_listed_newest_first(ledger: PostgresLedger) -> None:
    with ledger.begin() as uow:
        uow.incidents.open(Severity.WARNING, "FEED_GAP", "deployment:x", "two bars are missing")
        opened = uow.incidents.open(Severity.CRITICAL, "POSITION_DIFFERS", "deployment:x", "venue 1, ledger 2")
        uow.commit()
    with ledger.begin() as uow:
        assert uow.incidents.recent(1) == [opened]
        assert [incident.code for incident in uow.incidents.recent()] == ["POSITION_DIFFERS", "FEED_GAP"]


def test_nothing_is_kept_without_a_commit(ledger: PostgresLedger) -> None:
    with ledger.begin() as uow:
        uow.candidates.register(sample_candidate())
    with ledger.begin() as uow:
        assert uow.candidates.all() == []
