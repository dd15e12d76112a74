"""The demonstration's summit: release, real fills on the sandbox exchange, and the day's report."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

from include.domain.enums import DeploymentStatus, Role
from include.domain.errors import FatalError
from include.operations.answers import RELEASE_TASK
from include.operations.demo_climb import answer_open
from include.operations.demo_session import MIN_FILLS, STARTED_BY, Demo, wait_for
from include.operations.demo_state import Outcome
from include.ports import Ledger
from include.stages.live import observe_deployment

_FILLS_WITHIN_SECS = 180.0


def go_live(demo: Demo, ledger: Ledger) -> None:
    climb = next((c for c in demo.climbs if c.outcome is Outcome.PROMOTED), None)
    if climb is None:
        return
    run_id = f"live__{climb.deployment_id}"
    demo.view.say("live_trading: checks against the exchange, then release by trading operations")
    with demo.client("admin") as client:

        def trading() -> bool:
            states = client.task_states("live_trading", run_id)
            if "failed" in states.values():
                failed = [task for task, state in states.items() if state == "failed"]
                raise FatalError(f"live_trading failed in {', '.join(failed)}; its log is in the UI: {demo.url}")
            if "awaiting_input" in states.values():
                answer_open(demo, client, "live_trading", run_id, {RELEASE_TASK: Role.TRADING_OPERATIONS})
            return states.get("trade") in ("deferred", "running")

        wait_for(demo, "the release", trading, None if demo.hands_on else 180)

        def filled() -> bool:
            health = demo.live = observe_deployment(ledger, climb.deployment_id, datetime.now(UTC))
            if health.status is DeploymentStatus.FAILED:
                raise FatalError(f"the live session failed: {health.status_reason}")
            at = f"{health.event_time:%Y-%m-%d %H:%M}" if health.event_time else "connecting"
            demo.view.show(
                demo.climbs, f"live on the sandbox exchange: {at}, {health.fills} fills, P&L {health.net_profit}"
            )
            return health.fills >= MIN_FILLS

        wait_for(demo, "real fills", filled, _FILLS_WITHIN_SECS)
    if demo.live is not None:
        demo.view.say(
            f"{climb.name} trades {demo.live.capital:,.0f} USDT on the sandbox exchange: {demo.live.fills} fills, "
            f"P&L {demo.live.net_profit:+.2f}", "bold green",
        )  # fmt: skip


def make_report(demo: Demo) -> None:
    """The scheduled report, asked for now."""
    with demo.client(STARTED_BY) as client:
        run_id = client.trigger("daily_report", {})
        wait_for(demo, "the daily report",
               lambda: client.run("daily_report", run_id)["state"] in ("success", "failed"), 90)  # fmt: skip
        path = client.xcom("daily_report", run_id, "build_report")
    if not path or not Path(path).is_file():
        raise FatalError(f"the daily report was not written; see run {run_id} of daily_report in {demo.url}")
    demo.reports["daily report"] = str(path)
