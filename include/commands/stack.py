"""`airlock up`, `airlock down`, `airlock demo`: the local stack and the demonstration on it."""

from __future__ import annotations

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
