"""A file system that fsspec reaches under a protocol of its own: files on disk, renames, and faults on cue."""

from __future__ import annotations

from typing import Any, ClassVar

import fsspec
from fsspec.implementations.local import LocalFileSystem

PROTOCOL = "foreign-disk"


class ForeignDisk(LocalFileSystem):  # type: ignore[misc]
    """Attributes:
    faults: exception to raise by name of the call (`glob`, `cat_file`, `pipe_file`, `mv`).
    calls: what was asked for, in order.
    """

    protocol = PROTOCOL
    cachable = False
    faults: ClassVar[dict[str, Exception]] = {}
    calls: ClassVar[list[tuple[str, str]]] = []

    def _note(self, call: str, path: str) -> None:
        self.calls.append((call, path))
        if call in self.faults:
            raise self.faults[call]

    def glob(self, path: str, **kwargs: Any) -> Any:
        self._note("glob", path)
        return super().glob(path, **kwargs)

    def cat_file(self, path: str, start: int | None = None, end: int | None = None, **kwargs: Any) -> Any:
        self._note("cat_file", f"{path} {start}")
        return super().cat_file(path, start, end, **kwargs)

    def pipe_file(self, path: str, value: bytes, **kwargs: Any) -> Any:
        """With a fault only half of the file arrives."""
        if "pipe_file" in self.faults:
            super().pipe_file(path, value[: len(value) // 2], **kwargs)
        self._note("pipe_file", path)
        return super().pipe_file(path, value, **kwargs)

    def mv(self, path1: str, path2: str, **kwargs: Any) -> Any:
        self._note("mv", path2)
        return super().mv(path1, path2, **kwargs)

    @classmethod
    def _strip_protocol(cls, path: Any) -> Any:
        if isinstance(path, str):
            path = path.removeprefix(f"{PROTOCOL}://")
        return super()._strip_protocol(path)


fsspec.register_implementation(PROTOCOL, ForeignDisk, clobber=True)
