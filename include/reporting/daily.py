"""The daily report as values: what the ledger recorded on one day, deployment by deployment.

A day is a calendar day of the ledger's own clock in the report's time zone. Market time may run faster (a replay) or
stand still; it is shown beside. Only append-only records are read, so the report of a past day never changes.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from include.domain.deployments import Deployment, EquityPoint, effective_state, trading_scopes
from include.domain.enums import DeploymentStatus, Mode, OrderStatus, Severity, Stage, TradingState
from include.domain.errors import ConfigurationError
from include.domain.orders import Fill, Position
from include.ports import Activity, AuditRow, ChainHead, Incident, Ledger, RecordedEvidence, UnitOfWork
from include.qualification.candidate import Candidate
from include.qualification.verdict import Verdict
from include.reporting.day_trades import ClosedTrade, closed_trades
from include.trading.portfolio import replay_fills

ZERO = Decimal(0)
_STATE_SET, _STATUS, _REQUEST = "trading_state.set", "deployment.status", "deployment.request"


@dataclass(frozen=True, slots=True)
class DeploymentDay:
    """One deployment on one day. Money in quote currency; None where nothing is known yet, never a zero instead."""

    deployment: Deployment
    candidate_name: str
    quote: str
    synthetic: bool
    status: DeploymentStatus
    state: TradingState
    """Both as they were at the end of the day."""
    trades: tuple[ClosedTrade, ...]
    """Closed on this day, flat to flat."""
    trades_before: int
    profit: Decimal | None
    """Change of equity over the day, open profit and fees included."""
    total_profit: Decimal | None
    equity: Decimal | None
    unrealised: Decimal | None
    drawdown: Decimal | None
    """At the end of the day, from the highest equity so far; fraction."""
    max_drawdown: Decimal | None
    """Deepest of the day; fraction."""
    fees: Decimal
    total_fees: Decimal
    funding: Decimal
    """Received less paid."""
    total_funding: Decimal
    fills: int
    positions: tuple[Position, ...]
    orders: Mapping[OrderStatus, int]
    denials: Mapping[str, int]
    curve: tuple[EquityPoint, ...]
    market_span: tuple[datetime, datetime] | None
    """Market time of the first and last bar handled on this day."""

    @property
    def wins(self) -> int:
        return sum(trade.profit > 0 for trade in self.trades)

    @property
    def active(self) -> bool:
        """True when anything was ordered, filled or valued on this day."""
        return bool(self.fills or self.orders or self.curve)


@dataclass(frozen=True, slots=True)
class CandidateStanding:
    """How far a candidate had climbed under one profile: the latest evidence of each stage."""

    candidate: Candidate
    profile: str
    profile_hash: str
    verdicts: Mapping[Stage, Verdict]
    measured_on_day: bool
    synthetic: bool


@dataclass(frozen=True, slots=True)
class Event:
    """Something a person or the machine did, in one line."""

    at: datetime
    actor: str
    text: str
    severity: Severity


@dataclass(frozen=True, slots=True)
class Halt:
    """A scope that was not ACTIVE at the end of the day."""

    scope: str
    state: TradingState
    by: str
    reason: str
    since: datetime


@dataclass(frozen=True, slots=True)
class DailyReport:
    """Everything the page shows."""

    day: date
    zone: str
    start: datetime
    end: datetime
    complete: bool
    """False while the day is still running: then `end` is when the report was made."""
    deployments: tuple[DeploymentDay, ...]
    candidates: tuple[CandidateStanding, ...]
    halts: tuple[Halt, ...]
    events: tuple[Event, ...]
    incidents: tuple[Incident, ...]
    heads: tuple[ChainHead, ...]

    @property
    def synthetic(self) -> bool:
        return any(d.synthetic for d in self.deployments) or any(c.synthetic for c in self.candidates)

    def of_mode(self, mode: Mode) -> tuple[DeploymentDay, ...]:
        return tuple(d for d in self.deployments if d.deployment.mode is mode)


def build_daily_report(
    ledger: Ledger, day: date, *, now: datetime, zone: str = "UTC", is_synthetic: Callable[[str], bool]
) -> DailyReport:
    """Read one day from the ledger.

    Args:
        day: calendar day in `zone`.
        now: wall time, aware UTC; a day that is not over is reported up to here.
        is_synthetic: whether a data set was generated.

    Raises:
        ConfigurationError: the day has not begun, or the zone is unknown.
    """
    start, day_end = day_bounds(day, zone)
    if start > now:
        raise ConfigurationError(f"{day}: this day has not begun in {zone}; choose an earlier one")
    end = min(day_end, now)
    with ledger.begin() as work:
        state_rows = work.audit.of_action(_STATE_SET, end)
        status_rows = work.audit.of_action(_STATUS, end)
        request_rows = work.audit.of_action(_REQUEST, end)
        candidates = {candidate.id: candidate for candidate in work.candidates.all()}
        states = {row.subject: TradingState(row.details["state"]) for row in state_rows}
        deployments = [
            _deployment_day(work, deployment, candidates[deployment.candidate_id], start, end,
                            states=states, statuses=status_rows, is_synthetic=is_synthetic)
            for deployment in work.deployments.all()
            if deployment.created_at < end
        ]  # fmt: skip
        incidents = tuple(work.incidents.between(start, end))
        standings = [
            standing
            for candidate in candidates.values()
            for standing in _standings(candidate, work.evidence.of_candidate(candidate.id), start, end)
        ]
        sign_offs = [
            recorded.approval
            for candidate in candidates.values()
            for recorded in work.approvals.of_candidate(candidate.id)
            if start <= recorded.approval.answered_at < end
        ]
        heads = tuple(work.audit.heads(end))
    names = {d.deployment.id: d.candidate_name for d in deployments}
    events = [_event(row, names) for row in (*state_rows, *status_rows, *request_rows) if row.recorded_at >= start]
    events += [
        Event(a.answered_at, a.person, f"{candidates[a.candidate_id].name}: {a.decision.value} as {a.role.value}",
              Severity.INFO)
        for a in sign_offs
    ]  # fmt: skip
    return DailyReport(
        day, zone, start, end, now >= day_end,
        tuple(d for d in deployments if d.active or d.status is DeploymentStatus.RUNNING or d.positions),
        tuple(standings), tuple(_halts(state_rows)), tuple(sorted(events, key=lambda e: (e.at, e.text))), incidents,
        heads,
    )  # fmt: skip


def day_bounds(day: date, zone: str) -> tuple[datetime, datetime]:
    """First instant of a calendar day and of the next one, in UTC (23 or 25 hours apart when clocks change).

    Raises:
        ConfigurationError: the zone is not in the time zone database.
    """
    try:
        local = ZoneInfo(zone)
    except (ZoneInfoNotFoundError, ValueError):
        raise ConfigurationError(f"time zone {zone!r} is not known; write for example UTC or Europe/Vienna") from None
    first, second = (datetime.combine(d, time(), local).astimezone(UTC) for d in (day, day + timedelta(days=1)))
    return first, second


# --- parts ---------------------------------------------------------------------------------------------------


def _deployment_day(
    work: UnitOfWork, deployment: Deployment, candidate: Candidate, start: datetime, end: datetime, *,
    states: Mapping[str, TradingState], statuses: Sequence[AuditRow], is_synthetic: Callable[[str], bool],
) -> DeploymentDay:  # fmt: skip
    seen = work.orders.activity(deployment.id, start, end)
    fills: list[Fill] = [*seen.fills_before, *seen.fills]
    before = closed_trades(seen.fills_before)
    known_before = frozenset(before)
    last = seen.equity[-1] if seen.equity else seen.equity_before
    opening = seen.equity_before.equity if seen.equity_before else deployment.capital
    drawdown, deepest = _drawdowns(deployment.capital, seen)
    account = deployment.connection.account
    known = {scope: states[scope] for scope in trading_scopes(deployment.id, account) if scope in states}
    subject = f"deployment:{deployment.id}"
    moves = [row.details["status"] for row in statuses if row.subject == subject]
    return DeploymentDay(
        deployment=deployment,
        candidate_name=candidate.name,
        quote=_quote(candidate),
        synthetic=is_synthetic(deployment.connection.dataset),
        status=DeploymentStatus(moves[-1]) if moves else DeploymentStatus.PENDING,
        state=effective_state(deployment.mode, deployment.id, account, known),
        trades=tuple(trade for trade in closed_trades(fills) if trade not in known_before),
        trades_before=len(before),
        profit=None if last is None else last.equity - opening,
        total_profit=None if last is None else last.equity - deployment.capital,
        equity=None if last is None else last.equity,
        unrealised=None if last is None else last.unrealised,
        drawdown=drawdown,
        max_drawdown=deepest,
        fees=sum((fill.fee for fill in seen.fills), ZERO),
        total_fees=sum((fill.fee for fill in fills), ZERO),
        funding=sum((paid.amount for paid in seen.funding), ZERO),
        total_funding=sum((paid.amount for paid in (*seen.funding_before, *seen.funding)), ZERO),
        fills=len(seen.fills),
        positions=replay_fills(deployment.capital, fills).positions(),
        orders=seen.orders,
        denials=seen.denials,
        curve=tuple(seen.equity),
        market_span=(seen.equity[0].at, seen.equity[-1].at) if seen.equity else None,
    )


def _drawdowns(capital: Decimal, seen: Activity) -> tuple[Decimal | None, Decimal | None]:
    """Drawdown at the end of the window and the deepest within, both from the highest equity so far."""
    if not seen.equity:
        if seen.equity_before is None:
            return None, None
        peak = max(capital, seen.peak_before or capital)
        return (peak - seen.equity_before.equity) / peak, None
    peak, now, deepest = max(capital, seen.peak_before or capital), ZERO, ZERO
    for point in seen.equity:
        peak = max(peak, point.equity)
        now = (peak - point.equity) / peak
        deepest = max(deepest, now)
    return now, deepest


def _quote(candidate: Candidate) -> str:
    """The quote currency of the candidate's symbols; `quote currency` when they differ or do not say."""
    found = {symbol.split("/")[1].split(":")[0] for symbol in candidate.symbols if "/" in symbol}
    return found.pop() if len(found) == 1 else "quote currency"


def _standings(
    candidate: Candidate, evidence: Sequence[RecordedEvidence], start: datetime, end: datetime
) -> list[CandidateStanding]:
    """One standing for each profile the candidate was measured under, as of the end of the day."""
    known = [item for item in evidence if item.recorded_at < end]
    profiles = dict.fromkeys((item.profile, item.profile_hash) for item in known)
    made = []
    for profile, profile_hash in profiles:
        mine = [item for item in known if item.profile_hash == profile_hash]
        latest = {item.stage: item for item in mine}
        made.append(
            CandidateStanding(
                candidate, profile, profile_hash,
                {stage: latest[stage].verdict for stage in Stage if stage in latest},
                any(item.recorded_at >= start for item in mine),
                any(bool(item.document.get("synthetic")) for item in latest.values()),
            )
        )  # fmt: skip
    return made


def _halts(rows: Sequence[AuditRow]) -> list[Halt]:
    last = {row.subject: row for row in rows}
    return [
        Halt(scope, state, row.actor, str(row.details["reason"]), row.recorded_at)
        for scope, row in sorted(last.items())
        if (state := TradingState(row.details["state"])) is not TradingState.ACTIVE
    ]


def _event(row: AuditRow, names: Mapping[str, str]) -> Event:
    """An audit row in words; a deployment is named by its candidate and the start of its id."""
    kind, _, key = row.subject.partition(":")
    who = (
        f"{names.get(key, 'deployment')} ({key[:8]})"
        if kind == "deployment"
        else {"all": "everything"}.get(kind, row.subject)
    )
    what = _deed(row)
    reason = f" ({row.details['reason']})" if row.details.get("reason") else ""
    grave = TradingState.HALTED.value in what or DeploymentStatus.FAILED.value in what
    return Event(row.recorded_at, row.actor, f"{who}: {what}{reason}", Severity.CRITICAL if grave else Severity.INFO)


def _deed(row: AuditRow) -> str:
    if row.action == _STATE_SET:
        return f"trading {row.details['state']}"
    return f"asked to be {row.details['desired']}" if row.action == _REQUEST else str(row.details["status"])
