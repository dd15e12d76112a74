"""Unmodified ccxt clients use the whole USD-M private protocol: order types, batches, modes, margin, income, events."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import datetime
from decimal import Decimal
from typing import Any

import numpy as np
import pytest

from include.domain.bars import Bars
from include.domain.times import to_ms
from tests.adapters.memory_market import MINUTE, MemoryMarket, make_instrument, random_bars
from tests.integration.venues.sandbox import ALICE, START, SYMBOLS, Running, plan, running, stock_client

BTC, ETH = "BTC/USDT:USDT", "ETH/USDT:USDT"


def risky_market() -> MemoryMarket:
    """Markets whose positions can be liquidated and pay funding."""
    terms = {"maintenance_margin_rate": Decimal("0.004"), "liquidation_fee_rate": Decimal("0.0125")}
    instruments = {s: replace(make_instrument(s), **terms, funding_rate=Decimal("0.0001")) for s in SYMBOLS}
    bars = {s: random_bars(s, START, 120, seed=i, price=100.0 * (i + 1)) for i, s in enumerate(SYMBOLS)}
    return MemoryMarket(bars, instruments)


@pytest.fixture
async def sandbox() -> AsyncIterator[Running]:
    async with running(data=risky_market()) as started:
        await started.advance()
        yield started


@pytest.fixture
async def client(sandbox: Running) -> AsyncIterator[Any]:
    async with stock_client(sandbox, ALICE) as made:
        await made.load_markets()
        yield made


async def enter(client: Any, sandbox: Running, quantity: float = 2, side: str = "buy", **params: Any) -> None:
    await client.create_order(BTC, "market", side, quantity, None, params)
    await sandbox.advance()


async def refused(code: str, call: Any) -> None:
    import ccxt

    with pytest.raises(ccxt.BaseError, match=code):
        await call


@pytest.mark.parametrize(
    ("kind", "price", "params", "told"),
    [
        ("limit", 50, {"timeInForce": "GTC"}, "LIMIT"),
        ("limit", 50, {"postOnly": True}, "LIMIT"),
        ("limit", 50, {"timeInForce": "IOC"}, "LIMIT"),
        ("market", None, {"stopLossPrice": 150}, "STOP_MARKET"),
        ("limit", 150, {"stopLossPrice": 151}, "STOP"),
        ("market", None, {"takeProfitPrice": 50}, "TAKE_PROFIT_MARKET"),
        ("limit", 51, {"takeProfitPrice": 50}, "TAKE_PROFIT"),
        ("market", None, {"trailingPercent": 1.5, "trailingTriggerPrice": 50}, "TRAILING_STOP_MARKET"),
        ("STOP_MARKET", None, {"stopPrice": 150, "closePosition": True}, "STOP_MARKET"),
    ],
)
async def test_every_order_type_is_taken_found_listed_and_cancelled(
    client: Any, sandbox: Running, kind: str, price: float | None, params: dict[str, Any], told: str
) -> None:
    if params.get("closePosition"):
        await enter(client, sandbox, side="sell")
    amount = None if params.get("closePosition") else 1
    made = await client.create_order(BTC, kind, "buy", amount, price, {**params, "clientOrderId": "mine"})
    conditional = {"trigger": True} if told not in ("LIMIT", "MARKET") else {}
    assert made["clientOrderId"] == "mine"
    assert made["info"].get("orderType", made["info"].get("origType")) == told
    assert [o["id"] for o in await client.fetch_open_orders(BTC, params=conditional)] == [made["id"]]
    found = await client.fetch_order(made["id"], BTC, conditional)
    assert (found["status"], found["side"], found["filled"]) == ("open", "buy", 0)
    await client.cancel_order(made["id"], BTC, conditional)
    assert await client.fetch_open_orders(BTC, params=conditional) == []
    assert (await client.fetch_order(made["id"], BTC, conditional))["status"] == "canceled"


async def test_an_order_is_edited_and_batches_are_placed_edited_and_cancelled(client: Any, sandbox: Running) -> None:
    first = await client.create_order(BTC, "limit", "buy", 1, 50)
    edited = await client.edit_order(first["id"], BTC, "limit", "buy", 2, 51)
    assert (edited["id"], edited["amount"], edited["price"]) == (first["id"], 2, 51)
    wishes = [
        {"symbol": BTC, "type": "limit", "side": "buy", "amount": 1, "price": 50},
        {"symbol": BTC, "type": "limit", "side": "buy", "amount": 0.01, "price": 50},
        {"symbol": ETH, "type": "limit", "side": "sell", "amount": 1, "price": 500},
    ]
    placed = await client.create_orders(wishes)
    # ccxt sorts by time, and a refusal has none.
    refusal, bid, ask = placed
    assert (refusal["status"], refusal["info"]["code"]) == ("rejected", -4164)
    assert [(order["symbol"], order["status"]) for order in (bid, ask)] == [(BTC, "open"), (ETH, "open")]
    changed = await client.edit_orders(
        [{"id": bid["id"], "symbol": BTC, "type": "limit", "side": "buy", "amount": 1, "price": 49}]
    )
    assert changed[0]["price"] == 49
    gone = await client.cancel_orders([first["id"], bid["id"]], BTC)
    assert [order["status"] for order in gone] == ["canceled", "canceled"]
    assert [order["symbol"] for order in await client.fetch_open_orders(ETH)] == [ETH]
    await client.cancel_all_orders(ETH)
    assert await client.fetch_open_orders(ETH) == []


async def test_refusals_of_orders_carry_the_exchanges_codes(client: Any, sandbox: Running) -> None:
    last = (await client.fetch_ticker(BTC))["last"]
    taken = client.create_order
    await refused("-5022", taken(BTC, "limit", "buy", 1, last + 1, {"postOnly": True}))
    await refused("-4016", taken(BTC, "limit", "buy", 1, round(last * 1.6, 1)))
    await refused("-4024", taken(BTC, "limit", "sell", 1, round(last * 0.4, 1)))
    await refused("-2007", taken(BTC, "market", "sell", 1, None, {"trailingPercent": 11}))
    await refused("-4061", taken(BTC, "market", "buy", 1, None, {"positionSide": "LONG"}))
    await refused("-4015", taken(BTC, "market", "buy", 1, None, {"clientOrderId": "autoclose-1"}))
    order = {"symbol": "BTCUSDT", "side": "BUY", "algoType": "CONDITIONAL"}
    algo = client.fapiPrivatePostAlgoOrder
    await refused(
        "-4136", algo({**order, "type": "STOP", "triggerPrice": "150", "price": "1", "closePosition": "true"})
    )
    both = {"type": "STOP_MARKET", "triggerPrice": "150", "closePosition": "true", "quantity": "1"}
    await refused("-4137", algo({**order, **both}))
    dated = {"symbol": "BTCUSDT", "side": "BUY", "type": "LIMIT", "quantity": "1", "price": "50", "timeInForce": "GTD"}
    await refused("-5040", client.fapiPrivatePostOrder({**dated, "goodTillDate": to_ms(START)}))
    await refused(
        "-5027", client.edit_order((await taken(BTC, "limit", "buy", 1, 50))["id"], BTC, "limit", "buy", 1, 50)
    )


async def test_hedge_mode_keeps_a_long_and_a_short_apart(client: Any, sandbox: Running) -> None:
    await client.set_position_mode(True)
    assert (await client.fetch_position_mode(BTC))["hedged"] is True
    await enter(client, sandbox, 2, positionSide="LONG")
    await enter(client, sandbox, 1, "sell", positionSide="SHORT")
    held = {p["side"]: p["contracts"] for p in await client.fetch_positions([BTC])}
    assert held == {"long": 2, "short": 1}
    await refused("-4068", client.set_position_mode(False))
    await refused(
        "-4062", client.create_order(BTC, "market", "sell", 1, None, {"positionSide": "LONG", "reduceOnly": True})
    )


async def test_isolated_margin_leverage_and_brackets(client: Any, sandbox: Running) -> None:
    tiers = (await client.fetch_leverage_tiers([BTC]))[BTC]
    assert (tiers[0]["maintenanceMarginRate"], tiers[0]["maxLeverage"]) == (0.004, 125)
    await client.set_margin_mode("isolated", BTC)
    await refused("-4028", client.fapiPrivatePostLeverage({"symbol": "BTCUSDT", "leverage": 126}))
    await client.set_leverage(10, BTC)
    settings = (await client.fetch_leverages([BTC]))[BTC]
    assert (settings["longLeverage"], settings["marginMode"]) == (10, "isolated")
    await enter(client, sandbox)
    (before,) = await client.fetch_positions([BTC])
    assert (before["marginMode"], before["contracts"]) == ("isolated", 2)
    assert 0.89 < before["liquidationPrice"] / before["entryPrice"] < 0.91
    await client.add_margin(BTC, 5)
    (after,) = await client.fetch_positions([BTC])
    assert after["liquidationPrice"] < before["liquidationPrice"]
    await refused("-4051", client.reduce_margin(BTC, 6))
    await client.reduce_margin(BTC, 5)
    history = await client.fetch_margin_adjustment_history(BTC)
    assert [(row["type"], row["amount"]) for row in history] == [("add", 5), ("reduce", 5)]
    await refused("-4161", client.set_leverage(5, BTC))
    await refused("-4048", client.set_margin_mode("cross", BTC))


async def test_what_clients_ask_of_an_account_is_answered(client: Any, sandbox: Running) -> None:
    assert (await client.fetch_trading_fee(BTC))["taker"] == 0.0004
    assert (await client.fapiPrivateGetAccountConfig())["dualSidePosition"] is False
    assert (await client.fapiPrivateGetApiTradingStatus())["indicators"] == {}
    assert [row["symbol"] for row in await client.fapiPrivateGetAdlQuantile()] == ["BTCUSDT", "ETHUSDT"]
    await enter(client, sandbox)
    await client.create_order(BTC, "market", "sell", 2, None, {"reduceOnly": True})
    incomes = await client.fapiPrivateGetIncome({"symbol": "BTCUSDT"})
    assert {row["incomeType"] for row in incomes} == {"COMMISSION", "REALIZED_PNL"}
    assert await client.fetch_my_liquidations(BTC) == []


def straight(symbol: str, closes: list[float], start: datetime) -> MemoryMarket:
    """Bars that go in straight lines from close to close; the first is flat."""
    opens = np.array([closes[0], *closes[:-1]])
    ends = np.array(closes)
    times = to_ms(start) + np.arange(len(closes), dtype=np.int64) * MINUTE.ms
    columns = opens, np.maximum(opens, ends), np.minimum(opens, ends), ends, np.ones(len(closes))
    terms = {"maintenance_margin_rate": Decimal("0.004"), "liquidation_fee_rate": Decimal("0.0125")}
    instrument = replace(make_instrument(symbol), **terms, funding_rate=Decimal("0.0001"))
    return MemoryMarket({symbol: Bars(symbol, MINUTE, times, *columns)}, {symbol: instrument})


async def test_funding_and_liquidation_are_told_and_listed() -> None:
    """Long 10 at 100 with isolated leverage 10 over a funding time, then a fall through the level of liquidation."""
    start = START.replace(hour=7, minute=57)
    data = straight("BTC/USDT", [100, 100, 100, 100, 100, 80, 80], start)
    replay = plan(7, symbols=["BTC/USDT"], start=start)
    async with running(replay, data) as sandbox, stock_client(sandbox, pro=True) as client:
        await client.load_markets()
        await client.set_margin_mode("isolated", BTC)
        await client.set_leverage(10, BTC)
        told: list[dict[str, Any]] = []
        client.handle_message = _recording(client.handle_message, told)
        watching = asyncio.create_task(_watch(client))
        await sandbox.advance()
        await client.create_order(BTC, "market", "buy", 10)
        await sandbox.advance(10)
        funding = await client.fetch_funding_history(BTC)
        closed = await client.fetch_my_liquidations(BTC)
        incomes = await client.fapiPrivateGetIncome({"limit": 1000})
        watching.cancel()
    assert [(row["amount"], row["timestamp"]) for row in funding] == [(-0.1, to_ms(start.replace(hour=8, minute=0)))]
    # 10 x 100 at leverage 10: margin gone at 90, liquidated at 90.1 / 0.996 = 90.4, worsened by a tick.
    assert [(row["contracts"], row["price"]) for row in closed] == [(10, 90.3)]
    kinds = [(m["o"]["o"], m["o"]["x"], m["o"]["X"]) for m in told if m.get("e") == "ORDER_TRADE_UPDATE"]
    assert kinds[-1] == ("LIQUIDATION", "CALCULATED", "FILLED")
    assert [m["a"]["m"] for m in told if m.get("e") == "ACCOUNT_UPDATE"] == ["ORDER", "FUNDING_FEE", "ORDER"]
    types = [row["incomeType"] for row in incomes]
    assert types == ["COMMISSION", "FUNDING_FEE", "REALIZED_PNL", "COMMISSION", "INSURANCE_CLEAR"]
    assert 100_000 + sum(Decimal(row["income"]) for row in incomes) == sandbox.exchange.accounts["alice"].wallet


def _recording(handle: Any, told: list[dict[str, Any]]) -> Any:
    def handler(connection: Any, message: Any) -> Any:
        told.append(message)
        return handle(connection, message)

    return handler


async def _watch(client: Any) -> None:
    while True:
        await client.watch_orders()


async def test_a_countdown_cancels_what_nobody_renews(client: Any, sandbox: Running) -> None:
    await client.create_order(BTC, "limit", "buy", 1, 50)
    answer = await client.fapiPrivatePostCountdownCancelAll({"symbol": "BTCUSDT", "countdownTime": 90_000})
    assert answer == {"symbol": "BTCUSDT", "countdownTime": "90000"}
    await sandbox.advance()
    assert len(await client.fetch_open_orders(BTC)) == 1
    await sandbox.advance(2)
    assert await client.fetch_open_orders(BTC) == []
