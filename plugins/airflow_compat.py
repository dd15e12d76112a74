"""The one place for Airflow's quirks (Airflow 3.3, standard provider 1.21): each is named with its cause.

- A task may read its own human-in-the-loop answer through the task SDK, not that of another task. `recorded_answers`
  therefore asks the public REST API, as a read-only service user whose login is the connection `airlock_api`.
- A deferred task that is resumed within the scheduler loop in which it deferred is taken for killed and fails (the
  executor's event of the first half meets the second half in state queued). Triggers wait `SETTLE_SECS` before they
  fire; a person is slower than that by nature, a program that answers questions must wait as long.
- The context's DAG run knows who triggered it only for runs of people; `triggering_user` says so or fails.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from airflow.sdk.exceptions import AirflowFailException

from include.domain.errors import AirlockError, OutcomeUnknownError, RejectedError, RetryableError

if TYPE_CHECKING:
    from include.operations.airflow_client import HumanAnswer

API_CONNECTION = "airlock_api"
SETTLE_SECS = 5.0


@contextmanager
def final_unless_retryable() -> Iterator[None]:
    """Map our errors to what Airflow must do: retry what may pass later, fail everything else at once.

    A refusal is not retried: the same question gets the same answer, and for approvals a retry would ask people again.
    """
    try:
        yield
    except RetryableError:
        raise
    except AirlockError as error:
        code = error.code if isinstance(error, RejectedError) else type(error).__name__
        unknown = (
            " (outcome unknown: reconcile before doing it again)" if isinstance(error, OutcomeUnknownError) else ""
        )
        raise AirflowFailException(f"{code}: {error}{unknown}") from error


def recorded_answers(dag_id: str, run_id: str) -> Sequence[HumanAnswer]:
    """Every question of a run with the answer that Airflow's api-server recorded, read through its public API.

    Raises:
        RetryableError: the api-server does not answer.
        AirlockError: the service user may not read.
    """
    from airflow.sdk import Connection

    from include.operations.airflow_client import AirflowClient

    login = Connection.get(API_CONNECTION)
    url = f"{login.schema or 'http'}://{login.host}:{login.port}"
    with AirflowClient(url, user=login.login or "", password=login.password or "") as client:
        return client.questions(dag_id, run_id)


def triggering_user(context: Mapping[str, Any]) -> str:
    """User id of the person who started this run. Fails the task when Airflow knows none (schedule, backfill)."""
    person = getattr(context["dag_run"], "triggering_user_name", None)
    if not person:
        raise AirflowFailException("this run was not started by a person; trigger it in the UI or through the API")
    return str(person)
