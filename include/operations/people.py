"""Who is asked: holders of a role with the names that people know them by."""

from __future__ import annotations

from include.bootstrap import role_holders
from include.domain.enums import Role
from include.operations.airflow_settings import load_airflow_settings


def holders_of(role: Role) -> dict[str, str]:
    """Display name by user id of everyone who holds a role."""
    settings = load_airflow_settings()
    return {person: settings.display_name(person) for person in sorted(role_holders().get(role, frozenset()))}
