"""Processes are ended by identity, with everything below them, and nobody else's."""

import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import psutil
import pytest

from include.operations import processes

SLEEP = [sys.executable, "-c", "import time; time.sleep(600)"]
PARENT = "import subprocess, sys, time; c = subprocess.Popen(sys.argv[1:]); print(c.pid, flush=True); time.sleep(600)"
STUBBORN = "import signal, time; signal.signal(15, signal.SIG_IGN); print('on', flush=True); time.sleep(600)"


@pytest.fixture
def sleeper():
    process = subprocess.Popen(SLEEP, env={**os.environ, processes.MARKER: "test-marker"})
    yield process
    process.kill()
    process.wait()


def test_a_record_finds_its_process_and_survives_the_disk(sleeper, tmp_path: Path) -> None:
    record = processes.observe("sleeper", sleeper.pid)
    processes.save_record(tmp_path, record)
    assert processes.load_records(tmp_path) == [record]
    assert record.find() is not None


def test_the_same_pid_with_another_start_time_is_another_process(sleeper) -> None:
    record = processes.observe("sleeper", sleeper.pid)
    assert replace(record, created=record.created - 60).find() is None


def test_a_process_that_ended_is_not_found(sleeper) -> None:
    record = processes.observe("sleeper", sleeper.pid)
    sleeper.kill()
    sleeper.wait()
    assert record.find() is None


def test_a_broken_pid_file_is_no_record(tmp_path: Path) -> None:
    (tmp_path / "x.pid").write_text('{"name": "x"}')
    assert processes.load_records(tmp_path) == []


def test_marked_processes_are_found_by_their_own_marker_only(sleeper) -> None:
    assert [p.pid for p in processes.find_marked("test-marker")] == [sleeper.pid]
    assert processes.find_marked("another-marker") == []


def test_ending_a_process_ends_its_children_too() -> None:
    parent = subprocess.Popen([sys.executable, "-c", PARENT, *SLEEP], stdout=subprocess.PIPE, text=True)
    child = psutil.Process(int(parent.stdout.readline()))
    processes.end([psutil.Process(parent.pid)], grace_secs=5)
    parent.wait()
    assert not child.is_running() or child.status() == psutil.STATUS_ZOMBIE


def test_a_process_that_ignores_the_request_is_killed_and_counted() -> None:
    process = subprocess.Popen([sys.executable, "-c", STUBBORN], stdout=subprocess.PIPE, text=True)
    assert process.stdout.readline() == "on\n"
    assert processes.end([psutil.Process(process.pid)], grace_secs=0.2) == 1
    assert not psutil.pid_exists(process.pid)
