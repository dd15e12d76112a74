"""Starting a sandbox exchange inside the test's own event loop, and clients for it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import aiohttp
from pydantic import SecretStr

from include.domain.bars import Bars
from include.domain.enums import OrderPurpose, OrderStatus, OrderType, Side, TimeInForce
from include.domain.instruments import Instrument
from include.domain.orders import Intent, Order
from include.venues.ccxt_client import redirected
from include.venues.ccxt_venue import CcxtVenue
from include.venues.sandbox.accounts import AccountSpec
from include.venues.sandbox.exchange import Exchange
from include.venues.sandbox.server import ReplayPlan, build_exchange, serve
from tests.adapters.memory_market import MINUTE, MemoryMarket, make_instrument, random_bars

START = datetime(2024, 3, 1, tzinfo=UTC)
HISTORY = 600
SYMBOLS = ("BTC/USDT", "ETH/USDT")
KEY, SECRET = SecretStr("key-of-alice"), SecretStr("secret-of-alice")
ALICE = AccountSpec("alice", KEY, SECRET, Decimal(100_000))
BOB = AccountSpec("bob", SecretStr("key-of-bob"), SecretStr("secret-of-bob"), Decimal(5_000))


@dataclass(frozen=True, slots=True)
class Running:
    """A sandbox exchange that accepts requests."""

    url: str
    exchange: Exchange

    async def advance(self, steps: int = 1) -> dict[str, Any]:
        """Step a lockstep replay from outside, as any client may."""
        status: dict[str, Any] = {}
        async with aiohttp.ClientSession() as session:
            for _ in range(steps):
                async with session.post(f"{self.url}/sandbox/v1/advance") as response:
                    status = await response.json()
        return status


def market(minutes: int = 120, symbols: Sequence[str] = SYMBOLS, history: int = HISTORY) -> MemoryMarket:
    """Seeded bars with warm-up history before START."""
    first = START - history * MINUTE.delta
    bars = {s: random_bars(s, first, history + minutes, seed=i, price=100.0 * (i + 1)) for i, s in enumerate(symbols)}
    return MemoryMarket(bars, {s: make_instrument(s) for s in symbols})


def market_of(bars: Bars, instrument: Instrument) -> MemoryMarket:
    return MemoryMarket({bars.symbol: bars}, {bars.symbol: instrument})


def plan(
    minutes: int = 120,
    *,
    symbols: Sequence[str] = SYMBOLS,
    speed: str = "step",
    accounts: tuple[AccountSpec, ...] = (ALICE, BOB),
    start: datetime = START,
    port: int = 0,
) -> ReplayPlan:
    return ReplayPlan(
        "test",
        tuple(symbols),
        MINUTE,
        start,
        start + timedelta(minutes=minutes),
        accounts,
        speed,
        port=port,
    )


@asynccontextmanager
async def running(replay: ReplayPlan | None = None, data: MemoryMarket | None = None) -> AsyncIterator[Running]:
    """A sandbox exchange for the length of a test."""
    replay = replay or plan()
    exchange = build_exchange(data or market(symbols=replay.symbols), replay)
    stop = asyncio.Event()
    ready: asyncio.Future[str] = asyncio.get_running_loop().create_future()
    serving = asyncio.create_task(serve(exchange, replay, stop, ready.set_result))
    await asyncio.wait({serving, ready}, return_when=asyncio.FIRST_COMPLETED)
    if serving.done():
        await serving
    try:
        yield Running(ready.result(), exchange)
    finally:
        stop.set()
        await serving


@asynccontextmanager
async def connected(
    sandbox: Running, symbols: Sequence[str] = SYMBOLS, account: AccountSpec = ALICE
) -> AsyncIterator[CcxtVenue]:
    """A CcxtVenue with both streams open."""
    venue = CcxtVenue(sandbox.url, account.key, account.secret)
    await venue.connect(symbols, MINUTE)
    try:
        yield venue
    finally:
        await venue.close()


@asynccontextmanager
async def stock_client(
    sandbox: Running, account: AccountSpec = ALICE, *, pro: bool = False, **options: Any
) -> AsyncIterator[Any]:
    """An unmodified ccxt client; only its addresses are changed, as a user would."""
    import ccxt.async_support
    import ccxt.pro

    module = ccxt.pro if pro else ccxt.async_support
    client = module.binanceusdm(
        {
            "apiKey": account.key.get_secret_value(),
            "secret": account.secret.get_secret_value(),
            "enableRateLimit": False,
            "options": {"fetchMargins": False, "fetchCurrencies": False, **options},
        }
    )
    client.has["fetchCurrencies"] = False
    client.urls["api"] = redirected(client.urls["api"], sandbox.url)
    try:
        yield client
    finally:
        await client.close()


def order(
    name: str,
    side: Side,
    quantity: str,
    *,
    symbol: str = "BTC/USDT",
    limit: str | None = None,
    stop: str | None = None,
    reduce_only: bool = False,
    extra: Mapping[str, Any] | None = None,
) -> Order:
    """An order as the engine would send it."""
    kind = OrderType.LIMIT if limit else OrderType.STOP_MARKET if stop else OrderType.MARKET
    intent = Intent(
        deployment_id="test", symbol=symbol, bar_time=START, purpose=OrderPurpose.ENTRY, side=side, type=kind,
        quantity=Decimal(quantity), reference_price=Decimal(100), price=Decimal(limit) if limit else None,
        stop_price=Decimal(stop) if stop else None, reduce_only=reduce_only,
    )  # fmt: skip
    return Order(name, intent, TimeInForce.GTC, OrderStatus.SUBMITTED, Decimal(0), None, "", START)
