"""The engine on a venue whose clock runs by itself: holes, repeats, halts, protection, restarts. Real ledger."""

from __future__ import annotations

from decimal import Decimal

import pytest

from include.domain.enums import DeploymentStatus, DesiredState, OrderPurpose, OrderStatus, TradingState
from include.domain.errors import LeaseLostError
from include.ledger.unit_of_work import PostgresLedger
from include.stages.live import check_go_live, observe_deployment
from include.trading import engine as engine_module
from include.trading import recovery
from include.trading.kill_switch import halt, resume
from include.trading.order_manager import new_order
from tests.adapters.engines import churn_candidate
from tests.adapters.live_engines import bar, build, open_position, running
from tests.adapters.questions import NOW, SYMBOL, intent
from tests.adapters.scripted_venue import ScriptedVenue
from tests.samples import put_lease

P = OrderPurpose


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engine_module, "BEAT_SECS", 0.02)
    monkeypatch.setattr(engine_module, "UNSETTLED_SECS", 0.02)
    monkeypatch.setattr(recovery, "PASS_DELAY_SECS", 0.0)


async def test_an_entry_is_decided_filled_and_protected(ledger: PostgresLedger) -> None:
    async with running(build(ledger)) as live:
        live.venue.tell_bar(bar(0))
        await live.until(lambda: live.working(P.ENTRY))
        (entry,) = live.orders(P.ENTRY)
        live.venue.fill(entry.client_order_id, str(entry.intent.quantity))
        await live.until(lambda: live.working(P.STOP) and live.working(P.TAKE_PROFIT))
    (stop,), (profit,) = live.orders(P.STOP), live.orders(P.TAKE_PROFIT)
    assert (stop.intent.stop_price, profit.intent.price) == (Decimal(49_500), Decimal(50_500))


async def test_when_one_protective_order_fills_the_other_is_cancelled(ledger: PostgresLedger) -> None:
    async with running(build(ledger)) as live:
        await open_position(live)
        (profit,) = live.orders(P.TAKE_PROFIT)
        live.venue.fill(profit.client_order_id, str(profit.intent.quantity))
        await live.until(lambda: live.orders(P.STOP)[0].status is OrderStatus.CANCELED)
    assert await live.venue.open_orders() == []


async def test_missing_bars_are_fetched_and_repeated_or_late_ones_ignored(ledger: PostgresLedger) -> None:
    async with running(build(ledger)) as live:
        await open_position(live)
        live.venue.tell_bar(bar(1), stream=False)
        live.venue.tell_bar(bar(2), stream=False)
        live.venue.tell_bar(bar(3))
        await live.until(lambda: live.engine.session.bars_handled == 2)
        live.venue.tell_again(bar(3))
        live.venue.tell_again(bar(1))
        await live.until(lambda: live.engine.session.bars_ignored == 2)
        assert live.engine.session.bars_backfilled == 2
        window = live.engine.session.windows[SYMBOL]
        assert window.last == bar(3)


async def test_a_restart_places_the_protection_that_was_decided_before_the_crash(ledger: PostgresLedger) -> None:
    async with running(build(ledger)) as live:
        live.venue.tell_bar(bar(0))
        await live.until(lambda: live.working(P.ENTRY))
    (entry,) = live.orders(P.ENTRY)
    live.venue.fill(entry.client_order_id, str(entry.intent.quantity), tell=False)
    async with running(build(ledger, live.venue)) as again:
        await again.until(lambda: again.working(P.STOP) and again.working(P.TAKE_PROFIT))
    assert again.orders(P.STOP)[0].intent.stop_price == Decimal(49_500)
    assert len(again.orders(P.ENTRY)) == 1


async def test_an_account_that_cannot_be_reconciled_is_halted_and_nothing_is_sent(ledger: PostgresLedger) -> None:
    live = build(ledger)
    live.venue.place_foreign(new_order(intent(deployment_id="x" * 64), NOW))
    async with running(live):
        live.venue.tell_bar(bar(0))
        await live.until(live.orders)
    assert {o.status for o in live.orders()} == {OrderStatus.DENIED}
    assert "RECONCILIATION_PENDING" in live.orders()[0].reason
    assert live.venue.received == []
    with ledger.begin() as work:
        assert work.trading_states.effective(live.deployment) is TradingState.HALTED
        (incident,) = work.incidents.recent()
    assert incident.code == "RECONCILIATION_FAILED"
    assert "ORDER_FOREIGN" in incident.message


async def test_a_halt_stops_new_orders_and_a_resume_brings_protection_back(ledger: PostgresLedger) -> None:
    async with running(build(ledger)) as live:
        await open_position(live)
        await halt(ledger, lambda _: _Shared(live.venue), scope="all", by="ada", reason="drill")  # type: ignore[arg-type, return-value]
        await live.until(lambda: live.engine.session.state is TradingState.HALTED)
        assert await live.venue.open_orders() == []
        resume(ledger, scope="all", by="ada", reason="drill is over")
        await live.until(lambda: live.working(P.STOP) and live.working(P.TAKE_PROFIT))
    assert sorted(o.intent.sequence for o in live.orders(P.STOP)) == [0, 1]


class _Shared:
    """The same account for another process: closing it leaves the engine's connection alone."""

    def __init__(self, venue: ScriptedVenue) -> None:
        self._venue = venue

    async def close(self) -> None:
        return None

    def __getattr__(self, name: str) -> object:
        return getattr(self._venue, name)


async def test_high_water_and_start_of_day_survive_a_restart(ledger: PostgresLedger) -> None:
    async with running(build(ledger)) as live:
        await open_position(live)
        live.venue.tell_bar(bar(1, 51_000))
        live.venue.tell_bar(bar(2, 49_900))
        await live.until(lambda: live.engine.session.bars_handled == 3)
        session = live.engine.session
        peak, start = session.high_water, session.day_start_equity
        assert peak > session.last_equity
    async with running(build(ledger, live.venue)) as again:
        assert again.engine.session.high_water == peak
        assert again.engine.session.day_start_equity == start
        assert again.engine.session.last_equity == session.last_equity


async def test_equity_at_midnight_starts_the_day(ledger: PostgresLedger) -> None:
    async with running(build(ledger)) as live:
        await open_position(live)
        to_midnight = 12 * 60 - 1
        for minute, price in ((to_midnight - 1, 50_100), (to_midnight, 50_200), (to_midnight + 1, 50_050)):
            live.venue.tell_bar(bar(minute, price))
        await live.until(lambda: live.engine.session.bars_handled == 4)
        with ledger.begin() as work:
            points = {p.at: p.equity for p in work.orders.equity(live.deployment.id)}
        midnight = bar(to_midnight + 1).open_time
        assert live.engine.session.day_start_equity == points[midnight]


async def test_a_second_engine_waits_and_gives_up_without_trading(ledger: PostgresLedger) -> None:
    live = build(ledger)
    put_lease(ledger, live.deployment, "elsewhere:1", ttl_secs=600)
    live.engine._lease_ttl_secs = 0.05
    with pytest.raises(LeaseLostError):
        await live.engine.run()
    assert live.venue.received == []


async def test_health_is_read_from_the_ledger_alone(ledger: PostgresLedger) -> None:
    async with running(build(ledger)) as live:
        await open_position(live)
        live.venue.tell_bar(bar(1, 49_800))
        await live.until(lambda: live.engine.session.bars_handled == 2)
        await live.until(lambda: observe_deployment(ledger, live.deployment.id, NOW).bars == 2)
    health = observe_deployment(ledger, live.deployment.id, NOW)
    assert (health.status, health.state, health.desired) == (
        DeploymentStatus.RUNNING, TradingState.ACTIVE, DesiredState.RUNNING,
    )  # fmt: skip
    assert health.fills == 1
    assert health.positions == {SYMBOL: live.orders(P.ENTRY)[0].intent.quantity}
    assert health.heartbeat_age_secs is not None
    assert health.equity is not None and health.drawdown is not None and health.daily_loss is not None
    assert health.drawdown > 0
    assert health.net_profit == health.equity - health.capital
    assert health.document()["equity"] == format(health.equity, "f")


async def test_the_go_live_check_places_and_cancels_the_smallest_order(ledger: PostgresLedger) -> None:
    live = build(ledger)
    candidate = churn_candidate((SYMBOL,))
    checks = await check_go_live(ledger, live.deployment, candidate, live.venue)
    assert [check.passed for check in checks] == [True] * 5, checks
    assert len(live.venue.received) == len(live.venue.canceled) == 1
    assert await live.venue.open_orders() == []
    with ledger.begin() as work:
        assert len(work.audit.of_subject(live.deployment.id, "probe.sent")) == 1


async def test_the_go_live_check_stops_at_the_first_failure(ledger: PostgresLedger) -> None:
    live = build(ledger)
    live.venue.place_foreign(new_order(intent(deployment_id="x" * 64), NOW))
    checks = await check_go_live(ledger, live.deployment, churn_candidate((SYMBOL,)), live.venue)
    assert [check.passed for check in checks] == [True, True, True, False, False]
    assert "open orders" in checks[3].detail
    assert live.venue.received == []
