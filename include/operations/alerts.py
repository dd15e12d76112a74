"""Alerts at work: judge the rules, move the alerts, fill the outbox, deliver. Nothing that trades depends on it.

Entry points: `evaluate` and `deliver` once each (an Airflow task may), `watch` for good (`airlock alerts run`).
"""

from __future__ import annotations

import logging
import os
import socket
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

from include import bootstrap
from include.alerting import Audience, Observation, build_notice, due, leave, observe, step
from include.config.settings import Settings
from include.domain.alerts import Alert, AlertState, Said
from include.domain.enums import Severity
from include.domain.errors import AirlockError
from include.notifications import Channel, FanOut, Receipt, Sender
from include.operations.alert_facts import FactReader
from include.ports import Notice, UnitOfWork

log = logging.getLogger("airlock.alerts")
EVALUATE_EVERY_SECS = 5.0
DELIVER_EVERY_SECS = 1.0
SEEN_EVERY = timedelta(seconds=60)
TROUBLE_AFTER = timedelta(seconds=30)
"""A database that restarts is back by then."""
TROUBLE_EVERY = timedelta(minutes=10)
WATCHER = "airlock"


@dataclass(frozen=True, slots=True)
class Evaluated:
    """What one pass over the rules did."""

    open: int
    moved: int
    put: int


def evaluate(reader: FactReader, audience: Audience, now: datetime) -> Evaluated:
    """Judge every rule, move the alerts and put what is to be told into the outbox, in one transaction.

    Raises:
        AirlockError: the ledger cannot be used; nothing has changed.
    """
    snapshots = reader.read(now, audience.channels)
    with reader.ledger.begin() as work:
        work.alerts.lock()
        before = {alert.fingerprint: alert for alert in work.alerts.open()}
        observations = observe(audience.policy.rules, snapshots, frozenset(before))
        after = _stepped(work, before, observations, audience, now)
        moved = [alert for alert in after if _state(before.get(alert.fingerprint)) is not alert.state]
        put = _tell(work, after, replace(audience, silences=work.alerts.silences(now)), now)
        work.alerts.beat(WATCHER, now)
        work.commit()
    return Evaluated(sum(alert.is_open for alert in after), len(moved), put)


def _state(alert: Alert | None) -> AlertState | None:
    return None if alert is None else alert.state


def _stepped(
    work: UnitOfWork,
    before: Mapping[str, Alert],
    observations: Sequence[Observation],
    audience: Audience,
    now: datetime,
) -> list[Alert]:
    rules = {rule.name: rule for rule in audience.policy.rules}
    seen = {observation.fingerprint: observation for observation in observations}
    after: list[Alert] = []
    for fingerprint, observation in seen.items():
        old = before.get(fingerprint)
        new = step(old, observation, now)
        if new is not None:
            after.append(
                old if old and _says_nothing_new(old, new) else _save(work, old, new, observation.summary, now)
            )
    for fingerprint, old in before.items():
        if fingerprint not in seen:
            new = leave(old, rules.get(old.rule), now)
            after.append(old if new == old else _save(work, old, new, "its subject or its rule is gone", now))
    return after


def _says_nothing_new(old: Alert, new: Alert) -> bool:
    """Seen again and nothing else: worth a write now and then, not a thousand of them every few seconds."""
    return new == replace(old, seen_at=new.seen_at) and new.seen_at - old.seen_at < SEEN_EVERY


def _save(work: UnitOfWork, old: Alert | None, new: Alert, why: str, now: datetime) -> Alert:
    return work.alerts.save(old, new, by="airlock", reason=why, at=now)


def _tell(work: UnitOfWork, alerts: Sequence[Alert], audience: Audience, now: datetime) -> int:
    known = work.alerts.told([alert.id for alert in alerts])
    return sum(
        _put(work, alert, item.said, audience, now=now, due_at=item.at)
        for alert in alerts
        for item in due(alert, known[alert.id], audience, now)
    )


def _put(work: UnitOfWork, alert: Alert, said: Said, audience: Audience, *, now: datetime, due_at: datetime) -> bool:
    lasting = audience.policy.telling[alert.severity].expires_after_secs
    expires = due_at + timedelta(seconds=lasting) if lasting else None
    notice = build_notice(alert, said)
    return work.outbox.put(
        said.channel, notice, now=now, due_at=due_at, expires_at=expires, alert_id=alert.id, said=said
    )


def deliver(senders: Sequence[Sender]) -> dict[str, Receipt]:
    """Work through every channel side by side until nothing is due, the pace says wait, or one fails."""
    receipts: dict[str, Receipt] = {}

    def drain(sender: Sender) -> None:
        receipt = sender.deliver_due()
        while receipt is not None:
            receipts[sender.channel] = receipt
            receipt = sender.deliver_due() if receipt.delivered else None

    threads = [threading.Thread(target=_guarded, args=(drain, sender), daemon=True) for sender in senders]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return receipts


def _guarded(act: Callable[[Sender], None], sender: Sender) -> None:
    try:
        act(sender)
    except AirlockError as error:
        log.warning("channel %s: %s", sender.channel, error)


def run_once(settings: Settings, now: datetime) -> tuple[Evaluated, dict[str, Receipt]]:
    """One evaluation and one delivery, for a task or a cron job. Safe beside a running watch."""
    ledger = bootstrap.open_ledger(settings)
    channels = bootstrap.alert_channels(settings)
    done = evaluate(FactReader(ledger), bootstrap.alert_audience(settings, channels), now)
    return done, deliver(bootstrap.alert_senders(settings, ledger, sender_name()))


def watch(settings: Settings, stop: threading.Event) -> None:
    """Evaluate and deliver until told to stop. Each channel has a thread: one that hangs delays no other.

    Raises:
        ConfigurationError: rules or addresses are wrong.
    """
    channels = bootstrap.alert_channels(settings)
    audience = bootstrap.alert_audience(settings, channels)
    ledger = bootstrap.open_ledger(settings)
    log.info("alert rules %s, channels %s", audience.policy.hash[:12], ", ".join(sorted(channels)))
    for sender in bootstrap.alert_senders(settings, ledger, sender_name()):
        threading.Thread(target=_keep_delivering, args=(sender, stop), name=sender.channel, daemon=True).start()
    reader, alarm = FactReader(ledger), Alarm(channels, audience)
    while True:
        now = datetime.now(UTC)
        try:
            evaluate(reader, audience, now)
            alarm.judged()
        except Exception as error:  # whatever it is: nobody judges the rules now, and people must hear it
            log.warning("alerts could not be evaluated: %s", error)
            alarm.failed(error, now)
        if stop.wait(EVALUATE_EVERY_SECS):
            return


def _keep_delivering(sender: Sender, stop: threading.Event) -> None:
    while not stop.wait(DELIVER_EVERY_SECS):
        try:
            sender.deliver_due()
        except Exception as error:  # the ledger is away: what waits there stays there
            log.warning("channel %s: %s", sender.channel, error)


def sender_name() -> str:
    """Who delivers, for the record of attempts."""
    return f"{socket.gethostname()}:{os.getpid()}"


class Alarm:
    """The way past the outbox, for when the rules cannot be judged: directly, after a while, now and then."""

    def __init__(self, channels: Mapping[str, Channel], audience: Audience) -> None:
        names = audience.of(audience.policy.telling[Severity.CRITICAL].levels[0].channels)
        self._notifier = FanOut([channels[name] for name in names])
        self._failing_since: datetime | None = None
        self._raised_at: datetime | None = None

    def judged(self) -> None:
        """The rules have been judged."""
        self._failing_since = None

    def failed(self, error: Exception, now: datetime) -> bool:
        """Tell people once it has lasted `TROUBLE_AFTER`, at most once in `TROUBLE_EVERY`; whether they were told."""
        self._failing_since = self._failing_since or now
        recently = self._raised_at is not None and now - self._raised_at < TROUBLE_EVERY
        if recently or now - self._failing_since < TROUBLE_AFTER:
            return False
        self._raised_at = now
        reason = str(error) if isinstance(error, AirlockError) else type(error).__name__
        lines = (reason, "No rule is judged until this is over. Is the ledger's database running?")
        return self._notifier.send(Notice(Severity.CRITICAL, "Alerts cannot be evaluated", lines))
