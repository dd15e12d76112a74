"""Evidence from its stored document says exactly what was stored, or nothing."""

import pytest

from include.domain.errors import ConfigurationError
from include.qualification.evidence import rebuild_evidence
from tests.samples import sample_candidate, sample_evidence


def test_a_round_trip_keeps_the_digest() -> None:
    evidence = sample_evidence(sample_candidate())
    assert rebuild_evidence(evidence.document()).digest == evidence.digest


def test_a_document_with_something_added_is_refused() -> None:
    document = sample_evidence(sample_candidate()).document()
    document["criteria"][0]["reason_in_full"] = "x"
    with pytest.raises(ConfigurationError, match="BACKTEST"):
        rebuild_evidence(document)
