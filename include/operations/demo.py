"""The demonstration: two candidates on the whole ladder, on a synthetic market, with a real Airflow and real approvals.

One candidate earns its way to trading on the sandbox exchange at the first capital step; the other is turned down with
reasons. Nothing here is special: the demo starts the stack, triggers the DAGs and answers questions through Airflow's
public API as the local users, and everything it reports it reads from Airflow and the ledger.
"""

from __future__ import annotations

import threading
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from include import bootstrap
from include.config.files import find_candidate
from include.config.settings import Settings
from include.domain.deployments import trading_scopes
from include.domain.enums import Mode, Role, TradingState
from include.domain.errors import AirlockError, FatalError
from include.domain.times import iso
from include.operations import stack
from include.operations.components import live_window
from include.operations.demo_climb import follow
from include.operations.demo_live import go_live, make_report
from include.operations.demo_session import EARNS_ITS_WAY, MIN_FILLS, PROFILE, STARTED_BY, TURNED_DOWN, Demo, wait_for
from include.operations.demo_state import Climb, Outcome
from include.operations.demo_view import DemoView
from include.operations.people import holders_of
from include.operations.private_files import read_json, write_json
from include.operations.retiring import retire_sandbox_sessions
from include.ports import Ledger

START, END = "2020-10-01", "2025-10-01"
SIMULATION_DAYS = 7


def run_demo(settings: Settings, view: DemoView, *, once: bool, hands_on: bool) -> bool:
    """Run the demonstration; True when everything went as it should.

    Args:
        once: stop everything at the end.
        hands_on: leave sign-offs and release to people in the UI.
    """
    demo = Demo(settings, view, hands_on)
    ledger: Ledger | None = None
    try:
        _start(demo)
        ledger = bootstrap.open_ledger(settings)
        _clear_the_floor(demo, ledger)
        _trigger(demo)
        follow(demo, ledger)
        go_live(demo, ledger)
        make_report(demo)
    except AirlockError as error:
        demo.failures.append(str(error))
    finally:
        if once and ledger is not None:
            view.say("stopping: closing live positions, then everything that was started")
            for line in retire_sandbox_sessions(settings, by="demo", reason="the demonstration is over"):
                demo.failures.append(f"not flat at the end: {line}")
        if once:
            stack.down(settings, view.say)
    _check(demo)
    write_json(settings.home / "demo.json", _summary(demo))
    _conclude(demo, once)
    return not demo.failures


def _start(demo: Demo) -> None:
    """Stack and market come up side by side: one waits for processes, the other computes."""
    problems: list[AirlockError] = []
    market = threading.Thread(target=_ensure_market, args=(demo, problems))
    market.start()
    try:
        state, was_running = stack.up(demo.settings, demo.view.say)
    finally:
        market.join()
    if problems:
        raise problems[0]
    demo.url = state.airflow_url
    demo.passwords = {k: str(v) for k, v in (read_json(Path(state.passwords_file)) or {}).items()}
    known = "was running already" if was_running else f"is up after {state.ready_secs:.0f} s"
    demo.view.say(f"the stack {known}: {demo.url}", "green")
    wait_for(demo, "its DAGs", lambda: {"qualification", "live_trading"} <= demo.client("admin").dag_ids(), 60)


def _ensure_market(demo: Demo, problems: list[AirlockError]) -> None:
    from include.market_data import synthetic
    from include.market_data.importing import import_synthetic

    try:
        window = live_window(demo.settings)
        if window is not None and window[1] >= synthetic.DEFAULT_END:
            return
        demo.view.say("generating five years of minutes for five symbols (seeded, synthetic)")
        import_synthetic(
            bootstrap.open_lake(demo.settings), synthetic.SYMBOLS, synthetic.DEFAULT_START, synthetic.DEFAULT_END,
            seed=synthetic.DEFAULT_SEED, now=datetime.now(UTC),
        )  # fmt: skip
        demo.view.say("the synthetic market is in the lake", "green")
    except AirlockError as error:
        problems.append(error)


def _clear_the_floor(demo: Demo, ledger: Ledger) -> None:
    """An earlier demonstration's session holds the account; a halt that a person set is not ours to lift."""
    for line in retire_sandbox_sessions(demo.settings, by="demo", reason="a new demonstration begins"):
        demo.view.say(f"earlier session: {line}", "yellow")
    with ledger.begin() as work:
        states = {record.scope: record for record in work.trading_states.all()}
    for scope in trading_scopes("", bootstrap.SANDBOX_ACCOUNT)[:2]:
        record = states.get(scope)
        if record is not None and record.state is not TradingState.ACTIVE:
            option = "--all" if scope == "all" else f"--account {bootstrap.SANDBOX_ACCOUNT}"
            raise FatalError(
                f"trading of {scope} is {record.state.value} ({record.by}, {iso(record.set_at)}: {record.reason}); "
                f"lift it with: airlock resume {option} --by NAME --reason TEXT"
            )


def _trigger(demo: Demo) -> None:
    stamp = demo.began.strftime("%Y%m%dT%H%M%S")
    with demo.client(STARTED_BY) as client:
        for name in (EARNS_ITS_WAY, TURNED_DOWN):
            conf = {
                "candidate": name, "profile": PROFILE, "start": START, "end": END, "simulation_days": SIMULATION_DAYS,
            }  # fmt: skip
            run_id = client.trigger("qualification", conf, run_id=f"demo__{stamp}__{name}")
            demo.climbs.append(Climb(name, find_candidate(name).id, run_id, time.monotonic()))
    demo.view.say(f"{STARTED_BY} triggered `qualification` for {EARNS_ITS_WAY} and {TURNED_DOWN} ({PROFILE})")


def _check(demo: Demo) -> None:
    """What the demonstration promises, checked against what happened."""
    outcomes = {climb.name: climb.outcome for climb in demo.climbs}
    for name, wanted in ((EARNS_ITS_WAY, Outcome.PROMOTED), (TURNED_DOWN, Outcome.REFUSED)):
        if outcomes.get(name) is not wanted:
            demo.failures.append(f"{name}: expected {wanted.value}, was {outcomes.get(name, Outcome.BROKEN).value}")
    if demo.live is None or demo.live.mode is not Mode.LIVE or demo.live.fills < MIN_FILLS:
        demo.failures.append(f"live trading: fewer than {MIN_FILLS} fills")
    for climb in demo.climbs:
        page = demo.settings.report_folder(climb.name, climb.candidate_id, PROFILE) / "qualification.html"
        if page.is_file():
            demo.reports[climb.name] = str(page)
        elif climb.outcome is not Outcome.CLIMBING:
            demo.failures.append(f"{climb.name}: no report at {page}")


def _summary(demo: Demo) -> dict[str, Any]:
    return {
        "succeeded": not demo.failures,
        "failures": list(demo.failures),
        "began_at": iso(demo.began),
        "elapsed_secs": round(demo.view.elapsed, 1),
        "candidates": [climb.document() for climb in demo.climbs],
        "live": demo.live.document() if demo.live else None,
        "reports": dict(demo.reports),
        "airflow_url": demo.url,
    }


def _conclude(demo: Demo, once: bool) -> None:
    rows: list[tuple[str, str]] = [(f"report of {n}" if n != "daily report" else n, p) for n, p in demo.reports.items()]
    rows.append(("summary", str(demo.settings.home / "demo.json")))
    if not once:
        rows += [
            ("UI", f"{demo.url} (users: {', '.join(sorted(_people()))})"),
            ("passwords", str(demo.settings.home / "airflow" / "passwords.json")),
            ("stop everything", "make stop"),
        ]
    minutes = f"{demo.view.elapsed / 60:.1f} minutes"
    demo.view.result(f"Demonstration {'finished' if not demo.failures else 'FAILED'} after {minutes}", rows)
    for failure in demo.failures:
        demo.view.say(f"FAILED {failure}", "bold red")


def _people() -> list[str]:
    return sorted({person for role in Role for person in holders_of(role)})
