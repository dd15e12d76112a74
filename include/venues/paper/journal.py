"""What was asked of a paper account, written down before it is done: a restart runs it again to the same account.

One line a command: JSON, a tab, and a digest chained over all lines before it. A last line without its end was never
done and is cut off; any other line that does not fit means that the file is not what we wrote, and nothing is
traded on it.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, BinaryIO

from include.domain.errors import FatalError, RetryableError

VERSION = 1
_DIGEST_DIGITS = 16
Command = Mapping[str, Any]


class Journal:
    """The file of one paper account.

    Args:
        path: created, with its folder, when it is not there.
        opening: what the account was opened with; a file opened with anything else is refused.

    Raises:
        RetryableError: another process has the account.
        FatalError: the file is damaged, or belongs to an account opened otherwise.
    """

    def __init__(self, path: Path, opening: Command) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self._path, self._digest = path, ""
        self._file: BinaryIO = path.open("ab")
        try:
            self.commands = self._begin({"do": "account", "version": VERSION, **opening})
            """What the file held, oldest first, without the opening."""
        except BaseException:
            self._file.close()
            raise

    def append(self, command: Command) -> None:
        """Write one command to the disk; returns once it is there."""
        text = json.dumps(command, separators=(",", ":"), sort_keys=True)
        self._digest = _chained(self._digest, text)
        self._file.write(f"{text}\t{self._digest}\n".encode())
        self._file.flush()
        os.fsync(self._file.fileno())

    def close(self) -> None:
        self._file.close()

    def _begin(self, header: Command) -> list[Command]:
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise RetryableError(f"{self._path}: another process trades on this paper account") from None
        commands = self._read()
        if not commands:
            self.append(header)
        elif commands[0] != header:
            raise FatalError(
                f"{self._path}: this paper account was opened with other facts (symbols, deposit, timeframe, "
                "instruments); choose another account name, or move the file away to start afresh"
            )
        return commands[1:]

    def _read(self) -> list[Command]:
        raw = self._path.read_bytes()
        whole, end, rest = raw.rpartition(b"\n")
        if rest:  # a crash while writing: what it asked for was never done
            os.truncate(self._path, len(whole) + len(end))
        return [self._checked(number, line) for number, line in enumerate(whole.splitlines(), start=1)]

    def _checked(self, number: int, line: bytes) -> Command:
        text, _, digest = line.decode(errors="replace").rpartition("\t")
        self._digest = _chained(self._digest, text)
        if digest != self._digest:
            raise FatalError(f"{self._path}: line {number} is not what was written; the account cannot be trusted")
        command: Command = json.loads(text)
        return command


def _chained(before: str, text: str) -> str:
    return hashlib.sha256(f"{before}\n{text}".encode()).hexdigest()[:_DIGEST_DIGITS]
