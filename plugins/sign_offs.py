"""Questions to people as Airflow tasks. The text comes from the ledger when the question is asked, not from XCom, which
people may edit; who may answer comes from `include/config/roles.yaml`.

The answer that flows on to the next task is never used: a task can be marked successful by hand. Whoever acts on
an answer re-reads what the api-server recorded (`plugins.airflow_compat.recorded_answers`).
"""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

from airflow.providers.standard.operators.hitl import HITLOperator
from airflow.sdk import Param
from airflow.sdk.exceptions import AirflowFailException, AirflowSkipException

from plugins.airflow_compat import final_unless_retryable, recorded_answers
from plugins.reports import base_path

if TYPE_CHECKING:
    from airflow.sdk import Context

APPROVE, REJECT = "Approve", "Reject"


def _comment() -> Param:
    # The source tells the form's own field from the DAG's params, which do not belong into it.
    text = "Why; kept with the decision in the ledger."
    return Param("", source="task", type="string", title="Comment", description=text)


class _QuestionOperator(HITLOperator):
    """Approve or Reject with a comment; asked once, never answered by default, never by a retry."""

    template_fields = ("subject_id", "profile", "subject")

    def __init__(self, *, role: str, subject_id: str, profile: str = "", **kwargs: Any) -> None:
        kwargs |= {"options": [APPROVE, REJECT], "params": {"comment": _comment()}, "retries": 0}
        super().__init__(**{"subject": role, **kwargs})
        self.role = role
        self.subject_id = subject_id
        self.profile = profile

    def ask(self, *, subject: str, body: str, people: dict[str, str], timeout_hours: float) -> None:
        """Fill in what is known only now."""
        self.subject, self.body = subject, body
        self.assigned_users = [{"id": user, "name": name} for user, name in sorted(people.items())]
        self.response_timeout = timedelta(hours=timeout_hours)


class SignOffOperator(_QuestionOperator):
    """Asks the holders of a role to sign exactly the present evidence of a candidate.

    Skipped when the profile does not ask for the role; refused when there is nothing that could be signed.
    """

    def execute(self, context: Context) -> Any:
        from include.operations import tasks

        with final_unless_retryable():
            question = tasks.build_sign_off_question(self.subject_id, self.profile, self.role, base_path=base_path())
        if question is None:
            raise AirflowSkipException(f"profile {self.profile} asks for no sign-off by {self.role}")
        self.ask(**question)
        self._refuse_stale_text(context)
        return super().execute(context)

    def _refuse_stale_text(self, context: Context) -> None:
        """Airflow keeps the first text of a question when its task is cleared, so people would sign what is gone."""
        ti = context["ti"]
        if ti.try_number <= 1:
            return
        with final_unless_retryable():
            shown = [a.body for a in recorded_answers(ti.dag_id, ti.run_id) if a.task_id == ti.task_id]
        if shown and shown != [self.body]:
            raise AirflowFailException("the evidence has changed since this run asked; start a new run to ask again")


class ReleaseOperator(_QuestionOperator):
    """Asks trading operations to release a promoted deployment to its market."""

    def execute(self, context: Context) -> Any:
        from include.operations import tasks

        with final_unless_retryable():
            self.ask(**tasks.build_release_question(self.subject_id, self.role))
        return super().execute(context)
