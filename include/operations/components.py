"""What the local stack consists of: one `Component` a process, with command line and environment."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from datetime import UTC, datetime

from include.bootstrap import SANDBOX_ACCOUNT, open_lake
from include.config.settings import Settings
from include.domain.errors import AirlockError
from include.domain.times import Timeframe
from include.operations.supervisor import Component

AIRFLOW_PARTS: Mapping[str, tuple[str, ...]] = {
    "api-server": ("api-server",),
    # The parts would serve task logs on every interface; the api-server reads them from this machine's disk anyway.
    "scheduler": ("scheduler", "--skip-serve-logs"),
    "dag-processor": ("dag-processor",),
    "triggerer": ("triggerer", "--skip-serve-logs"),
}
SANDBOX_DATASET = "synthetic"
LIVE_START = datetime(2025, 10, 8, tzinfo=UTC)
"""Market time at which the sandbox exchange for live trading begins: after the week of simulation."""
LIVE_END = datetime(2025, 11, 1, tzinfo=UTC)
_TRADER_RANK, _AIRFLOW_RANK, _EXCHANGE_RANK = 0, 1, 2


def inherited_environment() -> dict[str, str]:
    """Our own environment without other Airflow configuration: a stack's Airflow is configured by the stack alone."""
    return {k: v for k, v in os.environ.items() if not k.startswith(("AIRFLOW__", "AIRFLOW_HOME", "AIRFLOW_CONN_"))}


def airflow_components(environment: Mapping[str, str]) -> list[Component]:
    """Airflow's four processes."""
    return [
        Component(
            name, (sys.executable, "-m", "airflow", *arguments), environment,
            stop_rank=_AIRFLOW_RANK, grace_secs=12.0,
        )
        for name, arguments in AIRFLOW_PARTS.items()
    ]  # fmt: skip


def trading_components(settings: Settings, environment: Mapping[str, str], *, exchange_port: int) -> list[Component]:
    """The sandbox exchange that live deployments trade on, and the trader."""
    from include.market_data.synthetic import SYMBOLS

    airlock = (sys.executable, "-m", "include.cli")
    symbols = [argument for symbol in SYMBOLS for argument in ("--symbol", symbol)]

    def without_market() -> str:
        return "" if has_market(settings, LIVE_START) else f"waits for {SANDBOX_DATASET} data in {settings.lake_root}"

    exchange = Component(
        "exchange",
        (*airlock, "exchange", "--venue", SANDBOX_DATASET, *symbols, "--from", LIVE_START.isoformat(),
         "--to", LIVE_END.isoformat(), "--speed", f"{settings.exchange_speed:g}", "--port", str(exchange_port),
         "--account", SANDBOX_ACCOUNT),
        environment, blocked_by=without_market, stop_rank=_EXCHANGE_RANK,
    )  # fmt: skip
    trader = Component("trader", (*airlock, "trader"), environment, stop_rank=_TRADER_RANK, grace_secs=15.0)
    return [exchange, trader]


def has_market(settings: Settings, until: datetime) -> bool:
    """True when the lake holds the synthetic market of every symbol beyond `until`."""
    from include.market_data.synthetic import SYMBOLS

    lake = open_lake(settings)
    try:
        return all(lake.span(SANDBOX_DATASET, symbol, Timeframe(60))[1] > until for symbol in SYMBOLS)
    except AirlockError:
        return False
