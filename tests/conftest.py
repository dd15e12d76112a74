"""Fixtures for every test: a fresh ledger on real PostgreSQL, and the recorded market data where it is present."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

pytest_plugins = ["tests.postgres"]

_ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """Folder of the recorded market data: AIRLOCK_SHARED_DATA, or `../shared/data` beside the project."""
    folder = Path(os.environ.get("AIRLOCK_SHARED_DATA") or _ROOT.parent / "shared" / "data")
    if not folder.is_dir():
        pytest.skip(f"recorded market data is not at {folder}; set AIRLOCK_SHARED_DATA to where it is")
    return folder
