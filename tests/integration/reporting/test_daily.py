"""The daily report from a real ledger: its numbers, its words, and that a past day never changes."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import pytest

from include.domain.deployments import Deployment
from include.domain.enums import (
    DeploymentStatus,
    DesiredState,
    Mode,
    OrderPurpose,
    OrderStatus,
    Severity,
    Side,
    Stage,
    TradingState,
)
from include.domain.errors import ConfigurationError
from include.ledger.unit_of_work import PostgresLedger
from include.qualification.verdict import Verdict
from include.reporting.daily import DailyReport, build_daily_report, day_bounds
from include.reporting.daily_page import daily_document, daily_notice, headline, render_daily, write_daily
from tests.postgres import run_sql
from tests.samples import put_deployment, put_lease, sample_approval, sample_candidate, sample_evidence, sample_order
from tests.trading_day import put_trades, release, trade

_DAY = date(2024, 6, 10)
_NOON = datetime(2024, 6, 10, 12, tzinfo=UTC)
_LATER = datetime(2024, 7, 1, tzinfo=UTC)


def _record_everything_at(url: str, moment: datetime, *, of: str = "now() - interval '1 day'") -> None:
    """Pretend that what was recorded just now was recorded then; reports go by the ledger's own clock."""
    stamps = {
        "fills": "recorded_at", "order_events": "recorded_at", "equity": "recorded_at", "audit": "recorded_at",
        "evidence": "recorded_at", "approvals": "recorded_at", "incidents": "opened_at", "deployments": "created_at",
    }  # fmt: skip
    moves = "; ".join(
        f"UPDATE {table} SET {column} = '{moment.isoformat()}' WHERE {column} > {of}"
        for table, column in stamps.items()
    )
    run_sql(url, f"SET session_replication_role = replica; {moves}")


def _build(ledger: PostgresLedger, day: date = _DAY, *, now: datetime = _LATER, zone: str = "UTC") -> DailyReport:
    return build_daily_report(ledger, day, now=now, zone=zone, is_synthetic=lambda venue: venue == "synthetic")


def _put(ledger: PostgresLedger, mode: Mode = Mode.LIVE, key: str = "k") -> Deployment:
    return put_deployment(ledger, mode, key, created_at=datetime.now(UTC))


def test_a_day_of_trades_in_numbers(ledger: PostgresLedger, database_url: str) -> None:
    deployment = _put(ledger)
    # Net of 2.00 of fees: +8, -12, +0 (no win), and one that stays open at +5.
    put_trades(ledger, deployment, [("100", "110"), ("100", "90"), ("100", "102"), ("100", "105")], leave_open=True)
    _record_everything_at(database_url, _NOON)
    (day,) = _build(ledger).deployments
    assert [trade.profit for trade in day.trades] == [8, -12, 0]
    assert (day.wins, day.trades_before, day.fills) == (1, 0, 7)
    assert day.fees == day.total_fees == 7
    assert day.profit == day.total_profit == Decimal(-4 - 1 + 5)
    assert day.equity == 80_000
    assert day.unrealised == 5
    assert day.max_drawdown == Decimal(12) / Decimal(80_008)
    assert day.drawdown == Decimal(8) / Decimal(80_008)
    assert [(p.symbol, p.quantity, p.entry_price) for p in day.positions] == [("BTC/USDT", 1, 100)]
    assert day.orders == {OrderStatus.FILLED: 7}
    assert day.quote == "USDT"
    assert day.synthetic


def test_the_next_day_starts_where_the_last_one_ended(ledger: PostgresLedger, database_url: str) -> None:
    deployment = _put(ledger)
    release(ledger, deployment)
    token = put_lease(ledger, deployment).token
    trade(ledger, deployment, [("100", "110"), ("100", "111")], token=token)
    _record_everything_at(database_url, _NOON)
    run_sql(database_url, "UPDATE deployments SET capital = capital - 17")  # so that `trade` goes on from its end
    moved = replace(deployment, capital=deployment.capital + 17)
    trade(ledger, moved, [("100", "90")], token=token, first=2)
    run_sql(database_url, "UPDATE deployments SET capital = capital + 17")
    _record_everything_at(database_url, _NOON + timedelta(days=1))

    (first,) = _build(ledger).deployments
    assert ([t.profit for t in first.trades], first.profit, first.fills) == ([8, 9], 17, 4)
    (second,) = _build(ledger, _DAY + timedelta(days=1)).deployments
    assert ([t.profit for t in second.trades], second.trades_before) == ([-12], 2)
    assert (second.profit, second.total_profit) == (-12, 5)
    assert (second.fees, second.total_fees) == (2, 6)
    assert second.max_drawdown == Decimal(12) / Decimal(80_017)


def test_a_day_without_trades_reads_well(ledger: PostgresLedger, database_url: str) -> None:
    deployment = _put(ledger)
    with ledger.begin() as uow:
        uow.deployments.mark(deployment.id, DeploymentStatus.RUNNING)
        uow.commit()
    _record_everything_at(database_url, _NOON)
    report = _build(ledger)
    (day,) = report.deployments
    assert (day.profit, day.equity, day.drawdown, day.trades) == (None, None, None, ())
    assert headline(report) == "nothing traded"
    page = render_daily(report)
    assert "Nothing was ordered, filled or valued on this day." in page
    assert "nan" not in page.lower().replace("finance", "")
    assert "None" not in page


def test_a_day_before_anything_existed_reads_well(ledger: PostgresLedger) -> None:
    report = _build(ledger)
    assert (report.deployments, report.candidates, report.synthetic) == ((), (), False)
    page = render_daily(report)
    assert "No deployment was running on this day" in page
    assert "No candidate had been measured by then." in page
    assert "Synthetic data" not in page


def test_a_halt_leads_the_report(ledger: PostgresLedger, database_url: str) -> None:
    deployment = _put(ledger)
    put_trades(ledger, deployment, [("100", "110")])
    with ledger.begin() as uow:
        uow.deployments.mark(deployment.id, DeploymentStatus.RUNNING)
        uow.trading_states.set("all", TradingState.HALTED, "grace", "<b>feed</b> looks wrong")
        uow.incidents.open(Severity.CRITICAL, "DRAWDOWN_LIMIT", f"deployment:{deployment.id}", "measured=0.102")
        uow.commit()
    _record_everything_at(database_url, _NOON)
    report = _build(ledger)
    assert headline(report) == "trading halted (everything)"
    assert [(halt.scope, halt.by) for halt in report.halts] == [("all", "grace")]
    assert report.deployments[0].state is TradingState.HALTED
    page = render_daily(report)
    assert "&lt;b&gt;feed&lt;/b&gt; looks wrong" in page
    assert "<b>feed</b>" not in page
    assert "DRAWDOWN_LIMIT" in page
    notice = daily_notice(report, "file")
    assert notice.severity is Severity.WARNING
    assert "trading halted" in notice.title


def test_a_halt_that_was_lifted_is_an_event_and_no_halt(ledger: PostgresLedger, database_url: str) -> None:
    with ledger.begin() as uow:
        uow.trading_states.set("account:paper", TradingState.HALTED, "grace", "drill")
        uow.trading_states.set("account:paper", TradingState.ACTIVE, "ada", "drill over")
        uow.commit()
    _record_everything_at(database_url, _NOON)
    report = _build(ledger)
    assert report.halts == ()
    assert [(event.actor, event.severity) for event in report.events] == [
        ("ada", Severity.INFO), ("grace", Severity.CRITICAL),
    ]  # fmt: skip


def test_what_comes_later_does_not_change_a_past_day(ledger: PostgresLedger, database_url: str, tmp_path: Path) -> None:
    deployment = _put(ledger)
    put_trades(ledger, deployment, [("100", "110")])
    candidate = sample_candidate()
    with ledger.begin() as uow:
        uow.deployments.mark(deployment.id, DeploymentStatus.RUNNING)
        uow.evidence.record(sample_evidence(candidate))
        uow.approvals.record(sample_approval(candidate, answered_at=_NOON))
        uow.commit()
    _record_everything_at(database_url, _NOON)
    before = write_daily(_build(ledger), tmp_path / "before").read_text()
    with ledger.begin() as uow:
        uow.trading_states.set("all", TradingState.HALTED, "grace", "later")
        uow.deployments.request(deployment.id, DesiredState.STOPPED, "ada", "later")
        uow.deployments.mark(deployment.id, DeploymentStatus.STOPPED)
        uow.evidence.record(sample_evidence(candidate, verdict=Verdict.FAIL))
        uow.incidents.open(Severity.CRITICAL, "LATER", "x", "later")
        uow.commit()
    assert write_daily(_build(ledger), tmp_path / "after").read_text() == before
    assert [path.name for path in (tmp_path / "after").iterdir()] == ["daily-2024-06-10.html"]


def test_the_ladder_shows_the_latest_evidence_of_each_stage(ledger: PostgresLedger, database_url: str) -> None:
    candidate = sample_candidate()
    with ledger.begin() as uow:
        uow.candidates.register(candidate)
        for stage, verdict in (
            (Stage.DATA_GATE, Verdict.PASS), (Stage.BACKTEST, Verdict.PASS), (Stage.BACKTEST, Verdict.FAIL),
        ):  # fmt: skip
            uow.evidence.record(sample_evidence(candidate, stage=stage, verdict=verdict))
        uow.evidence.record(sample_evidence(candidate, profile="two-year", profile_hash="0" * 64, synthetic=False))
        uow.commit()
    _record_everything_at(database_url, _NOON)
    first, second = _build(ledger).candidates
    assert dict(first.verdicts) == {Stage.DATA_GATE: Verdict.PASS, Stage.BACKTEST: Verdict.FAIL}
    assert (first.synthetic, second.synthetic, second.profile) == (True, False, "two-year")
    page = render_daily(_build(ledger))
    assert "turned down at backtest" in page
    assert "synthetic data" in page


def test_denials_are_counted_by_their_code(ledger: PostgresLedger, database_url: str) -> None:
    deployment = _put(ledger)
    with ledger.begin() as uow:
        for number, reason in enumerate(("POSITION_SIZE: a", "POSITION_SIZE value=1", "RATE_ORDERS", "")):
            uow.orders.record_denied(sample_order(deployment, number), reason)
        uow.commit()
    _record_everything_at(database_url, _NOON)
    (day,) = _build(ledger).deployments
    assert day.orders == {OrderStatus.DENIED: 4}
    assert day.denials == {"POSITION_SIZE": 2, "RATE_ORDERS": 1, "UNKNOWN": 1}
    assert headline(_build(ledger)) == "no trades"


def test_short_trades_win_when_prices_fall(ledger: PostgresLedger, database_url: str) -> None:
    from tests.trading_day import fill_order

    deployment = _put(ledger, Mode.SIMULATION)
    token = put_lease(ledger, deployment).token
    for number, (side, price) in enumerate(((Side.SELL, "100"), (Side.BUY, "90.5"))):
        order = sample_order(
            deployment, number, side=side, quantity=Decimal("0.125"),
            purpose=OrderPurpose.EXIT if number else OrderPurpose.ENTRY,
        )  # fmt: skip
        fill_order(ledger, order, token, price=price, at=_NOON + timedelta(minutes=number), fee="0.1")
    _record_everything_at(database_url, _NOON)
    ((closed,),) = (day.trades for day in _build(ledger).deployments)
    assert (closed.long, closed.profit, closed.quantity) == (False, Decimal("0.9875"), 0.125)


def test_a_day_that_still_runs_says_so(ledger: PostgresLedger) -> None:
    report = _build(ledger, now=_NOON)
    assert (report.complete, report.end) == (False, _NOON)
    assert "The day is still running: everything recorded until 12:00:00." in render_daily(report)
    with pytest.raises(ConfigurationError, match="has not begun"):
        _build(ledger, now=_NOON - timedelta(days=1))


@pytest.mark.parametrize(("day", "hours"), [(date(2024, 3, 31), 23), (date(2024, 6, 1), 24), (date(2024, 10, 27), 25)])
def test_days_follow_the_clock_of_the_zone(day: date, hours: int) -> None:
    start, end = day_bounds(day, "Europe/Vienna")
    assert end - start == timedelta(hours=hours)
    assert start.tzinfo is UTC
    with pytest.raises(ConfigurationError, match="Mars"):
        day_bounds(day, "Mars/Base")


def test_the_page_needs_nothing_from_elsewhere(ledger: PostgresLedger, database_url: str) -> None:
    deployment = _put(ledger)
    put_trades(ledger, deployment, [("100", "110"), ("100", "99")])
    _record_everything_at(database_url, _NOON)
    page = render_daily(_build(ledger))
    assert re.findall(r"(?:src|href)\s*=|url\(|@import|<script", page) == []
    assert "prefers-color-scheme: dark" in page
    assert 'name="viewport"' in page


def test_the_json_form_holds_money_as_text(ledger: PostgresLedger, database_url: str) -> None:
    deployment = _put(ledger)
    put_trades(ledger, deployment, [("100", "110.55")])
    _record_everything_at(database_url, _NOON)
    document = daily_document(_build(ledger))
    (found,) = document["deployments"]
    assert (found["profit"], found["fees"], found["win_rate"]) == ("8.55", "2.00", 1.0)
    assert set(document["chains"]) == {"audit"}


def test_a_report_that_cannot_be_written_leaves_nothing(ledger: PostgresLedger, tmp_path: Path) -> None:
    (tmp_path / "reports").write_text("a file where the folder should be")
    with pytest.raises(ConfigurationError, match="cannot be written"):
        write_daily(_build(ledger), tmp_path / "reports")
