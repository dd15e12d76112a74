"""Ports: the protocols that services need and adapters implement. Values in, values out; no adapter type leaks.

`bootstrap` is the only place that knows which adapter stands behind a port.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any, Protocol

from include.domain.alerts import (
    Alert,
    AlertChange,
    Attempt,
    Backlog,
    EquityFacts,
    HourFacts,
    Outcome,
    Said,
    Silence,
    TradeFacts,
)
from include.domain.approvals import Approval
from include.domain.bars import Bar, Bars
from include.domain.deployments import (
    Deployment,
    EquityPoint,
    Heartbeat,
    Lease,
    TradingStateRecord,
)
from include.domain.enums import DeploymentStatus, DesiredState, Mode, OrderStatus, Severity, Stage, TradingState
from include.domain.instruments import Instrument
from include.domain.orders import Balance, Fill, FundingPayment, Order, OrderReport, Position
from include.domain.times import Timeframe
from include.qualification.candidate import Candidate
from include.qualification.evidence import Evidence
from include.qualification.profile import Profile
from include.qualification.verdict import Verdict

Progress = Callable[[float, str], None]
"""Called with the share done (0 to 1) and what is being done now; must be cheap."""


def no_progress(done: float, message: str) -> None:
    """Progress nobody watches."""


# --- market data ------------------------------------------------------------------------------------------


UNFINISHED_BARS = b"airlock.unfinished"
"""Schema metadata of `MarketData.rows`: JSON list of open times (ms) of bars ingested before they had closed."""

REPAIRS = b"airlock.repairs"
"""Schema metadata of `MarketData.rows`: JSON list of the policies that made the rows; empty for data as it came."""


class MarketData(Protocol):
    """Read side of the lake. Times are aware UTC; `start` inclusive, `end` exclusive, by bar open time."""

    def bars(self, venue: str, symbol: str, timeframe: Timeframe, start: datetime, end: datetime) -> Bars:
        """Bars of a window. Raises DataError when there are none or they are not strictly increasing."""
        ...

    def rows(self, venue: str, symbol: str, timeframe: Timeframe, start: datetime, end: datetime) -> Any:
        """The stored rows as a `pyarrow.Table`, in stored order, defects and all: what the data gate judges.

        Columns are `BAR_COLUMNS` and extras; the schema's metadata holds `UNFINISHED_BARS` and `REPAIRS`. Raises
        DataError when the symbol is not in the lake or its files cannot be read; a window without rows is an empty
        table.
        """
        ...

    def span(self, venue: str, symbol: str, timeframe: Timeframe) -> tuple[datetime, datetime]:
        """Open times of the first and last stored bar. Raises DataError when the symbol is not in the lake."""
        ...

    def holdings(self, symbol: str) -> Sequence[tuple[str, Timeframe]]:
        """Venue and timeframe of every stored series of a symbol, in order; empty when there is none."""
        ...

    def fingerprint(
        self, venue: str, symbols: Sequence[str], timeframe: Timeframe, start: datetime, end: datetime
    ) -> str:
        """SHA-256 over the content of the window: equal bars give equal fingerprints, however they are stored."""
        ...

    def instrument(self, venue: str, symbol: str) -> Instrument:
        """Steps, minimums, fees and cost assumptions. Raises ConfigurationError when nothing is declared."""
        ...

    def is_synthetic(self, venue: str) -> bool:
        """True when the venue's data was generated; every result that used it must say so."""
        ...


# --- venue -------------------------------------------------------------------------------------------------

VenueEvent = Bar | OrderReport | FundingPayment
"""What a venue tells by itself."""


class Venue(Protocol):
    """One account on one exchange. Hides no retry and invents no status.

    Errors of every call: RetryableError (nothing happened), RejectedError (refused), OutcomeUnknownError (sent,
    no trustworthy answer), FatalError (credentials, account). Symbols are the candidate's own spelling.
    """

    async def connect(self, symbols: Sequence[str], timeframe: Timeframe) -> None:
        """Load markets and start the bar and report streams; returns once both are live."""
        ...

    async def close(self) -> None: ...

    async def prepare(self, leverage: Mapping[str, int]) -> None:
        """Set what the engine relies on: one-way positions, and isolated margin with this leverage for each symbol.

        Asks first and changes only what differs, so that it can be repeated while a position is open. A venue without
        margin (spot) takes leverage 1 and refuses more.

        Raises:
            RejectedError: the venue refuses the change, because of an open position or its own limits.
        """
        ...

    @property
    def reconnects(self) -> int:
        """How often a stream was opened again since `connect`; what was missed meanwhile has to be asked for."""
        ...

    async def server_time(self) -> datetime: ...

    async def instruments(self) -> Mapping[str, Instrument]:
        """Tick, lot, minimum notional and fees as the venue states them, for the connected symbols."""
        ...

    async def history(self, symbol: str, limit: int) -> Sequence[Bar]:
        """The last finished bars by REST, oldest first, at most `limit`."""
        ...

    async def submit(self, order: Order) -> OrderReport:
        """Send one order under its client order id. OutcomeUnknownError after a time-out, never a rejection."""
        ...

    async def cancel(self, order: Order) -> OrderReport: ...

    async def find_order(self, symbol: str, client_order_id: str) -> OrderReport | None:
        """State of one order by our id; None only when the venue definitively does not know it."""
        ...

    async def open_orders(self) -> Sequence[OrderReport]: ...

    async def fills(self, symbol: str, since: datetime) -> Sequence[Fill]:
        """Fills from `since` on, oldest first. Those of the exchange's own liquidation orders are under client ids
        that `domain.ids.is_liquidation` knows."""
        ...

    async def funding(self, symbol: str, since: datetime) -> Sequence[FundingPayment]:
        """Funding paid and received from `since` on, oldest first; empty where a venue has none (spot)."""
        ...

    async def positions(self) -> Sequence[Position]:
        """Non-zero positions of the account."""
        ...

    async def balances(self) -> Sequence[Balance]: ...

    def events(self) -> AsyncIterator[VenueEvent]:
        """Finished bars, order reports and funding in the order in which they arrived; ends when the venue closes.

        A stop that has been met is reported as TRIGGERED before it fills: with little volume it may fill bars later.
        """
        ...


class Pacer(Protocol):
    """Lockstep with a replay: time moves only when the engine has nothing left to do."""

    async def advance(self) -> bool:
        """Let the venue take one step; returns after its events have arrived. False: the replay is over."""
        ...

    @property
    def progress(self) -> float:
        """Share of the replay done, 0 to 1."""
        ...


# --- ledger ------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class RecordedEvidence:
    """Evidence as stored: its digest, its place in the chain and its document."""

    sequence: int
    digest: str
    chain: str
    candidate_id: str
    stage: Stage
    profile: str
    profile_hash: str
    verdict: Verdict
    recorded_at: datetime
    document: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class RecordedApproval:
    """An approval as stored."""

    sequence: int
    chain: str
    approval: Approval


@dataclass(frozen=True, slots=True)
class AuditRow:
    """Who did what, when, to what."""

    sequence: int
    chain: str
    recorded_at: datetime
    actor: str
    action: str
    subject: str
    details: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class ChainHead:
    """Where a hash chain ended: kept outside the ledger, it also betrays rows cut off the end."""

    name: str
    sequence: int
    chain: str


class Candidates(Protocol):
    def register(self, candidate: Candidate) -> bool:
        """Store a candidate once; False when it is already there (same content, by definition of its id)."""
        ...

    def get(self, candidate_id: str) -> Candidate | None: ...

    def all(self) -> Sequence[Candidate]: ...


class Profiles(Protocol):
    def register(self, profile: Profile) -> bool:
        """Store a profile's exact content once; False when it is already there."""
        ...

    def get(self, profile_hash: str) -> Profile | None:
        """Raises FatalError when the stored content does not have this hash."""
        ...


class EvidenceLog(Protocol):
    """Append-only and hash-chained; the database refuses UPDATE, DELETE and TRUNCATE."""

    def record(self, evidence: Evidence) -> RecordedEvidence: ...

    def latest(self, candidate_id: str, stage: Stage, profile_hash: str) -> RecordedEvidence | None: ...

    def of_candidate(self, candidate_id: str) -> Sequence[RecordedEvidence]: ...


class Approvals(Protocol):
    """Append-only and hash-chained."""

    def record(self, approval: Approval) -> RecordedApproval: ...

    def of_candidate(self, candidate_id: str) -> Sequence[RecordedApproval]: ...


class Audit(Protocol):
    """Append-only and hash-chained."""

    def record(self, actor: str, action: str, subject: str, details: Mapping[str, Any]) -> AuditRow: ...

    def recent(self, limit: int = 100) -> Sequence[AuditRow]: ...

    def of_subject(self, subject: str, action: str) -> Sequence[AuditRow]:
        """Rows of one action on one subject, oldest first."""
        ...

    def of_action(self, action: str, before: datetime) -> Sequence[AuditRow]:
        """Rows of one action on any subject recorded before an instant, oldest first."""
        ...

    def heads(self, before: datetime) -> Sequence[ChainHead]:
        """The last row of each chain recorded before an instant; chains without one are left out."""
        ...

    def verify_chains(self, known: Sequence[ChainHead] = ()) -> Sequence[str]:
        """Recompute the chains of evidence, approvals and audit; one line per broken row, empty when intact.

        Args:
            known: ends of chains kept outside the ledger; each must still be there.
        """
        ...


class Trials(Protocol):
    """Every backtest of a strategy family counts (deflated Sharpe is undefined without them)."""

    def record(self, family: str, candidate_id: str, fingerprint: str, sharpe: float | None) -> None: ...

    def count(self, family: str) -> int: ...

    def sharpes(self, family: str) -> Sequence[float | None]:
        """Annualised Sharpe ratio of each distinct trial, None where there was none; in order of first record."""
        ...


class Deployments(Protocol):
    def create(self, deployment: Deployment) -> Deployment:
        """Store it, or return the one that already has this id."""
        ...

    def get(self, deployment_id: str) -> Deployment | None: ...

    def all(self, mode: Mode | None = None) -> Sequence[Deployment]: ...

    def request(self, deployment_id: str, desired: DesiredState, by: str, reason: str) -> None:
        """Ask for a state; audited. Wakes the trader by NOTIFY `airlock_deployments`."""
        ...

    def mark(self, deployment_id: str, status: DeploymentStatus, reason: str = "") -> None:
        """Move along DEPLOYMENT_TRANSITIONS. Raises TransitionError when the table forbids it."""
        ...

    def beat(
        self,
        deployment_id: str,
        token: int,
        event_time: datetime | None,
        bars: int,
        progress: float,
        feed: Mapping[str, Any] | None = None,
    ) -> None:
        """Heartbeat of the lease holder; without `feed` the one of earlier beats is kept.

        Raises LeaseLostError when `token` is not the current one.
        """
        ...

    def heartbeat(self, deployment_id: str) -> Heartbeat | None: ...


class Leases(Protocol):
    """Expiry is judged by the database's clock alone, so hosts need not agree on the time."""

    def acquire(self, deployment_id: str, holder: str, ttl_secs: float) -> Lease | None:
        """Take a free or expired lease with a token one above the last; None while another holder has it."""
        ...

    def renew(self, lease: Lease, ttl_secs: float) -> Lease:
        """Extend. Raises LeaseLostError when the token moved on or the lease had already expired."""
        ...

    def release(self, lease: Lease) -> None: ...

    def current(self, deployment_id: str) -> Lease | None: ...


class TradingStates(Protocol):
    """Persisted states by scope; changes are audited and pushed by NOTIFY `airlock_trading_state`."""

    def effective(self, deployment: Deployment) -> TradingState:
        """Most cautious of `all`, the account's and the deployment's; a LIVE account nobody released is HALTED."""
        ...

    def set(self, scope: str, state: TradingState, by: str, reason: str) -> TradingStateRecord:
        """Raises ConfigurationError when `by` or `reason` is empty."""
        ...

    def all(self) -> Sequence[TradingStateRecord]: ...


class Orders(Protocol):
    """Orders, fills, funding and equity of deployments."""

    def write_ahead(self, order: Order, token: int) -> Order:
        """Commit-before-send: store the order as SUBMITTED, checking in the same transaction that `token` holds a
        live lease and the trading state allows the order.

        Raises:
            LeaseLostError: the lease is not ours any more; nothing was stored.
            RejectedError: the trading state denies it (code of RiskCode); nothing was stored.
            TransitionError: an order with this id exists and is beyond INITIALIZED; it must not be sent again.
        """
        ...

    def record_emergency(self, order: Order) -> Order:
        """Store a kill-switch order as SUBMITTED without lease and without trading state: both may be gone when it
        is needed. Only a reduce-only FLATTEN order is taken, which can shrink a position and nothing else.

        Raises:
            TransitionError: an order with this id exists; it must not be sent again.
            ValueError: the order is not a reduce-only FLATTEN.
        """
        ...

    def record_liquidation(self, order: Order) -> bool:
        """Store an order of the exchange itself as ACCEPTED: a fact, so neither lease nor trading state is asked.

        Returns:
            False when it is there already.

        Raises:
            ValueError: the order's purpose is not LIQUIDATION.
        """
        ...

    def record_funding(self, deployment_id: str, payments: Sequence[FundingPayment]) -> Sequence[FundingPayment]:
        """Store payments once, by symbol and the venue's id; returns those that are new."""
        ...

    def record_denied(self, order: Order, reason: str) -> None: ...

    def apply(self, client_order_id: str, report: OrderReport) -> Order:
        """Apply a venue report: move the status along the table, add its fill if new (by trade id), keep both
        in `order_events`. A report that repeats or lags what is known changes nothing."""
        ...

    def mark(self, client_order_id: str, status: OrderStatus, reason: str = "") -> Order:
        """Move without a report (SUBMISSION_UNKNOWN after a time-out, PENDING_CANCEL before a cancel)."""
        ...

    def get(self, client_order_id: str) -> Order | None: ...

    def working(self, deployment_id: str) -> Sequence[Order]:
        """Orders that are not in a terminal state, oldest first."""
        ...

    def all(self, deployment_id: str) -> Sequence[Order]: ...

    def fills(self, deployment_id: str) -> Sequence[Fill]:
        """In venue order (time, trade id)."""
        ...

    def funding(self, deployment_id: str) -> Sequence[FundingPayment]:
        """In venue order (time, symbol)."""
        ...

    def record_equity(self, deployment_id: str, points: Sequence[EquityPoint]) -> None: ...

    def equity(self, deployment_id: str, since: datetime | None = None) -> Sequence[EquityPoint]: ...

    def high_water(self, deployment_id: str, equity: Decimal) -> Decimal:
        """Raise the stored high-water mark to `equity` if it is higher; returns the mark. Never falls."""
        ...

    def activity(self, deployment_id: str, start: datetime, end: datetime) -> Activity:
        """What was recorded from `start` (inclusive) to `end` (exclusive) by the database's clock. For a window that
        is over the answer never changes."""
        ...


@dataclass(frozen=True, slots=True)
class Activity:
    """What the ledger recorded about a deployment within a window of its own clock (not of market time)."""

    fills_before: Sequence[Fill]
    """Recorded before the window, in venue order."""
    fills: Sequence[Fill]
    """Recorded within, in venue order."""
    funding_before: Sequence[FundingPayment]
    """Recorded before the window, in venue order."""
    funding: Sequence[FundingPayment]
    """Recorded within, in venue order."""
    equity_before: EquityPoint | None
    peak_before: Decimal | None
    """Highest equity recorded before the window."""
    equity: Sequence[EquityPoint]
    """Recorded within, oldest first."""
    orders: Mapping[OrderStatus, int]
    """Orders first stored within the window, by their status at its end."""
    denials: Mapping[str, int]
    """Reasons of those that were denied, by code."""


@dataclass(frozen=True, slots=True)
class Incident:
    """A doubt that blocks until resolved, or an event people must know."""

    id: int
    opened_at: datetime
    severity: Severity
    code: str
    subject: str
    message: str


class Incidents(Protocol):
    def open(self, severity: Severity, code: str, subject: str, message: str) -> Incident: ...

    def recent(self, limit: int = 100) -> Sequence[Incident]: ...

    def between(self, start: datetime, end: datetime) -> Sequence[Incident]:
        """Opened from `start` (inclusive) to `end` (exclusive), oldest first."""
        ...


# --- notices -----------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Button:
    """A way onward from a notice."""

    text: str
    url: str


@dataclass(frozen=True, slots=True)
class Notice:
    """Something people should hear: a title, lines of text and a link. Channels show as much of it as they can."""

    severity: Severity
    title: str
    lines: tuple[str, ...] = ()
    link: str = ""
    verdict: str = ""
    """Of a stage; empty for what is no verdict."""
    table: tuple[tuple[str, ...], ...] = ()
    """Rows of text under a header row: the criteria behind a verdict."""
    buttons: tuple[Button, ...] = ()
    group: str = ""
    """What it is counted under when several notices are told as one; the severity when empty."""


class Notifier(Protocol):
    def send(self, notice: Notice) -> bool:
        """Deliver; False when it could not. Never raises: a notifier that fails stops neither stage nor engine."""
        ...


# --- alerts ------------------------------------------------------------------------------------------------


class Alerts(Protocol):
    """Alerts, what moved them, silences, and the facts that rules are judged by."""

    def lock(self) -> None:
        """Become the only one who moves alerts until the transaction ends."""
        ...

    def open(self) -> Sequence[Alert]:
        """Everything that is not RESOLVED, oldest first."""
        ...

    def recent(self, limit: int = 100) -> Sequence[Alert]:
        """Newest first, resolved ones too."""
        ...

    def get(self, alert_id: int) -> Alert | None: ...

    def save(self, before: Alert | None, after: Alert, *, by: str, reason: str, at: datetime) -> Alert:
        """Store an alert, and who moved it why when its state changed.

        Args:
            before: as it was read; None for a new one.

        Raises:
            RetryableError: it has moved since it was read; read it again.
        """
        ...

    def changes(self, alert_id: int) -> Sequence[AlertChange]:
        """Oldest first."""
        ...

    def told(self, alert_ids: Sequence[int]) -> Mapping[int, frozenset[Said]]:
        """What the outbox holds, or held, for each of these alerts."""
        ...

    def silence(self, silence: Silence) -> Silence:
        """Store a silence; audited.

        Raises:
            ConfigurationError: nobody or no reason is named, or it ends before it begins.
        """
        ...

    def lift(self, silence_id: int, by: str, reason: str, now: datetime) -> Silence:
        """End a silence now; audited. Raises ConfigurationError when there is none that lasts."""
        ...

    def silences(self, now: datetime) -> Sequence[Silence]:
        """Those in force."""
        ...

    def increase(self, subject: str, metric: str, value: float, now: datetime, since: datetime) -> float:
        """Remember a counter's value and say how much it has grown since an instant (or since it was first seen).

        A counter that fell was begun anew: all of it is growth.
        """
        ...

    def beat(self, watcher: str, now: datetime) -> None:
        """A sign of life of who evaluates and delivers."""
        ...

    def beaten_at(self) -> datetime | None: ...

    def trades(self, deployment_id: str) -> TradeFacts: ...

    def trading_since(self, deployment_id: str, start: datetime) -> HourFacts: ...

    def equity(self, deployment_id: str) -> EquityFacts | None:
        """None before the first point."""
        ...


@dataclass(frozen=True, slots=True)
class Batch:
    """Notices claimed for one message on one channel."""

    attempt: int
    items: tuple[int, ...]
    notices: tuple[Notice, ...]
    tries: int
    """How often the oldest has been tried, this time included."""
    unsure: bool
    """An earlier attempt may have arrived."""


class Outbox(Protocol):
    """What is to be told: written first, sent afterwards, kept until it was delivered."""

    def put(
        self,
        channel: str,
        notice: Notice,
        *,
        now: datetime,
        due_at: datetime,
        expires_at: datetime | None = None,
        alert_id: int | None = None,
        said: Said | None = None,
    ) -> bool:
        """Store a notice for a channel; False when the same was said about that alert already."""
        ...

    def claim(
        self, channel: str, sender: str, *, now: datetime, pace_secs: Mapping[Severity, int], claim_secs: float
    ) -> Batch | None:
        """Take everything that is due on a channel and begin an attempt; to be committed before sending.

        Nobody else gets these items until they are settled or `claim_secs` have passed (by the database's clock). None
        when nothing is due, or the channel's last attempt is too recent for the worst severity that waits.
        """
        ...

    def settle(self, batch: Batch, outcome: Outcome, reason: str, *, now: datetime, retry_at: datetime) -> None:
        """End an attempt: its items are done, or due again at `retry_at`."""
        ...

    def attempts(self, channel: str, limit: int = 100) -> Sequence[Attempt]:
        """Newest first."""
        ...

    def backlogs(self, now: datetime) -> Sequence[Backlog]:
        """Channels with something undelivered that was due before now."""
        ...


# --- one transaction ---------------------------------------------------------------------------------------


class UnitOfWork(Protocol):
    """One transaction. Rolled back unless `commit` was called."""

    candidates: Candidates
    profiles: Profiles
    evidence: EvidenceLog
    approvals: Approvals
    audit: Audit
    trials: Trials
    deployments: Deployments
    leases: Leases
    trading_states: TradingStates
    orders: Orders
    incidents: Incidents
    alerts: Alerts
    outbox: Outbox

    def commit(self, *, durable: bool = True) -> None:
        """Make the transaction count.

        Args:
            durable: False returns before it is on disk, which only a crash of the database's own machine can undo, and
                then in order: nothing later survives without it. For what can be read again (venue reports,
                equity), never for what must come before an act.
        """
        ...


class Ledger(Protocol):
    """The contract between Airflow and the trader."""

    def begin(self) -> AbstractContextManager[UnitOfWork]:
        """Open a transaction; the caller owns it."""
        ...
