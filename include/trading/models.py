"""Whether the model files beside a strategy are those that were measured."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path


def models_match(digests: Mapping[str, str], folder: Path | None = None) -> bool | None:
    """Compare files with the SHA-256 (hex) that a candidate names for each.

    Args:
        digests: path by path, relative to `folder` (where the engine runs, unless given).

    Returns:
        None for a candidate without models; False when a file differs or cannot be read.
    """
    if not digests:
        return None
    root = folder or Path.cwd()
    return all(_digest_of(root / name) == digest.lower() for name, digest in digests.items())


def _digest_of(path: Path) -> str | None:
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError:
        return None
