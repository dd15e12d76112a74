"""Reports in the Airflow UI: the api-server serves them to people who may read the runs, and tasks link to theirs.

A plugin's FastAPI app is public unless it does something about it. So every request here asks Airflow who calls
(session cookie of the UI, or bearer token), and whether they may read the runs of the DAG behind a report.

A task remembers its report by `keep_reports` as soon as it is written, also when the verdict then fails the task. The
address is made when somebody looks (`include.operations.report_links`), never stored.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from functools import cached_property
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from airflow.configuration import conf
from airflow.plugins_manager import AirflowPlugin
from airflow.sdk import BaseOperatorLink, get_current_context

if TYPE_CHECKING:
    from pathlib import Path

    from airflow.sdk import BaseOperator
    from airflow.sdk.types import TaskInstanceKey
    from fastapi import FastAPI, Request

log = logging.getLogger("airlock.reports")


def keep_reports(ids: Mapping[str, str]) -> None:
    """Remember in XCom which reports the running task has written."""
    task_instance = get_current_context()["ti"]
    try:
        for key, value in ids.items():
            task_instance.xcom_push(key=key, value=value)
    except Exception:
        # Hours of measurement are not lost for want of a link.
        log.exception("the task has no link to its report")


def base_path() -> str:
    """Path under which people reach Airflow; empty for the root."""
    return urlsplit(conf.get("api", "base_url", fallback="")).path.rstrip("/")


class ReportLink(BaseOperatorLink):
    """Button on a task's page that opens the report the task wrote; absent on tasks that wrote none."""

    name = "Report"
    xcom_key = "report"

    def get_link(self, operator: BaseOperator, *, ti_key: TaskInstanceKey) -> str:
        from airflow.serialization.definitions.operatorlink import XComOperatorLink

        from include.operations.report_links import report_url

        recorded = XComOperatorLink(name=self.name, xcom_key=self.xcom_key)
        return report_url(recorded.get_link(operator, ti_key=ti_key), base_path())  # type: ignore[arg-type]


class DataDocsLink(ReportLink):
    """The same for the Data Docs of a data gate."""

    name = "Data Docs"
    xcom_key = "data_docs"


def build_reports_app() -> FastAPI:
    """The folder of reports behind Airflow's own authentication and authorisation."""
    from airflow.api_fastapi.auth.managers.models.resource_details import DagAccessEntity
    from airflow.api_fastapi.core_api.security import get_user, requires_access_dag

    from include.operations.report_server import build_app

    def may_read(request: Request, user: Any, dag_id: str) -> None:
        requires_access_dag("GET", DagAccessEntity.RUN, param_dag_id=dag_id)(request, user)

    return build_app(_reports, sign_in=get_user, may_read=may_read)


class ReportsPlugin(AirflowPlugin):
    """What Airflow loads. The app is built by the one process that asks for it, the api-server."""

    name = "airlock_reports"
    global_operator_extra_links = [ReportLink(), DataDocsLink()]

    @cached_property
    def fastapi_apps(self) -> list[dict[str, Any]]:  # type: ignore[override]
        from include.operations.report_links import PREFIX

        return [{"name": "Airlock reports", "app": build_reports_app(), "url_prefix": PREFIX}]


def _reports() -> Path:
    from include.config.settings import load_settings

    return load_settings().reports
