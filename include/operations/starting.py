"""The order in which a stack comes up: database, schemas, processes, health, Airflow's objects."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from importlib.metadata import version

from include.bootstrap import database_url, ensure_airflow_database, migrate_ledger, role_holders
from include.config.settings import Settings
from include.domain.errors import AirlockError, ConfigurationError, FatalError, RetryableError
from include.domain.ids import digest
from include.operations import components
from include.operations.addresses import LOOPBACK, choose_port
from include.operations.airflow_client import AirflowClient
from include.operations.airflow_environment import (
    StackSecrets,
    airflow_environment,
    airflow_home,
    ensure_secrets,
    product_environment,
)
from include.operations.airflow_settings import (
    ADMINISTRATOR,
    AirflowSettings,
    load_airflow_settings,
    require_answerable,
)
from include.operations.private_files import ensure_folder, read_json, reason_in, write_json
from include.operations.stack_state import Phase, StackState, load_state, save_state
from include.operations.supervisor import Supervisor

Report = Callable[[str], None]
MIN_FREE_BYTES = 300_000_000
"""Databases and logs of a fresh stack take 150 MB."""
_HEALTHY_WITHIN_SECS = 180.0
_GIVE_UP_AFTER_DEATHS = 4


def start_stack(
    settings: Settings, state: StackState, report: Report, stopping: Callable[[], bool]
) -> tuple[Supervisor, StackState]:
    """Bring everything up; returns once all of it is healthy (or a stop was asked for).

    Raises:
        ConfigurationError: settings contradict each other, or a port that was asked for is busy.
        AirlockError: a part did not start; parts that did have been ended.
    """
    _require_space(settings)
    people = load_airflow_settings()
    require_answerable(people, role_holders())
    stack_secrets = ensure_secrets(settings.home, people)
    airflow_port, exchange_port = _ports(settings)
    state = replace(
        state,
        airflow_url=f"http://{LOOPBACK}:{airflow_port}",
        exchange_url=f"http://{LOOPBACK}:{exchange_port}",
    )

    def say(message: str) -> None:
        nonlocal state
        state = replace(state, message=message)
        save_state(settings.run, state)
        report(message)

    say("starting the database")
    airflow_database = _start_database(settings)
    environment = process_environment(settings, people, stack_secrets, state, airflow_database)
    say("preparing the databases")
    _migrate(settings, environment, airflow_database)

    supervisor = Supervisor(settings.run, settings.logs, report)
    supervisor.add(components.airflow_components(environment))
    supervisor.add(components.trading_components(settings, environment, exchange_port=exchange_port))
    try:
        say("starting Airflow, exchange and trader")
        _wait_healthy(supervisor, state.airflow_url, say, stopping)
        if not stopping():
            say("loading pools, variables and connections")
            _load_objects(state.airflow_url, people, stack_secrets)
    except BaseException:
        supervisor.stop()
        raise
    return supervisor, state


def process_environment(
    settings: Settings, people: AirflowSettings, stack_secrets: StackSecrets, state: StackState, database: str
) -> dict[str, str]:
    """The whole environment of the stack's processes.

    Args:
        database: SQLAlchemy URL of Airflow's metadata.
    """
    port = int(state.airflow_url.rsplit(":", 1)[1])
    return {
        **components.inherited_environment(),
        **product_environment(settings, exchange_url=state.exchange_url),
        **airflow_environment(settings, people, stack_secrets, database=database, port=port),
    }


def environment_of_running(settings: Settings) -> dict[str, str]:
    """The environment of the stack that runs in this home, for Airflow's own command line.

    Raises:
        ConfigurationError: no stack runs here.
    """
    state = load_state(settings.run)
    if state.phase is not Phase.READY:
        raise ConfigurationError(f"no stack runs in {settings.home}; start it with `airlock up`")
    people = load_airflow_settings()
    secrets = ensure_secrets(settings.home, people)
    return process_environment(settings, people, secrets, state, _start_database(settings))


def _require_space(settings: Settings) -> None:
    """A disk that fills up during the start ends in a database's confusing last words; say it before."""
    ensure_folder(settings.home)
    free = shutil.disk_usage(settings.home).free
    if free < MIN_FREE_BYTES:
        raise RetryableError(
            f"{settings.home}: only {free // 1_000_000} MB free on this disk, the stack needs "
            f"{MIN_FREE_BYTES // 1_000_000} MB; free some or set another AIRLOCK_HOME"
        )


def _ports(settings: Settings) -> tuple[int, int]:
    fixed = settings.model_fields_set
    airflow = choose_port(settings.airflow_port, setting="AIRLOCK_AIRFLOW_PORT", chosen_by_user="airflow_port" in fixed)
    # Live deployments remember the exchange's address, so a restart takes the port of the last time when it can.
    last = read_json(settings.run / "ports.json") or {}
    exchange = choose_port(
        settings.exchange_port or int(last.get("exchange", 0)), setting="AIRLOCK_EXCHANGE_PORT",
        chosen_by_user="exchange_port" in fixed and settings.exchange_port > 0, taken=frozenset({airflow}),
    )  # fmt: skip
    write_json(settings.run / "ports.json", {"airflow": airflow, "exchange": exchange})
    return airflow, exchange


def _start_database(settings: Settings) -> str:
    """Make sure the server runs; returns the URL of Airflow's database, beside the ledger on the same server."""
    from include.ledger.connection import parse_url
    from include.ledger.embedded import AIRFLOW_DATABASE, ensure_database

    url = database_url(settings)
    ensure_database(url, parse_url(url).database or "airlock")
    ensure_airflow_database(settings)
    return parse_url(url).set(database=AIRFLOW_DATABASE).render_as_string(hide_password=False)


def _migrate(settings: Settings, environment: Mapping[str, str], airflow_database: str) -> None:
    """Bring both schemas to their newest version, side by side: Airflow's takes ten seconds, ours one."""
    failure: list[AirlockError] = []

    def ledger() -> None:
        try:
            migrate_ledger(settings)
        except AirlockError as error:
            failure.append(error)

    ours = threading.Thread(target=ledger)
    ours.start()
    try:
        _migrate_airflow(settings, environment, airflow_database)
    finally:
        ours.join()
    if failure:
        raise failure[0]


def _migrate_airflow(settings: Settings, environment: Mapping[str, str], database: str) -> None:
    """Run `airflow db migrate` unless this Airflow version did so on this very database before."""
    stamp = airflow_home(settings.home) / "migrated"
    content = digest({"airflow": version("apache-airflow"), "database": _identity(database)})
    if stamp.exists() and stamp.read_text() == content:
        return
    log = settings.logs / "airflow-migrate.log"
    with log.open("wb") as out:
        code = subprocess.call(
            [sys.executable, "-m", "airflow", "db", "migrate"], env=dict(environment), stdin=subprocess.DEVNULL,
            stdout=out, stderr=subprocess.STDOUT,
        )  # fmt: skip
    if code != 0:
        kind = RetryableError if "No space left" in log.read_text(errors="replace") else FatalError
        raise kind(f"Airflow's database could not be prepared (status {code}): {reason_in(log)}; see {log}")
    stamp.write_text(content)


def _identity(database: str) -> str:
    """What tells this database from a fresh one in the same place: the server's own system identifier and its oid."""
    import psycopg2

    from include.ledger.connection import driver_arguments, translated

    with translated("Airflow's database"):
        connection = psycopg2.connect(**driver_arguments(database))
        try:
            with connection.cursor() as cursor:
                cursor.execute(
                    "SELECT system_identifier::text || ':' || (SELECT oid FROM pg_database WHERE datname = "
                    "current_database())::text FROM pg_control_system()"
                )
                row = cursor.fetchone()
        finally:
            connection.close()
    return str(row[0]) if row else ""


def _wait_healthy(supervisor: Supervisor, url: str, say: Report, stopping: Callable[[], bool]) -> None:
    deadline = time.monotonic() + _HEALTHY_WITHIN_SECS
    waiting: tuple[str, ...] = ()
    with AirflowClient(url) as client:
        while not stopping():
            supervisor.tick(time.monotonic())
            _give_up_on_the_dead(supervisor)
            unhealthy = client.unhealthy()
            if not unhealthy:
                return
            if unhealthy != waiting:
                waiting = unhealthy
                say(f"waiting for Airflow's {', '.join(unhealthy).replace('_', '-')}")
            if time.monotonic() > deadline:
                raise RetryableError(f"Airflow's {', '.join(unhealthy)} is not healthy; see the logs beside this one")
            time.sleep(0.3)


def _give_up_on_the_dead(supervisor: Supervisor) -> None:
    """A part that keeps dying at start will not be healthy by waiting."""
    for part in supervisor.states():
        if part.name in components.AIRFLOW_PARTS and part.restarts >= _GIVE_UP_AFTER_DEATHS:
            log = supervisor.log_path(part.name)
            raise FatalError(f"{part.name} keeps dying at start: {reason_in(log)}; its log is {log}")


def _load_objects(url: str, people: AirflowSettings, stack_secrets: StackSecrets) -> None:
    """What the Astro CLI does with `airflow_settings.yaml`, through the public API."""
    password = stack_secrets.passwords[ADMINISTRATOR]
    with AirflowClient(url, user=ADMINISTRATOR, password=password) as client:
        for pool in people.airflow.pools:
            client.put_pool(pool.pool_name, pool.pool_slot, pool.pool_description)
        for variable in people.airflow.variables:
            client.put_variable(variable.variable_name, variable.variable_value)
        for connection in people.airflow.connections:
            if connection.conn_uri:
                raise ConfigurationError(
                    f"airflow_settings.yaml: {connection.conn_id}: write conn_type and conn_host, not conn_uri"
                )
            extra = connection.conn_extra
            fields = {
                "conn_type": connection.conn_type, "host": connection.conn_host, "schema": connection.conn_schema,
                "login": connection.conn_login, "password": connection.conn_password, "port": connection.conn_port,
                "extra": extra if isinstance(extra, str) or extra is None else json.dumps(extra),
            }  # fmt: skip
            client.put_connection(connection.conn_id, fields)
