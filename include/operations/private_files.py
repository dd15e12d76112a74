"""Small files of the local stack: written whole or not at all, closed to other users where they hold secrets."""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from include.domain.errors import AirlockError, ConfigurationError, RetryableError

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
        ensure_folder(path.parent)
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
        raise _translated(error, path) from None


def ensure_folder(path: Path) -> None:
    """Make a folder and those above it.

    Raises:
        ConfigurationError: it cannot be made; says which and why.
        RetryableError: the disk is full.
    """
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise _translated(error, path) from None


def _translated(error: OSError, path: Path) -> AirlockError:
    if error.errno == _NO_SPACE:
        return RetryableError(f"{path}: no space left on the disk; free some and try again")
    return ConfigurationError(f"{path}: cannot be written ({error.strerror}); check AIRLOCK_HOME")


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


def reason_in(log: Path) -> str:
    """The line of a log that says why something ended: the last error, else the last line; bounded."""
    try:
        lines = [line.strip() for line in log.read_text(encoding="utf-8", errors="replace").splitlines()]
    except OSError:
        return "it left no log"
    told = [line for line in lines if line]
    serious = [line for line in told if any(word in line for word in ("Error", "FATAL", "PANIC", "airlock: "))]
    return (serious or told or ["it said nothing"])[-1][:300]
