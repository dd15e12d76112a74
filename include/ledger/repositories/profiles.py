"""Profiles: stored once, addressed by their hash."""

from __future__ import annotations

from sqlalchemy import Connection, select
from sqlalchemy.dialects.postgresql import insert

from include.domain.errors import FatalError
from include.domain.ids import canonical_json
from include.ledger.models import ProfileRow
from include.qualification.profile import Profile


class ProfileRepository:
    """Implements `ports.Profiles`."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def register(self, profile: Profile) -> bool:
        statement = (
            insert(ProfileRow)
            .values(hash=profile.hash, name=profile.name, content=canonical_json(profile.model_dump(mode="json")))
            .on_conflict_do_nothing(index_elements=["hash"])
            .returning(ProfileRow.hash)
        )
        return self._connection.execute(statement).one_or_none() is not None

    def get(self, profile_hash: str) -> Profile | None:
        statement = select(ProfileRow.content).where(ProfileRow.hash == profile_hash)
        content = self._connection.execute(statement).scalar_one_or_none()
        if content is None:
            return None
        profile = Profile.model_validate_json(content)
        if profile.hash != profile_hash:
            raise FatalError(f"profile {profile_hash[:12]}: its stored content has another hash; the ledger was edited")
        return profile
