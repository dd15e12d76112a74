"""A report id from XCom is a stranger's text: its address lies below the folder of reports, or there is none."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from include.config.settings import Settings
from include.operations.report_links import PREFIX, dag_of, report_id, report_url, split_id

REFUSED = [
    "",
    "/",
    "/etc/passwd",
    "../ledger",
    "scalper/../../ledger",
    "scalper/./page.html",
    "scalper//page.html",
    "scalper/page.html/",
    "scalper/.page.html.part",
    "scalper/.data-docs-old-1/data-docs/index.html",
    "scalper\\..\\..\\ledger",
    "scalper/page\x00.html",
    "scalper/page\n.html",
    "a" * 1_001,
]


def test_the_address_of_a_report_follows_from_where_it_lies(tmp_path: Path) -> None:
    settings = Settings(home=tmp_path)
    page = settings.report_folder("scalper", "0123456789abcdef", "five-year") / "data-docs" / "index.html"
    assert report_url(report_id(settings.reports, page)) == (
        "/airlock/reports/scalper-0123456789ab/five-year/data-docs/index.html"
    )


def test_airflow_may_be_served_under_a_path_of_its_own() -> None:
    assert report_url("scalper/page.html", "/team-a/") == "/team-a/airlock/reports/scalper/page.html"


def test_a_report_that_lies_elsewhere_has_no_id(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="is not in the subpath"):
        report_id(tmp_path / "reports", tmp_path / "ledger" / "page.html")


@pytest.mark.parametrize("recorded", REFUSED)
def test_no_address_is_made_of_what_could_mean_anything_else(recorded: str) -> None:
    assert split_id(recorded) is None
    assert report_url(recorded) == ""


@pytest.mark.parametrize(
    ("recorded", "address"),
    [
        ("javascript:alert(1)", "/airlock/reports/javascript%3Aalert%281%29"),
        ("https:evil.example", "/airlock/reports/https%3Aevil.example"),
        ("a?b#c%2f/d e.html", "/airlock/reports/a%3Fb%23c%252f/d%20e.html"),
    ],
)
def test_text_that_looks_like_an_address_is_a_name_and_nothing_more(recorded: str, address: str) -> None:
    assert report_url(recorded) == address


@given(st.text(max_size=60))
def test_every_address_lies_below_the_reports_of_this_host(recorded: str) -> None:
    address = report_url(recorded)
    if address:
        parts = urlsplit(address)
        assert (parts.scheme, parts.netloc, parts.query, parts.fragment) == ("", "", "", "")
        assert parts.path.startswith(f"{PREFIX}/")
        assert unquote(parts.path.removeprefix(f"{PREFIX}/")) == recorded
        assert not {"", ".", ".."} & set(parts.path.removeprefix("/").split("/"))


@pytest.mark.parametrize(
    ("path", "dag_id"),
    [
        ("scalper-0123456789ab/five-year/data-gate.html", "qualification"),
        ("market-data/synthetic/BTCUSDT/1m/2024-01-31.json", "market_data"),
        ("daily-2024-01-31.html", "daily_report"),
        ("market-data-like/page.html", "qualification"),
        ("data-gate/page.html", "qualification"),
        ("", "qualification"),
    ],
)
def test_who_may_read_a_report_is_who_may_read_the_runs_that_write_such(path: str, dag_id: str) -> None:
    assert dag_of(path) == dag_id
