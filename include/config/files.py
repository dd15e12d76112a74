"""Finding our own documents: profiles, candidates, roles."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Annotated

from pydantic import Field, RootModel, ValidationError

from include.config.settings import PROJECT_ROOT
from include.domain.enums import Role
from include.domain.errors import ConfigurationError
from include.qualification.candidate import Candidate, load_candidate
from include.qualification.profile import Profile, load_profile, load_yaml, one_line

CONFIG = PROJECT_ROOT / "include" / "config"
VENUES_FILE = CONFIG / "venues.yaml"
ROLES_FILE = CONFIG / "roles.yaml"
ALERTS_FILE = CONFIG / "alerts.yaml"


class RolesDocument(RootModel[dict[Role, Annotated[list[str], Field(min_length=1)]]]):
    """Holders of every role."""


def load_roles(path: Path = ROLES_FILE) -> Mapping[Role, frozenset[str]]:
    """User ids by role.

    Raises:
        ConfigurationError: file, key and reason; every role needs a holder.
    """
    try:
        roles = RolesDocument.model_validate(dict(load_yaml(path))).root
    except ValidationError as error:
        raise ConfigurationError(one_line(error, str(path))) from None
    if missing := [role.value for role in Role if role not in roles]:
        raise ConfigurationError(f"{path}: nobody holds {', '.join(missing)}")
    return MappingProxyType({role: frozenset(people) for role, people in roles.items()})


def find_profile(reference: str) -> Profile:
    """A shipped profile by name, or any by path."""
    return load_profile(_find(reference, CONFIG / "profiles", "profile"))


def find_candidate(reference: str) -> Candidate:
    """A candidate by name (`include/config/candidates`), or any by path."""
    return load_candidate(_find(reference, CONFIG / "candidates", "candidate"))


def shipped(folder: str) -> tuple[str, ...]:
    """Names of the documents in a folder of `include/config`."""
    return tuple(sorted(path.stem for path in (CONFIG / folder).glob("*.yaml")))


def _find(reference: str, folder: Path, kind: str) -> Path:
    named = folder / f"{reference}.yaml"
    if "/" not in reference and named.is_file():
        return named
    path = Path(reference).expanduser()
    if path.is_file():
        return path
    known = ", ".join(sorted(p.stem for p in folder.glob("*.yaml"))) or "none"
    raise ConfigurationError(f"{kind} {reference!r} is neither a file nor one of: {known}")
