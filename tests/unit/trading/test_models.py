"""Model files are those that were measured, or they are not."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from include.trading.models import models_match

GOOD = hashlib.sha256(b"weights").hexdigest()


@pytest.mark.parametrize(
    ("digests", "expected"),
    [
        ({}, None),
        ({"model.bin": GOOD}, True),
        ({"model.bin": GOOD.upper()}, True),
        ({"model.bin": "0" * 64}, False),
        ({"model.bin": GOOD, "other.bin": GOOD}, False),
        ({".": GOOD}, False),
    ],
    ids=["no models", "as measured", "in capitals", "differs", "one is gone", "no file"],
)
def test_models_match_when_every_file_does(digests: dict[str, str], expected: bool | None, tmp_path: Path) -> None:
    (tmp_path / "model.bin").write_bytes(b"weights")
    assert models_match(digests, tmp_path) is expected
