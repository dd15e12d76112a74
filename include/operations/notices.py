"""What tasks say about verdicts and questions: the table of criteria, and buttons that lead into the Airflow UI."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from include.operations.report_links import report_id, report_url
from include.ports import Button
from include.qualification.evidence import Evidence

HEADER = ("criterion", "measured", "wanted", "verdict")
_UI = "AIRFLOW__API__BASE_URL"
_QUESTIONS = "/required_actions"
"""Page of the Airflow UI with every question that waits for an answer."""


def criteria_table(evidence: Evidence) -> tuple[tuple[str, ...], ...]:
    """The criteria behind a verdict, in the profile's order; empty where there are none."""
    rows = [
        (
            result.criterion.metric,
            "not measured" if (found := result.measurement) is None or found.value is None else f"{found.value:.4g}",
            f"{result.criterion.op.value} {result.criterion.threshold:.4g}",
            result.verdict.value,
        )
        for result in evidence.results
    ]
    return (HEADER, *rows) if rows else ()


def ui_buttons(
    environment: Mapping[str, str], reports: Path, page: Path | None = None, *, question: bool = False
) -> tuple[Button, ...]:
    """Ways from a message into the Airflow UI; none where its address is not known.

    Args:
        environment: of the process; Airflow's own variable says where people reach it.
        page: report to open; left out when it has not been written.
        question: whether an answer is wanted.
    """
    base = environment.get(_UI, "").rstrip("/")
    if not base.startswith(("http://", "https://")):
        return ()
    buttons = [Button("Answer in Airflow", base + _QUESTIONS)] if question else []
    if page is not None and page.is_file():
        buttons.append(Button("Open the report", base + report_url(report_id(reports, page))))
    return tuple(buttons)
