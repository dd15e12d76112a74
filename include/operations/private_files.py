"""Small files of the local stack: written whole or not at all, closed to other users where they hold secrets."""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from include.domain.errors import ConfigurationError, RetryableError

PRIVATE = 0o600
READABLE = 0o644
_NO_SPACE = 28


def write_text(path: Path, text: str, *, mode: int = READABLE) -> None:
    """Replace `path` in one step; a reader sees the old content or the new, never a part.

    Raises:
        RetryableError: the disk is full.
        ConfigurationError: the folder cannot be written.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
        temporary = Path(name)
        try:
            with os.fdopen(handle, "w", encoding="utf-8") as stream:
                os.fchmod(stream.fileno(), mode)
                stream.write(text)
            temporary.replace(path)
        except BaseException:
            temporary.unlink(missing_ok=True)
            raise
    except OSError as error:
        if error.errno == _NO_SPACE:
            raise RetryableError(f"{path}: no space left on the disk; free some and try again") from None
        raise ConfigurationError(f"{path}: cannot be written ({error.strerror}); check AIRLOCK_HOME") from None


def write_json(path: Path, document: Mapping[str, Any], *, mode: int = READABLE) -> None:
    """Replace `path` by a JSON document in one step."""
    write_text(path, json.dumps(document, indent=2, ensure_ascii=False) + "\n", mode=mode)


def read_json(path: Path) -> dict[str, Any] | None:
    """A JSON mapping, None when the file is absent.

    Raises:
        ConfigurationError: unreadable, or not a JSON mapping.
    """
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None
    except (OSError, ValueError) as error:
        raise ConfigurationError(f"{path}: cannot be read as JSON ({error}); remove it and start again") from None
    if not isinstance(document, dict):
        raise ConfigurationError(f"{path}: expected a JSON mapping; remove it and start again")
    return document
