"""The import journal: where an import that was killed goes on.

One small file an import, written beside and renamed into place, so a kill leaves the old one or the new one. An entry
is believed only when it is whole (it carries its own digest) and the lake still holds exactly what had been published
when it was written; in every other case the import starts over, which costs time and neither loses nor doubles a row.
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from pydantic import AwareDatetime, ValidationError

from include.domain.errors import DataError
from include.domain.times import iso
from include.market_data.series import Series
from include.market_data.storage import sync_folder
from include.qualification.profile import Document

JOURNAL = ".imports"
"""Folder of the journal inside the lake's local folder."""

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class ImportKey:
    """What makes two runs the same import: source, series and window as they were asked for."""

    source: str
    series: Series
    start: datetime | None
    end: datetime | None

    def canonical(self) -> str:
        window = [iso(moment) if moment else "" for moment in (self.start, self.end)]
        return json.dumps([self.source, str(self.series), *window])


class Checkpoint(Document):
    """How far an import has been published.

    Attributes:
        resume_at: ask the source again from here.
        fingerprint: of the series in the lake from the start of the import to `resume_at`, at that moment.
    """

    resume_at: AwareDatetime
    fingerprint: str


class ImportJournal:
    """Checkpoints of unfinished imports, a file each.

    Args:
        folder: where they lie; need not exist yet.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def find(self, key: ImportKey) -> Checkpoint | None:
        """The checkpoint of an import that did not finish; None when there is none or it is damaged."""
        path = self._path(key)
        try:
            digest, _, body = path.read_text("utf-8").partition("\n")
        except FileNotFoundError:
            return None
        except (OSError, UnicodeDecodeError) as error:
            _warn(path, str(error))
            return None
        if digest != _digest(key, body):
            _warn(path, "its content is not what was written")
            return None
        try:
            return Checkpoint.model_validate_json(body)
        except ValidationError:
            _warn(path, "it comes from another version")
            return None

    def record(self, key: ImportKey, checkpoint: Checkpoint) -> None:
        """Remember how far an import has been published; on disk when this returns.

        Raises:
            DataError: the disk refused; the checkpoint before, if any, still holds.
        """
        path, body = self._path(key), checkpoint.model_dump_json()
        draft = path.with_suffix(f".{os.getpid()}.draft")
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            with draft.open("w", encoding="utf-8") as file:
                file.write(f"{_digest(key, body)}\n{body}")
                file.flush()
                os.fsync(file.fileno())
            draft.replace(path)
            sync_folder(self._folder)
        except OSError as error:
            raise DataError(f"{path}: the import journal cannot be written ({error.strerror or error})") from None

    def forget(self, key: ImportKey) -> None:
        """The import is finished: the next one of its kind reads everything again and compares.

        Raises:
            DataError: the disk refused.
        """
        path = self._path(key)
        try:
            for leftover in (path, *self._folder.glob(f"{path.stem}.*.draft")):
                leftover.unlink(missing_ok=True)
        except OSError as error:
            raise DataError(f"{path}: the import journal cannot be cleared ({error.strerror or error})") from None

    def _path(self, key: ImportKey) -> Path:
        return self._folder / f"{hashlib.sha256(key.canonical().encode()).hexdigest()[:32]}.json"


def _digest(key: ImportKey, body: str) -> str:
    return hashlib.sha256(f"{key.canonical()}\n{body}".encode()).hexdigest()


def _warn(path: Path, reason: str) -> None:
    log.warning("%s: not used, %s; the import starts over", path, reason)
