"""A sandbox exchange without sockets: calls go straight into the gateway, on a wall clock that the test sets."""

from __future__ import annotations

import hashlib
import hmac
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import orjson
from pydantic import SecretStr

from include.venues.sandbox.accounts import AccountSpec
from include.venues.sandbox.exchange import Exchange
from include.venues.sandbox.faults.injector import Effects
from include.venues.sandbox.faults.plan import FaultPlan, read_plan
from include.venues.sandbox.gateway import Call, Endpoint, Gateway, Reply
from include.venues.sandbox.http import endpoints
from include.venues.sandbox.hub import Connection, Hub
from include.venues.sandbox.server import ReplayPlan, build_gateway, rest_routes
from include.venues.sandbox.tape import Tape
from tests.adapters.memory_market import MINUTE, make_instrument, random_bars

START = datetime(2024, 3, 1, tzinfo=UTC)
WALL_MS = 1_800_000_000_000
IP = "127.0.0.1"
ALICE = AccountSpec("alice", SecretStr("key"), SecretStr("secret"), Decimal(100_000))
BOB = AccountSpec("bob", SecretStr("key-b"), SecretStr("secret-b"), Decimal(100_000))
SYMBOLS = ("BTC/USDT", "ETH/USDT")


class Listener(Connection):
    """A connection whose messages stay readable."""

    def __init__(self, account: str | None = None, streams: tuple[str, ...] = ()) -> None:
        super().__init__(self._never, combined=False, account=account)
        self.streams.update(streams)
        self.heard: list[dict[str, Any]] = []
        self.was_cut = False
        self.on_cut = self._note_cut

    async def _never(self, payload: bytes) -> None:
        raise AssertionError("nothing is sent here")

    def _note_cut(self) -> None:
        self.was_cut = True

    def put(self, payload: bytes) -> None:
        if not self.closed:
            self.heard.append(orjson.loads(payload))


@dataclass(slots=True)
class Desk:
    """A gateway and what a test does with it."""

    gateway: Gateway
    endpoints: dict[str, Endpoint]
    wall: list[int]
    market: Listener
    user: Listener
    sent: int = field(default=0)

    @property
    def exchange(self) -> Exchange:
        return self.gateway.exchange

    def call(
        self, route: str, account: AccountSpec | None = None, *, ip: str = IP, at_ms: int | None = None, **params: Any
    ) -> Call:
        """A call as REST makes it, signed when there is an account."""
        method, _, path = route.partition(" ")
        if account is None:
            return Call(method, path, {k: str(v) for k, v in params.items()}, ip)
        query = urlencode({**params, "timestamp": self.wall[0] if at_ms is None else at_ms})
        signature = hmac.new(account.secret.get_secret_value().encode(), query.encode(), hashlib.sha256).hexdigest()
        signed = {k: str(v) for k, v in params.items()} | {
            "timestamp": query.rpartition("=")[2],
            "signature": signature,
        }
        return Call(method, path, signed, ip, account.key.get_secret_value(), query)

    def ask(self, route: str, account: AccountSpec | None = None, **params: Any) -> Reply:
        """Serve a call with what faults do to it."""
        return self.serve(self.call(route, account, **params))[0]

    def serve(self, call: Call) -> tuple[Reply, Effects]:
        effects = self.gateway.effects(call)
        return self.gateway.answer(call, self.endpoints.get(call.route), effects), effects

    def order(self, name: str, **changes: Any) -> Reply:
        """A market order of alice for one BTC."""
        order = {"symbol": "BTCUSDT", "side": "BUY", "type": "MARKET", "quantity": "1", "newClientOrderId": name}
        return self.ask("POST /fapi/v1/order", ALICE, **(order | changes))

    def play(self, bars: int = 1) -> None:
        for _ in range(bars):
            self.exchange.open_bar()
            self.exchange.finish_bar()


def make_desk(
    plan: dict[str, Any] | None = None, *, state: Path | None = None, speed: str = "60", bars: int = 40,
    history: int = 5, rate_limits: bool | None = None, accounts: tuple[AccountSpec, ...] = (ALICE, BOB), seed: int = 1,
) -> Desk:  # fmt: skip
    """An exchange over two seeded symbols, before its first bar, with somebody listening to everything."""
    tapes = {}
    for number, symbol in enumerate(SYMBOLS):
        market = random_bars(symbol, START, history + bars, seed=seed + number, price=100.0 * (number + 1))
        tapes[symbol] = Tape(make_instrument(symbol), market, history)
    hub = Hub()
    exchange = Exchange(tapes, accounts, hub)
    faults = read_plan(plan, "plan") if plan is not None else FaultPlan()
    replay = ReplayPlan("test", SYMBOLS, MINUTE, START, START, accounts, speed)
    replay = replace(replay, faults=faults, state=state, rate_limits=rate_limits)
    gateway, wall = build_gateway(exchange, replay), [WALL_MS]
    gateway.wall_ms = lambda: wall[0]
    desk = Desk(gateway, endpoints(rest_routes()), wall, Listener(), Listener("alice"))
    hub.add(desk.market)
    hub.add(desk.user)
    hub.subscribe(desk.market, ["btcusdt@kline_1m", "ethusdt@kline_1m"])
    return desk
