"""`airlock up`, `airlock down`, `airlock demo`: the local stack and the demonstration on it."""

from __future__ import annotations

import os
import sys
from typing import Annotated

import typer

app = typer.Typer()


def _say(message: str) -> None:
    typer.echo(message, err=True)


@app.command()
def up(
    foreground: Annotated[bool, typer.Option("--foreground", help="Stay and supervise (for systemd).")] = False,
) -> None:
    """Start the local stack: database, Airflow, sandbox exchange, trader."""
    from include.config.settings import load_settings
    from include.operations import stack

    settings = load_settings()
    if foreground:
        stack.serve(settings, _say)
        return
    state, was_running = stack.up(settings, _say)
    typer.echo(f"Airlock {'already runs' if was_running else 'is up'} in {settings.home}")
    typer.echo(f"  UI         {state.airflow_url}")
    typer.echo(f"  users      passwords are in {state.passwords_file}")
    typer.echo(f"  exchange   {state.exchange_url}")
    typer.echo(f"  logs       {settings.logs}")


@app.command()
def down() -> None:
    """Stop the local stack, exactly what it started and nothing else."""
    from include.config.settings import load_settings
    from include.operations import stack

    settings = load_settings()
    found = stack.down(settings, _say)
    typer.echo(f"Airlock in {settings.home} {'is stopped' if found else 'was not running'}")


@app.command(context_settings={"allow_extra_args": True, "ignore_unknown_options": True, "help_option_names": []})
def airflow(context: typer.Context) -> None:
    """Airflow's own command line, configured for the running stack (airlock airflow backfill create ...)."""
    from include.config.settings import load_settings
    from include.operations.starting import environment_of_running

    environment = environment_of_running(load_settings())
    os.execve(sys.executable, [sys.executable, "-m", "airflow", *context.args], environment)  # noqa: S606


@app.command()
def demo(
    once: Annotated[
        bool, typer.Option("--once", help="Stop everything at the end; exit 1 if anything failed.")
    ] = False,
    hands_on: Annotated[bool, typer.Option("--hands-on", help="Wait for people to approve in the UI.")] = False,
) -> None:
    """Two candidates on the whole ladder: one trades in the end, one is turned down with reasons."""
    from include.config.settings import load_settings
    from include.operations.demo import run_demo
    from include.operations.demo_view import DemoView

    with DemoView() as view:
        succeeded = run_demo(load_settings(), view, once=once, hands_on=hands_on)
    raise typer.Exit(0 if succeeded else 1)
