"""The sandbox exchange as a process: binds a loopback port, says where it is, serves until it is told to stop."""

from __future__ import annotations

import asyncio
import errno
import json
import logging
import os
import signal
import sys
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from aiohttp import web

from include.domain.errors import ConfigurationError, DataError
from include.domain.times import Timeframe, iso, to_ms
from include.ports import MarketData
from include.venues.sandbox import control_routes, private_routes, public_routes, streams
from include.venues.sandbox.accounts import AccountSpec
from include.venues.sandbox.clock import Clock
from include.venues.sandbox.exchange import Exchange
from include.venues.sandbox.http import EXCHANGE, middleware
from include.venues.sandbox.hub import Hub
from include.venues.sandbox.tape import Tape

log = logging.getLogger(__name__)

HISTORY_BARS = 100_000
"""Bars before the window that klines serves for warm-up: seventy days of minutes, 5 MB a symbol."""
LOOPBACK = "127.0.0.1"


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
        tapes[symbol] = Tape(instrument, bars, int(bars.open_time.searchsorted(to_ms(plan.start))))
    return tapes


def build_app(exchange: Exchange, clock: Clock) -> web.Application:
    """All routes over one exchange."""
    app = web.Application(middlewares=[middleware()])
    app[EXCHANGE] = exchange
    app[control_routes.CLOCK] = clock
    app[streams.SOCKETS] = streams.Sockets()
    app.on_shutdown.append(streams.hang_up)
    for module in (public_routes, private_routes, control_routes, streams):
        app.add_routes(module.routes())
    return app


def build_exchange(market_data: MarketData, plan: ReplayPlan) -> Exchange:
    """The exchange of a plan, at the beginning of its window. Raises as `load_tapes`."""
    tapes = load_tapes(market_data, plan)
    return Exchange(tapes, plan.accounts, Hub(), partial_klines=plan.clock.tells_partial_klines)


async def serve(exchange: Exchange, plan: ReplayPlan, stop: asyncio.Event, ready: Callable[[str], None]) -> None:
    """Serve until `stop` is set; `ready` gets the base address once requests are accepted.

    Raises:
        ConfigurationError: the port is taken or may not be bound.
    """
    clock = plan.clock
    runner = web.AppRunner(build_app(exchange, clock), access_log=None, shutdown_timeout=1.0)
    await runner.setup()
    try:
        site = web.TCPSite(runner, plan.host, plan.port)
        try:
            await site.start()
        except OSError as error:
            reason = "is already in use" if error.errno == errno.EADDRINUSE else f"cannot be bound ({error.strerror})"
            raise ConfigurationError(
                f"port {plan.port} on {plan.host} {reason}; choose another with --port, or 0 for a free one"
            ) from None
        ready(f"http://{plan.host}:{runner.addresses[0][1]}")
        ticking = asyncio.create_task(clock.run(exchange))
        ticking.add_done_callback(lambda task: stop.set() if not task.cancelled() and task.exception() else None)
        await stop.wait()
        if ticking.done():
            ticking.result()  # a replay that ended leaves the exchange open; a clock that broke is an error
        ticking.cancel()
    finally:
        await runner.cleanup()


def run(market_data: MarketData, plan: ReplayPlan) -> None:
    """Run the exchange in this process until SIGTERM or SIGINT; one JSON line on standard output says it is ready."""
    exchange = build_exchange(market_data, plan)
    log.info(
        "sandbox exchange: %s %s, %d bar times", plan.venue, ", ".join(plan.symbols), len(exchange.replay.timeline)
    )
    asyncio.run(_run(exchange, plan))


async def _run(exchange: Exchange, plan: ReplayPlan) -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    await serve(exchange, plan, stop, _announce)


def _announce(url: str) -> None:
    sys.stdout.write(json.dumps({"url": url, "pid": os.getpid()}) + "\n")
    sys.stdout.flush()
