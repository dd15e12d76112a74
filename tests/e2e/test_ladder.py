"""The ladder on a real Airflow with real answers, and everything people might click to get around it.

One stack serves the module. Five candidates, alike but for a parameter, are measured on a small synthetic market; each
then meets another fate at its sign-offs.
"""

from __future__ import annotations

import json
import os
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from http.client import HTTPConnection
from pathlib import Path

import httpx
import jwt
import psutil
import pytest
import yaml

from include import bootstrap
from include.config.files import find_candidate
from include.config.settings import Settings
from include.domain.approvals import Decision
from include.domain.deployments import Deployment, deployment_id
from include.domain.enums import DeploymentStatus, DesiredState, Mode, Role, Stage, TradingState
from include.domain.errors import RejectedError
from include.operations import processes, stack
from include.operations.addresses import is_free
from include.operations.airflow_client import AirflowClient
from include.operations.airflow_environment import airflow_home
from include.operations.answers import sign_off_task
from include.ports import Ledger
from include.qualification.verdict import Verdict
from include.stages.live import observe_deployment
from include.stages.sign_off import check_authorisation
from tests.waiting import wait_for

pytestmark = [pytest.mark.timeout(900)]

MARKET_START = datetime(2020, 10, 1, tzinfo=UTC)
MARKET_END = datetime(2020, 11, 26, tzinfo=UTC)
"""The stack's exchange plays the last 24 days of it; the ladder uses the days before."""
START, END = "2020-10-01", "2020-10-22"
HOLDERS = {
    Role.PROJECT_LEAD: "paula",
    Role.RISK_MANAGER: "ravi",
    Role.MLOPS_ENGINEER: "mila",
    Role.TRADING_OPERATIONS: "tomas",
}
FATES = ("climbs", "skipped", "changed", "rejected", "refused")
PROFILES = {"climbs": "robust", "refused": "unreachable"}
MEASURED_WITHIN_SECS = 400
SETTLE_SECS = 6.0


@dataclass
class World:
    """A running stack and what the tests know about it."""

    settings: Settings
    url: str
    passwords: dict[str, str]
    files: dict[str, Path]
    runs: dict[str, str]

    def user(self, name: str) -> AirflowClient:
        return AirflowClient(self.url, user=name, password=self.passwords[name])

    def token(self, name: str) -> str:
        login = {"username": name, "password": self.passwords[name]}
        return str(httpx.post(f"{self.url}/auth/token", json=login, trust_env=False).json()["access_token"])

    def token_without_role(self) -> str:
        """A sign-in that Airflow itself might have given to a user who has no role at all."""
        key = json.loads((airflow_home(self.settings.home) / "keys.json").read_text())["jwt"]
        real = self.token("airlock-reader")
        claims = jwt.decode(real, options={"verify_signature": False})
        return jwt.encode({**claims, "role": ""}, key, algorithm=jwt.get_unverified_header(real)["alg"])

    def get(self, path: str, headers: Mapping[str, str] | None = None) -> tuple[int, str, str]:
        """Status, content type and text of an address, which is sent exactly as given."""
        connection = HTTPConnection(self.url.removeprefix("http://"), timeout=30)
        try:
            connection.request("GET", path, headers=dict(headers or {}))
            answer = connection.getresponse()
            return answer.status, answer.headers["content-type"], answer.read().decode()
        finally:
            connection.close()

    @property
    def ledger(self) -> Ledger:
        return bootstrap.open_ledger(self.settings)

    def states(self, fate: str) -> dict[str, str]:
        with self.user("admin") as admin:
            return admin.task_states("qualification", self.runs[fate])

    def await_questions(self, fate: str) -> None:
        """All four questions are asked, and long enough ago for a person to have read them."""
        tasks = [sign_off_task(role) for role in Role]
        run = self.runs[fate]

        def asked() -> bool:
            states = self.states(fate)
            assert "failed" not in states.values(), states
            if not all(states.get(task) == "awaiting_input" for task in tasks):
                return False
            with self.user("admin") as admin:
                latest = max(q.asked_at for q in admin.questions("qualification", run))
            return datetime.now(UTC) - latest > timedelta(seconds=SETTLE_SECS)

        wait_for(asked, secs=MEASURED_WITHIN_SECS, every=1.0)

    def answer(self, fate: str, role: Role, option: str = "Approve", person: str = "") -> None:
        with self.user(person or HOLDERS[role]) as client:
            client.answer("qualification", self.runs[fate], sign_off_task(role), option, {"comment": f"{fate}"})

    def await_end(self, fate: str) -> str:
        run = self.runs[fate]
        with self.user("admin") as admin:
            wait_for(
                lambda: admin.run("qualification", run)["state"] in ("success", "failed"),
                secs=MEASURED_WITHIN_SECS, every=1.0,
            )  # fmt: skip
            return str(admin.run("qualification", run)["state"])

    def log_of(self, fate: str, task: str) -> str:
        """What a task of a run wrote, all tries."""
        folder = (
            self.settings.logs / "airflow" / "dag_id=qualification" / f"run_id={self.runs[fate]}" / f"task_id={task}"
        )
        return "".join(path.read_text() for path in sorted(folder.glob("attempt=*.log")))

    def live_deployments(self, fate: str) -> list[Deployment]:
        """By the run that would have promoted, so that it does not matter what the candidate's file says now."""
        with self.ledger.begin() as work:
            return [d for d in work.deployments.all(Mode.LIVE) if d.session_key == self.runs[fate]]

    def refusals(self, fate: str) -> list[str]:
        """Codes of the reasons why the candidate measured in a run may not trade."""
        with self.user("admin") as admin:
            candidate_id = admin.xcom("qualification", self.runs[fate], "data_gate")
        with self.ledger.begin() as work:
            candidate = work.candidates.get(candidate_id)
            (profile,) = {
                e.profile_hash: work.profiles.get(e.profile_hash) for e in work.evidence.of_candidate(candidate_id)
            }.values()
        now = find_candidate(str(self.files[fate]))
        found = check_authorisation(self.ledger, candidate, profile, bootstrap.role_holders(), candidate_now=now)
        return [refusal.code.value for refusal in found]


def write_candidate(path: Path, name: str, **params: float) -> None:
    """The scalper on one symbol; each name has a parameter of its own, so each is another candidate."""
    document = {
        "name": name,
        "strategy": "include.strategies.mean_reversion:MeanReversionScalper",
        "params": {
            "window": 45, "entry_sigma": 2.0, "min_deviation_bps": 30.0, "take_profit_fraction": 0.3,
            "stop_bps": 300.0, "exit_sigma": 0.1, "weight": 0.1, **params,
        },
        "symbols": ["BTC/USDT"],
        "timeframe": "1m",
        "venue": "synthetic",
        "owner": "research",
    }  # fmt: skip
    path.write_text(yaml.safe_dump(document))


def write_profile(path: Path, *, min_win_rate: float, battery: bool = False) -> None:
    """The five-year profile on three weeks, with criteria that the machinery can reach in minutes.

    Args:
        battery: demand robustness checks of both groups too.
    """
    from include.config.files import CONFIG

    document = yaml.safe_load((CONFIG / "profiles" / "five-year.yaml").read_text())
    document["name"] = path.stem
    document["data"]["min_history_days"] = 20
    document["simulation"] = {"days": 1.0}
    document["criteria"]["DATA_GATE"] = [{"metric": "completeness", "op": ">=", "threshold": 0.95}]
    document["criteria"]["BACKTEST"] = [{"metric": "win_rate", "op": ">=", "threshold": min_win_rate}]
    document["criteria"]["SIMULATION"] = [
        {"metric": "simulated_days", "op": ">=", "threshold": 0.9},
        {"metric": "uptime", "op": ">=", "threshold": 0.999},
    ]
    if battery:
        document["criteria"]["SENSITIVITY"] = [{"metric": "parameter_plateau", "op": ">=", "threshold": 0.5}]
        document["criteria"]["STRESS"] = [{"metric": "stress_drawdown", "op": "<", "threshold": 0.5}]
        document["criteria"]["BENCHMARK"] = [{"metric": "benchmark_correlation", "op": "<", "threshold": 0.9}]
    path.write_text(yaml.safe_dump(document))


@pytest.fixture(scope="module")
def world() -> Iterator[World]:
    from include.market_data import synthetic
    from include.market_data.importing import import_synthetic

    home = Path(tempfile.mkdtemp(prefix="airlock-ladder-")).resolve()
    patch = pytest.MonkeyPatch()
    patch.setenv("AIRLOCK_HOME", str(home))
    patch.setenv("AIRLOCK_AIRFLOW_PORT", "0")
    patch.setenv("AIRLOCK_EXCHANGE_SPEED", "240")
    settings = Settings()
    lake = bootstrap.open_lake(settings)
    import_synthetic(
        lake, synthetic.SYMBOLS, MARKET_START, MARKET_END, seed=synthetic.DEFAULT_SEED, now=datetime.now(UTC)
    )
    files = {fate: home / f"{fate}.yaml" for fate in FATES}
    for number, (fate, path) in enumerate(files.items()):
        write_candidate(path, fate, stop_bps=300.0 + number)
    write_profile(home / "reachable.yaml", min_win_rate=0.5)
    write_profile(home / "unreachable.yaml", min_win_rate=1.0)
    write_profile(home / "robust.yaml", min_win_rate=0.5, battery=True)
    try:
        state, _ = stack.up(settings, print)
        passwords = json.loads(Path(state.passwords_file).read_text())
        made = World(settings, state.airflow_url, passwords, files, {})
        with made.user("paula") as paula:
            wait_for(lambda: {"qualification", "live_trading"} <= paula.dag_ids(), secs=60)
            for fate, path in files.items():
                profile = home / f"{PROFILES.get(fate, 'reachable')}.yaml"
                made.runs[fate] = paula.trigger(
                    "qualification",
                    {"candidate": str(path), "profile": str(profile), "start": START, "end": END, "simulation_days": 1},
                )
        yield made
    finally:
        stack.down(settings, print)
        patch.undo()
        shutil.rmtree(home, ignore_errors=True)


def test_a_person_without_the_role_cannot_answer(world: World) -> None:
    world.await_questions("climbs")
    for person in ("ravi", "admin", "airlock-reader"):
        with pytest.raises(RejectedError):
            world.answer("climbs", Role.PROJECT_LEAD, person=person)
    with world.user("admin") as admin:
        questions = admin.questions("qualification", world.runs["climbs"])
    assert all(question.answered_at is None for question in questions)


def test_four_real_answers_lead_to_promotion_release_and_fills(world: World) -> None:
    world.await_questions("climbs")
    for role in Role:
        world.answer("climbs", role)
    assert world.await_end("climbs") == "success"
    (deployment,) = world.live_deployments("climbs")
    assert deployment.capital == Decimal("80000")
    assert world.refusals("climbs") == []
    with world.ledger.begin() as work:
        approvals = [row.approval for row in work.approvals.of_candidate(deployment.candidate_id)]
        assert work.trading_states.effective(deployment) is TradingState.HALTED
    assert {a.role: a.person for a in approvals} == HOLDERS
    assert {a.decision for a in approvals} == {Decision.APPROVE}

    with world.ledger.begin() as work:
        passed = {e.stage for e in work.evidence.of_candidate(deployment.candidate_id) if e.verdict is Verdict.PASS}
    assert passed >= {Stage.SENSITIVITY, Stage.STRESS, Stage.BENCHMARK}
    assert {len(a.evidence_digests) for a in approvals} == {7}, "four stages and three checks are signed"

    run = f"live__{deployment.id}"
    with world.user("admin") as admin:
        wait_for(lambda: admin.task_states("live_trading", run).get("release") == "awaiting_input", secs=90)
        (question,) = admin.questions("live_trading", run)
    assert deployment.id in question.body
    with world.user("ravi") as ravi, pytest.raises(RejectedError):
        ravi.answer("live_trading", run, "release", "Approve", {"comment": ""})
    wait_for(lambda: datetime.now(UTC) - question.asked_at > timedelta(seconds=SETTLE_SECS), secs=30)
    with world.user("tomas") as tomas:
        tomas.answer("live_trading", run, "release", "Approve", {"comment": "go"})
    wait_for(lambda: observe_deployment(world.ledger, deployment.id, datetime.now(UTC)).fills >= 2, secs=120)
    with world.ledger.begin() as work:
        released = {r.scope: r for r in work.trading_states.all()}[f"deployment:{deployment.id}"]
    assert (released.state, released.by, released.reason) == (TradingState.ACTIVE, "tomas", "go")


def test_marking_a_sign_off_successful_does_not_promote(world: World) -> None:
    world.await_questions("skipped")
    with world.user("paula") as paula:
        paula.set_task_state("qualification", world.runs["skipped"], sign_off_task(Role.RISK_MANAGER), "success")
    for role in (Role.PROJECT_LEAD, Role.MLOPS_ENGINEER, Role.TRADING_OPERATIONS):
        world.answer("skipped", role)
    assert world.await_end("skipped") == "failed"
    assert world.states("skipped")["verify_sign_offs"] == "failed"
    assert "RESPONSE_MISSING" in world.refusals("skipped")
    assert world.live_deployments("skipped") == []


def test_marking_the_verification_successful_does_not_promote_either(world: World) -> None:
    assert world.await_end("skipped") == "failed"
    with world.user("paula") as paula:
        paula.set_task_state("qualification", world.runs["skipped"], "verify_sign_offs", "success")
        with world.user("admin") as admin:
            candidate_id = admin.xcom("qualification", world.runs["skipped"], "data_gate")
        paula.put_xcom("qualification", world.runs["skipped"], "verify_sign_offs", candidate_id)
        paula.clear("qualification", world.runs["skipped"], "promote")
    wait_for(lambda: world.states("skipped")["promote"] == "failed", secs=90, every=1.0)
    assert "RESPONSE_MISSING role=RISK_MANAGER" in world.log_of("skipped", "promote")
    assert world.live_deployments("skipped") == []


def test_a_candidate_that_changed_after_a_signature_is_not_promoted(world: World) -> None:
    world.await_questions("changed")
    world.answer("changed", Role.PROJECT_LEAD)
    write_candidate(world.files["changed"], "changed", stop_bps=299.0)
    for role in (Role.RISK_MANAGER, Role.MLOPS_ENGINEER, Role.TRADING_OPERATIONS):
        world.answer("changed", role)
    assert world.await_end("changed") == "failed"
    assert world.refusals("changed") == ["CANDIDATE_CHANGED"]
    assert world.live_deployments("changed") == []


def test_a_rejected_candidate_stays_where_it_is(world: World) -> None:
    world.await_questions("rejected")
    for role in Role:
        world.answer("rejected", role, "Reject" if role is Role.RISK_MANAGER else "Approve")
    assert world.await_end("rejected") == "failed"
    assert world.refusals("rejected") == ["RESPONSE_REJECTED"]
    assert world.live_deployments("rejected") == []


def test_a_refused_candidate_never_reaches_the_simulation_whatever_is_clicked(world: World) -> None:
    assert world.await_end("refused") == "failed"
    states, run = world.states("refused"), world.runs["refused"]
    assert (states["backtest"], states["start_simulation"]) == ("failed", "upstream_failed")
    with world.user("paula") as paula, world.user("admin") as admin:
        paula.set_task_state("qualification", run, "backtest", "success")
        paula.put_xcom("qualification", run, "backtest", admin.xcom("qualification", run, "data_gate"))
        paula.clear("qualification", run, "start_simulation")
    wait_for(lambda: world.states("refused")["start_simulation"] == "failed", secs=90, every=1.0)
    assert "EVIDENCE_NOT_PASS stage=BACKTEST" in world.log_of("refused", "start_simulation")
    with world.ledger.begin() as work:
        assert [d for d in work.deployments.all() if d.session_key == run] == []


def bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


def test_a_task_links_to_its_report_whether_it_passed_or_failed(world: World) -> None:
    assert world.await_end("refused") == "failed"
    headings = {
        ("refused", "data_gate", "Report"): "Data gate",
        ("refused", "data_gate", "Data Docs"): "BTC/USDT",
        ("refused", "backtest", "Report"): "DOES NOT QUALIFY",
        ("climbs", "check_qualification", "Report"): "QUALIFICATION",
    }
    reader = bearer(world.token("airlock-reader"))
    with world.user("airlock-reader") as client:
        assert client.links("qualification", world.runs["refused"], "start_simulation") == {}
        for (fate, task, name), heading in headings.items():
            address = client.links("qualification", world.runs[fate], task)[name]
            status, content_type, text = world.get(address, reader)
            assert (status, content_type) == (200, "text/html; charset=utf-8"), address
            assert heading in text, address
        (body,) = {q.body for q in client.questions("qualification", world.runs["climbs"])}
    linked = body.split("](")[1].split(")")[0]
    assert world.get(linked, reader)[0] == 200


def test_reports_are_for_people_who_may_read_the_runs(world: World) -> None:
    with world.user("admin") as admin:
        address = admin.links("qualification", world.runs["climbs"], "data_gate")["Report"]
    session = {"Cookie": f"_token={world.token('paula')}"}
    asked: list[tuple[str, dict[str, str], int]] = [
        (address, session, 200),
        (address, bearer(world.token("airlock-reader")), 200),
        (address, {}, 401),
        (f"{address}.nothing", {}, 401),
        (address, bearer("forged"), 403),
        (address, bearer(world.token_without_role()), 403),
        (f"{address}.nothing", session, 404),
        ("/airlock/reports/..%2f..%2fairflow%2fpasswords.json", session, 404),
        ("/airlock/reports/../airflow/passwords.json", session, 404),
        ("/airlock/reports/%2e%2e/airflow/passwords.json", session, 404),
        ("/airlock/reports/openapi.json", session, 404),
        ("/airlock/reports/", session, 404),
    ]
    assert [(path, headers, world.get(path, headers)[0]) for path, headers, _ in asked] == asked


def test_a_record_that_somebody_edits_leads_to_no_other_place(world: World) -> None:
    run, edits = world.runs["refused"], {"promote": "//evil.example/page.html", "plan_battery": "javascript:alert(1)"}
    with world.user("paula") as paula:
        for task, text in edits.items():
            paula.put_xcom("qualification", run, task, text, key="report")
        links = {task: paula.links("qualification", run, task) for task in edits}
    assert links == {"promote": {}, "plan_battery": {"Report": "/airlock/reports/javascript%3Aalert%281%29"}}


def made_by_hand(world: World) -> Deployment:
    """A live deployment of a candidate that nobody signed off, put into the ledger past the ladder."""
    with world.ledger.begin() as work:
        simulated = next(d for d in work.deployments.all() if d.session_key == world.runs["rejected"])
        forged = replace(
            simulated, id=deployment_id(simulated.candidate_id, Mode.LIVE, "forged"), mode=Mode.LIVE,
            session_key="forged", desired=DesiredState.STOPPED, status=DeploymentStatus.PENDING,
        )  # fmt: skip
        work.deployments.create(forged)
        work.commit()
    return forged


def test_live_trading_is_refused_without_promotion(world: World) -> None:
    world.await_end("rejected")
    with world.ledger.begin() as work:
        simulation = next(d for d in work.deployments.all(Mode.SIMULATION))
    attempts = ["0" * 64, simulation.id, made_by_hand(world).id]
    with world.user("tomas") as tomas, world.user("admin") as admin:
        runs = [tomas.trigger("live_trading", {"deployment_id": attempt}) for attempt in attempts]
        for run in runs:
            wait_for(lambda run=run: admin.run("live_trading", run)["state"] == "failed", secs=90, every=1.0)
            states = admin.task_states("live_trading", run)
            assert (states["check_go_live"], states["release"]) == ("failed", "upstream_failed")
            assert states["trade"] == "upstream_failed"


def test_an_emergency_stop_halts_in_the_name_of_the_person_who_triggered_it(world: World) -> None:
    world.await_end("climbs")
    (deployment,) = world.live_deployments("climbs")
    with world.user("tomas") as tomas:
        run = tomas.trigger(
            "emergency_stop", {"scope": f"deployment:{deployment.id}", "flatten": True, "reason": "a drill"}
        )
        wait_for(lambda: tomas.run("emergency_stop", run)["state"] in ("success", "failed"), secs=90, every=1.0)
        assert tomas.run("emergency_stop", run)["state"] == "success"
    with world.ledger.begin() as work:
        record = {r.scope: r for r in work.trading_states.all()}[f"deployment:{deployment.id}"]
    assert (record.state, record.by, record.reason) == (TradingState.HALTED, "tomas", "a drill")
    assert observe_deployment(world.ledger, deployment.id, datetime.now(UTC)).positions == {}


def test_the_live_run_attaches_again_after_airflow_died_and_trading_never_notices(world: World) -> None:
    (deployment,) = world.live_deployments("climbs")
    run = f"live__{deployment.id}"
    before = observe_deployment(world.ledger, deployment.id, datetime.now(UTC))
    with world.ledger.begin() as work:
        token = work.leases.current(deployment.id).token
    for name in ("scheduler", "triggerer"):
        killed(world, name)
    wait_for(lambda: observe_deployment(world.ledger, deployment.id, datetime.now(UTC)).bars > before.bars, secs=30)
    with world.user("admin") as admin:
        wait_for(lambda: not admin.unhealthy(), secs=90, every=1.0)
        assert admin.task_states("live_trading", run)["trade"] == "deferred"
        with world.ledger.begin() as work:
            assert work.leases.current(deployment.id).token == token, "the very same engine still trades"
            work.deployments.request(deployment.id, DesiredState.STOPPED, "tomas", "enough")
            work.commit()
        wait_for(lambda: admin.task_states("live_trading", run)["trade"] == "success", secs=90, every=1.0)


def killed(world: World, name: str) -> None:
    """Kill a component and wait until the supervisor has started another."""
    record = next(r for r in processes.load_records(world.settings.run) if r.name == name)
    process = record.find()
    assert process is not None
    process.kill()

    def restarted() -> bool:
        return any(r.name == name and r.pid != record.pid for r in processes.load_records(world.settings.run))

    wait_for(restarted, secs=30)


def test_a_second_start_finds_the_stack_running(world: World) -> None:
    state, was_running = stack.up(world.settings, print)
    assert was_running
    assert state.airflow_url == world.url


def test_servers_listen_on_loopback_only(world: World) -> None:
    ours = {p.pid for p in processes.find_marked(stack.stack_marker(world.settings.home))}
    listening = [c for c in psutil.net_connections("tcp") if c.status == psutil.CONN_LISTEN and c.pid in ours]
    assert listening
    assert {c.laddr.ip for c in listening} == {"127.0.0.1"}


def session_of(process: psutil.Process) -> int | None:
    try:
        return None if process.status() == psutil.STATUS_ZOMBIE else os.getsid(process.pid)
    except (psutil.Error, OSError):
        return None  # it has just ended


def test_nothing_is_left_running_after_down(world: World) -> None:
    """Last: it takes the stack away."""
    marker = stack.stack_marker(world.settings.home)
    before = processes.find_marked(marker)
    sessions = {session_of(process) for process in before} - {None}
    assert len(before) >= 6
    assert stack.down(world.settings, print)
    assert processes.find_marked(marker) == []
    # Airflow's workers overwrite their environment, so the marker alone would not see them; their session stays.
    assert [p for p in psutil.process_iter() if session_of(p) in sessions] == []
    assert not any(p.is_running() and p.status() != psutil.STATUS_ZOMBIE for p in before)
    assert is_free(int(world.url.rsplit(":", 1)[1]))
    assert not stack.is_running(world.settings)
    assert not stack.down(world.settings, print)
