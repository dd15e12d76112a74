"""Stage SIMULATION: a candidate trades unseen bars through engine and sandbox exchange; measured from the ledger.

Declaring and measuring are two calls, because the trading in between belongs to the trader. Nothing the engine says
about its trading is believed: metrics come from the ledger's fills and the lake's bars by the backtest's own code, the
same bars are backtested beside it, and books that do not agree to the cent make the verdict ERROR. Only what its feed
was like (`feed_*`) nobody else can tell.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np

from include.backtesting.equity import ProfitCurve, profit_curve, total_profit
from include.backtesting.fills import Fills
from include.backtesting.ledger_fills import place_fills
from include.backtesting.metrics import Account, measure_trading
from include.backtesting.portfolio import candidate_instrument
from include.backtesting.run import history_start, run_symbol
from include.backtesting.trades import Trades, merge_trades, trades_of, write_trades
from include.domain.bars import Bars
from include.domain.conversion import to_decimal
from include.domain.deployments import Deployment, EquityPoint, VenueConnection, VenueKind, deployment_id
from include.domain.enums import DeploymentStatus, DesiredState, Mode, OrderPurpose, OrderStatus, OrderType, Stage
from include.domain.errors import AirlockError, ConfigurationError, DataError
from include.domain.fill_rule import symbol_allocation
from include.domain.orders import Fill, FundingPayment, Order
from include.domain.times import DAY_MS, iso, parse_utc
from include.ports import Ledger, MarketData
from include.qualification.candidate import Candidate
from include.qualification.criterion import Measurement
from include.qualification.evidence import Evidence, build_evidence
from include.qualification.profile import Profile
from include.stages.ladder import latest_evidence, require_passed
from include.strategies.protocol import load_strategy
from include.trading.endings import ACCOUNT_RECONCILED
from include.trading.feed_report import feed_metrics
from include.trading.portfolio import replay_fills
from include.validators.drift import measure_drift

TRADES_FILE = "simulation-trades.parquet"
ACCOUNT = "simulation"
CENT = Decimal("0.01")
_SENT = frozenset(OrderStatus) - {OrderStatus.INITIALIZED, OrderStatus.DENIED}


# --- declaring ---------------------------------------------------------------------------------------------


def start_simulation(
    ledger: Ledger,
    candidate: Candidate,
    profile: Profile,
    market_data: MarketData,
    *,
    start: datetime,
    days: float,
    session_key: str,
    by: str,
    now: datetime,
) -> Deployment:
    """Declare a simulation of `days` from `start`; the trader runs it. Asking twice gives the same deployment.

    Args:
        start: open time of the first simulated bar; not before the end of the backtest, or it would be no test.
        session_key: names the attempt.

    Raises:
        RejectedError: the data gate or the backtest has no PASS evidence under this profile.
        ConfigurationError: the window overlaps the backtest or is not in the lake.
    """
    end = start + timedelta(days=days)
    _require_bars(candidate, market_data, start, end)
    deployment = Deployment(
        id=deployment_id(candidate.id, Mode.SIMULATION, session_key),
        candidate_id=candidate.id,
        profile=profile.name,
        profile_hash=profile.hash,
        mode=Mode.SIMULATION,
        connection=VenueConnection(VenueKind.REPLAY, candidate.venue, ACCOUNT, start=start, end=end),
        capital=Decimal(repr(profile.initial_capital)),
        capital_fraction=Decimal(1),
        session_key=session_key,
        desired=DesiredState.RUNNING,
        status=DeploymentStatus.PENDING,
        status_reason="",
        created_at=now,
    )
    with ledger.begin() as work:
        require_passed(work, candidate.id, profile, Stage.SIMULATION)
        backtest = latest_evidence(work, candidate.id, profile)[Stage.BACKTEST]
        seen = parse_utc(backtest.document["details"]["window"]["to"]) if backtest else end
        if start < seen:
            raise ConfigurationError(
                f"simulation of {candidate.name}: starts {iso(start)}, but the backtest has seen bars up to {iso(seen)}"
            )
        work.profiles.register(profile)
        known = work.deployments.get(deployment.id)
        created = work.deployments.create(deployment)
        if known is None:
            work.audit.record(
                by, "simulation.declared", created.id,
                {"candidate_id": candidate.id, "profile_hash": profile.hash, "from": iso(start), "to": iso(end)},
            )  # fmt: skip
        work.commit()
    return created


def _require_bars(candidate: Candidate, market_data: MarketData, start: datetime, end: datetime) -> None:
    for symbol in candidate.symbols:
        first, last = market_data.span(candidate.venue, symbol, candidate.timeframe)
        if start < first or end > last + candidate.timeframe.delta:
            raise ConfigurationError(
                f"simulation of {candidate.name}: {iso(start)} to {iso(end)} is not in the lake; {symbol} has "
                f"{iso(first)} to {iso(last + candidate.timeframe.delta)}"
            )


# --- measuring ---------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Records:
    """What the ledger says about a simulation."""

    deployment: Deployment
    orders: Sequence[Order]
    fills: Sequence[Fill]
    funding: Sequence[FundingPayment]
    points: Sequence[EquityPoint]
    final: Mapping[str, Any]
    """What engine and venue agreed on at the end; empty when the replay did not get there."""


@dataclass(frozen=True, slots=True)
class _Books:
    """One account on the window's bars: what the engine did, or what the backtest would have done."""

    by_symbol: Mapping[str, Trades]
    trades: Trades
    metrics: Mapping[str, Measurement]


def measure_simulation(
    ledger: Ledger,
    deployment_id: str,
    candidate: Candidate,
    profile: Profile,
    market_data: MarketData,
    *,
    now: datetime,
    report_dir: Path | None = None,
) -> Evidence:
    """Measure a simulation from the ledger's fills and the lake's bars, beside a backtest of the same bars.

    Args:
        report_dir: where to write the trades as Parquet (an artefact of the evidence); nowhere when None.

    Raises:
        ConfigurationError: the ledger has no such deployment, or it belongs to another candidate or profile.
    """
    records = _load(ledger, deployment_id)
    deployment = records.deployment
    if (deployment.candidate_id, deployment.profile_hash) != (candidate.id, profile.hash):
        raise ConfigurationError(
            f"deployment {deployment.short_id}: not of candidate {candidate.name} and this profile"
        )
    connection = deployment.connection
    if connection.start is None or connection.end is None:
        raise ConfigurationError(f"deployment {deployment.short_id}: not a simulation on recorded bars")
    details: dict[str, Any] = {
        "deployment_id": deployment.id,
        "window": {"from": iso(connection.start), "to": iso(connection.end), "venue": connection.dataset,
                   "symbols": list(candidate.symbols)},
        "initial_capital": float(deployment.capital),
    }  # fmt: skip
    fingerprint, artefacts, error = "", {}, ""
    metrics: Mapping[str, Measurement] = {}
    try:
        fingerprint = market_data.fingerprint(
            connection.dataset, candidate.symbols, candidate.timeframe, connection.start, connection.end
        )
        windows = _load_windows(candidate, market_data, connection.start, connection.end)
        simulated, backtest, bookkeeping = _keep_books(records, candidate, market_data, windows)
        drift = measure_drift(
            simulated.by_symbol,
            backtest.by_symbol,
            {s: candidate_instrument(market_data, candidate, s) for s in candidate.symbols},
            candidate.timeframe,
            simulated_sharpe=simulated.metrics["sharpe"],
            backtest_sharpe=backtest.metrics["sharpe"],
        )
        metrics = {
            **simulated.metrics, **_engine_metrics(records, windows), **feed_metrics(records.final.get("feed")),
            **drift.metrics,
        }  # fmt: skip
        details |= {
            "bookkeeping": bookkeeping,
            "feed": records.final.get("feed"),
            "open_trades": simulated.trades.open_trades,
            "liquidated": sorted(
                {o.intent.symbol for o in records.orders if o.intent.purpose is OrderPurpose.LIQUIDATION}
            ),
            "only_simulated": list(drift.only_simulated),
            "only_backtest": list(drift.only_backtest),
        }
        artefacts = _write_artefacts(report_dir, simulated.trades)
        error = _complaint(records, bookkeeping)
    except AirlockError as broken:
        error = str(broken)
    return build_evidence(
        candidate=candidate, stage=Stage.SIMULATION, profile=profile, fingerprint=fingerprint, measured_at=now,
        metrics=metrics, synthetic=market_data.is_synthetic(connection.dataset), details=details,
        artefacts=artefacts, error=error,
    )  # fmt: skip


def _load(ledger: Ledger, deployment_id: str) -> _Records:
    with ledger.begin() as work:
        deployment = work.deployments.get(deployment_id)
        if deployment is None:
            raise ConfigurationError(f"deployment {deployment_id[:12]}: not in the ledger")
        final = work.audit.of_subject(deployment_id, ACCOUNT_RECONCILED)
        return _Records(
            deployment,
            work.orders.all(deployment_id),
            work.orders.fills(deployment_id),
            work.orders.funding(deployment_id),
            work.orders.equity(deployment_id),
            final[-1].details if final else {},
        )


def _load_windows(
    candidate: Candidate, market_data: MarketData, start: datetime, end: datetime
) -> dict[str, tuple[Bars, Bars]]:
    """Per symbol: the bars with warm-up history, and the simulated window alone."""
    strategy = load_strategy(candidate.strategy, candidate.params)
    first = history_start(start, candidate.timeframe, strategy)
    found = {}
    for symbol in candidate.symbols:
        history = market_data.bars(candidate.venue, symbol, candidate.timeframe, first, end)
        row = int(np.searchsorted(history.open_time, int(start.timestamp() * 1_000)))
        found[symbol] = (history, history.window(row, len(history)))
    return found


def _keep_books(
    records: _Records, candidate: Candidate, market_data: MarketData, windows: Mapping[str, tuple[Bars, Bars]]
) -> tuple[_Books, _Books, dict[str, Any]]:
    """The engine's account and the backtest's on the same bars, and the bookkeeping identities of the former."""
    deployment = records.deployment
    strategy = load_strategy(candidate.strategy, candidate.params)
    allocation = symbol_allocation(deployment.capital, len(candidate.symbols))
    start = deployment.connection.start
    assert start is not None  # noqa: S101 (checked by the caller)
    simulated: list[tuple[Bars, Fills]] = []
    backtest: list[tuple[Bars, Fills]] = []
    for symbol, (history, window) in windows.items():
        instrument = candidate_instrument(market_data, candidate, symbol)
        fills = [fill for fill in records.fills if fill.symbol == symbol]
        placed = place_fills(fills, records.orders, window, instrument, records.funding)
        simulated.append((window, placed))
        run = run_symbol(strategy, history, start, instrument, allocation)
        backtest.append((run.bars, run.fills))
    marks = {
        symbol: to_decimal(float(window.close[-1]), candidate_instrument(market_data, candidate, symbol).tick_size)
        for symbol, (_, window) in windows.items()
    }
    seed = int(candidate.id[:8], 16)
    return (
        _account(simulated, deployment, candidate, seed),
        _account(backtest, deployment, candidate, seed),
        _bookkeeping(records, marks),
    )


def _account(played: Sequence[tuple[Bars, Fills]], deployment: Deployment, candidate: Candidate, seed: int) -> _Books:
    total: ProfitCurve | None = None
    for bars, fills in played:
        total = total_profit(total, profit_curve(bars, fills))
    if total is None:
        raise DataError(f"deployment {deployment.short_id}: no symbol was traded")
    by_symbol = {fills.symbol: trades_of(fills) for _, fills in played}
    trades = merge_trades(by_symbol.values())
    account = Account(
        capital=float(deployment.capital),
        timeframe=candidate.timeframe,
        trades=trades,
        curve=total,
        bars=sum(len(bars) for bars, _ in played),
        notional=sum(fills.notional for _, fills in played),
        fees=float(sum(fills.fee.sum() for _, fills in played)),
        funding=float(sum(fills.funding_paid.sum() for _, fills in played)),
        liquidations=sum(fills.liquidations for _, fills in played),
    )
    return _Books(by_symbol, trades, measure_trading(account, seed=seed))


def _bookkeeping(records: _Records, marks: Mapping[str, Decimal]) -> dict[str, Any]:
    """The same money told by three: the fills, the engine's last equity point, and the venue's wallet."""
    portfolio = replay_fills(records.deployment.capital, records.fills, records.funding)
    return {
        "capital": str(records.deployment.capital),
        "realised": str(portfolio.realised),
        "fees": str(portfolio.fees),
        "funding": str(portfolio.funding),
        "unrealised": str(portfolio.unrealised(marks)),
        "wallet_from_fills": str(portfolio.wallet),
        "equity_from_fills": str(portfolio.equity(marks)),
        "equity_of_engine": str(records.points[-1].equity) if records.points else None,
        "wallet_of_venue": records.final.get("venue_wallet"),
    }


def _complaint(records: _Records, books: Mapping[str, Any]) -> str:
    """Why the measurement cannot be trusted; empty when it can."""
    if records.deployment.status is not DeploymentStatus.COMPLETED:
        return f"the simulation is {records.deployment.status.value}, not COMPLETED: {records.deployment.status_reason}"
    pairs = (("equity_from_fills", "equity_of_engine"), ("wallet_from_fills", "wallet_of_venue"))
    for ours, theirs in pairs:
        if books[theirs] is None:
            return f"bookkeeping: {theirs} is not recorded"
        if abs(Decimal(books[ours]) - Decimal(books[theirs])) >= CENT:
            return f"bookkeeping: {ours} {books[ours]} and {theirs} {books[theirs]} differ"
    return ""


def _engine_metrics(records: _Records, windows: Mapping[str, tuple[Bars, Bars]]) -> dict[str, Measurement]:
    """How long and how reliably the engine traded."""
    published = np.unique(np.concatenate([window.open_time for _, window in windows.values()]))
    timeframe = next(iter(windows.values()))[1].timeframe
    closes = {int(moment) + timeframe.ms for moment in published}
    handled = closes & {int(point.at.timestamp() * 1_000) for point in records.points}
    span = max(handled) - int(published[0]) if handled else 0
    sent = [o for o in records.orders if o.status in _SENT and o.intent.purpose is not OrderPurpose.LIQUIDATION]
    market = [order for order in sent if order.intent.type is OrderType.MARKET]
    accepted = [order for order in market if order.status is not OrderStatus.REJECTED]
    filled = sum(order.status is OrderStatus.FILLED for order in accepted)
    return {
        "simulated_days": Measurement(span / DAY_MS, samples=len(handled)),
        "uptime": Measurement(len(handled) / len(closes), samples=len(closes)),
        "fill_rate": Measurement(filled / len(accepted) if accepted else None, samples=len(accepted)),
    }


def _write_artefacts(folder: Path | None, trades: Trades) -> dict[str, str]:
    if folder is None:
        return {}
    write_trades(trades, folder / TRADES_FILE)
    return {TRADES_FILE: hashlib.sha256((folder / TRADES_FILE).read_bytes()).hexdigest()}
