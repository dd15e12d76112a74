"""Which trading state applies, who may change it, and that nothing slips past a change."""

from __future__ import annotations

import itertools

import pytest

from include.domain.deployments import CAUTION
from include.domain.enums import Mode, TradingState
from include.domain.errors import ConfigurationError
from include.ledger.unit_of_work import PostgresLedger
from tests.samples import put_deployment

_STATES: tuple[TradingState | None, ...] = (None, *TradingState)


@pytest.mark.parametrize("mode", Mode)
def test_the_most_cautious_scope_applies(ledger: PostgresLedger, mode: Mode) -> None:
    deployment = put_deployment(ledger, mode)
    absent = {Mode.LIVE: TradingState.HALTED, Mode.SIMULATION: TradingState.ACTIVE}[mode]
    for everything, account, own in itertools.product(_STATES, repeat=3):
        with ledger.begin() as uow:  # rolled back: each combination starts from nothing
            for scope, state in (("all", everything), ("account:paper", account), (f"deployment:{deployment.id}", own)):
                if state is not None:
                    uow.trading_states.set(scope, state, "ada", "table")
            wanted = max(everything or TradingState.ACTIVE, account or TradingState.ACTIVE, own or absent,
                         key=CAUTION.index)  # fmt: skip
            assert uow.trading_states.effective(deployment) is wanted, (everything, account, own)


def test_states_of_other_accounts_and_deployments_do_not_apply(ledger: PostgresLedger) -> None:
    deployment = put_deployment(ledger)
    other = put_deployment(ledger, key="other")
    with ledger.begin() as uow:
        uow.trading_states.set("account:paper2", TradingState.HALTED, "ada", "x")
        uow.trading_states.set(f"deployment:{other.id}", TradingState.HALTED, "ada", "x")
        assert uow.trading_states.effective(deployment) is TradingState.ACTIVE


def test_a_change_is_stored_and_audited(ledger: PostgresLedger) -> None:
    with ledger.begin() as uow:
        uow.trading_states.set("all", TradingState.HALTED, "ada", "drill")
        record = uow.trading_states.set("all", TradingState.ACTIVE, "grace", "drill over")
        uow.commit()
    with ledger.begin() as uow:
        assert uow.trading_states.all() == [record]
        assert (record.state, record.by, record.reason) == (TradingState.ACTIVE, "grace", "drill over")
        assert [(r.actor, r.details["state"]) for r in uow.audit.recent()] == [("grace", "ACTIVE"), ("ada", "HALTED")]


@pytest.mark.parametrize(("by", "reason"), [("", "why"), ("ada", ""), (" ", "why")])
def test_a_change_needs_a_person_and_a_reason(ledger: PostgresLedger, by: str, reason: str) -> None:
    with pytest.raises(ConfigurationError, match="a named person and a reason"), ledger.begin() as uow:
        uow.trading_states.set("all", TradingState.ACTIVE, by, reason)


@pytest.mark.parametrize("scope", ["", "everything", "account:", "acount:paper", "deployment:", "all "])
def test_a_mistyped_scope_is_refused_instead_of_halting_nothing(ledger: PostgresLedger, scope: str) -> None:
    with pytest.raises(ConfigurationError, match="is not understood"), ledger.begin() as uow:
        uow.trading_states.set(scope, TradingState.HALTED, "ada", "typo")
