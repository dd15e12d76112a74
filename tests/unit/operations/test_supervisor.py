"""The supervisor restarts what dies with growing pauses and leaves nothing behind."""

import os
import signal
import sys
from pathlib import Path

import psutil
import pytest

from include.operations import processes
from include.operations.supervisor import Component, Supervisor, backoff_secs
from tests.waiting import wait_for


def component(code: str, name: str = "part", **options) -> Component:
    return Component(name, lambda: (sys.executable, "-c", code), dict(os.environ), **options)


SLEEPS = "import time; time.sleep(600)"


@pytest.fixture
def supervisor(tmp_path: Path):
    made = Supervisor(tmp_path / "run", tmp_path / "logs", log=lambda _: None)
    yield made
    made.stop()


def pid_of(supervisor: Supervisor) -> int | None:
    return supervisor.states()[0].pid


def kill(pid: int) -> None:
    """Kill and wait without reaping: the status belongs to the supervisor."""
    os.kill(pid, signal.SIGKILL)
    os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT)


@pytest.mark.parametrize(("failures", "pause"), [(1, 1), (2, 2), (3, 4), (6, 32), (7, 60), (50, 60)])
def test_pauses_double_up_to_a_minute(failures: int, pause: float) -> None:
    assert backoff_secs(failures) == pause


def test_a_started_component_is_on_record(supervisor: Supervisor) -> None:
    supervisor.add([component(SLEEPS)])
    supervisor.tick(0.0)
    (record,) = processes.load_records(supervisor.run)
    assert (record.name, record.pid) == ("part", pid_of(supervisor))


def test_a_killed_component_starts_again_after_its_pause_and_not_before(supervisor: Supervisor) -> None:
    supervisor.add([component(SLEEPS)])
    supervisor.tick(0.0)
    first = pid_of(supervisor)
    kill(first)
    supervisor.tick(10.0)
    assert pid_of(supervisor) is None
    supervisor.tick(10.5)
    assert pid_of(supervisor) is None
    supervisor.tick(11.0)
    assert pid_of(supervisor) not in (None, first)
    assert supervisor.states()[0].restarts == 1


def orphaning(pid_file: Path) -> str:
    """A component whose child ignores SIGTERM and carries none of the environment it was started with."""
    child = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); time.sleep(600)"
    return (
        "import subprocess, sys, time\n"
        f"child = subprocess.Popen([sys.executable, '-c', {child!r}], env={{}})\n"
        f"open({str(pid_file)!r} + '.part', 'w').write(str(child.pid))\n"
        f"import os; os.rename({str(pid_file)!r} + '.part', {str(pid_file)!r})\n"
        "time.sleep(600)\n"
    )


@pytest.mark.parametrize("how", ["noticed", "stopped"])
def test_children_of_a_killed_component_are_ended_though_nothing_names_them(
    supervisor: Supervisor, tmp_path: Path, how: str
) -> None:
    pid_file = tmp_path / "child"
    supervisor.add([component(orphaning(pid_file))])
    supervisor.tick(0.0)
    wait_for(pid_file.exists, secs=20, every=0.01)
    child = psutil.Process(int(pid_file.read_text()))
    kill(pid_of(supervisor))
    if how == "noticed":
        supervisor.tick(1.0)
    else:
        supervisor.stop()
    assert not child.is_running() or child.status() == psutil.STATUS_ZOMBIE


def test_a_component_that_ran_steadily_starts_over_with_the_shortest_pause(supervisor: Supervisor) -> None:
    supervisor.add([component(SLEEPS)])
    now = 0.0
    for _ in range(4):
        supervisor.tick(now)
        kill(pid_of(supervisor))
        now += 100.0
        supervisor.tick(now)
        assert supervisor.states()[0].note == "ended with status -9; starts again in 1 s"
        now += 1.0


def test_a_blocked_component_waits_and_says_for_what(supervisor: Supervisor) -> None:
    reason = ["waits for data"]
    supervisor.add([component(SLEEPS, blocked_by=lambda: reason[0])])
    supervisor.tick(0.0)
    assert pid_of(supervisor) is None
    assert supervisor.states()[0].note == "waits for data"
    reason[0] = ""
    supervisor.tick(5.0)
    assert pid_of(supervisor) is not None


def test_stopping_ends_the_lower_rank_first_and_forgets_every_record(supervisor: Supervisor, tmp_path: Path) -> None:
    marks = tmp_path / "order"
    # Each writes its name when asked to end.
    code = (
        "import signal, sys, time\n"
        "def end(*_):\n"
        f"    open({str(marks)!r}, 'a').write(NAME + ' ')\n"
        "    sys.exit(0)\n"
        "signal.signal(signal.SIGTERM, end)\n"
        f"open({str(tmp_path)!r} + '/ready-' + NAME, 'w').close()\n"
        "time.sleep(600)\n"
    )
    names = {"exchange": 2, "airflow": 1, "trader": 0}
    supervisor.add([component(f"NAME = {n!r}\n{code}", n, stop_rank=rank) for n, rank in names.items()])
    supervisor.tick(0.0)
    while not all((tmp_path / f"ready-{name}").exists() for name in names):
        os.sched_yield()
    supervisor.stop()
    assert marks.read_text().split() == ["trader", "airflow", "exchange"]
    assert processes.load_records(supervisor.run) == []


def test_output_of_a_component_goes_to_its_log(supervisor: Supervisor) -> None:
    supervisor.add([component("print('hello from the part')")])
    supervisor.tick(0.0)
    os.waitid(os.P_PID, pid_of(supervisor), os.WEXITED | os.WNOWAIT)
    assert "hello from the part" in supervisor.log_path("part").read_text()
