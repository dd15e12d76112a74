"""Reports over HTTP: only to those who may read them, only what lies in their folder, never with their own rights."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated, Any

import pytest
from fastapi import Header, HTTPException, Request
from fastapi.routing import APIRoute
from fastapi.testclient import TestClient

from include.domain.errors import ConfigurationError
from include.operations.report_server import CONTENT_TYPES, build_app

PAGE = "<h1>Good enough to measure on</h1>"
SECRET = "the ledger's password"


def fake_sign_in(authorization: Annotated[str, Header()] = "") -> str:
    if not authorization:
        raise HTTPException(401, "Not authenticated")
    return authorization


def fake_may_read(request: Request, user: Any, dag_id: str) -> None:
    """Users are named after the DAG they may read; `everything` may read all."""
    if user not in (dag_id, "everything"):
        raise HTTPException(403, "Forbidden")


def client_of(reports: Path, user: str = "everything") -> TestClient:
    app = build_app(lambda: reports, sign_in=fake_sign_in, may_read=fake_may_read)
    headers = {"Authorization": user} if user else {}
    return TestClient(app, headers=headers, follow_redirects=False, raise_server_exceptions=False)


@pytest.fixture
def reports(tmp_path: Path) -> Path:
    """Reports, and beside them what nobody may see."""
    folder = tmp_path / "reports"
    candidate = folder / "scalper-0123456789ab" / "five-year"
    (candidate / "data-docs" / "validations").mkdir(parents=True)
    (candidate / "data-gate.html").write_text(PAGE)
    (candidate / "data-docs" / "index.html").write_text("<a href='validations/BTC.html'>BTC</a>")
    (candidate / "data-docs" / "validations" / "BTC.html").write_text(PAGE)
    (candidate / ".data-gate.html.part").write_text(SECRET)
    (folder / "market-data").mkdir()
    (folder / "market-data" / "2024-01-31.json").write_text("{}")
    (folder / "daily-2024-01-31.html").write_text(PAGE)
    (tmp_path / "password").write_text(SECRET)
    (tmp_path / "index.html").write_text(SECRET)
    (folder / "way-out").symlink_to(tmp_path)
    (candidate / "password.html").symlink_to(tmp_path / "password")
    (candidate / "other.json").symlink_to(folder / "market-data" / "2024-01-31.json")
    (candidate / "loop").symlink_to(candidate / "loop")
    os.mkfifo(candidate / "pipe.html")
    return folder


BASE = "/scalper-0123456789ab/five-year"
NOT_THERE = [
    # Not there, or nothing to show.
    "/",
    "",
    "//",
    f"{BASE}/nothing.html",
    f"{BASE}",
    f"{BASE}/",
    "/market-data",
    "/market-data/",
    f"{BASE}/data-gate.html/",
    f"{BASE}/data-gate.html/index.html",
    f"{BASE}/pipe.html",
    f"{BASE}/{'x' * 300}",
    f"/{'x/' * 2_000}page.html",
    # Out of the folder.
    "/%2e%2e/password",
    "/..%2fpassword",
    "/..%2f..%2f..%2f..%2f..%2fetc%2fpasswd",
    "/%2e%2e%2f%2e%2e%2fetc/passwd",
    "/..%5c..%5cpassword",
    "/%252e%252e/password",
    "/%c0%ae%c0%ae/password",
    f"{BASE}/..%2f..%2f..%2fpassword",
    f"{BASE}/%2e/data-gate.html",
    f"{BASE}//data-gate.html",
    "/%2fetc%2fpasswd",
    "//etc/passwd",
    f"{BASE}/data-gate.html%00.txt",
    "/%2e%2e/",
    # Through links.
    "/way-out/password",
    "/way-out/",
    "/way-out",
    f"{BASE}/password.html",
    f"{BASE}/other.json",
    f"{BASE}/loop",
    # Drafts.
    f"{BASE}/.data-gate.html.part",
]


@pytest.mark.parametrize("path", NOT_THERE)
def test_what_is_not_plainly_a_report_in_the_folder_is_not_there(reports: Path, path: str) -> None:
    client = client_of(reports)
    # Escapes as an attacker writes them. Dots in plain are tidied up by every client, and mean the same to the server.
    request = client.build_request("GET", "/")
    request.url = request.url.copy_with(raw_path=(path or "/").encode())
    answer = client.send(request)
    assert (answer.status_code, answer.text) == (404, "404: there is no such report\n")
    assert answer.headers["content-type"].startswith("text/plain")
    assert SECRET not in answer.text


def test_a_page_is_served_as_it_is(reports: Path) -> None:
    answer = client_of(reports).get(f"{BASE}/data-gate.html")
    assert (answer.status_code, answer.text) == (200, PAGE)
    assert answer.headers["content-type"] == "text/html; charset=utf-8"
    assert "content-disposition" not in answer.headers


def test_the_folder_itself_may_be_a_link(reports: Path, tmp_path: Path) -> None:
    (tmp_path / "elsewhere").symlink_to(reports)
    assert client_of(tmp_path / "elsewhere").get(f"{BASE}/data-gate.html").status_code == 200


def test_a_folder_with_an_index_shows_it_where_its_links_work(reports: Path) -> None:
    client = client_of(reports)
    answer = client.get(f"{BASE}/data-docs")
    assert (answer.status_code, answer.headers["location"]) == (307, "./data-docs/")
    assert answer.headers["cache-control"] == "private, no-store"
    followed = client.get(f"{BASE}/data-docs", follow_redirects=True)
    assert followed.url.path == f"{BASE}/data-docs/"
    assert "validations/BTC.html" in followed.text
    assert client.get(f"{BASE}/data-docs/validations/BTC.html").status_code == 200


@pytest.mark.parametrize(
    ("name", "content_type", "is_download"),
    [
        *((f"file{suffix}", content_type, False) for suffix, content_type in CONTENT_TYPES.items()),
        ("PAGE.HTML", "text/html; charset=utf-8", False),
        ("trades.parquet", "application/octet-stream", True),
        ("script.js", "application/octet-stream", True),
        ("page.xhtml", "application/octet-stream", True),
        ('no suffix"; x', "application/octet-stream", True),
    ],
)
def test_only_types_that_reports_have_are_shown_and_the_rest_is_a_download(
    reports: Path, name: str, content_type: str, is_download: bool
) -> None:
    (reports / name).write_bytes(b"\x00<script>")
    answer = client_of(reports).get(f"/{name}")
    assert (answer.status_code, answer.content) == (200, b"\x00<script>")
    assert answer.headers["content-type"] == content_type
    assert answer.headers["content-length"] == "9"
    assert answer.headers.get("content-disposition", "").startswith("attachment;") is is_download


@pytest.mark.parametrize("path", [f"{BASE}/data-gate.html", f"{BASE}/data-docs", f"{BASE}/nothing.html"])
def test_every_answer_is_sandboxed_and_kept_by_nobody(reports: Path, path: str) -> None:
    headers = client_of(reports).get(path).headers
    policy = {part.split()[0]: part.split()[1:] for part in headers["content-security-policy"].split(";")}
    # Without allow-same-origin a page's scripts have neither the reader's cookies nor Airflow's API.
    assert policy["sandbox"] == ["allow-scripts", "allow-downloads"]
    assert policy["default-src"] == policy["form-action"] == policy["frame-ancestors"] == ["'none'"]
    assert policy.get("connect-src") is None
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["referrer-policy"] == "no-referrer"
    assert headers["cache-control"] == "private, no-store"


@pytest.mark.parametrize("path", [f"{BASE}/data-gate.html", f"{BASE}/nothing.html", "/", "/..%2fpassword", "/docs"])
def test_without_signing_in_nothing_is_said_not_even_what_exists(reports: Path, path: str) -> None:
    answer = client_of(reports, user="").get(path)
    assert (answer.status_code, answer.text) == (401, "401: sign in to Airflow, then open this address again\n")


@pytest.mark.parametrize(
    ("user", "path", "status"),
    [
        ("qualification", f"{BASE}/data-gate.html", 200),
        ("qualification", "/market-data/2024-01-31.json", 403),
        ("qualification", "/market-data/%2e%2e/scalper-0123456789ab/five-year/data-gate.html", 403),
        ("qualification", f"{BASE}/other.json", 404),
        ("market_data", "/market-data/2024-01-31.json", 200),
        ("market_data", f"{BASE}/data-gate.html", 403),
        ("market_data", f"{BASE}/nothing.html", 403),
        ("market_data", "/market-data/%2e%2e/scalper-0123456789ab/five-year/data-gate.html", 404),
        ("daily_report", "/daily-2024-01-31.html", 200),
        ("nobody", "/daily-2024-01-31.html", 403),
    ],
)
def test_a_report_is_read_by_those_who_may_read_its_runs(reports: Path, user: str, path: str, status: int) -> None:
    assert client_of(reports, user).get(path).status_code == status


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE"])
def test_reports_can_be_read_and_nothing_else(reports: Path, method: str) -> None:
    answer = client_of(reports).request(method, f"{BASE}/data-gate.html")
    assert answer.status_code == 405
    assert (reports / BASE.strip("/") / "data-gate.html").read_text() == PAGE


def test_there_is_no_route_without_a_guard(reports: Path) -> None:
    routes = build_app(lambda: reports, sign_in=fake_sign_in, may_read=fake_may_read).routes
    assert [route.path for route in routes if isinstance(route, APIRoute)] == ["/{path:path}"]
    assert len(routes) == 1


@pytest.mark.parametrize("path", ["/", f"{BASE}/data-gate.html"])
def test_a_folder_that_does_not_exist_yet_holds_no_report(tmp_path: Path, path: str) -> None:
    assert client_of(tmp_path / "reports").get(path).status_code == 404


def test_settings_that_cannot_be_read_are_an_error_in_one_line() -> None:
    def broken() -> Path:
        raise ConfigurationError("AIRLOCK_HOM: not a setting; see docs/settings.md for the known ones")

    app = build_app(broken, sign_in=fake_sign_in, may_read=fake_may_read)
    answer = TestClient(app, headers={"Authorization": "everything"}).get("/page.html")
    assert (answer.status_code, answer.text.count("\n")) == (500, 1)


async def test_a_page_that_is_replaced_while_it_is_read_stays_whole(reports: Path) -> None:
    page = reports / "large.html"
    page.write_bytes(b"old" * 400_000)
    (route,) = build_app(lambda: reports, sign_in=fake_sign_in, may_read=fake_may_read).routes
    assert isinstance(route, APIRoute)
    # Called as FastAPI calls it: the test client would read everything before it returns.
    answer = route.endpoint("large.html")
    draft = reports / ".draft"
    draft.write_bytes(b"new")
    draft.replace(page)
    assert b"".join([chunk async for chunk in answer.body_iterator]) == b"old" * 400_000
