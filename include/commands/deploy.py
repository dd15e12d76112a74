"""`airlock deploy` and `airlock stop`: a candidate on a declared account, in real time, until it is stopped."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Annotated

import typer

from include.commands.console import print_json
from include.commands.qualify import AsJson, CandidateName, ProfileName
from include.commands.trading import By, OneDeployment, Reason, find_deployment
from include.domain.enums import Mode
from include.domain.errors import ConfigurationError

if TYPE_CHECKING:
    from include.domain.deployments import Deployment

app = typer.Typer()


@app.command()
def deploy(
    candidate: CandidateName,
    profile: ProfileName,
    by: By,
    account: Annotated[str, typer.Option("--account", help="Account, as accounts.yaml declares it.")],
    mode: Annotated[
        Mode, typer.Option("--mode", case_sensitive=False, help="A simulation never reaches real money.")
    ] = Mode.SIMULATION,
    real_money: Annotated[
        str, typer.Option("--real-money", help="The account's name once more, if it trades real money.")
    ] = "",
    key: Annotated[str, typer.Option("--key", help="Names the attempt; the account's name when not given.")] = "",
    as_json: AsJson = False,
) -> None:
    """Trade a candidate on paper, in an exchange's test environment, or live.

    A simulation needs a passed data gate and backtest; the trader starts it at once.

    A live deployment needs every evidence and signature of the ladder, and stays halted until the DAG live_trading has
    checked its account and a person has released it.
    """
    from include import bootstrap
    from include.config.files import find_candidate, find_profile
    from include.config.settings import load_settings
    from include.stages.promotion import promote
    from include.stages.trial import start_trial

    settings, found, rules = load_settings(), find_candidate(candidate), find_profile(profile)
    fraction = rules.promotion.capital_steps[0] if mode is Mode.LIVE else 1
    capital = Decimal(repr(rules.initial_capital)) * Decimal(repr(fraction))
    connection = bootstrap.account_connection(settings, found, account, mode, capital, real_money)
    ledger, now = bootstrap.open_ledger(settings), datetime.now(UTC)
    if mode is Mode.LIVE:
        made = promote(
            ledger, found, rules, bootstrap.role_holders(), connection, session_key=key or account, by=by, now=now,
            candidate_now=found,
        )  # fmt: skip
    else:
        made = start_trial(ledger, found, rules, connection, session_key=key or account, by=by, now=now)
    if as_json:
        print_json({"deployment_id": made.id, "mode": made.mode.value, "venue_kind": connection.kind.value})
        return
    typer.echo(_told(made))


def _told(made: Deployment) -> str:
    where = made.connection
    line = f"deployment {made.short_id}: {made.mode.value} on {where.account} ({where.kind.value.lower()})"
    money = ", REAL MONEY" if where.real_money else ""
    then = "the trader runs it" if made.mode is Mode.SIMULATION else "halted; the DAG live_trading releases it"
    return f"{line}, capital {made.capital}{money}; {then}"


@app.command()
def stop(deployment: OneDeployment, by: By, reason: Reason) -> None:
    """Have the trader end a deployment's engine; orders and positions stay as they are (`airlock halt` clears them)."""
    from include import bootstrap
    from include.config.settings import load_settings
    from include.domain.enums import DesiredState

    if not (by.strip() and reason.strip()):
        raise ConfigurationError("--by and --reason: say who decides, and why")
    ledger = bootstrap.open_ledger(load_settings())
    found = find_deployment(deployment, ledger)
    with ledger.begin() as work:
        work.deployments.request(found.id, DesiredState.STOPPED, by, reason)
        work.commit()
    typer.echo(f"deployment {found.short_id} is asked to stop")
