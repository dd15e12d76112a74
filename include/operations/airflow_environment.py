"""How Airflow is configured on one machine: entirely by environment, every value in one place.

Secrets (token keys, passwords) are generated once under AIRLOCK_HOME/airflow, closed to other users, and handed on
by environment only; nothing here logs or prints them.
"""

from __future__ import annotations

import base64
import json
import os
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from include.bootstrap import SANDBOX_ACCOUNT
from include.config.accounts import account_file
from include.config.settings import PROJECT_ROOT, Settings
from include.operations.addresses import LOOPBACK
from include.operations.airflow_settings import READER, AirflowSettings
from include.operations.private_files import PRIVATE, read_json, write_json

API_CONNECTION = "airlock_api"
"""Airflow connection by which a task reads Airflow's own public API as the read-only service user."""
PARALLELISM = 4


@dataclass(frozen=True, slots=True)
class StackSecrets:
    """Keys of Airflow and passwords of its local users; `repr` shows none of them."""

    keys: Mapping[str, str]
    passwords: Mapping[str, str]

    def __repr__(self) -> str:
        return "StackSecrets(...)"


def airflow_home(home: Path) -> Path:
    return home / "airflow"


def passwords_file(home: Path) -> Path:
    """Where a person finds the passwords of the local users."""
    return airflow_home(home) / "passwords.json"


def ensure_secrets(home: Path, settings: AirflowSettings) -> StackSecrets:
    """Read the home's secrets, making what is missing. Existing values never change, so sessions stay valid.

    Airflow would print passwords that it generates itself, so all of them exist before it starts.
    """
    keys_path = airflow_home(home) / "keys.json"
    keys = dict(read_json(keys_path) or {})
    for name in ("jwt", "session"):
        keys.setdefault(name, secrets.token_hex(32))
    keys.setdefault("fernet", base64.urlsafe_b64encode(secrets.token_bytes(32)).decode())
    write_json(keys_path, keys, mode=PRIVATE)
    known = read_json(passwords_file(home)) or {}
    passwords = {user.user_id: known.get(user.user_id) or secrets.token_urlsafe(12) for user in settings.airlock.users}
    write_json(passwords_file(home), passwords, mode=PRIVATE)
    account = account_file(home, SANDBOX_ACCOUNT)
    if read_json(account) is None:
        write_json(account, {"key": secrets.token_hex(32), "secret": secrets.token_hex(32)}, mode=PRIVATE)
    return StackSecrets(keys, passwords)


def airflow_environment(
    settings: Settings, people: AirflowSettings, stack_secrets: StackSecrets, *, database: str, port: int
) -> dict[str, str]:
    """Variables that every Airflow process of the stack gets.

    Args:
        database: SQLAlchemy URL of Airflow's metadata.
        port: of the api-server on loopback.
    """
    url = f"http://{LOOPBACK}:{port}"
    keys = stack_secrets.keys
    users = ",".join(f"{user.user_id}:{user.role.value}" for user in people.airlock.users)
    return {
        "AIRFLOW_HOME": str(airflow_home(settings.home)),
        **_section("core", {
            "dags_folder": str(PROJECT_ROOT / "dags"),
            "plugins_folder": str(PROJECT_ROOT / "plugins"),
            "load_examples": "False",
            "dags_are_paused_at_creation": "False",
            "executor": "LocalExecutor",
            "parallelism": str(PARALLELISM),
            "min_serialized_dag_update_interval": "5",
            "fernet_key": keys["fernet"],
            "execution_api_server_url": f"{url}/execution/",
            "auth_manager": "airflow.api_fastapi.auth.managers.simple.simple_auth_manager.SimpleAuthManager",
            "simple_auth_manager_users": users,
            "simple_auth_manager_passwords_file": str(passwords_file(settings.home)),
        }),
        **_section("database", {
            "sql_alchemy_conn": database,
            # Airflow would derive an asyncpg URL and fail without that driver; nothing we use needs the async engine.
            "sql_alchemy_conn_async": "",
        }),
        **_section("api", {
            "host": LOOPBACK, "port": str(port), "base_url": url, "workers": "1", "secret_key": keys["session"],
            "instance_name": "Airlock", "expose_config": "False",
        }),
        **_section("api_auth", {"jwt_secret": keys["jwt"]}),
        # A task of hours outlives the default 600 s token when a refresh is missed (api-server restart).
        **_section("execution_api", {"jwt_expiration_time": "86400"}),
        # Three missed heartbeats (about two minutes of api-server outage) would kill a task; give it half an hour.
        **_section("workers", {"max_failed_heartbeats": "60"}),
        **_section("scheduler", {"task_instance_heartbeat_timeout": "1800", "enable_health_check": "False"}),
        **_section("dag_processor", {
            "refresh_interval": "10", "min_file_process_interval": "60", "parsing_processes": "1",
            "print_stats_interval": "0",
        }),
        **_section("triggerer", {"capacity": "200"}),
        **_section("logging", {
            "namespace_levels": "great_expectations=WARNING alembic=WARNING",
            "base_log_folder": str(settings.logs / "airflow"), "uvicorn_logging_level": "WARNING",
            "dag_processor_child_process_log_directory": str(settings.logs / "airflow" / "dag_processor"),
        }),
        **_section("usage_data_collection", {"enabled": "False"}),
        "SCARF_ANALYTICS": "False",
        "DO_NOT_TRACK": "1",
        "GX_ANALYTICS_ENABLED": "False",
        f"AIRFLOW_CONN_{API_CONNECTION.upper()}": json.dumps({
            "conn_type": "http", "host": LOOPBACK, "port": port, "schema": "http",
            "login": READER, "password": stack_secrets.passwords[READER],
        }),
    }  # fmt: skip


def product_environment(settings: Settings, *, exchange_url: str) -> dict[str, str]:
    """Variables that every process of the stack gets, ours and Airflow's. Holds no secret."""
    return {
        "AIRLOCK_HOME": str(settings.home),
        "AIRLOCK_EXCHANGE_URL": exchange_url,
        "AIRLOCK_REPORT_TIME_ZONE": settings.report_time_zone,
        "PYTHONPATH": os.pathsep.join((str(PROJECT_ROOT), str(settings.strategies_root))),
        "PYTHONUNBUFFERED": "1",
        # Two cores are shared by a dozen processes; idle arithmetic threads only cost memory.
        "OMP_NUM_THREADS": "2",
    }


def _section(name: str, values: Mapping[str, str]) -> dict[str, str]:
    return {f"AIRFLOW__{name.upper()}__{key.upper()}": value for key, value in values.items()}
