"""`airlock trader`, `engine`, `status`, `halt`, `resume`: running deployments, looking at them, stopping them."""

from __future__ import annotations

import asyncio
import json
import logging
import os
import signal
import threading
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Any

import typer

from include.domain.errors import ConfigurationError

if TYPE_CHECKING:
    from include.domain.deployments import Deployment
    from include.ports import Ledger, Venue
    from include.stages.live import DeploymentHealth

app = typer.Typer()

Account = Annotated[str, typer.Option("--account", help="Every deployment of this trading account.")]
OneDeployment = Annotated[str, typer.Option("--deployment", help="One deployment, by id or the start of it.")]
Everything = Annotated[bool, typer.Option("--all", help="Everything this ledger knows.")]
By = Annotated[str, typer.Option("--by", help="Who decides: your name. Kept in the audit trail.")]
Reason = Annotated[str, typer.Option("--reason", help="Why. Kept in the audit trail.")]
AsJson = Annotated[bool, typer.Option("--json", help="One JSON document on standard output.")]


def _log_to_stderr(level: str) -> None:
    logging.basicConfig(level=level, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    logging.getLogger("alembic").setLevel(logging.WARNING)


@app.command()
def trader(
    once: Annotated[
        bool, typer.Option("--once", help="Look at every deployment once, then leave engines running.")
    ] = False,
) -> None:
    """Keep one engine process running for each deployment that should run."""
    from include import bootstrap
    from include.config.settings import load_settings
    from include.trading.trader import Trader

    settings = load_settings()
    _log_to_stderr(settings.log_level)
    url = bootstrap.database_url(settings)
    daemon = Trader(
        bootstrap.open_ledger(settings),
        run=settings.run,
        logs=settings.logs,
        environment={**os.environ, "AIRLOCK_HOME": str(settings.home), "AIRLOCK_DATABASE_URL": url},
        authorise=lambda deployment: bootstrap.authorise(settings, deployment),
    )
    with daemon.only_one():
        if once:
            daemon.step()
            return
        stop = threading.Event()
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: stop.set())
        daemon.run(stop.wait)


@app.command()
def engine(
    deployment: OneDeployment,
    url: Annotated[str, typer.Option("--url", help="Address of a replay's own exchange.")] = "",
) -> None:
    """Trade one deployment in this process; the trader starts these."""
    from include import bootstrap
    from include.config.risk_limits import deployment_limits
    from include.config.settings import load_settings
    from include.qualification.candidate import Candidate
    from include.stages.ladder import recorded_profile, require_unchanged
    from include.strategies.protocol import load_strategy
    from include.trading.engine import Engine
    from include.trading.processes import holder_name

    settings = load_settings()
    _log_to_stderr(settings.log_level)
    ledger = bootstrap.open_ledger(settings)
    found = find_deployment(deployment, ledger)
    with ledger.begin() as work:
        candidate: Candidate | None = work.candidates.get(found.candidate_id)
        profile = recorded_profile(work, found)
    if candidate is None:
        raise ConfigurationError(f"deployment {found.short_id}: its candidate is not in the ledger")
    require_unchanged(candidate)
    venue = bootstrap.build_venue(settings, found, url)
    trading = Engine(
        ledger=ledger,
        venue=venue,
        pacer=bootstrap.build_pacer(found, venue),
        deployment=found,
        candidate=candidate,
        strategy=load_strategy(candidate.strategy, candidate.params),
        limits=deployment_limits(settings.environment, profile, found),
        holder=holder_name(os.getpid()),
    )
    typer.echo(asyncio.run(_run_until_signal(trading)).value, err=True)


async def _run_until_signal(trading: Any) -> Any:
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, trading.stop)
    return await trading.run()


@app.command()
def status(as_json: AsJson = False) -> None:
    """Deployments, how they are doing, and the trading states that apply."""
    from include import bootstrap
    from include.config.settings import load_settings
    from include.domain.times import iso
    from include.stages.live import observe_deployment

    ledger = bootstrap.open_ledger(load_settings())
    now = datetime.now(UTC)
    with ledger.begin() as work:
        ids = [deployment.id for deployment in work.deployments.all()]
        states = work.trading_states.all()
        incidents = work.incidents.recent(10)
    healths = [observe_deployment(ledger, deployment_id, now) for deployment_id in ids]
    if as_json:
        document = {
            "at": iso(now),
            "deployments": [health.document() for health in healths],
            "trading_states": [
                {"scope": s.scope, "state": s.state.value, "by": s.by, "reason": s.reason, "set_at": iso(s.set_at)}
                for s in states
            ],
            "incidents": [
                {"opened_at": iso(i.opened_at), "severity": i.severity.value, "code": i.code, "subject": i.subject,
                 "message": i.message}
                for i in incidents
            ],
        }  # fmt: skip
        typer.echo(json.dumps(document, ensure_ascii=False))
        return
    for health in healths:
        typer.echo(_status_line(health))
    for record in states:
        typer.echo(f"{record.scope}: {record.state.value} by {record.by} ({record.reason})")
    for incident in incidents:
        typer.echo(f"{iso(incident.opened_at)} {incident.severity.value} {incident.code} {incident.message}")
    if not healths:
        typer.echo("no deployments yet")


def _status_line(health: DeploymentHealth) -> str:
    beat = "never" if health.heartbeat_age_secs is None else f"{health.heartbeat_age_secs:.0f} s ago"
    equity = "unknown" if health.equity is None else f"{health.equity:.2f}"
    return (
        f"{health.deployment_id[:12]} {health.mode.value} {health.status.value} (wanted {health.desired.value}) "
        f"{health.state.value} equity {equity} of {health.capital:.2f} fills {health.fills} beat {beat} "
        f"{health.progress:.0%}"
    )


@app.command()
def halt(
    by: By,
    reason: Reason,
    account: Account = "",
    deployment: OneDeployment = "",
    everything: Everything = False,
    cancel: Annotated[bool, typer.Option("--cancel/--no-cancel", help="Cancel all working orders.")] = True,
    flatten: Annotated[bool, typer.Option("--flatten", help="Close all positions at market.")] = False,
) -> None:
    """Stop trading at once, at the venue itself; works without engine, trader and Airflow."""
    from include import bootstrap
    from include.config.settings import load_settings
    from include.trading import kill_switch

    settings = load_settings()
    ledger = bootstrap.open_ledger(settings)
    scope = _scope(ledger, account, deployment, everything)

    def connect(target: Deployment) -> Venue:
        return bootstrap.build_venue(settings, target)

    result = asyncio.run(
        kill_switch.halt(ledger, connect, scope=scope, by=by, reason=reason, cancel=cancel, flatten=flatten)
    )
    typer.echo(f"{scope} is HALTED: {len(result.canceled)} orders cancelled, {len(result.flattened)} positions closed")
    for line in result.failures:
        typer.echo(f"NOT DONE {line}", err=True)
    if result.failures:
        raise typer.Exit(3)


@app.command()
def resume(
    by: By, reason: Reason, account: Account = "", deployment: OneDeployment = "", everything: Everything = False
) -> None:
    """Lift a halt, in the name of a person and with a reason."""
    from include import bootstrap
    from include.config.settings import load_settings
    from include.trading import kill_switch

    ledger = bootstrap.open_ledger(load_settings())
    scope = _scope(ledger, account, deployment, everything)
    record = kill_switch.resume(ledger, scope=scope, by=by, reason=reason)
    typer.echo(f"{record.scope} is {record.state.value}, released by {record.by}")


def _scope(ledger: Ledger, account: str, deployment: str, everything: bool) -> str:
    from include.trading import kill_switch

    if sum(map(bool, (account, deployment, everything))) != 1:
        raise ConfigurationError("say what: one of --account NAME, --deployment ID or --all")
    if everything:
        return kill_switch.ALL
    if account:
        return kill_switch.account_scope(account)
    return kill_switch.deployment_scope(find_deployment(deployment, ledger).id)


def find_deployment(reference: str, ledger: Ledger) -> Deployment:
    """A deployment by its id or an unambiguous start of it."""
    with ledger.begin() as work:
        found = [d for d in work.deployments.all() if reference and d.id.startswith(reference)]
    if len(found) != 1:
        what = "is not in the ledger" if not found else f"fits {len(found)} deployments"
        raise ConfigurationError(f"deployment {reference!r} {what}; `airlock status` lists them")
    return found[0]
