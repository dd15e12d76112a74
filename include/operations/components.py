"""What the local stack consists of: one `Component` a process, with command line and environment."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta

from include.bootstrap import SANDBOX_ACCOUNT, open_lake
from include.config.settings import Settings
from include.domain.errors import AirlockError, RetryableError
from include.domain.times import Timeframe, iso
from include.operations.supervisor import Component

AIRFLOW_PARTS: Mapping[str, tuple[str, ...]] = {
    "api-server": ("api-server",),
    # The parts would serve task logs on every interface; the api-server reads them from this machine's disk anyway.
    "scheduler": ("scheduler", "--skip-serve-logs"),
    "dag-processor": ("dag-processor",),
    "triggerer": ("triggerer", "--skip-serve-logs"),
}
SANDBOX_DATASET = "synthetic"
LIVE_DAYS = 24
"""The sandbox exchange for live trading plays this many last days of the synthetic market, from their beginning."""
_MINUTE = Timeframe(60)
_TRADER_RANK, _AIRFLOW_RANK, _EXCHANGE_RANK = 0, 1, 2


def inherited_environment() -> dict[str, str]:
    """Our own environment without other Airflow configuration: a stack's Airflow is configured by the stack alone."""
    return {k: v for k, v in os.environ.items() if not k.startswith(("AIRFLOW__", "AIRFLOW_HOME", "AIRFLOW_CONN_"))}


def airflow_components(environment: Mapping[str, str]) -> list[Component]:
    """Airflow's four processes."""

    def command(arguments: tuple[str, ...]) -> Callable[[], tuple[str, ...]]:
        return lambda: (sys.executable, "-m", "airflow", *arguments)

    return [
        Component(name, command(arguments), environment, stop_rank=_AIRFLOW_RANK, grace_secs=12.0)
        for name, arguments in AIRFLOW_PARTS.items()
    ]


def trading_components(settings: Settings, environment: Mapping[str, str], *, exchange_port: int) -> list[Component]:
    """The sandbox exchange that live deployments trade on, the trader, and the watch over both."""
    airlock = (sys.executable, "-m", "include.cli")

    def without_market() -> str:
        return "" if live_window(settings) else f"waits for {SANDBOX_DATASET} data in {settings.lake_root}"

    def exchange() -> tuple[str, ...]:
        window = live_window(settings)
        if window is None:
            raise RetryableError("the synthetic market left the lake")
        symbols = [argument for symbol in _symbols() for argument in ("--symbol", symbol)]
        return (
            *airlock, "exchange", "--venue", SANDBOX_DATASET, *symbols, "--from", iso(window[0]), "--to",
            iso(window[1]), "--speed", f"{settings.exchange_speed:g}", "--port", str(exchange_port), "--account",
            SANDBOX_ACCOUNT,
        )  # fmt: skip

    return [
        Component("exchange", exchange, environment, blocked_by=without_market, stop_rank=_EXCHANGE_RANK),
        Component("trader", lambda: (*airlock, "trader"), environment, stop_rank=_TRADER_RANK, grace_secs=15.0),
        # Ended last but for the exchange, so that what the others' end opens is still told.
        Component("alerts", lambda: (*airlock, "alerts", "run"), environment, stop_rank=_AIRFLOW_RANK),
    ]


def live_window(settings: Settings) -> tuple[datetime, datetime] | None:
    """The last `LIVE_DAYS` that all symbols of the synthetic market have in the lake; None when there is less."""
    lake = open_lake(settings)
    try:
        spans = [lake.span(SANDBOX_DATASET, symbol, _MINUTE) for symbol in _symbols()]
    except AirlockError:
        return None
    end = min(span[1] for span in spans) + _MINUTE.delta
    start = end - timedelta(days=LIVE_DAYS)
    return (start, end) if start >= max(span[0] for span in spans) else None


def _symbols() -> tuple[str, ...]:
    from include.market_data.synthetic import SYMBOLS

    return SYMBOLS
