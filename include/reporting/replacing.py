"""Writing reports so that a reader sees the old one or the new one, never half of one."""

from __future__ import annotations

import shutil
from pathlib import Path
from tempfile import mkdtemp


def replace_file(path: Path, content: bytes) -> Path:
    """Write a file whole, in place of an earlier one."""
    draft = path.with_name(f".{path.name}.part")
    try:
        draft.write_bytes(content)
        return draft.replace(path)
    finally:
        draft.unlink(missing_ok=True)


def replace_folder(made: Path, place: Path) -> Path:
    """Move a finished folder to its place on the same file system; an earlier one there is removed afterwards."""
    if place.exists():
        # A folder cannot be renamed over a full one: the old one steps aside first.
        aside = Path(mkdtemp(prefix=f".{place.name}-old-", dir=place.parent))
        place.rename(aside / place.name)
        made.rename(place)
        shutil.rmtree(aside)
    else:
        made.rename(place)
    return place
