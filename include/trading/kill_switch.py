"""Kill switch: halt in the ledger first, then cancel and flatten at the venue itself. Needs neither engine nor trader.

Order of steps, each safe to repeat:
1. HALTED is committed: from here on no write-ahead passes, whoever tries, so nothing new can appear behind us.
2. Every open order of the account is cancelled, also those the ledger does not know.
3. If asked, positions are closed by reduce-only market orders, recorded in the ledger before they are sent.

Steps 2 and 3 are `clearing`. A paper account lives in its engine's process: while that runs the wish is left for it
(`halt_wishes`), and the engine carries it out within a second or two; without an engine it is done here.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from include.domain.deployments import Deployment, TradingStateRecord, VenueKind
from include.domain.enums import DeploymentStatus, TradingState
from include.domain.errors import AirlockError, RejectedError, RetryableError
from include.ports import Ledger, Venue
from include.trading.clearing import Cleared, clear_account
from include.trading.halt_wishes import answer_wish, drop_wishes, find_answer, make_wish

ALL = "all"
ENGINE_WAIT_SECS, LOOK_SECS = 15.0, 0.2
"""How long a living engine has to clear its paper account, and how often we look: longer than a lease outlives it."""
Connect = Callable[[Deployment], Venue]
"""Builds the venue of a deployment's account."""


def account_scope(account: str) -> str:
    return f"account:{account}"


def deployment_scope(deployment_id: str) -> str:
    return f"deployment:{deployment_id}"


@dataclass(frozen=True, slots=True)
class HaltResult:
    """What a halt achieved. `failures` is one line per thing that could not be done; empty means all done."""

    record: TradingStateRecord
    canceled: tuple[str, ...] = ()
    flattened: tuple[str, ...] = ()
    """`SYMBOL QUANTITY` of every position that was closed, or is on its way."""
    failures: tuple[str, ...] = ()


def deployments_in(scope: str, deployments: Sequence[Deployment]) -> tuple[Deployment, ...]:
    """Deployments that a scope covers."""
    return tuple(d for d in deployments if scope in (ALL, account_scope(d.connection.account), deployment_scope(d.id)))


_OWN_ACCOUNT = (VenueKind.REPLAY, VenueKind.PAPER)


def targets_of(scope: str, deployments: Sequence[Deployment]) -> tuple[Deployment, ...]:
    """One deployment for each account of the scope that may have something at its venue: the newest of the account.

    An exchange of a replay lives only while its deployment runs; before and after there is nothing to cancel. On paper
    every deployment has an account of its own.
    """
    newest: dict[tuple[str, str, str], Deployment] = {}
    for deployment in sorted(deployments_in(scope, deployments), key=lambda d: (d.created_at, d.id)):
        connection = deployment.connection
        if connection.kind is VenueKind.REPLAY and deployment.status is not DeploymentStatus.RUNNING:
            continue
        own = deployment.id if connection.kind in _OWN_ACCOUNT else connection.account
        newest[(connection.kind.value, connection.url, own)] = deployment
    return tuple(newest.values())


async def halt(
    ledger: Ledger, connect: Connect, *, scope: str, by: str, reason: str, cancel: bool = True, flatten: bool = False
) -> HaltResult:
    """Stop a scope from trading; cancel its accounts' working orders and flatten their positions if asked.

    A venue that fails does not keep the others from being stopped: every failure is listed in the result.

    Args:
        connect: builds the venue of a deployment.

    Raises:
        ConfigurationError: no name or no reason was given; nothing was done.
        RetryableError: the ledger does not answer; nothing was done.
    """
    with ledger.begin() as work:
        record = work.trading_states.set(scope, TradingState.HALTED, by, reason)
        targets = targets_of(scope, work.deployments.all()) if cancel or flatten else ()
        paper = [target.id for target in targets if target.connection.kind is VenueKind.PAPER]
        wishes = {key: make_wish(work, key, by, cancel=cancel, flatten=flatten) for key in paper}
        work.commit()

    async def clear(target: Deployment) -> Cleared:
        number = wishes.get(target.id)
        if number is None:
            return await _clear_here(ledger, connect, target, cancel=cancel, flatten=flatten)
        if (answer := await _answer_of_engine(ledger, target, number)) is not None:
            return answer
        cleared = await _clear_here(ledger, connect, target, cancel=cancel, flatten=flatten, follow=False)
        with ledger.begin() as work:
            answer_wish(work, target.id, by, number, cleared)
            work.commit()
        return cleared

    results = await asyncio.gather(*map(clear, targets), return_exceptions=True)
    failures = [f"deployment {d.short_id}: {r}" for d, r in zip(targets, results, strict=True) if _failed(r)]
    done = [result for result in results if isinstance(result, Cleared)]
    return HaltResult(
        record,
        tuple(sorted({key for result in done for key in result.canceled})),
        tuple(position for result in done for position in result.flattened),
        tuple(failures + [line for result in done for line in result.failures]),
    )


def resume(ledger: Ledger, *, scope: str, by: str, reason: str) -> TradingStateRecord:
    """Lift a halt in the name of a person; the only way back to ACTIVE. Audited like every change of state.

    Raises:
        ConfigurationError: no name or no reason was given.
    """
    with ledger.begin() as work:
        record = work.trading_states.set(scope, TradingState.ACTIVE, by, reason)
        for deployment in deployments_in(scope, work.deployments.all()):
            drop_wishes(work, deployment.id, by)
        work.commit()
    return record


def _failed(result: object) -> bool:
    if isinstance(result, BaseException) and not isinstance(result, AirlockError):
        raise result  # a defect, not an outcome
    return isinstance(result, AirlockError)


async def _answer_of_engine(ledger: Ledger, deployment: Deployment, number: int) -> Cleared | None:
    """What the engine of a paper account has done; None when no engine lives.

    Raises:
        RetryableError: one lives and has not answered in time. The wish stays.
    """
    deadline = time.monotonic() + ENGINE_WAIT_SECS
    while True:
        with ledger.begin() as work:
            answer = find_answer(work, deployment.id, number)
            lease = work.leases.current(deployment.id)
        if answer is not None or lease is None:
            return answer
        if time.monotonic() > deadline:
            raise RetryableError(
                f"its engine {lease.holder} has not cleared the paper account within {ENGINE_WAIT_SECS:.0f} s; it "
                "trades nothing, and clears it as soon as it comes to it"
            )
        await asyncio.sleep(LOOK_SECS)


async def _clear_here(
    ledger: Ledger, connect: Connect, deployment: Deployment, *, cancel: bool, flatten: bool, follow: bool = True
) -> Cleared:
    with ledger.begin() as work:
        candidate = work.candidates.get(deployment.candidate_id)
    if candidate is None:
        raise RejectedError(f"candidate {deployment.candidate_id[:12]} is not in the ledger", code="CANDIDATE_MISSING")
    venue = connect(deployment)
    try:
        await venue.connect(candidate.symbols, candidate.timeframe)
        return await clear_account(ledger, venue, deployment, cancel=cancel, flatten=flatten, follow=follow)
    finally:
        await venue.close()
