"""Airflow's public REST API, as far as Airlock uses it: health, objects, runs, and human answers.

Times come as aware UTC datetimes in `HumanAnswer`; everything else stays the plain JSON that Airflow documents.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from types import TracebackType
from typing import Any, Self
from urllib.parse import quote

import httpx

from include.domain.errors import AirlockError, ConfigurationError, RejectedError, RetryableError
from include.domain.times import parse_utc

COMPONENTS = ("metadatabase", "scheduler", "triggerer", "dag_processor")
_TIMEOUT_SECS = 30.0
_PAGE = 100


@dataclass(frozen=True, slots=True)
class HumanAnswer:
    """What Airflow recorded about one question to a person."""

    task_id: str
    run_id: str
    subject: str
    body: str
    asked_at: datetime
    """When this try asked; a cleared task keeps its old question but starts a new try."""
    answered_at: datetime | None
    person: str
    """User id; empty when nobody is recorded (time-out default, answer by a task)."""
    options: tuple[str, ...]
    chosen: tuple[str, ...]
    inputs: Mapping[str, Any]
    try_number: int
    state: str
    """Of the task; says nothing about the answer (a task can be marked success by hand)."""


class AirflowClient:
    """One logged-in user of one Airflow."""

    def __init__(
        self, url: str, *, user: str = "", password: str = "", transport: httpx.BaseTransport | None = None
    ) -> None:
        self.url = url.rstrip("/")
        self.user = user
        self._password = password
        self._http = httpx.Client(base_url=self.url, timeout=_TIMEOUT_SECS, trust_env=False, transport=transport)
        self._token = ""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: type[BaseException] | BaseException | TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        self._http.close()

    # --- health -----------------------------------------------------------------------------------------

    def unhealthy(self) -> tuple[str, ...]:
        """Components that do not report healthy; `api_server` when it does not answer. No login needed."""
        try:
            document = self._http.get("/api/v2/monitor/health", timeout=5).json()
        except (httpx.HTTPError, ValueError):
            return ("api_server",)
        return tuple(c for c in COMPONENTS if (document.get(c) or {}).get("status") != "healthy")

    # --- objects ----------------------------------------------------------------------------------------

    def put_pool(self, name: str, slots: int, description: str) -> None:
        fields = {"slots": slots, "description": description, "include_deferred": False}
        self._upsert("/pools", f"/pools/{quote(name, safe='')}", {"name": name, **fields}, {"pool": name, **fields})

    def put_variable(self, key: str, value: str) -> None:
        body = {"key": key, "value": value}
        self._upsert("/variables", f"/variables/{quote(key, safe='')}", body)

    def put_connection(self, connection_id: str, fields: Mapping[str, Any]) -> None:
        body = {"connection_id": connection_id, **{k: v for k, v in fields.items() if v is not None}}
        self._upsert("/connections", f"/connections/{quote(connection_id, safe='')}", body)

    def import_errors(self) -> Sequence[Mapping[str, Any]]:
        return list(self._call("GET", "/importErrors")["import_errors"])

    def dag_ids(self) -> frozenset[str]:
        return frozenset(item["dag_id"] for item in self._call("GET", "/dags", params={"limit": _PAGE})["dags"])

    # --- runs -------------------------------------------------------------------------------------------

    def trigger(self, dag_id: str, conf: Mapping[str, Any], *, run_id: str = "", partition: str = "") -> str:
        """Start a run now, of one partition where the DAG has any; returns its id."""
        body: dict[str, Any] = {"logical_date": None, "conf": dict(conf)}
        if run_id:
            body["dag_run_id"] = run_id
        if partition:
            body["partition_key"] = partition
        return str(self._call("POST", f"/dags/{dag_id}/dagRuns", json=body)["dag_run_id"])

    def run(self, dag_id: str, run_id: str) -> Mapping[str, Any]:
        return self._call("GET", f"/dags/{dag_id}/dagRuns/{quote(run_id, safe='')}")

    def runs(self, dag_id: str) -> Sequence[Mapping[str, Any]]:
        """Newest first."""
        query = {"order_by": "-run_after", "limit": _PAGE}
        return list(self._call("GET", f"/dags/{dag_id}/dagRuns", params=query)["dag_runs"])

    def task_instances(self, dag_id: str, run_id: str) -> Sequence[Mapping[str, Any]]:
        """Every task of a run; a mapped one once for each index."""
        path = f"/dags/{dag_id}/dagRuns/{quote(run_id, safe='')}/taskInstances"
        return list(self._call("GET", path, params={"limit": _PAGE})["task_instances"])

    def task_states(self, dag_id: str, run_id: str) -> dict[str, str]:
        """State by task id, for runs without mapped tasks; tasks that Airflow has not looked at yet are `none`."""
        return {item["task_id"]: item["state"] or "none" for item in self.task_instances(dag_id, run_id)}

    def backfills(self, dag_id: str) -> Sequence[Mapping[str, Any]]:
        """Backfills of a DAG; Airflow sets `completed_at` up to half a minute after the last run has ended."""
        return list(self._call("GET", "/backfills", params={"dag_id": dag_id, "limit": _PAGE})["backfills"])

    def asset_events(self, dag_id: str) -> Sequence[Mapping[str, Any]]:
        """What the runs of a DAG announced about assets, oldest first."""
        query = {"source_dag_id": dag_id, "order_by": "timestamp", "limit": _PAGE}
        return list(self._call("GET", "/assets/events", params=query)["asset_events"])

    def xcom(self, dag_id: str, run_id: str, task_id: str, key: str = "return_value") -> Any:
        """Value a task returned; None when it returned none."""
        path = f"{_task(dag_id, run_id, task_id)}/xcomEntries/{key}"
        try:
            return self._call("GET", path, params={"deserialize": False})["value"]
        except ConfigurationError:
            return None

    def links(self, dag_id: str, run_id: str, task_id: str, map_index: int = -1) -> dict[str, str]:
        """Addresses of the buttons on a task's page by their names; those that lead nowhere are left out."""
        query = {"map_index": map_index}
        found = self._call("GET", f"{_task(dag_id, run_id, task_id)}/links", params=query)["extra_links"]
        return {name: address for name, address in found.items() if address}

    def set_task_state(self, dag_id: str, run_id: str, task_id: str, state: str) -> None:
        """What the UI's "mark as" does."""
        self._call("PATCH", _task(dag_id, run_id, task_id), json={"new_state": state})

    def put_xcom(self, dag_id: str, run_id: str, task_id: str, value: Any, key: str = "return_value") -> None:
        """What the UI's XCom editor does."""
        path = f"{_task(dag_id, run_id, task_id)}/xcomEntries"
        self._call("POST", path, json={"key": key, "value": value, "map_index": -1})

    def clear(self, dag_id: str, run_id: str, task_id: str) -> None:
        """What the UI's "clear" does for one task: it runs again."""
        body = {"dry_run": False, "dag_run_id": run_id, "task_ids": [task_id], "only_failed": False}
        self._call("POST", f"/dags/{dag_id}/clearTaskInstances", json=body)

    # --- people -----------------------------------------------------------------------------------------

    def questions(self, dag_id: str, run_id: str) -> Sequence[HumanAnswer]:
        """Every question a run has asked, answered or not, as Airflow recorded it."""
        path = f"/dags/{dag_id}/dagRuns/{quote(run_id, safe='~')}/hitlDetails"
        return [_human_answer(item) for item in self._call("GET", path, params={"limit": _PAGE})["hitl_details"]]

    def answer(self, dag_id: str, run_id: str, task_id: str, option: str, inputs: Mapping[str, Any]) -> None:
        """Answer as this client's user. Raises RejectedError when Airflow refuses the person or the answer."""
        path = f"{_task(dag_id, run_id, task_id)}/-1/hitlDetails"
        self._call("PATCH", path, json={"chosen_options": [option], "params_input": dict(inputs)})

    # --- transport --------------------------------------------------------------------------------------

    def _upsert(
        self, collection: str, item: str, body: Mapping[str, Any], patch_body: Mapping[str, Any] | None = None
    ) -> None:
        try:
            self._call("POST", collection, json=dict(body))
        except RejectedError as error:
            if error.code != "409":
                raise
            self._call("PATCH", item, json=dict(patch_body or body))

    def _call(self, method: str, path: str, **arguments: Any) -> dict[str, Any]:
        """One authenticated call; logs in at first and once more when the token has expired."""
        for attempt in (1, 2):
            if not self._token:
                self._login()
            try:
                headers = {"Authorization": f"Bearer {self._token}"}
                response = self._http.request(method, f"/api/v2{path}", headers=headers, **arguments)
            except httpx.HTTPError as error:
                raise RetryableError(f"Airflow at {self.url}: no answer to {method} {path} ({error})") from None
            if response.status_code == httpx.codes.UNAUTHORIZED and attempt == 1:
                self._token = ""
                continue
            break
        if response.is_success:
            return dict(response.json()) if response.content else {}
        raise _refusal(response, f"Airflow at {self.url}: {method} {path} as {self.user or 'nobody'}")

    def _login(self) -> None:
        try:
            body = {"username": self.user, "password": self._password}
            response = self._http.post("/auth/token", json=body)
        except httpx.HTTPError as error:
            raise RetryableError(f"Airflow at {self.url}: cannot be reached ({error}); is the stack up?") from None
        if not response.is_success:
            raise ConfigurationError(f"Airflow at {self.url}: login as {self.user!r} was refused")
        self._token = response.json()["access_token"]


def _task(dag_id: str, run_id: str, task_id: str) -> str:
    return f"/dags/{dag_id}/dagRuns/{quote(run_id, safe='')}/taskInstances/{quote(task_id, safe='')}"


def _refusal(response: httpx.Response, what: str) -> AirlockError:
    try:
        detail = response.json().get("detail", "")
    except (ValueError, AttributeError):
        detail = response.text
    reason = " ".join(str(detail).split())[:500]
    if response.status_code >= httpx.codes.INTERNAL_SERVER_ERROR:
        return RetryableError(f"{what}: {response.status_code} {reason}")
    if response.status_code == httpx.codes.NOT_FOUND:
        return ConfigurationError(f"{what}: not found ({reason})")
    return RejectedError(f"{what}: {response.status_code} {reason}", code=str(response.status_code))


def _human_answer(item: Mapping[str, Any]) -> HumanAnswer:
    task = item["task_instance"]
    asked = parse_utc(item["created_at"])
    # The question of a cleared task keeps its first creation time; the try that asks again starts later.
    started = parse_utc(task["start_date"]) if task.get("start_date") else asked
    return HumanAnswer(
        task_id=task["task_id"],
        run_id=task["dag_run_id"],
        subject=item["subject"],
        body=item["body"] or "",
        asked_at=max(asked, started),
        answered_at=parse_utc(item["responded_at"]) if item["responded_at"] else None,
        person=(item["responded_by_user"] or {}).get("id") or "",
        options=tuple(item["options"]),
        chosen=tuple(item["chosen_options"] or ()),
        inputs=dict(item["params_input"] or {}),
        try_number=int(task["try_number"]),
        state=task["state"] or "none",
    )
