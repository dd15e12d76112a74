"""Waiting for trading sessions without owning them.

A session is a deployment in the ledger that the trader runs. The operators here look it up by id, hand the waiting
to the triggerer and look again when it fires. So they take no worker slot, re-attach after the death of any Airflow
process, and their own death, time-out or clearing changes nothing about trading (no `on_kill`: it can fire without a
user's action).
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import TYPE_CHECKING, Any

from airflow.sdk import BaseOperator, BaseSensorOperator
from airflow.sdk.exceptions import AirflowException, AirflowFailException
from airflow.triggers.base import BaseTrigger, TriggerEvent

from plugins.airflow_compat import SETTLE_SECS, final_unless_retryable

if TYPE_CHECKING:
    from airflow.sdk import Context

POLL_SECS = 2.0


class LedgerTrigger(BaseTrigger):
    """Asks a question about a deployment every few seconds and fires with the first answer that is not None.

    A ledger that does not answer is no answer: the trigger logs it and asks again.
    """

    question = ""
    """Name in `include.operations.watching.QUESTIONS`."""

    def __init__(self, deployment_id: str, poll_secs: float = POLL_SECS) -> None:
        super().__init__()
        self.deployment_id = deployment_id
        self.poll_secs = poll_secs

    def serialize(self) -> tuple[str, dict[str, Any]]:
        cls = type(self)
        return f"{cls.__module__}.{cls.__qualname__}", {
            "deployment_id": self.deployment_id, "poll_secs": self.poll_secs,
        }  # fmt: skip

    async def run(self) -> AsyncIterator[TriggerEvent]:
        from include.domain.errors import RetryableError

        ask = await asyncio.to_thread(self._ask)
        await asyncio.sleep(SETTLE_SECS)
        while True:
            try:
                answer = await asyncio.to_thread(ask, self.deployment_id)
            except RetryableError as error:
                self.log.warning("asking again in %.0f s: %s", self.poll_secs, error)
                answer = None
            if answer is not None:
                yield TriggerEvent(answer)
                return
            await asyncio.sleep(self.poll_secs)

    def _ask(self) -> Callable[[str], dict[str, Any] | None]:
        from include.operations import watching

        return watching.QUESTIONS[self.question]()


class SessionEndTrigger(LedgerTrigger):
    """Fires when the session is over, for better or worse."""

    question = "end"


class HeartbeatTrigger(LedgerTrigger):
    """Fires when a session that should run gives no sign of life, or when it is over."""

    question = "silence"


class RiskTrigger(LedgerTrigger):
    """Fires when a session breaches its risk limits or is halted, or when it is over."""

    question = "breach"


class SessionOperator(BaseOperator):
    """Attach to a session and wait until it is over; returns the deployment's id.

    Fails when the session failed, or was stopped before its end (`stopping_is_fine=False`).
    """

    template_fields = ("deployment_id",)

    def __init__(self, *, deployment_id: str, stopping_is_fine: bool = False, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.deployment_id = deployment_id
        self.stopping_is_fine = stopping_is_fine

    def execute(self, context: Context) -> str:
        from include.operations import watching

        with final_unless_retryable():
            watching.require_deployment(self.deployment_id)
        self.defer(trigger=SessionEndTrigger(self.deployment_id), method_name="attended")

    def attended(self, context: Context, event: dict[str, Any]) -> str:
        """The session is over; say how."""
        self.log.info("session %s: %s", self.deployment_id[:12], event)
        if event["outcome"] == "FAILED" or (event["outcome"] == "STOPPED" and not self.stopping_is_fine):
            raise AirflowFailException(f"session {self.deployment_id[:12]} {event['outcome']}: {event['reason']}")
        return self.deployment_id


class _SessionSensor(BaseSensorOperator):
    """A watch on a running session: succeeds when it is over, fails (and by its retries watches on) at trouble."""

    template_fields = ("deployment_id",)
    trigger_class: type[LedgerTrigger]

    def __init__(self, *, deployment_id: str, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.deployment_id = deployment_id

    def execute(self, context: Context) -> None:
        self.defer(trigger=self.trigger_class(self.deployment_id), method_name="noticed")

    def noticed(self, context: Context, event: dict[str, Any]) -> None:
        if event["outcome"] == "TROUBLE":
            from include.operations import watching

            watching.report_trouble(self.deployment_id, self.task_id, event["reason"])
            raise AirflowException(f"session {self.deployment_id[:12]}: {event['reason']}")


class HeartbeatSensor(_SessionSensor):
    """Notices within seconds when an engine, or the trader above it, is gone."""

    trigger_class = HeartbeatTrigger


class RiskSensor(_SessionSensor):
    """Watches drawdown, daily loss and trading state from outside the engine, from the ledger alone."""

    trigger_class = RiskTrigger
