"""The client of Airflow's API: logs in, logs in again, and sorts refusals by what the caller must do."""

import json
from datetime import UTC, datetime
from typing import Any

import httpx
import pytest

from include.domain.errors import ConfigurationError, RejectedError, RetryableError
from include.operations.airflow_client import AirflowClient

DETAIL = {
    "subject": "?", "body": "text", "created_at": "2026-01-01T00:00:00Z", "responded_at": None,
    "responded_by_user": None, "options": ["Approve", "Reject"], "chosen_options": None, "params_input": {},
    "task_instance": {
        "task_id": "sign_off_risk_manager", "dag_run_id": "r", "start_date": "2026-01-01T00:00:05Z", "try_number": 2,
        "state": "awaiting_input",
    },
}  # fmt: skip


class Server:
    """Answers by path; remembers what it was asked."""

    def __init__(self, answers: dict[str, Any]) -> None:
        self.answers, self.asked = answers, []
        self.logins = 0
        self.valid = "token-1"

    def __call__(self, request: httpx.Request) -> httpx.Response:
        if request.url.path == "/auth/token":
            self.logins += 1
            return httpx.Response(201, json={"access_token": f"token-{self.logins}"})
        if request.headers["Authorization"] != f"Bearer {self.valid}":
            return httpx.Response(401)
        self.asked.append((request.method, request.url.path, json.loads(request.content or b"null")))
        status, body = self.answers[f"{request.method} {request.url.path.removeprefix('/api/v2')}"]
        return httpx.Response(status, json=body)


def client(server: Any) -> AirflowClient:
    return AirflowClient("http://airflow/", user="paula", password="x", transport=httpx.MockTransport(server))


def test_it_logs_in_once_for_many_calls() -> None:
    server = Server({"GET /importErrors": (200, {"import_errors": []})})
    with client(server) as airflow:
        assert airflow.import_errors() == airflow.import_errors() == []
    assert server.logins == 1


def test_an_expired_token_is_renewed_once() -> None:
    server = Server({"GET /importErrors": (200, {"import_errors": []})})
    with client(server) as airflow:
        airflow.import_errors()
        server.valid = "token-2"
        airflow.import_errors()
    assert server.logins == 2


@pytest.mark.parametrize(
    ("status", "error"),
    [
        (400, RejectedError),
        (403, RejectedError),
        (409, RejectedError),
        (404, ConfigurationError),
        (503, RetryableError),
    ],
)
def test_refusals_are_sorted_by_what_the_caller_must_do(status: int, error: type[Exception]) -> None:
    server = Server({"POST /dags/qualification/dagRuns": (status, {"detail": "because"})})
    with client(server) as airflow, pytest.raises(error, match="because") as caught:
        airflow.trigger("qualification", {})
    if isinstance(caught.value, RejectedError):
        assert caught.value.code == str(status)


def test_a_run_names_its_partition_only_where_one_is_meant() -> None:
    server = Server({"POST /dags/market_data/dagRuns": (200, {"dag_run_id": "r"})})
    with client(server) as airflow:
        airflow.trigger("market_data", {})
        airflow.trigger("market_data", {}, partition="2024-01-31")
    bodies = [body for _, _, body in server.asked]
    assert [body.get("partition_key") for body in bodies] == [None, "2024-01-31"]


def test_no_answer_may_be_tried_again_and_names_the_server() -> None:
    def dead(request: httpx.Request) -> httpx.Response:
        raise httpx.ConnectError("refused", request=request)

    with client(dead) as airflow:
        with pytest.raises(RetryableError, match="http://airflow"):
            airflow.import_errors()
        assert airflow.unhealthy() == ("api_server",)


def test_health_names_what_is_missing() -> None:
    healthy = {"status": "healthy"}

    def health(request: httpx.Request) -> httpx.Response:
        return httpx.Response(200, json={"metadatabase": healthy, "scheduler": healthy, "triggerer": {"status": None}})

    with client(health) as airflow:
        assert airflow.unhealthy() == ("triggerer", "dag_processor")


def test_an_object_that_exists_is_brought_to_what_is_wanted() -> None:
    server = Server({"POST /pools": (409, {"detail": "exists"}), "PATCH /pools/measurements": (200, {})})
    with client(server) as airflow:
        airflow.put_pool("measurements", 1, "one at a time")
    assert server.asked[-1] == (
        "PATCH", "/api/v2/pools/measurements",
        {"pool": "measurements", "slots": 1, "description": "one at a time", "include_deferred": False},
    )  # fmt: skip


def test_a_question_is_asked_when_its_present_try_asked() -> None:
    server = Server({"GET /dags/q/dagRuns/r/hitlDetails": (200, {"hitl_details": [DETAIL]})})
    with client(server) as airflow:
        (question,) = airflow.questions("q", "r")
    assert question.asked_at == datetime(2026, 1, 1, 0, 0, 5, tzinfo=UTC)
    assert (question.answered_at, question.person, question.chosen, question.try_number) == (None, "", (), 2)


def test_an_answer_goes_out_as_the_option_and_the_form() -> None:
    path = "/dags/q/dagRuns/r/taskInstances/release/-1/hitlDetails"
    server = Server({f"PATCH {path}": (200, {})})
    with client(server) as airflow:
        airflow.answer("q", "r", "release", "Approve", {"comment": "go"})
    assert server.asked == [
        ("PATCH", f"/api/v2{path}", {"chosen_options": ["Approve"], "params_input": {"comment": "go"}})
    ]
