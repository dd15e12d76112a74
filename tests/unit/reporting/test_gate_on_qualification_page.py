"""The qualification page shows what the data gate found and links to its report, from evidence alone."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from include.config.files import find_profile
from include.domain.enums import Stage
from include.qualification.evidence import Evidence, build_evidence
from include.reporting.qualification import ReportInput, render_qualification
from tests.samples import sample_candidate

NOW = datetime(2026, 1, 1, tzinfo=UTC)
PROFILE = find_profile("five-year")
CANDIDATE = sample_candidate("page", window=20)
ARTEFACTS = {"data-gate.json": "a" * 64, "data-gate.html": "b" * 64}


def gap(day: int, count: int, symbol: str = "BTC/USDT") -> dict[str, Any]:
    return {
        "rule": "GAP", "symbol": symbol, "scope": "symbol", "first": f"2024-01-{day:02d}T00:00:00Z",
        "last": f"2024-01-{day:02d}T01:00:00Z", "count": count, "sample": [float(count)],
    }  # fmt: skip


def evidence(violations: list[dict[str, Any]], artefacts: dict[str, str]) -> Evidence:
    counts = {"GAP": {"events": len(violations), "bars": sum(v["count"] for v in violations)}}
    return build_evidence(
        candidate=CANDIDATE, stage=Stage.DATA_GATE, profile=PROFILE, fingerprint="d" * 64, measured_at=NOW, metrics={},
        synthetic=False, artefacts=artefacts,
        details={"violations": violations, "symbols": {"BTC/USDT": {"violation_counts": counts}}},
    )  # fmt: skip


def page(item: Evidence, artefacts_at: str = "") -> str:
    report = ReportInput(CANDIDATE, PROFILE, [item], NOW, "airlock qualify page", 1_000.0, artefacts_at=artefacts_at)
    return render_qualification(report)


def test_the_worst_violations_are_listed_and_the_rest_counted() -> None:
    text = page(evidence([gap(day, 90 - day) for day in range(1, 10)], ARTEFACTS))
    assert "<b>GAP</b>" in text
    assert "9 events in all symbols together" in text
    assert "2024-01-05T00:00:00Z" in text
    assert "2024-01-06T00:00:00Z" not in text
    assert "4 or more in data-gate.json" in text


def test_links_are_relative_to_the_page() -> None:
    beside, above = page(evidence([], ARTEFACTS)), page(evidence([], ARTEFACTS), "../")
    for name in ("data-gate.html", "data-docs/index.html", "data-gate.json"):
        assert f'href="{name}"' in beside
        assert f'href="../{name}"' in above


def test_a_gate_without_a_report_is_not_linked() -> None:
    assert "data-gate.html" not in page(evidence([], {}))


def test_hostile_names_in_evidence_stay_text() -> None:
    text = page(evidence([gap(1, 1, "<script>alert(1)</script>"), {**gap(2, 1), "rule": "<b>RULE"}], ARTEFACTS))
    assert "<script" not in text
    assert "<b>RULE" not in text.replace("<b>&lt;b&gt;RULE", "")
