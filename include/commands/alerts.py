"""`airlock alerts`: trying channels, looking at alerts, taking and silencing them, and the process that watches."""

from __future__ import annotations

import logging
import re
import signal
import threading
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Annotated, Any

import typer

from include.commands.console import print_json
from include.domain.errors import ConfigurationError

if TYPE_CHECKING:
    from include.domain.alerts import Alert, Backlog, Silence

app = typer.Typer(help="Alerts: what is wrong now, who has taken it, and how people are told.", no_args_is_help=True)

By = Annotated[str, typer.Option("--by", help="Who decides: your name. Kept in the audit trail.")]
Reason = Annotated[str, typer.Option("--reason", help="Why. Kept in the audit trail.")]
AsJson = Annotated[bool, typer.Option("--json", help="One JSON document on standard output.")]


@app.callback()
def alerts() -> None:
    """Alerts: what is wrong now, who has taken it, and how people are told."""


@app.command()
def test(
    channel: Annotated[
        list[str] | None, typer.Option("--channel", help="Only this channel. Repeatable; all that are set up if none.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Send one alert through every channel that is set up. Exit 0 all delivered, 1 one was not, 2 none is set up."""
    from include import bootstrap
    from include.config.settings import load_settings
    from include.operations.alert_test import try_channels

    settings = load_settings()
    known = bootstrap.alert_channels(settings)
    if unknown := sorted(set(channel or ()) - set(known)):
        raise ConfigurationError(f"{', '.join(unknown)}: not set up (set up: {', '.join(sorted(known))})")
    chosen = {name: known[name] for name in channel or known}
    results = try_channels(chosen, datetime.now(UTC))
    if as_json:
        print_json({"channels": [result.document() for result in results]})
    else:
        typer.echo(f"{'channel':<10} {'outcome':<10} {'secs':>6}  detail")
        for result in results:
            typer.echo(f"{result.channel:<10} {result.outcome.value:<10} {result.secs:>6.1f}  {result.reason}")
    if not all(result.delivered for result in results):
        raise typer.Exit(1)
    if set(chosen) == {"log"}:
        raise ConfigurationError("only the local log is set up, nobody is told; see docs/alerts.md for the channels")


@app.command(name="list")
def list_alerts(
    everything: Annotated[bool, typer.Option("--all", help="Resolved ones, too (the last 200).")] = False,
    as_json: AsJson = False,
) -> None:
    """What is wrong now, what is silenced, and what waits to be delivered. Exit 0."""
    from include import bootstrap
    from include.config.settings import load_settings

    now = datetime.now(UTC)
    with bootstrap.open_ledger(load_settings()).begin() as work:
        found = work.alerts.recent(200) if everything else work.alerts.open()
        silences, backlogs = work.alerts.silences(now), work.outbox.backlogs(now)
        beaten_at = work.alerts.beaten_at()
    if as_json:
        print_json(_document(found, silences, backlogs, beaten_at))
        return
    for alert in found:
        taken = f" by {alert.acknowledged_by}" if alert.acknowledged_by else ""
        typer.echo(f"{alert.id:>6} {alert.severity.value:<8} {alert.state.value}{taken} {alert.code.value}")
        typer.echo(f"       {alert.summary}")
    if not found:
        typer.echo("no alerts")
    for silence in silences:
        typer.echo(f"{_silence_line(silence)} by {silence.by}: {silence.reason}")
    for backlog in backlogs:
        typer.echo(f"channel {backlog.channel}: {backlog.waiting} not delivered yet; {backlog.reason or 'not tried'}")
    if beaten_at is None or now - beaten_at > timedelta(seconds=60):
        typer.echo("nobody watches: start the stack (airlock up) or airlock alerts run", err=True)


@app.command()
def ack(
    alerts_taken: Annotated[
        list[int], typer.Argument(metavar="ID...", help="Numbers of the alerts, as the list and messages show them.")
    ],
    by: By,
    reason: Reason,
) -> None:
    """Take alerts: they are not told again until they end. Exit 0 taken, 2 no such alert, 3 one is not firing.

    All or none of them are taken.
    """
    from include import bootstrap
    from include.alerting import acknowledge
    from include.config.settings import load_settings

    if not reason.strip():
        raise ConfigurationError("say what is being done about it (--reason TEXT)")
    with bootstrap.open_ledger(load_settings()).begin() as work:
        work.alerts.lock()
        for number in dict.fromkeys(alerts_taken):
            found = work.alerts.get(number)
            if found is None:
                raise ConfigurationError(f"alert {number} is not in the ledger; `airlock alerts list` shows what is")
            work.alerts.save(found, acknowledge(found, by), by=by, reason=reason, at=datetime.now(UTC))
        work.commit()
    for number in dict.fromkeys(alerts_taken):
        typer.echo(f"alert {number} is ACKNOWLEDGED by {by}")


@app.command()
def silence(
    by: By,
    reason: Reason,
    lasting: Annotated[str, typer.Option("--for", help="How long: 30m, 2h, 1d; at most 30d.")],
    rule: Annotated[str, typer.Option("--rule", help="Name of a rule; * for all.")] = "",
    subject: Annotated[str, typer.Option("--subject", help="deployment:ID or another subject; * for all.")] = "*",
) -> None:
    """Keep alerts of a rule quiet for a while; they are still kept. Exit 0, or 2 for a rule that does not exist."""
    from include import bootstrap
    from include.config.settings import load_settings
    from include.domain.alerts import Silence as NewSilence

    settings = load_settings()
    names = {item.name for item in bootstrap.alert_audience(settings, {}).policy.rules} | {"*"}
    if rule not in names:
        raise ConfigurationError(f"--rule {rule!r}: no such rule; known: {', '.join(sorted(names))}")
    now = datetime.now(UTC)
    wanted = NewSilence(0, rule, subject, by, reason, now, now + _duration(lasting))
    with bootstrap.open_ledger(settings).begin() as work:
        kept = work.alerts.silence(wanted)
        work.commit()
    typer.echo(_silence_line(kept))


@app.command()
def unsilence(
    silence_id: Annotated[int, typer.Argument(metavar="ID", help="Number of the silence, as the list shows it.")],
    by: By,
    reason: Reason,
) -> None:
    """End a silence now; what fires is told at once. Exit 0, or 2 when no such silence is in force."""
    from include import bootstrap
    from include.config.settings import load_settings

    with bootstrap.open_ledger(load_settings()).begin() as work:
        work.alerts.lift(silence_id, by, reason, datetime.now(UTC))
        work.commit()
    typer.echo(f"silence {silence_id} is over")


@app.command()
def run(
    once: Annotated[bool, typer.Option("--once", help="Judge the rules and deliver once, then end.")] = False,
) -> None:
    """Judge the rules and deliver until a signal ends it. With --once: exit 0, or 3 when a channel failed."""
    from include.config.settings import load_settings
    from include.operations import alerts as operations

    settings = load_settings()
    logging.basicConfig(level=settings.log_level, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    logging.getLogger("alembic").setLevel(logging.WARNING)
    if once:
        done, receipts = operations.run_once(settings, datetime.now(UTC))
        typer.echo(f"{done.open} open, {done.moved} moved, {done.put} put into the outbox", err=True)
        failed = sorted(name for name, receipt in receipts.items() if not receipt.delivered)
        if failed:
            typer.echo(f"not delivered on {', '.join(failed)}; kept in the outbox", err=True)
            raise typer.Exit(3)
        return
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    operations.watch(settings, stop)


_UNITS = {"m": "minutes", "h": "hours", "d": "days"}


def _duration(text: str) -> timedelta:
    match = re.fullmatch(r"([1-9]\d{0,4})([mhd])", text.strip())
    lasting = timedelta(**{_UNITS[match[2]]: int(match[1])}) if match else None
    if lasting is None or lasting > timedelta(days=30):
        raise ConfigurationError(f"--for {text!r}: write for example 30m, 2h or 1d, at most 30d")
    return lasting


def _silence_line(silence: Silence) -> str:
    until = f"{silence.ends_at:%Y-%m-%d %H:%M} UTC"
    return f"silence {silence.id}: rule {silence.rule} on {silence.subject} until {until}"


def _document(
    found: Sequence[Alert], silences: Sequence[Silence], backlogs: Sequence[Backlog], beaten_at: datetime | None
) -> dict[str, Any]:
    from include.domain.times import iso

    return {
        "alerts": [_plain(alert) for alert in found],
        "silences": [
            {
                "id": s.id,
                "rule": s.rule,
                "subject": s.subject,
                "by": s.by,
                "reason": s.reason,
                "ends_at": iso(s.ends_at),
            }
            for s in silences
        ],
        "waiting": [
            {"channel": b.channel, "count": b.waiting, "oldest_at": iso(b.oldest_at), "reason": b.reason}
            for b in backlogs
        ],
        "watched_at": None if beaten_at is None else iso(beaten_at),
    }


def _plain(alert: Alert) -> dict[str, Any]:
    from include.domain.times import iso

    times = {name: getattr(alert, name) for name in ("since", "seen_at", "fired_at", "ended_at")}
    return {
        "id": alert.id, "rule": alert.rule, "code": alert.code.value, "severity": alert.severity.value,
        "subject": alert.subject, "state": alert.state.value, "summary": alert.summary, "advice": alert.advice,
        **{name: None if at is None else iso(at) for name, at in times.items()},
        "acknowledged_by": alert.acknowledged_by or None,
    }  # fmt: skip
