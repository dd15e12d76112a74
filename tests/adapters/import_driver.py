"""Runs imports in processes of their own that can be killed at a chosen moment, without starting Python anew each time.

    python -m tests.adapters.import_driver

Each line on standard input is a job, `{"home": FOLDER, "arguments": [...], "remote": N, "at": K, "hold": true}`: in a
forked process, `airlock data` with these arguments, or without any the import of N minutes from a source that can be
cut. Standard output says `reached PID` when that process comes to its K-th event (a report of progress, or any opening,
renaming, making or removing of a file under FOLDER that Python's audit hooks see) and, with `hold`, waits there;
`events N` when it finishes; and `ended STATUS` when it is over, however it ended.
"""

from __future__ import annotations

import importlib
import json
import os
import signal
import sys
from pathlib import Path
from typing import Any

from include.commands.data import app
from include.market_data import importing
from include.market_data.lake import ParquetLake
from include.market_data.sources.protocol import Request
from tests.adapters.remote_source import RemoteSource
from tests.market import MINUTE, NOW, bars

LOADED_LATE = (
    "include.bootstrap", "include.config.settings", "include.market_data.sources.files", "rich.progress",
    "pyarrow.dataset",
)  # fmt: skip
"""What an import loads inside functions: loaded once here, so that every fork finds it."""
FILE_EVENTS = frozenset({"open", "os.rename", "os.mkdir", "os.remove", "os.rmdir", "os.listdir", "fcntl.flock"})
COLUMNS = {n: bars(n) for n in map(int, sys.argv[1:])}


class Moments:
    """Counts events, and says when the chosen one has come."""

    def __init__(self, job: dict[str, Any], out: int) -> None:
        self.count, self._job, self._out = 0, job, out

    def audit(self, event: str, arguments: tuple[Any, ...]) -> None:
        if event in FILE_EVENTS and arguments and self._job["home"] in str(arguments[0]):
            self.tick()

    def tick(self, *_: Any) -> None:
        self.count += 1
        if self.count == self._job["at"]:
            self.say(f"reached {os.getpid()}")
            while self._job["hold"]:
                signal.pause()

    def say(self, line: str) -> None:
        os.write(self._out, f"{line}\n".encode())


def run(job: dict[str, Any]) -> None:
    """In the forked process."""
    out = os.dup(1)
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
    moments = Moments(job, out)
    sys.addaudithook(moments.audit)
    if job["remote"]:
        request = Request("BTC/USDT", MINUTE)
        lake, source = ParquetLake(Path(job["home"]) / "lake", {}), RemoteSource(COLUMNS[job["remote"]], page=6_000)
        importing.import_bars(lake, source, "synthetic", [request], now=NOW, progress=moments.tick)
    else:
        os.environ["AIRLOCK_HOME"] = job["home"]
        app(job["arguments"], standalone_mode=False)
    moments.say(f"events {moments.count}")


def main() -> None:
    for name in LOADED_LATE:
        importlib.import_module(name)
    for line in sys.stdin:
        child = os.fork()
        if not child:
            run(json.loads(line))
            os._exit(0)
        status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        os.write(1, f"ended {status}\n".encode())


if __name__ == "__main__":
    main()
