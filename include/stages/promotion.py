"""Promotion (P-5): a fully authorised candidate becomes a live deployment at the first capital step."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal

from include.domain.deployments import Deployment, VenueConnection, deployment_id
from include.domain.enums import DeploymentStatus, DesiredState, Mode, Role
from include.domain.errors import FatalError
from include.ports import Ledger
from include.qualification.candidate import Candidate
from include.qualification.profile import Profile
from include.stages.ladder import recorded_profile
from include.stages.sign_off import check_authorisation, require_authorised
from include.stages.trial import require_same

PROMOTED = "candidate.promoted"


def promote(
    ledger: Ledger,
    candidate: Candidate,
    profile: Profile,
    holders: Mapping[Role, frozenset[str]],
    connection: VenueConnection,
    *,
    session_key: str,
    by: str,
    now: datetime,
    candidate_now: Candidate | None = None,
) -> Deployment:
    """Create the live deployment, STOPPED and HALTED: going live and releasing it are decisions of their own.

    Every signature and digest is checked again here, from the ledger and the disk, whatever the caller has
    been told. Asking twice with the same session key gives the same deployment.

    Raises:
        RejectedError: every reason why the candidate is not authorised, in one line.
        ConfigurationError: the key names a deployment on another account.
    """
    require_authorised(ledger, candidate, profile, holders, candidate_now=candidate_now)
    fraction = Decimal(repr(profile.promotion.capital_steps[0]))
    deployment = Deployment(
        id=deployment_id(candidate.id, Mode.LIVE, session_key),
        candidate_id=candidate.id,
        profile=profile.name,
        profile_hash=profile.hash,
        mode=Mode.LIVE,
        connection=connection,
        capital=Decimal(repr(profile.initial_capital)) * fraction,
        capital_fraction=fraction,
        session_key=session_key,
        desired=DesiredState.STOPPED,
        status=DeploymentStatus.PENDING,
        status_reason="",
        created_at=now,
    )
    with ledger.begin() as work:
        work.profiles.register(profile)
        known = work.deployments.get(deployment.id)
        if known is not None:
            require_same(known, deployment)
        created = work.deployments.create(deployment)
        if known is None:
            work.audit.record(
                by, PROMOTED, created.id,
                {"candidate_id": candidate.id, "profile_hash": profile.hash, "capital": str(created.capital)},
            )  # fmt: skip
        work.commit()
    return created


def require_promoted(ledger: Ledger, deployment: Deployment, holders: Mapping[Role, frozenset[str]]) -> None:
    """Refuse to run a live deployment that the ladder does not authorise at this moment.

    Called by the go-live check and by the trader before it starts an engine, so that a deployment row put
    there by hand, or one whose code has changed since, trades nothing.

    Raises:
        FatalError: every reason in one line.
    """
    with ledger.begin() as work:
        candidate = work.candidates.get(deployment.candidate_id)
        profile = recorded_profile(work, deployment)
    if candidate is None:
        raise FatalError(f"deployment {deployment.short_id}: its candidate is not in the ledger")
    refusals = check_authorisation(ledger, candidate, profile, holders)
    if refusals:
        raise FatalError(f"deployment {deployment.short_id} is not authorised: " + "; ".join(map(str, refusals)))
