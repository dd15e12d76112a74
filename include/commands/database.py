"""`airlock migrate`: brings the ledger, and Airflow's metadata and pools where it is configured, up to date."""

from __future__ import annotations

import os
import subprocess
import sys

import typer

from include import bootstrap
from include.config.settings import load_settings
from include.domain.errors import FatalError
from include.operations.airflow_settings import load_airflow_settings

app = typer.Typer()


@app.command()
def migrate() -> None:
    """Create or upgrade schemas and Airflow's pools. Safe to run again; the local stack does it by itself."""
    settings = load_settings()
    bootstrap.migrate_ledger(settings)
    typer.echo("ledger: newest schema", err=True)
    if os.environ.get("AIRFLOW__DATABASE__SQL_ALCHEMY_CONN"):
        bootstrap.ensure_airflow_database(settings)
        _airflow("db", "migrate")
        for pool in load_airflow_settings().airflow.pools:
            _airflow("pools", "set", pool.pool_name, str(pool.pool_slot), pool.pool_description)
        typer.echo("airflow: newest schema and pools", err=True)


def _airflow(*arguments: str) -> None:
    done = subprocess.run([sys.executable, "-m", "airflow", *arguments], check=False)
    if done.returncode:
        raise FatalError(f"airflow {' '.join(arguments[:2])} ended with status {done.returncode}; its output is above")
