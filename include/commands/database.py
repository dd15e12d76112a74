"""`airlock migrate`: brings the ledger, and Airflow's metadata where it is configured, to the newest schema."""

from __future__ import annotations

import os
import subprocess
import sys

import typer

from include import bootstrap
from include.config.settings import load_settings
from include.domain.errors import FatalError

app = typer.Typer()


@app.command()
def migrate() -> None:
    """Create or upgrade the schemas. Safe to run again; the local stack does it by itself."""
    settings = load_settings()
    bootstrap.migrate_ledger(settings)
    typer.echo("ledger: newest schema", err=True)
    if os.environ.get("AIRFLOW__DATABASE__SQL_ALCHEMY_CONN"):
        bootstrap.ensure_airflow_database(settings)
        done = subprocess.run([sys.executable, "-m", "airflow", "db", "migrate"], check=False)
        if done.returncode:
            raise FatalError(f"airflow db migrate ended with status {done.returncode}; its output is above")
        typer.echo("airflow: newest schema", err=True)
