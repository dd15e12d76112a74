"""Write-ahead, reports, fills and equity on real PostgreSQL."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from include.domain.deployments import Deployment, EquityPoint, Lease
from include.domain.enums import Mode, OrderPurpose, OrderStatus, OrderType, Side, TradingState
from include.domain.errors import ConfigurationError, FatalError, LeaseLostError, RejectedError, TransitionError
from include.domain.orders import FundingPayment, Order, OrderReport
from include.ledger.unit_of_work import PostgresLedger
from tests.postgres import run_sql, wait_until_blocked
from tests.samples import NOON, put_deployment, put_lease, sample_fill, sample_order, sample_report

S = OrderStatus


@pytest.fixture
def deployment(ledger: PostgresLedger) -> Deployment:
    return put_deployment(ledger)


@pytest.fixture
def lease(ledger: PostgresLedger, deployment: Deployment) -> Lease:
    return put_lease(ledger, deployment)


def _send(ledger: PostgresLedger, order: Order, token: int) -> Order:
    with ledger.begin() as uow:
        stored = uow.orders.write_ahead(order, token)
        uow.commit()
    return stored


def _apply(ledger: PostgresLedger, report: OrderReport) -> Order:
    with ledger.begin() as uow:
        order = uow.orders.apply(report.client_order_id, report)
        uow.commit()
    return order


# --- before the venue ----------------------------------------------------------------------------------------


def test_a_written_order_is_submitted_and_survives_a_new_connection(
    ledger: PostgresLedger, deployment: Deployment, lease: Lease
) -> None:
    order = sample_order(
        deployment, protective_stop=Decimal("59000"), protective_take_profit=Decimal("60500.5"),
        protective_trailing=Decimal("0.012"), hold_bars=10**12,
    )  # fmt: skip
    stored = _send(ledger, order, lease.token)
    assert stored == replace(order, status=S.SUBMITTED)
    ledger.close()
    with ledger.begin() as uow:
        assert uow.orders.get(order.client_order_id) == stored
        assert uow.orders.working(deployment.id) == [stored]
        assert uow.orders.get("al-unknown") is None


def test_the_same_order_is_never_written_twice(ledger: PostgresLedger, deployment: Deployment, lease: Lease) -> None:
    order = sample_order(deployment)
    _send(ledger, order, lease.token)
    with pytest.raises(TransitionError, match="SUBMITTED -> SUBMITTED"):
        _send(ledger, order, lease.token)
    _apply(ledger, sample_report(order, S.REJECTED))
    with pytest.raises(TransitionError, match="REJECTED -> SUBMITTED"):
        _send(ledger, order, lease.token)


def test_two_engines_writing_one_order_send_it_once(
    ledger: PostgresLedger, deployment: Deployment, lease: Lease
) -> None:
    def attempt(_: int) -> bool:
        try:
            _send(ledger, sample_order(deployment), lease.token)
        except TransitionError:
            return False
        return True

    with ThreadPoolExecutor(6) as pool:
        assert sum(pool.map(attempt, range(12))) == 1


@pytest.mark.parametrize("token", [0, 2])
def test_an_order_under_a_wrong_token_is_not_stored(
    ledger: PostgresLedger, deployment: Deployment, lease: Lease, token: int
) -> None:
    with pytest.raises(LeaseLostError):
        _send(ledger, sample_order(deployment), token)
    with ledger.begin() as uow:
        assert uow.orders.all(deployment.id) == []


def test_an_order_under_an_expired_lease_is_not_stored(
    ledger: PostgresLedger, deployment: Deployment, lease: Lease, database_url: str
) -> None:
    run_sql(database_url, "UPDATE leases SET expires_at = clock_timestamp() - interval '1 ms'")
    with pytest.raises(LeaseLostError):
        _send(ledger, sample_order(deployment), lease.token)


def test_an_order_without_any_lease_or_deployment_is_not_stored(ledger: PostgresLedger, deployment: Deployment) -> None:
    with pytest.raises(LeaseLostError):
        _send(ledger, sample_order(deployment), 1)
    with pytest.raises(ConfigurationError, match="not in the ledger"):
        _send(ledger, sample_order(replace(deployment, id="0" * 64)), 1)


_EXIT = {"purpose": OrderPurpose.EXIT, "side": Side.SELL, "reduce_only": True}


@pytest.mark.parametrize(
    ("state", "reduce_only", "code"),
    [
        (TradingState.ACTIVE, False, None),
        (TradingState.ACTIVE, True, None),
        (TradingState.REDUCE_ONLY, False, "STATE_REDUCE_ONLY"),
        (TradingState.REDUCE_ONLY, True, None),
        (TradingState.HALTED, False, "STATE_HALTED"),
        (TradingState.HALTED, True, "STATE_HALTED"),
    ],
)
@pytest.mark.parametrize("scope", ["all", "account:paper", "deployment"])
def test_the_trading_state_decides_in_the_same_transaction(
    ledger: PostgresLedger, deployment: Deployment, lease: Lease,
    scope: str, state: TradingState, reduce_only: bool, code: str | None,
) -> None:  # fmt: skip
    named = f"deployment:{deployment.id}" if scope == "deployment" else scope
    with ledger.begin() as uow:
        uow.trading_states.set(named, state, "ada", "table")
        uow.commit()
    order = sample_order(deployment, **(_EXIT if reduce_only else {}))
    if code is None:
        assert _send(ledger, order, lease.token).status is S.SUBMITTED
        return
    with pytest.raises(RejectedError, match=code) as refused:
        _send(ledger, order, lease.token)
    assert refused.value.code == code
    with ledger.begin() as uow:
        assert uow.orders.all(deployment.id) == []


def test_a_live_deployment_nobody_released_sends_nothing(ledger: PostgresLedger) -> None:
    deployment = put_deployment(ledger, Mode.LIVE)
    lease = put_lease(ledger, deployment)
    with pytest.raises(RejectedError, match="STATE_HALTED"):
        _send(ledger, sample_order(deployment), lease.token)
    with ledger.begin() as uow:
        uow.trading_states.set(f"deployment:{deployment.id}", TradingState.ACTIVE, "ada", "go")
        uow.commit()
    assert _send(ledger, sample_order(deployment), lease.token).status is S.SUBMITTED


@pytest.mark.parametrize("row_exists", [False, True])
def test_a_halt_waits_for_an_order_under_way_and_then_finds_it(
    ledger: PostgresLedger, deployment: Deployment, lease: Lease, database_url: str, row_exists: bool
) -> None:
    if row_exists:
        with ledger.begin() as uow:
            uow.trading_states.set("all", TradingState.ACTIVE, "ada", "start")
            uow.commit()

    def halt() -> list[Order]:
        with ledger.begin() as uow:
            uow.trading_states.set("all", TradingState.HALTED, "ada", "drill")
            uow.commit()
            return list(uow.orders.working(deployment.id))

    with ThreadPoolExecutor(1) as pool:
        with ledger.begin() as uow:
            uow.orders.write_ahead(sample_order(deployment), lease.token)
            halted = pool.submit(halt)
            wait_until_blocked(database_url)
            uow.commit()
        assert [order.status for order in halted.result(20)] == [S.SUBMITTED]
    with pytest.raises(RejectedError, match="STATE_HALTED"):
        _send(ledger, sample_order(deployment, 1), lease.token)


@pytest.mark.parametrize("row_exists", [False, True])
def test_an_order_that_waited_for_a_halt_is_denied(
    ledger: PostgresLedger, deployment: Deployment, lease: Lease, database_url: str, row_exists: bool
) -> None:
    if row_exists:
        with ledger.begin() as uow:
            uow.trading_states.set("all", TradingState.ACTIVE, "ada", "start")
            uow.commit()
    with ThreadPoolExecutor(1) as pool:
        with ledger.begin() as uow:
            uow.trading_states.set("all", TradingState.HALTED, "ada", "drill")
            sending = pool.submit(_send, ledger, sample_order(deployment), lease.token)
            wait_until_blocked(database_url)
            uow.commit()
        with pytest.raises(RejectedError, match="STATE_HALTED"):
            sending.result(20)


def test_a_takeover_waits_for_an_order_under_way_and_then_sees_it(
    ledger: PostgresLedger, deployment: Deployment, lease: Lease, database_url: str
) -> None:
    def take_over() -> tuple[Lease | None, list[Order]]:
        run_sql(database_url, "UPDATE leases SET expires_at = clock_timestamp() - interval '1 ms'")
        with ledger.begin() as uow:
            taken = uow.leases.acquire(deployment.id, "host-b", 60)
            uow.commit()
            return taken, list(uow.orders.working(deployment.id))

    with ThreadPoolExecutor(1) as pool:
        with ledger.begin() as uow:
            uow.orders.write_ahead(sample_order(deployment), lease.token)
            taking = pool.submit(take_over)
            wait_until_blocked(database_url)
            uow.commit()
        taken, working = taking.result(20)
    assert taken is not None
    assert len(working) == 1
    with pytest.raises(LeaseLostError):
        _send(ledger, sample_order(deployment, 1), lease.token)


def test_an_engine_that_freezes_before_its_commit_does_not_hold_up_a_halt(
    ledger: PostgresLedger, deployment: Deployment, lease: Lease
) -> None:
    with pytest.raises(Exception, match=r"open too long|cannot be used|connection broke"), ledger.begin() as frozen:
        frozen.orders.write_ahead(sample_order(deployment), lease.token)
        with ledger.begin() as uow:  # gets its lock once the server has ended the frozen transaction
            uow.trading_states.set("all", TradingState.HALTED, "ada", "drill")
            uow.commit()
        frozen.commit()
    with ledger.begin() as uow:
        assert uow.orders.all(deployment.id) == []


def test_a_denied_order_is_kept_with_its_reason_and_never_overwrites(
    ledger: PostgresLedger, deployment: Deployment, lease: Lease
) -> None:
    denied, sent = sample_order(deployment), sample_order(deployment, 1)
    _send(ledger, sent, lease.token)
    with ledger.begin() as uow:
        uow.orders.record_denied(denied, "POSITION_SIZE: too large")
        uow.orders.record_denied(denied, "POSITION_SIZE: again")
        uow.orders.record_denied(sent, "DUPLICATE_ORDER")
        uow.commit()
    with ledger.begin() as uow:
        stored = uow.orders.get(denied.client_order_id)
        assert stored is not None
        assert (stored.status, stored.reason) == (S.DENIED, "POSITION_SIZE: too large")
        assert [order.client_order_id for order in uow.orders.working(deployment.id)] == [sent.client_order_id]
    with pytest.raises(TransitionError, match="DENIED -> SUBMITTED"):
        _send(ledger, denied, lease.token)


def test_the_kill_switch_writes_without_lease_and_in_a_halt_but_only_to_flatten(
    ledger: PostgresLedger, deployment: Deployment
) -> None:
    flatten = sample_order(deployment, purpose=OrderPurpose.FLATTEN, side=Side.SELL, reduce_only=True)
    with ledger.begin() as uow:
        uow.trading_states.set("all", TradingState.HALTED, "ada", "drill")
        assert uow.orders.record_emergency(flatten).status is S.SUBMITTED
        with pytest.raises(TransitionError):
            uow.orders.record_emergency(flatten)
        for refused in (
            sample_order(deployment, 1),
            sample_order(deployment, 2, purpose=OrderPurpose.FLATTEN),
            sample_order(deployment, 3, **_EXIT),
        ):
            with pytest.raises(ValueError, match="reduce-only FLATTEN"):
                uow.orders.record_emergency(refused)


# --- after the venue -----------------------------------------------------------------------------------------


def test_reports_move_the_order_and_fills_are_kept(
    ledger: PostgresLedger, deployment: Deployment, lease: Lease
) -> None:
    order = sample_order(deployment)
    _send(ledger, order, lease.token)
    accepted = _apply(ledger, sample_report(order, S.ACCEPTED))
    assert (accepted.status, accepted.venue_order_id, accepted.version) == (S.ACCEPTED, "v-1", 1)
    first, second = sample_fill(order, "9", "0.5"), sample_fill(order, "10", "1.0")
    assert _apply(ledger, sample_report(order, S.PARTIALLY_FILLED, first)).filled_quantity == Decimal("0.5")
    filled = _apply(ledger, sample_report(order, S.FILLED, second))
    assert (filled.status, filled.remaining) == (S.FILLED, 0)
    with ledger.begin() as uow:
        assert uow.orders.fills(deployment.id) == [first, second]
        assert uow.orders.working(deployment.id) == []
        assert uow.orders.all(deployment.id) == [filled]


def test_a_repeated_or_lagging_report_changes_nothing(
    ledger: PostgresLedger, deployment: Deployment, lease: Lease
) -> None:
    order = sample_order(deployment)
    _send(ledger, order, lease.token)
    report = sample_report(order, S.FILLED, sample_fill(order))
    filled = _apply(ledger, report)
    assert _apply(ledger, report) == filled
    assert _apply(ledger, sample_report(order, S.ACCEPTED)) == filled
    with ledger.begin() as uow:
        assert len(uow.orders.fills(deployment.id)) == 1


def test_every_accepted_change_is_an_event(
    ledger: PostgresLedger, deployment: Deployment, lease: Lease, database_url: str
) -> None:
    order = sample_order(deployment)
    _send(ledger, order, lease.token)
    with ledger.begin() as uow:
        uow.orders.mark(order.client_order_id, S.SUBMISSION_UNKNOWN, "no answer in 5 s")
        uow.orders.mark(order.client_order_id, S.SUBMISSION_UNKNOWN)
        uow.commit()
    _apply(ledger, sample_report(order, S.FILLED, sample_fill(order)))
    run_sql(
        database_url,
        "DO $$ BEGIN IF (SELECT string_agg(concat_ws(' ', version, status, trade_id), ', ' ORDER BY id) "
        "FROM order_events) <> '0 SUBMITTED, 1 SUBMISSION_UNKNOWN, 2 FILLED 1' "
        "THEN RAISE EXCEPTION 'events differ'; END IF; END $$",
    )


def test_an_order_is_filled_when_its_fills_are_in_whatever_a_report_says(
    ledger: PostgresLedger, deployment: Deployment, lease: Lease
) -> None:
    order = sample_order(deployment)
    _send(ledger, order, lease.token)
    claimed = _apply(ledger, sample_report(order, S.FILLED, filled_quantity=Decimal("1.5")))
    assert (claimed.status, claimed.filled_quantity) == (S.ACCEPTED, 0)
    with ledger.begin() as uow:
        assert len(uow.orders.working(deployment.id)) == 1
        with pytest.raises(TransitionError, match=r"1\.5 not filled"):
            uow.orders.mark(order.client_order_id, S.FILLED)
    assert _apply(ledger, sample_report(order, S.PARTIALLY_FILLED, sample_fill(order))).status is S.FILLED


def test_a_late_fill_is_added_to_a_canceled_order(ledger: PostgresLedger, deployment: Deployment, lease: Lease) -> None:
    order = sample_order(deployment)
    _send(ledger, order, lease.token)
    _apply(ledger, sample_report(order, S.CANCELED, reason="by request"))
    late = _apply(ledger, sample_report(order, S.PARTIALLY_FILLED, sample_fill(order, quantity="0.5")))
    assert (late.status, late.filled_quantity, late.reason) == (S.CANCELED, Decimal("0.5"), "by request")


def test_a_trade_that_belongs_to_another_order_is_not_adopted(
    ledger: PostgresLedger, deployment: Deployment, lease: Lease
) -> None:
    mine, other = sample_order(deployment), sample_order(deployment, 1)
    for order in (mine, other):
        _send(ledger, order, lease.token)
    _apply(ledger, sample_report(mine, S.FILLED, sample_fill(mine, "7")))
    with pytest.raises(FatalError, match="trade 7"):
        _apply(ledger, sample_report(other, S.FILLED, sample_fill(other, "7")))
    with ledger.begin() as uow:
        untouched = uow.orders.get(other.client_order_id)
    assert untouched is not None
    assert untouched.filled_quantity == 0


def test_the_same_trade_id_in_another_deployment_is_another_trade(ledger: PostgresLedger) -> None:
    for key in ("one", "two"):
        deployment = put_deployment(ledger, key=key)
        order = sample_order(deployment)
        _send(ledger, order, put_lease(ledger, deployment).token)
        assert _apply(ledger, sample_report(order, S.FILLED, sample_fill(order, "1"))).status is S.FILLED


def test_more_than_was_ordered_is_a_reason_to_stop(
    ledger: PostgresLedger, deployment: Deployment, lease: Lease
) -> None:
    order = sample_order(deployment)
    _send(ledger, order, lease.token)
    with pytest.raises(FatalError, match="exceed"):
        _apply(ledger, sample_report(order, S.FILLED, sample_fill(order, quantity="1.6")))
    with pytest.raises(FatalError, match="not in the ledger"):
        _apply(ledger, sample_report(sample_order(deployment, 9), S.ACCEPTED))


def test_the_same_fill_from_two_sides_at_once_counts_once(
    ledger: PostgresLedger, deployment: Deployment, lease: Lease
) -> None:
    order = sample_order(deployment)
    _send(ledger, order, lease.token)
    reports = [sample_report(order, S.PARTIALLY_FILLED, sample_fill(order, str(n), "0.5")) for n in (1, 2, 3)] * 4
    with ThreadPoolExecutor(6) as pool:
        list(pool.map(lambda report: _apply(ledger, report), reports))
    with ledger.begin() as uow:
        done = uow.orders.get(order.client_order_id)
        assert done is not None
        assert (done.status, done.filled_quantity) == (S.FILLED, Decimal("1.5"))
        assert len(uow.orders.fills(deployment.id)) == 3


def test_limit_and_stop_orders_come_back_as_they_went_in(
    ledger: PostgresLedger, deployment: Deployment, lease: Lease
) -> None:
    limit = sample_order(deployment, 1, type=OrderType.LIMIT, price=Decimal("61000.00"), **{
        **_EXIT, "purpose": OrderPurpose.TAKE_PROFIT})  # fmt: skip
    stop = sample_order(deployment, 2, type=OrderType.STOP_MARKET, stop_price=Decimal("59000.5"), **{
        **_EXIT, "purpose": OrderPurpose.STOP})  # fmt: skip
    for order in (limit, stop):
        assert _send(ledger, order, lease.token).intent == order.intent


def test_a_time_without_a_zone_is_refused(ledger: PostgresLedger, deployment: Deployment, lease: Lease) -> None:
    naive = datetime(2024, 3, 5, 12)  # noqa: DTZ001
    with pytest.raises(ValueError, match="no time zone"):
        _send(ledger, replace(sample_order(deployment), created_at=naive), lease.token)


# --- equity --------------------------------------------------------------------------------------------------


def _point(minute: int, equity: str) -> EquityPoint:
    return EquityPoint(NOON + timedelta(minutes=minute), Decimal(equity), Decimal("100"), Decimal("0.5"))


def test_equity_is_kept_in_order_and_a_point_counts_once(ledger: PostgresLedger, deployment: Deployment) -> None:
    with ledger.begin() as uow:
        uow.orders.record_equity(deployment.id, [_point(2, "102"), _point(1, "101")])
        uow.orders.record_equity(deployment.id, [_point(2, "103.25"), _point(3, "104"), _point(3, "105")])
        uow.orders.record_equity(deployment.id, [])
        uow.commit()
    with ledger.begin() as uow:
        assert uow.orders.equity(deployment.id) == [_point(1, "101"), _point(2, "103.25"), _point(3, "105")]
        assert uow.orders.equity(deployment.id, NOON + timedelta(minutes=2)) == [_point(2, "103.25"), _point(3, "105")]


def test_the_high_water_mark_never_falls(ledger: PostgresLedger, deployment: Deployment) -> None:
    marks = []
    for equity in ("100", "105.5", "90", "105.5", "106"):
        with ledger.begin() as uow:
            marks.append(uow.orders.high_water(deployment.id, Decimal(equity)))
            uow.commit()
    assert marks == [Decimal(m) for m in ("100", "105.5", "105.5", "105.5", "106")]


def test_the_ledger_refuses_numbers_that_are_not_there(ledger: PostgresLedger, deployment: Deployment) -> None:
    for bad in ("NaN", "Infinity"):
        with pytest.raises(RejectedError, match="ck_high_water_equity"), ledger.begin() as uow:
            uow.orders.high_water(deployment.id, Decimal(bad))


# --- what the exchange does by itself --------------------------------------------------------------------------


@pytest.mark.parametrize(
    "details",
    [
        {
            "type": OrderType.TRAILING_STOP_MARKET,
            "callback_rate": Decimal("0.005"),
            "purpose": OrderPurpose.TRAILING_STOP,
        },
        {"type": OrderType.STOP_MARKET, "stop_price": Decimal(59_000), "purpose": OrderPurpose.STOP},
        {"purpose": OrderPurpose.SCALE_IN},
        {"purpose": OrderPurpose.TIME_EXIT},
    ],
    ids=lambda details: details["purpose"].value,
)
def test_every_kind_of_order_comes_back_as_it_was_written(
    ledger: PostgresLedger, deployment: Deployment, lease: Lease, details: dict[str, Any]
) -> None:
    order = sample_order(deployment, side=Side.SELL, reduce_only=True, **details)
    stored = _send(ledger, order, lease.token)
    with ledger.begin() as uow:
        assert uow.orders.get(order.client_order_id) == stored == replace(order, status=S.SUBMITTED)


def test_a_triggered_stop_fills_in_the_end_and_late_news_does_not_untrigger_it(
    ledger: PostgresLedger, deployment: Deployment, lease: Lease
) -> None:
    order = sample_order(
        deployment, type=OrderType.STOP_MARKET, stop_price=Decimal(59_000), purpose=OrderPurpose.STOP, reduce_only=True
    )
    _send(ledger, order, lease.token)
    assert _apply(ledger, sample_report(order, S.ACCEPTED)).status is S.ACCEPTED
    assert _apply(ledger, sample_report(order, S.TRIGGERED)).status is S.TRIGGERED
    assert _apply(ledger, sample_report(order, S.ACCEPTED)).status is S.TRIGGERED
    assert _apply(ledger, sample_report(order, S.FILLED, sample_fill(order))).status is S.FILLED
    assert _apply(ledger, sample_report(order, S.TRIGGERED)).status is S.FILLED


def test_a_liquidation_is_stored_once_and_needs_no_lease(ledger: PostgresLedger, deployment: Deployment) -> None:
    order = sample_order(deployment, purpose=OrderPurpose.LIQUIDATION, side=Side.SELL, reduce_only=True)
    with ledger.begin() as uow:
        assert uow.orders.record_liquidation(order)
        assert not uow.orders.record_liquidation(order)
        uow.commit()
    assert _apply(ledger, sample_report(order, S.FILLED, sample_fill(order))).status is S.FILLED
    with ledger.begin() as uow, pytest.raises(ValueError, match="only the exchange's own"):
        uow.orders.record_liquidation(sample_order(deployment, purpose=OrderPurpose.EXIT))


def test_funding_is_kept_once_by_its_id_and_never_changed(
    ledger: PostgresLedger, database_url: str, deployment: Deployment
) -> None:
    first = FundingPayment("1", "BTC/USDT", Decimal("-1.25000000001"), NOON)
    other = FundingPayment("1", "ETH/USDT", Decimal("0.5"), NOON + timedelta(hours=8))
    with ledger.begin() as uow:
        assert uow.orders.record_funding(deployment.id, [first, other]) == [first, other]
        assert uow.orders.record_funding(deployment.id, [replace(first, amount=Decimal(9))]) == []
        assert uow.orders.record_funding(deployment.id, []) == ()
        uow.commit()
    with ledger.begin() as uow:
        assert uow.orders.funding(deployment.id) == [first, other]
    with pytest.raises(Exception, match="append-only"):
        run_sql(database_url, "UPDATE funding SET amount = 0")
