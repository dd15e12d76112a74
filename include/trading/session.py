"""What an engine knows about its deployment while it runs, and how that is read back from the ledger.

Loading is the same for a first start and for a restart after a crash: everything that must survive (orders, fills,
funding, equity, high-water mark, what the account held at first) is in the ledger, and nothing else is remembered.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

from include.domain.deployments import Deployment, EquityPoint, VenueKind
from include.domain.enums import OrderPurpose, TradingState
from include.domain.fill_rule import symbol_allocation
from include.domain.instruments import Instrument
from include.domain.orders import Intent
from include.domain.times import parse_utc
from include.ports import Ledger
from include.qualification.candidate import Candidate
from include.risk.limits import Limits
from include.risk.question import AccountView, Question
from include.trading.bar_window import BarWindow
from include.trading.book import OrderBook
from include.trading.models import models_match
from include.trading.order_manager import identify
from include.trading.track import DAY, CancelTrack, CloseTrack, EquityTrack

ACCOUNT_OPENED = "account.opened"
"""Audit action that keeps what the venue's wallet held before the deployment's first order."""
GUARD_TRIPPED = "guard.tripped"
"""Audit action that keeps at which event time a breaker tripped: what was before has been judged, and does not count
again once a person has re-enabled the strategy."""
_RECENT = timedelta(days=2)
_EVER = datetime.min.replace(tzinfo=UTC)


@dataclass(slots=True)
class Session:
    """Working state of one deployment. Money in quote currency, times are the venue's event time."""

    deployment: Deployment
    candidate: Candidate
    limits: Limits
    instruments: Mapping[str, Instrument]
    book: OrderBook
    windows: Mapping[str, BarWindow]
    now: datetime
    high_water: Decimal
    day: date
    day_start_equity: Decimal
    handled_through: datetime | None
    """Close time of the last bar that was handled completely, as the ledger has it."""
    opening_wallet: Decimal | None
    """Venue wallet before the first order; None until the account has been seen."""
    last_equity: Decimal
    equity_track: EquityTrack
    close_track: CloseTrack
    cancel_track: CancelTrack
    judged_through: datetime = _EVER
    """Round trips that ended until then were judged when a breaker last tripped."""
    models_match: bool | None = None
    """Whether the candidate's model files are those that were measured; None where it has none."""
    venue_wallet: Decimal | None = None
    """What the venue's wallet held when it was last looked at."""
    state: TradingState | None = None
    halt_met: bool = False
    """The ledger has denied an order by a halt that the next beat will tell of."""
    reconciled: bool = False
    bars_handled: int = 0
    bars_ignored: int = 0
    bars_backfilled: int = 0
    marks: dict[str, Decimal] = field(default_factory=dict)

    @property
    def allocation(self) -> Decimal:
        """A symbol's fixed share of the capital."""
        return symbol_allocation(self.deployment.capital, len(self.candidate.symbols))

    @property
    def expected_wallet(self) -> Decimal | None:
        """What the venue's wallet should hold now."""
        if self.opening_wallet is None:
            return None
        return self.opening_wallet + self.book.portfolio.earned

    @property
    def may_send(self) -> bool:
        """Whether anything but cancels may go out at all."""
        return self.reconciled and not self.halt_met and self.state in (TradingState.ACTIVE, TradingState.REDUCE_ONLY)

    def equity_point(self, at: datetime) -> EquityPoint | None:
        """Equity at the marks; None when a held symbol has no mark."""
        portfolio = self.book.portfolio
        if any(symbol not in self.marks for symbol in portfolio.holdings):
            return None
        unrealised = portfolio.unrealised(self.marks)
        return EquityPoint(at, portfolio.wallet + unrealised, portfolio.wallet, unrealised)

    def reach(self, at: datetime) -> EquityPoint | None:
        """Event time arrives at a close: value the account, roll the day, raise the high-water mark in memory."""
        self.now = max(self.now, at)
        self.close_track.look(self.windows.values())
        point = self.equity_point(at)
        if point is None:
            return None
        if at.date() != self.day:
            # Equity at 00:00 UTC: this very close when it is midnight, else the last one before it.
            midnight = at == at.replace(hour=0, minute=0, second=0, microsecond=0)
            self.day, self.day_start_equity = at.date(), point.equity if midnight else self.last_equity
        self.last_equity = point.equity
        self.equity_track.add(at, point.equity)
        self.high_water = max(self.high_water, point.equity)
        return point

    def question(self, intent: Intent) -> Question:
        """What the risk gate is asked about an intent, from the present state."""
        last = self.windows[intent.symbol].last if intent.symbol in self.windows else None
        account = self.account_view()
        return Question(
            intent=intent,
            client_order_id=identify(intent),
            account=account,
            instrument=self.instruments.get(intent.symbol),
            limits=self.limits,
            state=self.state,
            reconciled=self.reconciled,
            models_match=self.models_match,
            unresolved_symbols=self.book.unresolved_symbols(),
            known_order_ids=self.book.known_ids,
            recent_order_times=self.book.recent_order_times(self.now),
            recent_cancels=self.cancel_track.look(self.book.cancels_sent, self.now),
            recent_closes=self.close_track.of(intent.symbol),
            round_trips=self.book.round_trips.closed_since(self.judged_through),
            trades_today=self._trades_today(account),
            last_bar_time=None if last is None else last.open_time,
            timeframe=self.candidate.timeframe,
            now=self.now,
        )

    def account_view(self) -> AccountView:
        """The account as limits see it, at the marks."""
        point, holdings = self.equity_point(self.now), self.book.portfolio.holdings
        return AccountView(
            equity=None if point is None else point.equity,
            high_water=self.high_water,
            day_start_equity=self.day_start_equity,
            equity_24h_ago=self.equity_track.day_ago(self.now),
            wallet=self.venue_wallet,
            positions=self.book.portfolio.quantities(),
            entry_prices={symbol: holding.entry_price for symbol, holding in holdings.items()},
            marks=self.marks,
            working=self.book.working(),
        )

    def _trades_today(self, account: AccountView) -> int:
        midnight = self.now.replace(hour=0, minute=0, second=0, microsecond=0)
        entering = (o for o in account.working if o.intent.purpose is OrderPurpose.ENTRY and not o.filled_quantity)
        return self.book.round_trips.opened_since(midnight) + sum(1 for _ in entering)


def load_session(
    ledger: Ledger,
    deployment: Deployment,
    candidate: Candidate,
    limits: Limits,
    instruments: Mapping[str, Instrument],
    *,
    warmup: int,
    now: datetime,
) -> Session:
    """Read a deployment's state from the ledger.

    Args:
        warmup: bars a decision needs.
        now: the venue's time.
    """
    with ledger.begin() as work:
        orders, fills = work.orders.all(deployment.id), work.orders.fills(deployment.id)
        funding = work.orders.funding(deployment.id)
        points = work.orders.equity(deployment.id, now - _RECENT)
        if not points or points[0].at > now - DAY:  # young, or it has not run for days: what was before counts
            points = work.orders.equity(deployment.id)
        high_water = work.orders.high_water(deployment.id, deployment.capital)
        opened = work.audit.of_subject(deployment.id, ACCOUNT_OPENED)
        trips = work.audit.of_subject(deployment.id, GUARD_TRIPPED)
        state = work.trading_states.effective(deployment)
        work.commit()
    midnight = now.replace(hour=0, minute=0, second=0, microsecond=0)
    before_today = [point.equity for point in points if point.at <= midnight]
    book = OrderBook(deployment.capital, orders, fills, funding)
    replay = deployment.connection.kind is VenueKind.REPLAY
    return Session(
        deployment=deployment,
        candidate=candidate,
        limits=limits,
        # What the account is set to is the candidate's choice, so the venue's facts carry it from here on.
        instruments={s: replace(i, leverage=candidate.leverage) for s, i in instruments.items()},
        book=book,
        windows={symbol: BarWindow(symbol, candidate.timeframe, warmup) for symbol in candidate.symbols},
        now=now,
        high_water=high_water,
        day=now.date(),
        day_start_equity=before_today[-1] if before_today else deployment.capital,
        # A replay has handled nothing before its window, and its first bar must not be skipped after a crash.
        handled_through=points[-1].at if points else (deployment.connection.start if replay else None),
        opening_wallet=Decimal(opened[0].details["wallet"]) if opened else None,
        last_equity=points[-1].equity if points else deployment.capital,
        equity_track=EquityTrack(deployment.capital, points),
        close_track=CloseTrack(0 if limits.max_price_move_fraction is None else limits.price_move_bars + 1),
        cancel_track=CancelTrack(book.cancels_sent),
        judged_through=max((parse_utc(trip.details["event_time"]) for trip in trips), default=_EVER),
        models_match=models_match(candidate.model_digests),
        state=state,
    )


def record_opening(ledger: Ledger, session: Session, wallet: Decimal) -> None:
    """Keep what the account held before the first order; written once, never moved.

    From then on ledger and venue can be compared to the cent, whatever else the account holds.
    """
    with ledger.begin() as work:
        work.audit.record("engine", ACCOUNT_OPENED, session.deployment.id, {"wallet": format(wallet, "f")})
        work.commit()
    session.opening_wallet = wallet
