"""What people are shown and what is read back from it are the same digests."""

from __future__ import annotations

from include.config.files import find_profile
from include.domain.enums import Stage
from include.operations.answers import read_request
from include.ports import Ledger
from include.stages.sign_off import render_request
from tests.samples import sample_candidate, sample_evidence


def test_the_digests_shown_are_the_digests_read_back(ledger: Ledger) -> None:
    candidate, profile = sample_candidate(), find_profile("five-year")
    with ledger.begin() as work:
        work.candidates.register(candidate)
        shown = [
            work.evidence.record(sample_evidence(candidate, stage=stage))
            for stage in (Stage.DATA_GATE, Stage.BACKTEST, Stage.SIMULATION, Stage.QUALIFICATION)
        ]
        work.commit()
    with_link = render_request(candidate, profile, shown, report_url="/airlock/reports/sample/five-year/page.html")
    assert "(/airlock/reports/sample/five-year/page.html)" in with_link
    for body in (render_request(candidate, profile, shown), with_link):
        digests, profile_hash = read_request(body)
        assert digests == tuple(item.digest for item in shown)
        assert profile_hash == profile.hash


def test_people_read_per_cent_and_units_and_not_fractions(ledger: Ledger) -> None:
    candidate, profile = sample_candidate(), find_profile("five-year")
    with ledger.begin() as work:
        work.candidates.register(candidate)
        shown = [work.evidence.record(sample_evidence(candidate, stage=Stage.BACKTEST))]
        work.commit()
    assert "| win_rate >= 93 % |" in render_request(candidate, profile, shown)
