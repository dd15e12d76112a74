"""The kill switch: HALTED first, then the venue itself; no engine, trader or Airflow takes part."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from decimal import Decimal

import pytest

from include.domain.deployments import Deployment, VenueKind
from include.domain.enums import DeploymentStatus, OrderPurpose, OrderStatus, OrderType, Side, TradingState
from include.domain.errors import ConfigurationError
from include.ledger.unit_of_work import PostgresLedger
from include.trading import clearing
from include.trading.kill_switch import HaltResult, halt, resume, targets_of
from include.trading.order_manager import identify, new_order
from tests.adapters.desks import Desk, open_desk
from tests.adapters.scripted_venue import ScriptedVenue
from tests.samples import NOON, sample_candidate, sample_deployment


@pytest.fixture(autouse=True)
def no_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(clearing, "FOLLOW_SECS", 0.0)


async def stop(desk: Desk, **options: bool) -> HaltResult:
    return await halt(desk.ledger, lambda _: desk.venue, scope="all", by="ada", reason="drill", **options)


async def long_with_a_stop(ledger: PostgresLedger) -> Desk:
    """A filled entry of 0.1 and its stop resting at the venue."""
    venue = ScriptedVenue()
    desk = open_desk(ledger, venue)
    await desk.send(desk.wish())
    desk.orders.apply([venue.fill(identify(desk.wish()), "0.1")])
    await desk.send(
        desk.wish(
            purpose=OrderPurpose.STOP, side=Side.SELL, type=OrderType.STOP_MARKET, stop_price=Decimal(49_000),
            reduce_only=True,
        )
    )  # fmt: skip
    return desk


async def test_the_ledger_says_halted_before_the_venue_is_asked_anything(ledger: PostgresLedger) -> None:
    desk = await long_with_a_stop(ledger)
    seen: list[TradingState] = []

    def connect(deployment: Deployment) -> ScriptedVenue:
        with ledger.begin() as work:
            seen.append(work.trading_states.effective(deployment))
        return desk.venue

    await halt(ledger, connect, scope="all", by="ada", reason="drill")
    assert seen == [TradingState.HALTED]


async def test_a_halt_cancels_every_working_order_and_keeps_the_position(ledger: PostgresLedger) -> None:
    desk = await long_with_a_stop(ledger)
    desk.venue.place_foreign(new_order(desk.wish(sequence=7), desk.venue.now))
    result = await stop(desk)
    assert len(result.canceled) == 2
    assert await desk.venue.open_orders() == []
    assert len(await desk.venue.positions()) == 1
    assert {o.status for o in desk.all()} == {OrderStatus.FILLED, OrderStatus.CANCELED}


async def test_without_cancel_orders_stay_and_only_new_ones_are_stopped(ledger: PostgresLedger) -> None:
    desk = await long_with_a_stop(ledger)
    assert (await stop(desk, cancel=False)).canceled == ()
    assert len(await desk.venue.open_orders()) == 1
    order = await desk.send(desk.wish(sequence=3))
    assert order is not None and order.status is OrderStatus.DENIED


async def test_flatten_writes_a_reduce_only_order_ahead_and_sends_it(ledger: PostgresLedger) -> None:
    desk = await long_with_a_stop(ledger)
    statuses: list[OrderStatus] = []
    desk.venue.on_submit = lambda order: statuses.append(desk.stored(order.client_order_id).status)  # type: ignore[union-attr]
    result = await stop(desk, flatten=True)
    (flatten,) = [o for o in desk.all() if o.intent.purpose is OrderPurpose.FLATTEN]
    assert statuses == [OrderStatus.SUBMITTED]
    assert flatten.intent.reduce_only and flatten.intent.side is Side.SELL
    assert result.flattened == ("BTC/USDT 0.1",)
    assert result.failures == ()


async def test_the_fill_of_a_flatten_reaches_the_ledger_without_an_engine(ledger: PostgresLedger) -> None:
    desk = await long_with_a_stop(ledger)

    original = desk.venue.submit

    async def submit(order):  # type: ignore[no-untyped-def]
        report = await original(order)
        desk.venue.fill(order.client_order_id, str(order.intent.quantity), tell=False)
        return report

    venue = _Filling(desk.venue, submit)
    result = await halt(ledger, lambda _: venue, scope="all", by="ada", reason="drill", flatten=True)  # type: ignore[arg-type, return-value]
    assert result.failures == ()
    assert await desk.venue.positions() == ()
    assert open_desk(ledger, desk.venue).session.book.portfolio.quantities() == {}


class _Filling:
    """The venue with another submit."""

    def __init__(self, venue: ScriptedVenue, submit: object) -> None:
        self._venue, self.submit = venue, submit

    def __getattr__(self, name: str) -> object:
        return getattr(self._venue, name)


async def test_halting_twice_is_harmless(ledger: PostgresLedger) -> None:
    desk = await long_with_a_stop(ledger)
    await stop(desk)
    assert (await stop(desk)).canceled == ()


async def test_a_venue_that_does_not_answer_is_named_and_trading_is_halted_all_the_same(ledger: PostgresLedger) -> None:
    desk = await long_with_a_stop(ledger)
    desk.venue.unreachable = True
    result = await stop(desk)
    assert len(result.failures) == 1
    assert "connection refused" in result.failures[0]
    with ledger.begin() as work:
        assert work.trading_states.effective(desk.deployment) is TradingState.HALTED


@pytest.mark.parametrize(("by", "reason"), [("", "drill"), ("ada", ""), (" ", "drill")])
async def test_nobody_halts_or_resumes_without_a_name_and_a_reason(
    ledger: PostgresLedger, by: str, reason: str
) -> None:
    with pytest.raises(ConfigurationError):
        await halt(ledger, lambda _: ScriptedVenue(), scope="all", by=by, reason=reason)
    with pytest.raises(ConfigurationError):
        resume(ledger, scope="all", by=by, reason=reason)


async def test_resume_is_audited_and_lets_orders_through_again(ledger: PostgresLedger) -> None:
    desk = await long_with_a_stop(ledger)
    await stop(desk)
    record = resume(ledger, scope="all", by="grace", reason="drill is over")
    assert (record.state, record.by) == (TradingState.ACTIVE, "grace")
    order = await desk.send(desk.wish(sequence=4))
    assert order is not None and order.status is OrderStatus.ACCEPTED
    with ledger.begin() as work:
        assert [row.actor for row in work.audit.of_subject("all", "trading_state.set")] == ["ada", "grace"]


def test_a_scope_reaches_each_account_once_and_no_replay_that_is_over() -> None:
    candidate = sample_candidate()
    old = sample_deployment(candidate, key="old")
    new = replace(sample_deployment(candidate, key="new"), created_at=NOON + timedelta(days=1))
    replay = sample_deployment(candidate, key="replay")
    over = replace(replay, connection=replace(replay.connection, kind=VenueKind.REPLAY, account="sim"))
    running = replace(over, id="r" * 64, status=DeploymentStatus.RUNNING)
    everything = [new, old, over, running]
    assert targets_of("all", everything) == (new, running)
    assert targets_of("account:sim", everything) == (running,)
    assert targets_of(f"deployment:{old.id}", everything) == (old,)
    assert targets_of("account:nobody", everything) == ()
