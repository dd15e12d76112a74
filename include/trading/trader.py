"""The trader: makes the engines that run equal to the deployments that the ledger wants running.

One pass (`step`) looks at every deployment and does the one thing that brings it closer; nothing is remembered that a
later pass, or a trader started after this one died, could not find again on disk or in the ledger. Leases decide
between traders on two hosts: a deployment whose lease is alive elsewhere is left alone.
"""

from __future__ import annotations

import fcntl
import logging
import secrets
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from include.domain.accounts import credential_variables
from include.domain.deployments import Deployment, VenueKind
from include.domain.enums import DeploymentStatus, DesiredState, Mode
from include.domain.errors import AirlockError, ConfigurationError, FatalError, RejectedError
from include.domain.times import iso
from include.ports import Ledger
from include.trading.endings import give_up
from include.trading.processes import Child, ProcessFolder, reap, wait_until_gone

PASS_SECS = 1.0
MAX_CRASHES = 5
BACKOFF_SECS = (0.5, 2.0, 4.0, 8.0, 16.0)
HEALTHY_SECS = 120.0
"""An engine that ran this long was healthy: its earlier crashes are forgiven."""
STOP_GRACE_SECS = 10.0
EXCHANGE_START_SECS = 60.0
COMMAND = (sys.executable, "-m", "include.cli")
Authorise = Callable[[Deployment], None]
"""Raises FatalError or ConfigurationError when a deployment may not start at this moment."""

_log = logging.getLogger(__name__)
_PASSED_ON = ("PATH", "HOME", "LANG", "LC_ALL", "TZ", "TMPDIR", "PYTHONPATH", "VIRTUAL_ENV")
_SETTINGS = ("AIRLOCK_HOME", "AIRLOCK_DATABASE_URL", "AIRLOCK_ENVIRONMENT", "AIRLOCK_LOG_LEVEL")


@dataclass(slots=True)
class _Record:
    """What a trader remembers about a deployment between passes; losing it costs patience, never safety."""

    crashes: int = 0
    start_at: float = 0.0
    started_at: float = 0.0
    asked_to_stop_at: float | None = None


def minimal_environment(source: Mapping[str, str], account: str, credentials: tuple[str, str] | None) -> dict[str, str]:
    """What an engine or exchange needs and nothing else: no token, no password, no other account's keys.

    Args:
        credentials: key and secret to hand over; None takes those of `account` from `source`.
    """
    environment = {
        name: value
        for name, value in source.items()
        if name in _PASSED_ON or name in _SETTINGS or name.startswith("AIRLOCK_RUN_")
    }
    wanted = dict(zip(credential_variables(account), credentials or ("", ""), strict=True))
    environment.update({name: found for name, value in wanted.items() if (found := value or source.get(name, ""))})
    return environment


class Trader:
    """Keeps one engine process alive for each deployment that should run."""

    def __init__(
        self,
        ledger: Ledger,
        *,
        run: Path,
        logs: Path,
        environment: Mapping[str, str],
        authorise: Authorise,
        command: Sequence[str] = COMMAND,
        backoff_secs: Sequence[float] = BACKOFF_SECS,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._ledger, self._environment, self._authorise = ledger, environment, authorise
        self._command, self._backoff_secs, self._monotonic = tuple(command), tuple(backoff_secs), monotonic
        self._run, self._folder = run, ProcessFolder(run, logs)
        self._records: dict[str, _Record] = {}

    @contextmanager
    def only_one(self) -> Iterator[None]:
        """Hold the trader's lock of this home; two traders on one home would both own the same processes.

        Raises:
            ConfigurationError: another trader holds it.
        """
        self._run.mkdir(parents=True, exist_ok=True)
        with (self._run / "trader.lock").open("w") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError:
                raise ConfigurationError(f"{self._run}: another trader runs here; stop it first") from None
            yield

    def step(self) -> None:
        """One pass over all deployments. A failure of one never keeps the others from being looked after.

        Raises:
            RetryableError: the ledger does not answer; engines go on without us.
        """
        reap()
        with self._ledger.begin() as work:
            deployments = work.deployments.all()
        known = {deployment.id for deployment in deployments}
        for deployment in deployments:
            try:
                self._attend(deployment)
            except AirlockError as error:
                _log.error("deployment %s: %s", deployment.short_id, error)
        for child in self._folder.all():
            if child.deployment_id not in known:
                child.terminate()

    def run(self, wait: Callable[[float], bool]) -> None:
        """Pass after pass until `wait` says stop; then end what was started here.

        Args:
            wait: sleeps up to so many seconds and returns True when the trader should end.
        """
        stop = False
        while not stop:
            try:
                self.step()
            except AirlockError as error:
                _log.error("trader: %s; trying again", error)
            stop = wait(PASS_SECS)
        self.shut_down()

    def shut_down(self) -> None:
        """End engines, then exchanges. Desired states stay, so the next trader goes on where this one ended."""
        for role in ("engine", "exchange"):
            children = [child for child in self._folder.all() if child.role == role]
            for child in children:
                child.terminate()
            wait_until_gone(children, STOP_GRACE_SECS)
            if role == "engine":
                for child in children:
                    self._folder.forget(child)

    # --- one deployment ------------------------------------------------------------------------------------

    def _attend(self, deployment: Deployment) -> None:
        record = self._records.setdefault(deployment.id, _Record())
        engine = self._folder.load("engine", deployment.id)
        if engine is not None and engine.process() is not None:
            self._watch(deployment, engine, record)
            return
        if engine is not None:
            self._bury(deployment, engine, record)
        if deployment.desired is DesiredState.RUNNING and deployment.status is not DeploymentStatus.COMPLETED:
            self._start(deployment, record)
            return
        self._end_exchange(deployment)
        if deployment.status is DeploymentStatus.RUNNING and deployment.desired is DesiredState.STOPPED:
            self._mark(deployment, DeploymentStatus.STOPPED, "stopped on request")

    def _watch(self, deployment: Deployment, engine: Child, record: _Record) -> None:
        """A living engine: let it be, unless it should stop."""
        now = self._monotonic()
        if now - record.started_at > HEALTHY_SECS:
            record.crashes = 0
        if deployment.desired is DesiredState.RUNNING:
            record.asked_to_stop_at = None
        elif record.asked_to_stop_at is None:
            record.asked_to_stop_at = now
            engine.terminate()
        elif now - record.asked_to_stop_at > STOP_GRACE_SECS:
            engine.kill()

    def _bury(self, deployment: Deployment, engine: Child, record: _Record) -> None:
        """An engine that has ended: free its lease at once, and judge whether it crashed."""
        with self._ledger.begin() as work:
            lease = work.leases.current(deployment.id)
            if lease is not None and lease.holder == engine.holder:
                # We know that this very process is dead, so its successor need not wait for the lease to expire.
                work.leases.release(lease)
            current = work.deployments.get(deployment.id)
            work.commit()
        self._folder.forget(engine)
        record.asked_to_stop_at = None
        wanted = current is not None and current.desired is DesiredState.RUNNING
        if current is None or not wanted or current.status is DeploymentStatus.COMPLETED:
            return
        record.crashes += 1
        record.start_at = self._monotonic() + self._backoff_secs[min(record.crashes, len(self._backoff_secs)) - 1]
        _log.warning("deployment %s: engine %s ended unasked (%d)", deployment.short_id, engine.pid, record.crashes)
        if record.crashes >= MAX_CRASHES:
            record.crashes = 0
            log = f"engine-{deployment.id[:12]}.log"
            reason = f"the engine ended {MAX_CRASHES} times within minutes; the reason is in {log}"
            give_up(self._ledger, deployment, "trader", "ENGINE_CRASHED", reason)

    def _start(self, deployment: Deployment, record: _Record) -> None:
        """Bring up what is missing, one step a pass: exchange, then engine."""
        with self._ledger.begin() as work:
            current = work.deployments.get(deployment.id)
            lease = work.leases.current(deployment.id)
        if current is None or lease is not None or self._monotonic() < record.start_at:
            return
        if current.desired is not DesiredState.RUNNING or current.status is DeploymentStatus.COMPLETED:
            return
        try:
            if deployment.mode is Mode.LIVE or deployment.connection.kind is not VenueKind.REPLAY:
                self._authorise(deployment)
            exchange = self._ready_exchange(deployment, record)
        except (FatalError, RejectedError, ConfigurationError) as error:
            give_up(self._ledger, deployment, "trader", "ENGINE_REFUSED", str(error))
            return
        if deployment.connection.kind is VenueKind.REPLAY and exchange is None:
            return
        credentials = None if exchange is None else (exchange.key, exchange.secret)
        address = [] if exchange is None else ["--url", exchange.url]
        record.started_at = self._monotonic()
        self._folder.spawn(
            "engine",
            deployment.id,
            [*self._command, "engine", "--deployment", deployment.id, *address],
            minimal_environment(self._environment, deployment.connection.account, credentials),
        )

    def _mark(self, deployment: Deployment, status: DeploymentStatus, reason: str) -> None:
        with self._ledger.begin() as work:
            work.deployments.mark(deployment.id, status, reason)
            work.commit()

    # --- exchanges of replays ------------------------------------------------------------------------------

    def _ready_exchange(self, deployment: Deployment, record: _Record) -> Child | None:
        """The replay's own exchange once it answers; None while it starts, or when the venue is not a replay.

        Raises:
            FatalError: it is gone and took the account with it; nothing can go on from there.
        """
        if deployment.connection.kind is not VenueKind.REPLAY:
            return None
        exchange = self._folder.load("exchange", deployment.id)
        if exchange is None:
            if deployment.status is not DeploymentStatus.PENDING:
                raise FatalError("its replay exchange is gone and with it the account; start a new simulation")
            record.started_at = self._monotonic()
            self._start_exchange(deployment)
            return None
        if exchange.process() is None:
            self._folder.forget(exchange)
            raise FatalError(f"its replay exchange ended; the reason is in exchange-{deployment.id[:12]}.log")
        if not exchange.url:
            announced = self._folder.announced(exchange)
            if announced is not None:
                self._folder.save(announced)
            elif self._monotonic() - record.started_at > EXCHANGE_START_SECS:
                exchange.kill()
            return announced
        return exchange

    def _start_exchange(self, deployment: Deployment) -> None:
        connection = deployment.connection
        with self._ledger.begin() as work:
            candidate = work.candidates.get(deployment.candidate_id)
        if candidate is None or connection.start is None or connection.end is None:
            raise FatalError("a replay needs its candidate in the ledger, a start and an end")
        key, secret = secrets.token_hex(16), secrets.token_hex(16)
        symbols = [word for symbol in candidate.symbols for word in ("--symbol", symbol)]
        child = self._folder.spawn(
            "exchange",
            deployment.id,
            [
                *self._command, "exchange", "--venue", connection.dataset, *symbols,
                "--timeframe", str(candidate.timeframe),
                "--from", iso(connection.start), "--to", iso(connection.end), "--speed", "step", "--port", "0",
                "--balance", format(deployment.capital, "f"), "--account", connection.account,
            ],
            minimal_environment(self._environment, connection.account, (key, secret)),
        )  # fmt: skip
        self._folder.save(Child(child.role, child.deployment_id, child.pid, child.created, "", key, secret))

    def _end_exchange(self, deployment: Deployment) -> None:
        exchange = self._folder.load("exchange", deployment.id)
        if exchange is None:
            return
        if exchange.process() is None:
            self._folder.forget(exchange)
        else:
            exchange.terminate()
