"""Risk limits on top of a profile's: by environment, account and deployment. They only ever tighten."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import Field, ValidationError

from include.config.settings import PROJECT_ROOT
from include.domain.deployments import Deployment
from include.domain.enums import Mode
from include.domain.errors import ConfigurationError
from include.qualification.profile import Document, Profile, RiskOverrides, load_yaml, one_line
from include.risk.limits import Limits, build_limits, tighten

RISK_LIMITS_FILE = PROJECT_ROOT / "include" / "config" / "risk-limits.yaml"
SHORTEST_ID = 12
"""Fewest digits by which a deployment may be named: those that `airlock status` shows."""
Environment = Literal["dev", "staging", "production"]


class RiskLimitsFile(Document):
    """Limits on top, by what they are for."""

    environments: dict[Environment, RiskOverrides] = Field(default_factory=dict)
    accounts: dict[str, RiskOverrides] = Field(default_factory=dict)
    deployments: dict[str, RiskOverrides] = Field(default_factory=dict)
    """By the deployment's id, or its beginning, in quotes: an id of digits alone would be read as a number."""

    def of(self, environment: Environment, deployment: Deployment) -> tuple[RiskOverrides, ...]:
        """Everything that bears on a deployment."""
        found = [self.environments.get(environment), self.accounts.get(deployment.connection.account)]
        found += [limits for start, limits in self.deployments.items() if deployment.id.startswith(start)]
        return tuple(limits for limits in found if limits is not None)


def load_risk_limits(path: Path = RISK_LIMITS_FILE) -> RiskLimitsFile:
    """Read the file.

    Raises:
        ConfigurationError: file, key and reason; a missing file is an error too, because limits must not get lost.
    """
    try:
        document = RiskLimitsFile.model_validate(load_yaml(path))
    except ValidationError as error:
        raise ConfigurationError(one_line(error, str(path))) from None
    if short := [start for start in document.deployments if len(start) < SHORTEST_ID]:
        raise ConfigurationError(f"{path}: deployments.{short[0]}: give at least {SHORTEST_ID} digits of the id")
    return document


def deployment_limits(
    environment: Environment, profile: Profile, deployment: Deployment, path: Path = RISK_LIMITS_FILE
) -> Limits:
    """What the gate enforces for one deployment: the profile's limits, tightened by whatever else bears on it.

    Raises:
        ConfigurationError: the file cannot be read or contradicts the profile.
    """
    limits = build_limits(profile.risk, live=deployment.mode is Mode.LIVE)
    for more in load_risk_limits(path).of(environment, deployment):
        limits = tighten(limits, more)
    return limits
