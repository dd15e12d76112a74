"""What tasks say about verdicts: the table behind them and the ways into the Airflow UI."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from include.operations.notices import HEADER, criteria_table, ui_buttons
from include.ports import Button
from include.qualification.criterion import Comparison, Criterion, evaluate_criterion
from tests.samples import sample_candidate, sample_evidence


def test_every_criterion_is_a_row_and_what_was_not_measured_says_so() -> None:
    evidence = sample_evidence(sample_candidate())
    missing = evaluate_criterion(Criterion("sortino", Comparison.GE, 2.0), {})
    assert criteria_table(replace(evidence, results=(*evidence.results, missing))) == (
        HEADER,
        ("win_rate", "0.95", ">= 0.93", "PASS"),
        ("sortino", "not measured", ">= 2", "INCONCLUSIVE"),
    )
    assert criteria_table(replace(evidence, results=())) == ()


@pytest.mark.parametrize("base", ["http://127.0.0.1:8080", "http://127.0.0.1:8080/", "https://desk.example/airflow"])
def test_buttons_lead_to_the_question_and_to_the_report_that_exists(tmp_path: Path, base: str) -> None:
    page = tmp_path / "c-1" / "five-year" / "ladder" / "qualification.html"
    environment = {"AIRFLOW__API__BASE_URL": base}
    answer = Button("Answer in Airflow", base.rstrip("/") + "/required_actions")
    assert ui_buttons(environment, tmp_path, page, question=True) == (answer,)
    page.parent.mkdir(parents=True)
    page.write_text("x")
    report = f"{base.rstrip('/')}/airlock/reports/c-1/five-year/ladder/qualification.html"
    assert ui_buttons(environment, tmp_path, page, question=True) == (answer, Button("Open the report", report))


@pytest.mark.parametrize("base", ["", "javascript:x"])
def test_without_an_address_there_are_no_buttons(tmp_path: Path, base: str) -> None:
    assert ui_buttons({"AIRFLOW__API__BASE_URL": base}, tmp_path, question=True) == ()
