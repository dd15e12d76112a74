"""Small files are written whole; what cannot be written is said in one line."""

import stat
from pathlib import Path

import pytest

from include.domain.errors import ConfigurationError
from include.operations.private_files import PRIVATE, ensure_folder, read_json, reason_in, write_json


def test_a_document_comes_back_and_is_closed_when_asked(tmp_path: Path) -> None:
    path = tmp_path / "new" / "x.json"
    write_json(path, {"a": "ä"}, mode=PRIVATE)
    assert read_json(path) == {"a": "ä"}
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert [p.name for p in path.parent.iterdir()] == ["x.json"]


def test_an_absent_file_is_none_and_a_broken_one_is_named(tmp_path: Path) -> None:
    assert read_json(tmp_path / "none.json") is None
    (tmp_path / "broken.json").write_text("{")
    with pytest.raises(ConfigurationError, match=r"broken\.json"):
        read_json(tmp_path / "broken.json")


def test_a_folder_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigurationError, match="AIRLOCK_HOME"):
        ensure_folder(tmp_path / "file" / "folder")


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "it said nothing"),
        ("hello\n\n", "hello"),
        ("FATAL: no space\n(Background on this error at: x)\n", "FATAL: no space"),
        ("ValueError: a\nOSError: b\nbye\n", "OSError: b"),
    ],
)
def test_the_reason_in_a_log_is_its_last_error(tmp_path: Path, text: str, reason: str) -> None:
    (tmp_path / "log").write_text(text)
    assert reason_in(tmp_path / "log") == reason


def test_a_log_that_is_not_there_has_no_reason(tmp_path: Path) -> None:
    assert reason_in(tmp_path / "none") == "it left no log"
