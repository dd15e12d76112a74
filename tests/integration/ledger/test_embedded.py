"""The embedded server: idempotent, private, outliving its starter, with one clear line for everything that can fail."""

from __future__ import annotations

import multiprocessing
import os
import pwd
import re
import socket
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from multiprocessing.queues import SimpleQueue
from pathlib import Path

import psycopg2
import pytest

from include.domain.errors import AirlockError, ConfigurationError, FatalError, RetryableError
from include.ledger.connection import driver_arguments
from include.ledger.embedded import (
    AIRFLOW_DATABASE,
    airflow_url,
    ensure_database,
    server_url,
    start_server,
    stop_server,
)

as_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another user")


@pytest.fixture
def make_home() -> Iterator[Callable[..., Path]]:
    """Homes that are stopped and removed afterwards; short paths, because a socket's path is limited."""
    with tempfile.TemporaryDirectory(prefix="al-") as folder:
        made: list[Path] = []

        def make(name: str = "home") -> Path:
            made.append(Path(folder) / name)
            return made[-1]

        yield make
        for home in made:
            stop_server(home)


def _answer(url: str, query: str) -> str:
    connection = psycopg2.connect(**driver_arguments(url))
    try:
        with connection.cursor() as cursor:
            cursor.execute(query)
            row = cursor.fetchone()
            assert row is not None
            return str(row[0])
    finally:
        connection.close()


def _pid(home: Path) -> str:
    return (home / "postgres" / "postmaster.pid").read_text().split("\n", 1)[0]


def test_a_server_is_started_once_and_stopped_for_good(make_home: Callable[..., Path]) -> None:
    home = make_home()
    assert server_url(home) is None
    stop_server(home)  # nothing there: nothing happens
    url = start_server(home)
    pid = _pid(home)
    assert start_server(home) == server_url(home) == url
    assert url.startswith("postgresql+psycopg2://postgres:@/airlock?host=/")
    assert _pid(home) == pid
    assert _answer(url, "SELECT current_database()") == "airlock"
    other = airflow_url(home)
    assert other is not None
    assert _answer(other, "SELECT current_database()") == AIRFLOW_DATABASE
    stop_server(home)
    assert server_url(home) is airflow_url(home) is None
    assert _answer(start_server(home), "SELECT 1") == "1"


def test_the_server_listens_on_no_network_and_its_files_are_private(make_home: Callable[..., Path]) -> None:
    home = make_home()
    url = start_server(home)
    assert _answer(url, "SHOW listen_addresses") == ""
    assert _answer(url, "SHOW fsync") == _answer(url, "SHOW synchronous_commit") == "on"
    assert (home / "postgres").stat().st_mode & 0o077 == 0
    assert (home / "postgres" / ".s.PGSQL.5432").stat().st_mode & 0o077 == 0


def test_the_server_outlives_the_process_that_started_it(make_home: Callable[..., Path]) -> None:
    home = make_home()
    code = (
        f"from pathlib import Path; from include.ledger.embedded import start_server; start_server(Path({str(home)!r}))"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=120)
    url = server_url(home)
    assert url is not None
    assert _answer(url, "SELECT 1") == "1"


def test_two_homes_have_two_servers(make_home: Callable[..., Path]) -> None:
    one, two = make_home("one"), make_home("two")
    with ThreadPoolExecutor(2) as pool:
        first, second = pool.map(start_server, (one, two))
    assert first != second
    assert _pid(one) != _pid(two)
    stop_server(one)
    assert server_url(one) is None
    assert _answer(second, "SELECT 1") == "1"


def test_starting_from_several_processes_at_once_gives_one_server(make_home: Callable[..., Path]) -> None:
    home = make_home()
    code = f"from pathlib import Path; from include.ledger.embedded import *; print(start_server(Path({str(home)!r})))"
    runs = [subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True) for _ in range(3)]
    assert len({run.communicate(timeout=120)[0] for run in runs}) == 1
    assert {run.returncode for run in runs} == {0}


@pytest.mark.parametrize("name", ["with space and 'quote'", "long-" + "x" * 120])
def test_awkward_paths_work(make_home: Callable[..., Path], name: str) -> None:
    home = make_home(name)
    url = start_server(home)
    assert server_url(home) == url
    assert _answer(url, "SELECT 1") == "1"
    socket_folder = Path(str(driver_arguments(url)["host"]))
    stop_server(home)
    assert socket_folder == home / "postgres" or not socket_folder.exists()


def test_a_process_id_left_behind_by_a_crash_does_not_count_as_running(make_home: Callable[..., Path]) -> None:
    home = make_home()
    start_server(home)
    left_behind = (home / "postgres" / "postmaster.pid").read_text()
    stop_server(home)
    # The same file after a power cut, its process id meanwhile somebody else's.
    (home / "postgres" / "postmaster.pid").write_text(left_behind.replace(left_behind.split("\n", 1)[0], "1", 1))
    assert server_url(home) is None
    assert _answer(start_server(home), "SELECT 1") == "1"


def test_a_database_is_made_once(make_home: Callable[..., Path]) -> None:
    url = start_server(make_home())
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda _: ensure_database(url, "odd name; --"), range(8)))
    assert _answer(url, "SELECT count(*) FROM pg_database WHERE datname = 'odd name; --'") == "1"


def _one_line(error: pytest.ExceptionInfo[AirlockError], *words: str) -> None:
    text = str(error.value)
    assert "\n" not in text
    assert all(word in text for word in words), text


def test_damaged_data_are_a_reason_to_stop(make_home: Callable[..., Path]) -> None:
    home = make_home()
    start_server(home)
    stop_server(home)
    (home / "postgres" / "global" / "pg_control").write_bytes(b"\0" * 8192)
    with pytest.raises(FatalError) as error:
        start_server(home)
    _one_line(error, str(home / "postgres"), "does not start", "server.log")


def test_a_folder_full_of_something_else_is_left_alone(make_home: Callable[..., Path]) -> None:
    home = make_home()
    (home / "postgres").mkdir(parents=True)
    (home / "postgres" / "precious").write_text("data")
    with pytest.raises(FatalError) as error:
        start_server(home)
    _one_line(error, "not empty", "backup")
    assert [path.name for path in (home / "postgres").iterdir()] == ["precious"]


def test_data_of_another_version_are_refused(make_home: Callable[..., Path]) -> None:
    home = make_home()
    (home / "postgres").mkdir(parents=True)
    (home / "postgres" / "PG_VERSION").write_text("16\n")
    with pytest.raises(ConfigurationError) as error:
        start_server(home)
    _one_line(error, "PostgreSQL 16", "18")


def test_a_home_that_is_a_file_is_a_clear_error(make_home: Callable[..., Path]) -> None:
    home = make_home()
    home.write_text("")
    with pytest.raises(ConfigurationError) as error:
        start_server(home)
    _one_line(error, str(home), "AIRLOCK_HOME")
    home.unlink()


def test_a_failed_set_up_leaves_nothing(make_home: Callable[..., Path], monkeypatch: pytest.MonkeyPatch) -> None:
    home = make_home()
    monkeypatch.setattr("include.ledger.embedded._SETTINGS", {"max_connections": "not a number"})
    with pytest.raises(AirlockError):
        start_server(home)
    assert [path.name for path in home.iterdir()] == ["postgres.lock"]


@as_root
def test_a_full_disk_is_named_and_leaves_nothing(make_home: Callable[..., Path]) -> None:
    home = make_home()
    home.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=12m", "tmpfs", home], check=False, capture_output=True
    )
    if mounted.returncode != 0:
        pytest.skip("this machine lets nobody mount a small disk")
    try:
        with pytest.raises(RetryableError) as error:
            start_server(home)
        _one_line(error, str(home), "no space left")
        assert [path.name for path in home.iterdir()] == ["postgres.lock"]
    finally:
        subprocess.run(["umount", str(home)], check=True)


def _start_as(uid: int, home: Path, answer: SimpleQueue[str]) -> None:
    os.setgroups([])
    os.setgid(uid)
    os.setuid(uid)
    try:
        answer.put(_answer(start_server(home), "SELECT current_database()"))
        stop_server(home)
    except AirlockError as error:
        answer.put(f"{type(error).__name__}: {error}")


@as_root
def test_an_ordinary_user_has_a_server_of_his_own_and_is_told_about_others(make_home: Callable[..., Path]) -> None:
    nobody = pwd.getpwnam("nobody").pw_uid
    mine, roots = make_home("mine"), make_home("roots")
    mine.parent.chmod(0o755)
    mine.mkdir()
    os.chown(mine, nobody, -1)
    roots.mkdir(mode=0o755)
    start_server(make_home("other"))
    os.chown(make_home("other") / "postgres", 12345, -1)
    try:
        for home, wanted in (
            (mine, "airlock"),
            (roots, "ConfigurationError: .*Permission denied"),
            (make_home("other"), "ConfigurationError: .*(user 12345|Permission denied)"),
        ):
            context = multiprocessing.get_context("fork")
            answer: SimpleQueue[str] = context.SimpleQueue()
            child = context.Process(target=_start_as, args=(nobody, home, answer))
            child.start()
            child.join(120)
            assert re.match(wanted, answer.get()), home
    finally:
        os.chown(make_home("other") / "postgres", nobody, -1)


def test_a_socket_that_answers_for_somebody_else_is_not_taken_for_ours(make_home: Callable[..., Path]) -> None:
    home = make_home()
    with socket.socket(socket.AF_UNIX) as stranger:
        (home / "postgres").mkdir(parents=True)
        stranger.bind(str(home / "postgres" / ".s.PGSQL.5432"))
        stranger.listen()
        assert server_url(home) is None
