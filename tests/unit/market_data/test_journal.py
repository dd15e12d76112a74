"""The import journal: what was recorded is found, and what is damaged is never believed."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from include.domain.errors import DataError
from include.market_data.journal import Checkpoint, ImportJournal, ImportKey
from include.market_data.series import Series
from tests.market import MINUTE, START

KEY = ImportKey("ccxt:binance", Series("binance-spot", "BTCUSDT", MINUTE), START, None)
CHECKPOINT = Checkpoint(resume_at=START + timedelta(days=3), fingerprint="f" * 64)


@pytest.fixture
def journal(tmp_path: Path) -> ImportJournal:
    return ImportJournal(tmp_path / "journal")


def test_the_last_checkpoint_is_found_until_it_is_forgotten(journal: ImportJournal) -> None:
    assert journal.find(KEY) is None
    journal.record(KEY, CHECKPOINT)
    later = Checkpoint(resume_at=START + timedelta(days=9), fingerprint="e" * 64)
    journal.record(KEY, later)
    assert journal.find(KEY) == later
    journal.forget(KEY)
    journal.forget(KEY)
    assert journal.find(KEY) is None


@pytest.mark.parametrize(
    "other",
    [
        replace(KEY, source="ccxt:bybit"),
        replace(KEY, series=Series("binance-spot", "ETHUSDT", MINUTE)),
        replace(KEY, start=None),
        replace(KEY, end=datetime(2026, 1, 1, tzinfo=UTC)),
    ],
    ids=["source", "series", "start", "end"],
)
def test_another_import_has_its_own_entry(journal: ImportJournal, other: ImportKey) -> None:
    journal.record(KEY, CHECKPOINT)
    assert journal.find(other) is None
    journal.forget(other)
    assert journal.find(KEY) == CHECKPOINT


def test_every_byte_counts_and_every_cut_is_noticed(journal: ImportJournal, tmp_path: Path) -> None:
    journal.record(KEY, CHECKPOINT)
    (path,) = (tmp_path / "journal").iterdir()
    whole = path.read_bytes()
    for at in range(len(whole)):
        path.write_bytes(whole[:at] + bytes([whole[at] ^ 0x01]) + whole[at + 1 :])
        assert journal.find(KEY) is None, f"byte {at} changed"
        path.write_bytes(whole[:at])
        assert journal.find(KEY) is None, f"cut at {at}"
    path.write_bytes(b"\xff\xfe")
    assert journal.find(KEY) is None
    path.write_bytes(whole)
    assert journal.find(KEY) == CHECKPOINT


def test_an_entry_under_the_name_of_another_import_is_not_believed(journal: ImportJournal, tmp_path: Path) -> None:
    journal.record(KEY, CHECKPOINT)
    (own,) = (tmp_path / "journal").iterdir()
    other = replace(KEY, end=START)
    journal.record(other, CHECKPOINT)
    (theirs,) = {*(tmp_path / "journal").iterdir()} - {own}
    theirs.write_bytes(own.read_bytes())
    assert journal.find(other) is None


def test_drafts_of_killed_writers_are_cleared_with_the_entry(journal: ImportJournal, tmp_path: Path) -> None:
    journal.record(KEY, CHECKPOINT)
    (path,) = (tmp_path / "journal").iterdir()
    path.with_suffix(".123.draft").write_text("half of an en")
    assert journal.find(KEY) == CHECKPOINT
    journal.forget(KEY)
    assert list((tmp_path / "journal").iterdir()) == []


def test_a_disk_that_refuses_ends_in_one_line(tmp_path: Path) -> None:
    (tmp_path / "journal").write_text("a file where the folder should be")
    with pytest.raises(DataError, match="the import journal cannot be written") as refused:
        ImportJournal(tmp_path / "journal").record(KEY, CHECKPOINT)
    assert "\n" not in str(refused.value)
