"""`airflow_settings.yaml`: connections, pools, variables (Astro CLI format) and the people of a local stack."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

from pydantic import Field, ValidationError, model_validator

from include.config.settings import PROJECT_ROOT
from include.domain.enums import Role
from include.domain.errors import ConfigurationError
from include.qualification.profile import Document, load_yaml, one_line

SETTINGS_FILE = PROJECT_ROOT / "airflow_settings.yaml"
ADMINISTRATOR = "admin"
READER = "airlock-reader"
"""Service user whose only right is to read; it re-reads recorded answers."""


class AirflowRole(StrEnum):
    """Roles of Airflow's simple auth manager."""

    VIEWER = "VIEWER"
    USER = "USER"
    OP = "OP"
    ADMIN = "ADMIN"


class UserDocument(Document):
    user_id: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9._-]*$")]
    name: str
    role: Annotated[AirflowRole, Field(strict=False)]


class PoolDocument(Document):
    pool_name: str
    pool_slot: Annotated[int, Field(ge=0)]
    pool_description: str = ""


class VariableDocument(Document):
    variable_name: str
    variable_value: str


class ConnectionDocument(Document):
    conn_id: str
    conn_type: str
    conn_host: str | None = None
    conn_schema: str | None = None
    conn_login: str | None = None
    conn_password: str | None = None
    conn_port: int | None = None
    conn_uri: str | None = None
    conn_extra: dict[str, Any] | str | None = None


class AirflowObjects(Document):
    connections: list[ConnectionDocument] = []
    pools: list[PoolDocument] = []
    variables: list[VariableDocument] = []


class People(Document):
    users: Annotated[list[UserDocument], Field(min_length=1)]

    @model_validator(mode="after")
    def _ids_are_unique(self) -> People:
        ids = [user.user_id for user in self.users]
        if len(set(ids)) != len(ids):
            raise ValueError("user_id must not repeat")
        for needed in (ADMINISTRATOR, READER):
            if needed not in ids:
                raise ValueError(f"user {needed!r} is missing; start-up and sign-off verification need it")
        return self


class AirflowSettings(Document):
    airflow: AirflowObjects
    airlock: People

    def display_name(self, user_id: str) -> str:
        """Name of a user, the id itself for somebody not listed."""
        return next((user.name for user in self.airlock.users if user.user_id == user_id), user_id)


def load_airflow_settings(path: Path = SETTINGS_FILE) -> AirflowSettings:
    """Read and validate the file.

    Raises:
        ConfigurationError: file, key and reason in one line.
    """
    try:
        return AirflowSettings.model_validate(load_yaml(path))
    except ValidationError as error:
        raise ConfigurationError(one_line(error, str(path))) from None


def require_answerable(settings: AirflowSettings, holders: Mapping[Role, frozenset[str]]) -> None:
    """Check that everyone who holds a sign-off role can log in and answer.

    Raises:
        ConfigurationError: a holder is not a user, or may only read.
    """
    users = {user.user_id: user for user in settings.airlock.users}
    for role, people in holders.items():
        for person in sorted(people):
            user = users.get(person)
            if user is None:
                raise ConfigurationError(
                    f"roles.yaml: {role.value}: {person!r} is no user; add it to airlock.users in airflow_settings.yaml"
                )
            if user.role is AirflowRole.VIEWER:
                raise ConfigurationError(
                    f"airflow_settings.yaml: {person!r} holds {role.value} but as VIEWER cannot answer; make it USER"
                )
