"""No order is lost and none is doubled, whatever venue and process do: a real ledger and a venue that fails on cue."""

from __future__ import annotations

import contextlib
from collections import deque
from itertools import permutations

import pytest

from include.domain.enums import OrderStatus, TradingState
from include.domain.errors import LeaseLostError
from include.domain.orders import Order
from include.ledger.unit_of_work import PostgresLedger
from include.trading import order_manager
from include.trading.order_manager import identify
from tests.adapters.desks import open_desk
from tests.adapters.scripted_venue import Killed, ScriptedVenue
from tests.samples import put_lease

S = OrderStatus


@pytest.fixture(autouse=True)
def no_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(order_manager, "RETRY_DELAYS_SECS", (0.0, 0.0))


async def test_an_order_is_committed_before_the_venue_sees_it(ledger: PostgresLedger) -> None:
    seen: list[OrderStatus] = []

    def look(order: Order) -> None:
        with ledger.begin() as work:
            stored = work.orders.get(order.client_order_id)
        assert stored is not None
        seen.append(stored.status)

    desk = open_desk(ledger, ScriptedVenue(on_submit=look))
    order = await desk.send(desk.wish())
    assert seen == [S.SUBMITTED]
    assert order is not None and order.status is S.ACCEPTED


OUTCOMES = [
    ("accepted", ["accept"], S.ACCEPTED, 1),
    ("refused", ["refuse"], S.REJECTED, 1),
    ("timed out after it had arrived", ["late"], S.ACCEPTED, 1),
    ("timed out and is not there", ["lost"], S.SUBMISSION_UNKNOWN, 0),
    ("busy twice, then accepted", ["busy", "busy", "accept"], S.ACCEPTED, 1),
    ("busy to the end", ["busy"] * 9, S.REJECTED, 0),
]


@pytest.mark.parametrize(("script", "status", "arrived"), [o[1:] for o in OUTCOMES], ids=[o[0] for o in OUTCOMES])
async def test_every_outcome_of_a_submit_is_a_state_the_ledger_knows(
    ledger: PostgresLedger, script: list[str], status: OrderStatus, arrived: int
) -> None:
    venue = ScriptedVenue(script=deque(script))
    desk = open_desk(ledger, venue)
    order = await desk.send(desk.wish())
    assert order is not None and order.status is status
    assert len(venue.received) == arrived
    if status is S.REJECTED:
        assert order.reason.split()[0] in {"-2019", "NOT_SENT"}


async def test_the_same_decision_is_sent_once_also_by_a_later_process(ledger: PostgresLedger) -> None:
    venue = ScriptedVenue()
    desk = open_desk(ledger, venue)
    await desk.send(desk.wish())
    await desk.send(desk.wish())
    successor = open_desk(ledger, venue)
    await successor.send(successor.wish())
    blind = open_desk(ledger, venue)
    blind.session.book.known_ids.clear()
    await blind.send(blind.wish())
    assert len(venue.received) == 1


@pytest.mark.parametrize("step", ["die-before", "die-after", "lost", "late"])
async def test_a_crash_around_the_send_ends_with_exactly_one_order(ledger: PostgresLedger, step: str) -> None:
    venue = ScriptedVenue(script=deque([step]))
    desk = open_desk(ledger, venue)
    with contextlib.suppress(Killed):
        await desk.send(desk.wish())
    successor = open_desk(ledger, venue)
    assert await successor.recovery.run() == ()
    assert venue.received == [identify(desk.wish())]
    assert [order.status for order in successor.all()] == [S.ACCEPTED]


async def test_an_entry_that_never_arrived_is_written_off_once_its_bar_has_passed(ledger: PostgresLedger) -> None:
    venue = ScriptedVenue(script=deque(["die-before"]))
    desk = open_desk(ledger, venue)
    with pytest.raises(Killed):
        await desk.send(desk.wish(bar_time=desk.wish().bar_time.replace(hour=11)))
    successor = open_desk(ledger, venue)
    assert await successor.recovery.run() == ()
    assert venue.received == []
    (order,) = successor.all()
    assert order.status is S.REJECTED
    assert order.reason.startswith("NEVER_ARRIVED")


async def test_nothing_is_sent_again_into_a_halt(ledger: PostgresLedger) -> None:
    venue = ScriptedVenue(script=deque(["die-before"]))
    desk = open_desk(ledger, venue)
    with pytest.raises(Killed):
        await desk.send(desk.wish())
    successor = open_desk(ledger, venue, state=TradingState.HALTED)
    assert await successor.recovery.run() == ()
    assert venue.received == []


async def test_an_order_of_unknown_outcome_stays_unknown_while_the_venue_is_silent(ledger: PostgresLedger) -> None:
    venue = ScriptedVenue(script=deque(["late"]))
    desk = open_desk(ledger, venue)
    venue.on_submit = lambda order: setattr(venue, "unreachable", True)
    order = await desk.send(desk.wish())
    assert order is not None and order.status is S.SUBMISSION_UNKNOWN
    assert desk.session.book.unresolved_symbols() == {"BTC/USDT"}
    venue.unreachable = False
    assert await desk.recovery.run() == ()
    assert [o.status for o in desk.all()] == [S.ACCEPTED]


async def test_a_refused_repeat_means_the_order_is_there(ledger: PostgresLedger) -> None:
    venue = ScriptedVenue()
    desk = open_desk(ledger, venue)
    order = await desk.send(desk.wish())
    assert order is not None
    again = await desk.orders.resolve(order, resend=True)
    await desk.orders._send(again)
    assert desk.stored(order.client_order_id) == order
    assert venue.received == [order.client_order_id] * 2


async def test_without_the_lease_nothing_is_stored_and_nothing_sent(ledger: PostgresLedger) -> None:
    venue = ScriptedVenue()
    desk = open_desk(ledger, venue)
    desk.fence.token -= 1
    with pytest.raises(LeaseLostError):
        await desk.send(desk.wish())
    assert desk.all() == []
    assert venue.received == []


async def test_a_holder_whose_lease_was_taken_cannot_write_ahead(ledger: PostgresLedger) -> None:
    venue = ScriptedVenue()
    desk = open_desk(ledger, venue, holder="host-a")
    put_lease(ledger, desk.deployment, "host-a", ttl_secs=0.0)
    put_lease(ledger, desk.deployment, "host-b")
    with pytest.raises(LeaseLostError):
        await desk.send(desk.wish())
    assert venue.received == []


async def test_a_halt_after_the_gate_has_looked_still_denies(ledger: PostgresLedger) -> None:
    venue = ScriptedVenue()
    desk = open_desk(ledger, venue)
    with ledger.begin() as work:
        work.trading_states.set("all", TradingState.HALTED, "ada", "drill")
        work.commit()
    order = await desk.send(desk.wish())
    assert order is not None and order.status is S.DENIED
    assert order.reason.startswith("STATE_HALTED")
    assert venue.received == []


@pytest.mark.parametrize("order_of_arrival", list(permutations(range(3))))
async def test_fills_count_once_in_whatever_order_and_however_often_they_arrive(
    ledger: PostgresLedger, order_of_arrival: tuple[int, ...]
) -> None:
    venue = ScriptedVenue()
    desk = open_desk(ledger, venue)
    await desk.send(desk.wish())
    key = identify(desk.wish())
    reports = [venue.fill(key, quantity, price) for quantity, price in
               (("0.02", "50000"), ("0.03", "50010"), ("0.05", "50020"))]  # fmt: skip
    for index in (*order_of_arrival, *order_of_arrival):
        desk.orders.apply([reports[index]])
    assert [o.status for o in desk.all()] == [S.FILLED]
    assert desk.session.book.portfolio.quantities() == {"BTC/USDT": desk.wish().quantity}
    assert desk.session.book.portfolio.wallet == (await venue.balances())[0].wallet
    assert open_desk(ledger, venue).session.book.portfolio == desk.session.book.portfolio


async def test_a_cancel_that_comes_too_late_takes_over_how_the_order_ended(ledger: PostgresLedger) -> None:
    venue = ScriptedVenue()
    desk = open_desk(ledger, venue)
    order = await desk.send(desk.wish())
    assert order is not None
    venue.fill(order.client_order_id, "0.1", tell=False)
    ended = await desk.orders.cancel(order)
    assert ended.status is S.FILLED
    assert desk.session.book.portfolio.quantities() == {"BTC/USDT": order.intent.quantity}


async def test_a_cancel_without_an_answer_is_taken_up_by_reconciliation(ledger: PostgresLedger) -> None:
    venue = ScriptedVenue()
    desk = open_desk(ledger, venue)
    order = await desk.send(desk.wish())
    assert order is not None
    venue.unreachable = True
    assert (await desk.orders.cancel(order)).status is S.PENDING_CANCEL
    venue.unreachable = False
    assert await desk.recovery.run() == ()
    assert venue.canceled == [order.client_order_id]
    assert [o.status for o in desk.all()] == [S.CANCELED]


async def test_a_report_about_somebody_elses_order_changes_nothing(ledger: PostgresLedger) -> None:
    venue = ScriptedVenue()
    desk = open_desk(ledger, venue)
    other = order_manager.new_order(desk.wish(sequence=9), venue.now)
    venue.place_foreign(other)
    assert desk.orders.apply([venue.fill(other.client_order_id, "0.1")]) == ()
    assert desk.all() == []
    assert desk.session.book.portfolio.quantities() == {}
