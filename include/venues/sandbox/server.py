"""The sandbox exchange as a process: binds a loopback port, says where it is, serves until it is told to stop."""

from __future__ import annotations

import asyncio
import errno
import json
import logging
import math
import os
import signal
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
from aiohttp import web

from include.domain.bars import Bars
from include.domain.errors import ConfigurationError, DataError
from include.domain.times import Timeframe, iso, to_ms
from include.ports import MarketData
from include.venues.matching import Bracket
from include.venues.sandbox import (
    control_routes,
    listen_keys,
    private_routes,
    public_routes,
    snapshots,
    spot,
    streams,
    ws_api,
)
from include.venues.sandbox.accounts import AccountSpec
from include.venues.sandbox.clock import Clock
from include.venues.sandbox.exchange import Exchange
from include.venues.sandbox.faults.injector import Injector
from include.venues.sandbox.faults.market import COLUMNS, MarketFaults
from include.venues.sandbox.faults.plan import FaultPlan, check_names
from include.venues.sandbox.gateway import Gateway
from include.venues.sandbox.http import EXCHANGE, GATEWAY, endpoints, middleware, wall_ms
from include.venues.sandbox.hub import Hub
from include.venues.sandbox.limits import Limiter
from include.venues.sandbox.runner import ShapedRunner
from include.venues.sandbox.tape import Tape

log = logging.getLogger(__name__)

HISTORY_BARS = 100_000
"""Bars before the window that klines serves for warm-up: seventy days of minutes, 5 MB a symbol."""
LOOPBACK = "127.0.0.1"
EXPIRY_CHECK_SECS = 1.0


@dataclass(frozen=True, slots=True)
class ReplayPlan:
    """What a sandbox replays and for whom. Times are aware UTC, `start` inclusive, `end` exclusive."""

    venue: str
    symbols: tuple[str, ...]
    timeframe: Timeframe
    start: datetime
    end: datetime
    accounts: tuple[AccountSpec, ...]
    speed: str
    """Market seconds per wall second, `max`, or `step`."""
    host: str = LOOPBACK
    port: int = 0
    faults: FaultPlan = field(default_factory=FaultPlan)
    state: Path | None = None
    """Snapshots go here; one that is there already is where the exchange goes on."""
    rate_limits: bool | None = None
    """Whether too many requests are refused; not told: only where the wall clock moves the market."""
    brackets: Mapping[str, Sequence[Bracket]] = field(default_factory=dict)
    """Leverage brackets by the lake's symbol; one without gets the one that follows from its instrument."""

    @property
    def clock(self) -> Clock:
        """Raises ConfigurationError when `speed` is not understood."""
        return Clock.parse(self.speed)


def load_tapes(market_data: MarketData, plan: ReplayPlan) -> dict[str, Tape]:
    """Bars of the window and of the warm-up history before it.

    Raises:
        ConfigurationError: the window is empty or turned round, a symbol is named twice or not declared.
        DataError: the lake holds no bar of a symbol inside the window.
    """
    if not plan.start < plan.end:
        raise ConfigurationError(f"--from {iso(plan.start)} is not before --to {iso(plan.end)}")
    instruments = [market_data.instrument(plan.venue, symbol) for symbol in plan.symbols]
    if not instruments or len({instrument.symbol for instrument in instruments}) != len(instruments):
        raise ConfigurationError(f"symbols {', '.join(plan.symbols) or '(none)'}: name each once, and at least one")
    tapes: dict[str, Tape] = {}
    for instrument in instruments:
        symbol = instrument.symbol
        first, last = market_data.span(plan.venue, symbol, plan.timeframe)
        if last < plan.start or first >= plan.end:
            raise DataError(
                f"{plan.venue} {symbol} {plan.timeframe}: the lake has {iso(first)} to {iso(last)}, "
                f"nothing from {iso(plan.start)} to {iso(plan.end)}; import it or choose another window"
            )
        history = max(first, plan.start - HISTORY_BARS * plan.timeframe.delta)
        bars = market_data.bars(plan.venue, symbol, plan.timeframe, history, plan.end)
        tapes[symbol] = Tape(instrument, _own(bars), int(bars.open_time.searchsorted(to_ms(plan.start))))
    return tapes


def _own(bars: Bars) -> Bars:
    """A copy that market faults may change; the lake's bars are shared and read-only."""
    columns: dict[str, Any] = {name: np.array(getattr(bars, name)) for name in COLUMNS}
    return replace(bars, **columns)


def build_gateway(exchange: Exchange, plan: ReplayPlan) -> Gateway:
    """The way into an exchange that has not replayed anything yet: limits and faults as planned, state as kept.

    Raises:
        ConfigurationError: the fault plan names what is not here.
        ConfigurationError, DataError: the state file is not one of this market and these accounts.
    """
    clock = plan.clock
    check_names(plan.faults, exchange.by_id, exchange.accounts)
    # In lockstep and as fast as possible a client would be throttled for no reason of its own.
    is_paced = not clock.is_lockstep and math.isfinite(clock.speed)
    injector = Injector(plan.faults, lambda: exchange.event_time)
    market = MarketFaults(exchange.tapes, injector, exchange)
    enforced = is_paced if plan.rate_limits is None else plan.rate_limits
    limiter = Limiter(enforced=enforced, pace=clock.speed if is_paced else 1.0)
    gateway = Gateway(exchange, limiter, injector, market, wall_ms)
    exchange.hub.disturbance = injector
    exchange.replay.before_bar = gateway.before_bar
    if plan.state is not None and plan.state.exists():
        snapshots.load(gateway, plan.state)
    return gateway


def rest_routes() -> list[web.RouteDef]:
    """What both protocols serve by REST, and by websocket calls."""
    return [*public_routes.routes(), *private_routes.routes(), *listen_keys.routes(), *spot.routes()]


def build_app(exchange: Exchange, plan: ReplayPlan) -> web.Application:
    """All routes over one exchange. Raises as `build_gateway`."""
    app = web.Application(middlewares=[middleware()])
    app[EXCHANGE] = exchange
    app[GATEWAY] = build_gateway(exchange, plan)
    app[control_routes.CLOCK] = plan.clock
    app[streams.SOCKETS] = streams.Sockets()
    if plan.state is not None:
        app[control_routes.STATE] = plan.state
    app.on_shutdown.append(streams.hang_up)
    rest = rest_routes()
    app[ws_api.ENDPOINTS] = endpoints(rest)
    app.add_routes([*rest, *control_routes.routes(), *ws_api.routes(), *streams.routes()])
    return app


def build_exchange(market_data: MarketData, plan: ReplayPlan) -> Exchange:
    """The exchange of a plan, at the beginning of its window. Raises as `load_tapes`."""
    tapes = load_tapes(market_data, plan)
    return Exchange(tapes, plan.accounts, Hub(), partial_klines=plan.clock.tells_partial_klines, brackets=plan.brackets)


async def serve(exchange: Exchange, plan: ReplayPlan, stop: asyncio.Event, ready: Callable[[str], None]) -> None:
    """Serve until `stop` is set; `ready` gets the base address once requests are accepted.

    Raises:
        ConfigurationError: the port is taken or may not be bound, or the state can not be written.
    """
    clock = plan.clock
    app = build_app(exchange, plan)
    runner = ShapedRunner(app, access_log=None, shutdown_timeout=1.0)
    await runner.setup()
    try:
        site = web.TCPSite(runner, plan.host, plan.port)
        try:
            await site.start()
        except OSError as error:
            reason = "is already in use" if error.errno == errno.EADDRINUSE else f"cannot be bound ({error.strerror})"
            raise ConfigurationError(
                f"port {plan.port} on {plan.host} {reason}; choose another with --port (0 for a free one) or --host"
            ) from None
        if plan.state is not None:
            snapshots.save(app[GATEWAY], plan.state)  # now, not after hours, is the time to find out that it can not be
        ready(f"http://{plan.host}:{runner.addresses[0][1]}")
        ticking = asyncio.create_task(clock.run(exchange))
        ticking.add_done_callback(lambda task: stop.set() if not task.cancelled() and task.exception() else None)
        expiring = asyncio.create_task(_expire_listen_keys(app))
        await stop.wait()
        expiring.cancel()
        if ticking.done():
            ticking.result()  # a replay that ended leaves the exchange open; a clock that broke is an error
        ticking.cancel()
        if plan.state is not None:
            snapshots.save(app[GATEWAY], plan.state)
    finally:
        await runner.cleanup()


async def _expire_listen_keys(app: web.Application) -> None:
    while True:
        await asyncio.sleep(EXPIRY_CHECK_SECS)
        listen_keys.expire(app[EXCHANGE], app[GATEWAY].now_ms())


def run(market_data: MarketData, plan: ReplayPlan, told: Sequence[Mapping[str, str]] = ()) -> None:
    """Run the exchange in this process until SIGTERM or SIGINT.

    One JSON line on standard output says that it is ready, with the keys in `told`: nobody can learn them later.
    """
    exchange = build_exchange(market_data, plan)
    log.info(
        "sandbox exchange: %s %s, %d bar times", plan.venue, ", ".join(plan.symbols), len(exchange.replay.timeline)
    )
    asyncio.run(_run(exchange, plan, told))


async def _run(exchange: Exchange, plan: ReplayPlan, told: Sequence[Mapping[str, str]]) -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    await serve(exchange, plan, stop, lambda url: _announce(url, told))


def _announce(url: str, told: Sequence[Mapping[str, str]]) -> None:
    line: dict[str, Any] = {"url": url, "pid": os.getpid()}
    if told:
        line["accounts"] = list(told)
    sys.stdout.write(json.dumps(line) + "\n")
    sys.stdout.flush()
