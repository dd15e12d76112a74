"""A trial: a candidate trades in real time without real money, on paper or in an exchange's test environment.

It is beside the ladder: it takes what the stage SIMULATION takes, and its trades prove nothing to any later stage.
"""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal

from include.domain.deployments import Deployment, VenueConnection, VenueKind, deployment_id
from include.domain.enums import DeploymentStatus, DesiredState, Mode, Stage
from include.domain.errors import ConfigurationError
from include.ports import Ledger
from include.qualification.candidate import Candidate
from include.qualification.profile import Profile
from include.stages.ladder import require_passed

DECLARED = "trial.declared"


def start_trial(
    ledger: Ledger,
    candidate: Candidate,
    profile: Profile,
    connection: VenueConnection,
    *,
    session_key: str,
    by: str,
    now: datetime,
) -> Deployment:
    """Declare a trial; the trader runs it until it is stopped. Asking again for a stopped one has it run again.

    Args:
        session_key: names the attempt; another key is another deployment with books of its own.

    Raises:
        RejectedError: data gate or backtest have no PASS evidence under this profile.
        ConfigurationError: the connection reaches real money, or the key names a trial on another account.
    """
    if connection.real_money or connection.kind is VenueKind.REPLAY:
        raise ConfigurationError(f"a trial runs on paper or in a test environment, not on {connection.account!r}")
    wanted = Deployment(
        id=deployment_id(candidate.id, Mode.SIMULATION, session_key),
        candidate_id=candidate.id,
        profile=profile.name,
        profile_hash=profile.hash,
        mode=Mode.SIMULATION,
        connection=connection,
        capital=Decimal(repr(profile.initial_capital)),
        capital_fraction=Decimal(1),
        session_key=session_key,
        desired=DesiredState.RUNNING,
        status=DeploymentStatus.PENDING,
        status_reason="",
        created_at=now,
    )
    with ledger.begin() as work:
        require_passed(work, candidate.id, profile, Stage.SIMULATION)
        work.profiles.register(profile)
        known = work.deployments.get(wanted.id)
        if known is not None:
            require_same(known, wanted)
            if known.desired is DesiredState.STOPPED:
                work.deployments.request(known.id, DesiredState.RUNNING, by, "deployed again")
        else:
            work.deployments.create(wanted)
            work.audit.record(
                by, DECLARED, wanted.id,
                {"candidate_id": candidate.id, "profile_hash": profile.hash, "account": connection.account},
            )  # fmt: skip
        found = work.deployments.get(wanted.id)
        work.commit()
    return found or wanted


def require_same(known: Deployment, wanted: Deployment) -> None:
    """Refuse to take one deployment for another of the same key. Raises ConfigurationError."""
    if (known.connection, known.profile_hash) != (wanted.connection, wanted.profile_hash):
        raise ConfigurationError(
            f"key {known.session_key!r} is deployment {known.short_id} on account {known.connection.account!r} under "
            f"profile {known.profile} already; choose another --key"
        )
