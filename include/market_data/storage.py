"""Where a lake's files lie: a local folder, or any store that fsspec reaches. Files are named by keys under the root.

A file is published whole or not at all. Everything else that a lake needs (write lock, staging, import journal) lies in
a local folder, `state`; for a local lake that is the lake itself.
"""

from __future__ import annotations

import hashlib
import os
import tempfile
import threading
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any, Protocol, TypeVar
from urllib.parse import urlsplit

import pyarrow as pa

from include.domain.errors import AirlockError, ConfigurationError, DataError, RetryableError

if TYPE_CHECKING:
    from fsspec.spec import AbstractFileSystem

T = TypeVar("T")
U = TypeVar("U")

STAGING = ".staging"
REMOTE_READERS = 16
"""Files asked for at once: a request to a store waits most of its time."""
FOOTER_BYTES = 1 << 16
"""Read from the end of a remote file at first; longer footers are asked for again by their length."""


class Storage(Protocol):
    """What the lake needs of the place where its files lie."""

    @property
    def name(self) -> str:
        """Folder or URL, for people."""
        ...

    @property
    def state(self) -> Path:
        """Local folder for the write lock, staging and journals; need not exist yet."""
        ...

    @property
    def readers(self) -> int:
        """How many files are best read at once."""
        ...

    def versions(self, pattern: str) -> dict[str, str]:
        """Keys of the files that match a glob, in order, each with a text that changes whenever the file does."""
        ...

    def footer(self, key: str) -> pa.NativeFile:
        """Enough of the end of a Parquet file to read its metadata. OSError or DataError when it is gone."""
        ...

    def open(self, key: str) -> pa.NativeFile:
        """A whole file, mapped or in memory. OSError or DataError when it is gone."""
        ...

    def publish(self, staged: Mapping[str, Path]) -> None:
        """Put local files under their keys, each one whole or not at all.

        Raises:
            DataError, RetryableError: disk or store refused; files before that are published.
        """
        ...

    def sweep(self) -> None:
        """Remove what a killed writer left half-way; the caller holds the write lock."""
        ...

    def where(self, key: str) -> str:
        """Full path or URL of a file, for messages."""
        ...


def open_storage(root: Path | str, state: Path | None = None) -> Storage:
    """Storage at a folder, or at an fsspec URL.

    Args:
        state: local folder in which a remote root gets one of its own (by its URL); the temporary folder when not
            given. A local root is its own.

    Raises:
        ConfigurationError: a file, unknown protocol, its driver is not installed, or a password in the URL.
        RetryableError: the store does not answer.
    """
    url = str(root)
    if isinstance(root, Path) or "://" not in url:
        return _folder(Path(url).expanduser())
    if url.startswith(("file://", "local://")):
        return _folder(Path(url.partition("://")[2]))
    own = hashlib.sha256(url.rstrip("/").encode()).hexdigest()[:16]
    return RemoteStorage(url, (state or Path(tempfile.gettempdir()) / f"airlock-lakes-{os.getuid()}") / own)


def _folder(root: Path) -> LocalStorage:
    if root.exists() and not root.is_dir():
        raise ConfigurationError(f"{root}: is a file; a lake is a folder or a URL (AIRLOCK_LAKE)")
    return LocalStorage(root)


class LocalStorage:
    """A folder: files are memory-mapped, written beside, synced and renamed into place."""

    def __init__(self, root: Path) -> None:
        self.state = root
        self.readers = min(4, os.cpu_count() or 1)

    @property
    def name(self) -> str:
        return str(self.state)

    def versions(self, pattern: str) -> dict[str, str]:
        found: dict[str, str] = {}
        for path in sorted(self.state.glob(pattern)):
            stat = path.stat()
            found[path.relative_to(self.state).as_posix()] = f"{stat.st_ino}-{stat.st_mtime_ns}-{stat.st_size}"
        return found

    def footer(self, key: str) -> pa.NativeFile:
        return self.open(key)

    def open(self, key: str) -> pa.NativeFile:
        return pa.memory_map(self.where(key))

    def publish(self, staged: Mapping[str, Path]) -> None:
        targets = {self.state / key: path for key, path in staged.items()}
        folders = {folder for target in targets for folder in target.parents if folder.is_relative_to(self.state)}
        try:
            for target in targets:
                target.parent.mkdir(parents=True, exist_ok=True)
            for target, path in targets.items():
                path.replace(target)
            for folder in folders:
                sync_folder(folder)
        except OSError as error:
            raise DataError(f"{self.name}: cannot publish ({error.strerror or error}); run the import again") from None

    def sweep(self) -> None:
        """Nothing: staging is local and cleared by the writer."""

    def where(self, key: str) -> str:
        return str(self.state / key)


class RemoteStorage:
    """An fsspec store: listings and footers by range, files by one request, nothing cached between calls.

    Args:
        url: any fsspec URL, chained ones too. The driver takes credentials from its own variables or files.
        state: local folder of this lake.
    """

    def __init__(self, url: str, state: Path) -> None:
        if urlsplit(url.rpartition("::")[2]).password:
            raise ConfigurationError(
                "the lake's URL holds a password; give it to the store's driver in its own variables"
            )
        self.name, self.state, self.readers = url.rstrip("/"), state, REMOTE_READERS
        self._fs, self._root = _connect(url)
        # Drivers that are not asynchronous inside share one connection.
        self._guard: AbstractContextManager[Any] = nullcontext() if self._fs.async_impl else threading.Lock()

    def versions(self, pattern: str) -> dict[str, str]:
        with self._asking():
            self._fs.invalidate_cache()
            found = self._fs.glob(f"{self._root}/{pattern}", detail=True)
        return {self._key(path): _version(found[path]) for path in sorted(found)}

    def footer(self, key: str) -> pa.NativeFile:
        tail = self._fetch(key, FOOTER_BYTES)
        needed = int.from_bytes(tail[-8:-4], "little") + 8
        return pa.BufferReader(tail if needed <= len(tail) else self._fetch(key, needed))

    def open(self, key: str) -> pa.NativeFile:
        return pa.BufferReader(self._fetch(key, None))

    def publish(self, staged: Mapping[str, Path]) -> None:
        def put(item: tuple[str, Path]) -> None:
            with self._asking():
                self._put(f"{self._root}/{item[0]}", item[1].read_bytes())

        in_parallel(put, list(staged.items()), self.readers)

    def sweep(self) -> None:
        with self._asking():
            leftovers = self._fs.glob(f"{self._root}/{STAGING}/*")
            if leftovers:
                self._fs.rm(leftovers)

    def where(self, key: str) -> str:
        return f"{self.name}/{key}"

    # --- inside ---

    def _put(self, path: str, content: bytes) -> None:
        """Object stores put an object whole; a store that can rename (sftp, ...) is a file system: write beside it."""
        from fsspec.spec import AbstractFileSystem

        if type(self._fs).mv is AbstractFileSystem.mv:
            self._fs.pipe_file(path, content)
            return
        beside = f"{self._root}/{STAGING}/{uuid.uuid4().hex}"
        for target in (beside, path):
            self._fs.makedirs(str(PurePosixPath(target).parent), exist_ok=True)
        self._fs.pipe_file(beside, content)
        self._fs.mv(beside, path)

    def _fetch(self, key: str, last: int | None) -> bytes:
        """The whole file, or its last bytes."""
        with self._asking():
            found = self._fs.cat_file(f"{self._root}/{key}", start=None if last is None else -last)
        return bytes(found)

    def _key(self, path: str) -> str:
        return path.removeprefix(self._root).lstrip("/")

    @contextmanager
    def _asking(self) -> Iterator[None]:
        """Every driver has its own exceptions; what is neither missing nor forbidden counts as no answer."""
        try:
            with self._guard:
                yield
        except AirlockError:
            raise
        except FileNotFoundError as error:
            raise DataError(
                f"{self.name}: not found ({first_line(error)}); check the address, and create its bucket"
            ) from None
        except PermissionError as error:
            raise ConfigurationError(
                f"{self.name}: no permission ({first_line(error)}); check the credentials"
            ) from None
        except Exception as error:
            raise RetryableError(
                f"{self.name}: the store does not answer ({first_line(error)}); check address, network and credentials"
            ) from None


def in_parallel(work: Callable[[T], U], items: Sequence[T], workers: int) -> list[U]:
    """Results in order of items. Reading, decompression and hashing release the interpreter, so threads help."""
    workers = min(workers, len(items))
    if workers < 2:
        return [work(item) for item in items]
    with ThreadPoolExecutor(workers) as pool:
        return list(pool.map(work, items))


def _connect(url: str) -> tuple[AbstractFileSystem, str]:
    from fsspec.core import url_to_fs

    try:
        fs, root = url_to_fs(url)
    except ImportError as error:
        raise ConfigurationError(f"{url}: the driver is not installed here ({first_line(error)})") from None
    except OSError as error:
        raise RetryableError(f"{url}: the store does not answer ({first_line(error)})") from None
    except Exception as error:
        raise ConfigurationError(f"{url}: cannot be used as a lake ({first_line(error)})") from None
    return fs, root.rstrip("/")


def _version(info: Mapping[str, Any]) -> str:
    """All the store says of a file but its name and, under `time`, when it was last read."""
    said = sorted((name, str(value)) for name, value in info.items() if name not in ("name", "Key", "time"))
    return hashlib.sha256(repr(said).encode()).hexdigest()


def sync_folder(folder: Path) -> None:
    """Names that were written or renamed in a folder are on disk when this returns."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def first_line(error: Exception) -> str:
    """What an exception says, as part of a message of one line."""
    text = str(error).strip()
    return text.splitlines()[0] if text else type(error).__name__
