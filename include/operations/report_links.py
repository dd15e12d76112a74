"""Addresses of reports inside the Airflow UI: what a task remembers about its report, and where people find it. Pure.

A report's **id** is its place below `settings.reports`, which the task that wrote it records in XCom. People may edit
XComs, so an id is read like any stranger's text: whatever it says, its address lies below `PREFIX` or is empty.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from urllib.parse import quote

PREFIX = "/airlock/reports"
"""Where the api-server serves `settings.reports`."""
REPORT, DOCS = "report", "data_docs"
"""XCom keys of a task's report ids."""
MAX_LENGTH = 1_000

Announce = Callable[[Mapping[str, str]], None]
"""Takes the ids of the reports that a task has just written, by XCom key."""

_DAG_OF_FOLDER = {"market-data": "market_data"}
_DAILY, _LADDER = "daily_report", "qualification"


def unannounced(ids: Mapping[str, str]) -> None:
    """For callers that have nobody to tell."""


def report_id(reports: Path, page: Path) -> str:
    """A report's place below the folder of reports, with forward slashes.

    Raises:
        ValueError: it lies elsewhere.
    """
    return page.relative_to(reports).as_posix()


def split_id(text: str) -> tuple[str, ...] | None:
    """The parts of a report id; None when it could mean anything but a plain place below the folder of reports.

    Hidden names are none: drafts and replaced reports begin with a dot.
    """
    parts = tuple(text.split("/"))
    plain = len(text) <= MAX_LENGTH and text.isprintable() and "\\" not in text
    return parts if plain and all(part and not part.startswith(".") for part in parts) else None


def report_url(recorded: str, base_path: str = "") -> str:
    """Address of a report, relative to the host, so that it keeps the session of whoever follows it.

    Args:
        recorded: a report id; empty for a task that wrote none.
        base_path: path under which Airflow is served, empty for the root.

    Returns:
        Empty when there is nothing to link to.
    """
    parts = split_id(recorded)
    return "/".join((base_path.rstrip("/") + PREFIX, *(quote(part, safe="") for part in parts))) if parts else ""


def dag_of(path: str) -> str:
    """The DAG whose runs a person must be allowed to read to see a report."""
    top = path.split("/", maxsplit=1)[0]
    return _DAILY if top.startswith("daily-") else _DAG_OF_FOLDER.get(top, _LADDER)
