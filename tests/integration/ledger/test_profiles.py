"""Profiles in the ledger: exact content by hash, stored once, never edited."""

from include.config.files import find_profile, shipped
from include.ledger.unit_of_work import PostgresLedger


def test_a_profile_comes_back_with_the_content_it_was_registered_with(ledger: PostgresLedger) -> None:
    for name in shipped("profiles"):
        profile = find_profile(name)
        with ledger.begin() as work:
            assert work.profiles.register(profile)
            assert not work.profiles.register(profile)
            work.commit()
        with ledger.begin() as work:
            assert work.profiles.get(profile.hash) == profile


def test_an_unknown_hash_has_no_profile(ledger: PostgresLedger) -> None:
    with ledger.begin() as work:
        assert work.profiles.get("0" * 64) is None
