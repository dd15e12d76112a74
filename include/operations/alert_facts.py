"""Facts for the alert rules, read from the ledger. What cannot be read is missing, never taken as fine."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal

from include.alerting import Fact, Snapshot
from include.alerting.metrics import Scope
from include.domain.alerts import EquityFacts, HourFacts, TradeFacts
from include.domain.deployments import Deployment, Heartbeat
from include.domain.enums import DesiredState, Severity, TradingState
from include.domain.errors import AirlockError
from include.ports import Incident, Ledger, UnitOfWork

log = logging.getLogger("airlock.alerts")
HOUR = timedelta(hours=1)
INCIDENTS_FOR = timedelta(minutes=10)
TRADES_EVERY = timedelta(seconds=60)
"""How old the sums over all of a deployment's fills may be: they cost the database the most (seconds for a million)."""
TRADES_SHARE = 30
"""They may also be as old as so many times what reading them took, so that they never take more than that share."""


@dataclass(slots=True)
class FactReader:
    """Reads facts; remembers the expensive ones for a minute."""

    ledger: Ledger
    _trades: dict[str, tuple[datetime, TradeFacts]] = field(default_factory=dict)
    """Until when they may be used, by deployment."""

    def read(self, now: datetime, channels: Iterable[str]) -> list[Snapshot]:
        """Everything the rules are judged by at this moment.

        Args:
            channels: those that are set up; each is a subject of its own.

        Raises:
            AirlockError: the ledger cannot be read at all.
        """
        with self.ledger.begin() as work:
            wanted = [d for d in work.deployments.all() if d.desired is DesiredState.RUNNING]
            # What was opened while nobody watched counts as well.
            watched_at = min(work.alerts.beaten_at() or now, now)
            incidents = work.incidents.between(watched_at - INCIDENTS_FOR, now + INCIDENTS_FOR)
            late = {backlog.channel: backlog for backlog in work.outbox.backlogs(now)}
        self._trades = {d.id: self._trades[d.id] for d in wanted if d.id in self._trades}
        snapshots = [self._deployment(deployment, now) for deployment in wanted]
        snapshots += incident_snapshots(incidents)
        for channel in sorted({*channels, *late}):
            backlog = late.get(channel)
            waited = 0.0 if backlog is None else (now - backlog.oldest_at).total_seconds()
            note = "" if backlog is None else f"{backlog.waiting} waiting; {backlog.reason or 'no attempt has failed'}"
            facts = {"overdue_secs": Fact(waited, note=note)}
            snapshots.append(Snapshot(Scope.CHANNEL, f"channel:{channel}", facts))
        return snapshots

    def _deployment(self, deployment: Deployment, now: datetime) -> Snapshot:
        facts: dict[str, Fact] = {}
        try:
            with self.ledger.begin() as work:
                beat = work.deployments.heartbeat(deployment.id)
                state = work.trading_states.effective(deployment)
                equity = work.alerts.equity(deployment.id)
                market_now = beat.event_time if beat and beat.event_time else now
                hour = work.alerts.trading_since(deployment.id, market_now - HOUR)
                trades = self._read_trades(work, deployment.id, now)
                reconnects = None
                if beat is not None and beat.feed is not None:
                    count = float(beat.feed["reconnects"])
                    reconnects = work.alerts.increase(deployment.id, "reconnects", count, now, now - HOUR)
                    work.commit(durable=False)
            facts = {
                **money_facts(deployment, equity, trades),
                **execution_facts(hour),
                **life_facts(beat, state, reconnects, now),
            }
        except (AirlockError, KeyError, ArithmeticError) as error:
            # The other deployments are still judged; this one's rules say that they cannot be.
            log.warning("facts of deployment %s cannot be read: %s", deployment.short_id, error)
        label = f"{deployment.mode.value} deployment {deployment.short_id}"
        return Snapshot(Scope.DEPLOYMENT, f"deployment:{deployment.id}", facts, deployment.mode, label)

    def _read_trades(self, work: UnitOfWork, deployment_id: str, now: datetime) -> TradeFacts:
        known = self._trades.get(deployment_id)
        if known is not None and now < known[0]:
            return known[1]
        begun = time.monotonic()
        trades = work.alerts.trades(deployment_id)
        took = timedelta(seconds=time.monotonic() - begun)
        self._trades[deployment_id] = (now + max(TRADES_EVERY, TRADES_SHARE * took), trades)
        return trades


def money_facts(deployment: Deployment, equity: EquityFacts | None, trades: TradeFacts) -> dict[str, Fact]:
    """Facts about equity and trades.

    Before the first bar there is no equity, and without a fill nothing could have been lost: no sample. With fills and
    without equity it is missing.
    """
    rate = trades.won / trades.closed if trades.closed else None
    facts = {"win_rate": Fact(rate, trades.closed, f"{trades.won} of {trades.closed} trades")}
    if equity is None:
        traded = int(trades.closed > 0 or trades.gross > 0)
        return facts | dict.fromkeys(("drawdown", "daily_loss", "equity_fraction", "leverage"), Fact(None, traded))
    peak = max(equity.peak, deployment.capital)
    day_open = deployment.capital if equity.day_open is None else equity.day_open
    note = f"equity {equity.last:.2f}"
    lost = float((day_open - equity.last) / day_open) if day_open > 0 else None
    leverage = _ratio(trades.gross, equity.last)
    return {
        **facts,
        "drawdown": Fact(float((peak - equity.last) / peak), 1, f"{note}, peak {peak:.2f}"),
        "daily_loss": Fact(lost, 1, note),
        "equity_fraction": Fact(float(equity.last / deployment.capital), 1, note),
        "leverage": Fact(leverage, 1, f"positions {trades.gross:.2f}, {note}"),
    }


def _ratio(gross: Decimal, equity: Decimal) -> float | None:
    """Positions on no equity have no leverage that could be named: it is missing, and the capital rule fires."""
    if not gross:
        return 0.0
    return float(gross / equity) if equity > 0 else None


def execution_facts(hour: HourFacts) -> dict[str, Fact]:
    """Facts about the last hour's orders and fills."""
    return {
        "liquidations": Fact(float(hour.liquidations)),
        "reject_rate": Fact(
            hour.rejected / hour.sent if hour.sent else None, hour.sent, f"{hour.rejected} of {hour.sent} orders"
        ),
        "api_errors": Fact(float(hour.unknown)),
        "worst_slippage": Fact(hour.worst_slippage, hour.market_fills),
    }


def life_facts(beat: Heartbeat | None, state: TradingState, reconnects: float | None, now: datetime) -> dict[str, Fact]:
    """Facts about the engine and its feed; without a heartbeat all but the trading state are missing."""
    facts = {"halted": Fact(float(state is TradingState.HALTED), note=f"trading state {state.value}")}
    if beat is None:
        return facts
    facts["heartbeat_age_secs"] = Fact(max(0.0, (now - beat.beat_at).total_seconds()))
    if beat.feed is not None:
        faults = [str(fault) for fault in beat.feed["alerts"]]
        expected = int(beat.feed["expected"])
        facts["feed_faults"] = Fact(float(len(faults)), note=", ".join(faults))
        facts["feed_uptime"] = Fact(beat.feed["uptime"], expected)
        facts["reconnects"] = Fact(reconnects)
    return facts


def incident_snapshots(incidents: Sequence[Incident]) -> list[Snapshot]:
    """Each incident is a subject of its own: taking one must not hide the next."""
    return [
        Snapshot(
            Scope.INCIDENT,
            f"incident:{incident.id}",
            {
                "critical_incident": Fact(float(incident.severity is Severity.CRITICAL)),
                "warning_incident": Fact(float(incident.severity is Severity.WARNING)),
            },
            label=f"{incident.code} on {_short(incident.subject)}: {incident.message}"[:300],
        )
        for incident in incidents
    ]


def _short(subject: str) -> str:
    kind, _, name = subject.partition(":")
    return f"{kind} {name[:12]}".strip()
