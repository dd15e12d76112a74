"""Facts for the rules as the database sums them up, against books kept by hand."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from decimal import Decimal

import pytest

from include.alerting.metrics import ALERT_METRICS, Scope
from include.domain.alerts import HourFacts, TradeFacts
from include.domain.deployments import Deployment, EquityPoint
from include.domain.enums import DesiredState, Mode, OrderStatus, Severity, Side
from include.domain.orders import FundingPayment
from include.ledger.unit_of_work import PostgresLedger
from include.operations.alert_facts import FactReader
from tests.adapters.alert_desk import at
from tests.samples import NOON, put_deployment, put_lease, sample_fill, sample_order, sample_report

D = Decimal


def _trade(ledger: PostgresLedger, deployment: Deployment, *fills: tuple[Side, str, str], fee: str = "0") -> None:
    """One market order a fill, side, quantity and price, a minute apart."""
    token = put_lease(ledger, deployment).token
    with ledger.begin() as work:
        work.trading_states.set(f"deployment:{deployment.id}", work.trading_states.effective(deployment), "t", "t")
        for number, (side, quantity, price) in enumerate(fills):
            order = sample_order(
                deployment, number, side=side, quantity=D(quantity), reference_price=D("100"),
                bar_time=NOON + timedelta(minutes=number),
            )  # fmt: skip
            order = work.orders.write_ahead(replace(order, created_at=NOON + timedelta(minutes=number)), token)
            fill = sample_fill(
                order, str(number), quantity, price=D(price), fee=D(fee), filled_at=NOON + timedelta(minutes=number)
            )
            work.orders.apply(order.client_order_id, sample_report(order, OrderStatus.FILLED, fill))
        work.commit()


B, S = Side.BUY, Side.SELL


@pytest.mark.parametrize(
    ("fills", "fee", "expected"),
    [
        ([], "0", TradeFacts(0, 0, D(0))),
        ([(B, "1", "100")], "0", TradeFacts(0, 0, D(100))),
        ([(B, "1", "100"), (S, "1", "101")], "0", TradeFacts(1, 1, D(0))),
        ([(B, "1", "100"), (S, "1", "101")], "0.5", TradeFacts(1, 0, D(0))),  # fees eat it: net 0 is no win
        ([(S, "1", "100"), (B, "1", "99")], "0", TradeFacts(1, 1, D(0))),
        ([(B, "1", "100"), (B, "1", "110"), (S, "2", "106")], "0", TradeFacts(1, 1, D(0))),
        ([(B, "1", "100"), (S, "1", "99"), (B, "1", "100"), (S, "1", "103")], "0", TradeFacts(2, 1, D(0))),
        # turned over: long 1 from 100 won 10, short 1 from 110 lost 5
        ([(B, "1", "100"), (S, "2", "110"), (B, "1", "115")], "0", TradeFacts(2, 1, D(0))),
        ([(B, "1", "100"), (S, "3", "110")], "0", TradeFacts(1, 1, D(220))),
    ],
)
def test_trades_are_won_flat_to_flat_net_of_fees(
    ledger: PostgresLedger, fills: list[tuple[Side, str, str]], fee: str, expected: TradeFacts
) -> None:
    deployment = put_deployment(ledger)
    _trade(ledger, deployment, *fills, fee=fee)
    with ledger.begin() as work:
        assert work.alerts.trades(deployment.id) == expected


@pytest.mark.parametrize(("amount", "won"), [("-2", 0), ("2", 1)])
def test_funding_belongs_to_the_trade_it_was_paid_in(ledger: PostgresLedger, amount: str, won: int) -> None:
    deployment = put_deployment(ledger)
    _trade(ledger, deployment, (B, "1", "100"), (S, "1", "101"))
    with ledger.begin() as work:
        paid = FundingPayment("f1", "BTC/USDT", D(amount), NOON + timedelta(seconds=30))
        work.orders.record_funding(deployment.id, [paid])
        assert work.alerts.trades(deployment.id).won == won


def test_the_last_hour_counts_what_was_sent_refused_and_how_far_it_slipped(ledger: PostgresLedger) -> None:
    deployment = put_deployment(ledger)
    _trade(ledger, deployment, (B, "1", "102"), (S, "1", "97"))
    with ledger.begin() as work:
        found = work.alerts.trading_since(deployment.id, NOON)
        later = work.alerts.trading_since(deployment.id, NOON + timedelta(hours=1))
    assert (found.sent, found.rejected, found.unknown, found.market_fills) == (2, 0, 0, 2)
    assert found.worst_slippage == pytest.approx(0.03)
    assert later == HourFacts(0, 0, 0, 0, 0, None)


def _equity(ledger: PostgresLedger, deployment: Deployment, *points: tuple[float, str]) -> None:
    with ledger.begin() as work:
        for hours, equity in points:
            point = EquityPoint(NOON + timedelta(hours=hours), D(equity), D(equity), D(0))
            work.orders.record_equity(deployment.id, [point])
            work.orders.high_water(deployment.id, D(equity))
        work.commit()


def _read(ledger: PostgresLedger, deployment: Deployment) -> dict[str, float | None]:
    snapshots = FactReader(ledger).read(at(0), ["slack"])
    (own,) = [s for s in snapshots if s.subject == f"deployment:{deployment.id}"]
    return {name: own.facts[name].value if name in own.facts else None for name in ALERT_METRICS if own.facts}


def test_money_facts_are_those_of_the_daily_report(ledger: PostgresLedger) -> None:
    deployment = put_deployment(ledger, Mode.LIVE, capital=D("1000"))
    _equity(ledger, deployment, (-24, "1200"), (-12, "1000"), (0, "900"))
    facts = _read(ledger, deployment)
    assert facts["drawdown"] == pytest.approx(0.25)
    assert facts["daily_loss"] == pytest.approx(0.1)
    assert facts["equity_fraction"] == pytest.approx(0.9)
    assert facts["leverage"] == 0.0


def test_what_is_not_known_yet_is_missing_and_not_zero(ledger: PostgresLedger) -> None:
    deployment = put_deployment(ledger, Mode.LIVE)
    facts = _read(ledger, deployment)
    unknown = {name for name, value in facts.items() if value is None and ALERT_METRICS[name].scope is Scope.DEPLOYMENT}
    assert unknown == {
        "win_rate", "drawdown", "daily_loss", "equity_fraction", "leverage", "worst_slippage", "reject_rate",
        "reconnects", "heartbeat_age_secs", "feed_faults", "feed_uptime",
    }  # fmt: skip
    assert facts["halted"] == 1.0


def test_a_heartbeat_brings_age_and_feed(ledger: PostgresLedger) -> None:
    deployment = put_deployment(ledger, Mode.LIVE)
    lease = put_lease(ledger, deployment)
    feed = {"alerts": ["FEED_STALE BTC/USDT"], "expected": 10, "uptime": 0.9, "reconnects": 3}
    with ledger.begin() as work:
        work.deployments.beat(deployment.id, lease.token, NOON, 5, 0.0, feed)
        work.commit()
    facts = _read(ledger, deployment)
    assert (facts["feed_faults"], facts["feed_uptime"], facts["reconnects"]) == (1.0, 0.9, 0.0)
    assert facts["heartbeat_age_secs"] is not None


def test_a_feed_document_that_cannot_be_read_makes_everything_missing(ledger: PostgresLedger) -> None:
    deployment = put_deployment(ledger, Mode.LIVE)
    lease = put_lease(ledger, deployment)
    with ledger.begin() as work:
        work.deployments.beat(deployment.id, lease.token, NOON, 5, 0.0, {"of": "another version"})
        work.commit()
    assert _read(ledger, deployment) == {}


def test_a_deployment_that_should_not_run_is_no_subject_but_its_incidents_are(ledger: PostgresLedger) -> None:
    deployment = put_deployment(ledger)
    with ledger.begin() as work:
        work.deployments.request(deployment.id, DesiredState.STOPPED, "ada", "over")
        first = work.incidents.open(Severity.CRITICAL, "ENGINE_FAILED", f"deployment:{deployment.id}", "it died")
        second = work.incidents.open(Severity.CRITICAL, "ENGINE_FAILED", f"deployment:{deployment.id}", "again")
        work.commit()
    snapshots = FactReader(ledger).read(first.opened_at, [])
    assert [s.subject for s in snapshots] == [f"incident:{first.id}", f"incident:{second.id}"]
    assert FactReader(ledger).read(first.opened_at + timedelta(minutes=11), []) == []


def test_incidents_of_a_time_when_nobody_watched_are_not_missed(ledger: PostgresLedger) -> None:
    with ledger.begin() as work:
        opened = work.incidents.open(Severity.CRITICAL, "X", "trader", "while the watch was down")
        work.alerts.beat("airlock", opened.opened_at - timedelta(minutes=1))
        work.commit()
    (found,) = FactReader(ledger).read(opened.opened_at + timedelta(days=2), [])
    assert found.subject == f"incident:{opened.id}"
