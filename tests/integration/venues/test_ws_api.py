"""Websocket order entry: the same exchange as by REST, in frames."""

from __future__ import annotations

import base64
import hashlib
import hmac
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any

import aiohttp
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from include.venues.sandbox.accounts import AccountSpec
from tests.integration.venues.sandbox import ALICE, BOB, Running, plan, running

USDM, SPOT = "/ws-fapi/v1", "/ws-api/v3"


class Wire:
    """One order-entry connection."""

    def __init__(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        self.socket = socket
        self.events: list[dict[str, Any]] = []
        self._number = 0

    async def ask(self, method: str, account: AccountSpec | None = None, **params: Any) -> dict[str, Any]:
        """Send a frame, signed when there is an account; returns its answer."""
        self._number += 1
        if account is not None:
            params |= {"apiKey": account.key.get_secret_value(), "timestamp": time.time_ns() // 1_000_000}
            payload = "&".join(f"{name}={params[name]}" for name in sorted(params))
            secret = account.secret.get_secret_value().encode()
            params["signature"] = hmac.new(secret, payload.encode(), hashlib.sha256).hexdigest()
        await self.socket.send_json({"id": self._number, "method": method, "params": params})
        while True:
            answer: dict[str, Any] = await self.socket.receive_json(timeout=5)
            if "event" not in answer:
                assert answer["id"] == self._number
                return answer
            self.events.append(answer["event"])


@asynccontextmanager
async def wired(sandbox: Running, path: str = USDM) -> AsyncIterator[Wire]:
    async with aiohttp.ClientSession() as session, session.ws_connect(sandbox.url + path) as socket:
        yield Wire(socket)


def limit_order(name: str, **changes: Any) -> dict[str, Any]:
    return {
        "symbol": "BTCUSDT", "side": "BUY", "type": "LIMIT", "quantity": "1", "price": "50.0", "timeInForce": "GTC",
        "newClientOrderId": name, **changes,
    }  # fmt: skip


@pytest.fixture
async def sandbox() -> AsyncIterator[Running]:
    async with running() as started:
        await started.advance()
        yield started


async def test_an_order_lives_its_whole_life_over_one_connection(sandbox: Running) -> None:
    async with wired(sandbox) as wire:
        placed = await wire.ask("order.place", ALICE, **limit_order("one"))
        assert (placed["status"], placed["result"]["status"]) == (200, "NEW")
        asked = await wire.ask("order.status", ALICE, symbol="BTCUSDT", origClientOrderId="one")
        assert asked["result"]["orderId"] == placed["result"]["orderId"]
        gone = await wire.ask("order.cancel", ALICE, symbol="BTCUSDT", orderId=placed["result"]["orderId"])
        assert gone["result"]["status"] == "CANCELED"
        again = await wire.ask("order.cancel", ALICE, symbol="BTCUSDT", orderId=placed["result"]["orderId"])
        assert (again["status"], again["error"]["code"]) == (400, -2011)


@pytest.mark.parametrize(("path", "rest"), [(USDM, "/fapi/v1/time"), (SPOT, "/api/v3/time")])
async def test_public_methods_need_no_key(sandbox: Running, path: str, rest: str) -> None:
    async with wired(sandbox, path) as wire:
        assert (await wire.ask("ping"))["result"] == {}
        told = await wire.ask("time")
        assert abs(told["result"]["serverTime"] - time.time_ns() // 1_000_000) < 5_000
        info = await wire.ask("exchangeInfo")
        assert {s["symbol"] for s in info["result"]["symbols"]} >= {"BTCUSDT", "ETHUSDT"}


async def test_answers_tell_limits_unless_they_are_not_wanted(sandbox: Running) -> None:
    async with wired(sandbox) as wire:
        placed = await wire.ask("order.place", ALICE, **limit_order("one"))
        kinds = [(row["rateLimitType"], row["interval"], row["count"]) for row in placed["rateLimits"]]
        assert sorted(kinds)[:2] == [("ORDERS", "MINUTE", 1), ("ORDERS", "SECOND", 1)]
        assert [row["rateLimitType"] for row in (await wire.ask("ping"))["rateLimits"]] == ["REQUEST_WEIGHT"]
        assert "rateLimits" not in await wire.ask("ping", returnRateLimits=False)


@pytest.mark.parametrize(
    ("method", "spoil", "status", "code"),
    [
        ("order.place", {"signature": "0" * 64}, 400, -1022),
        ("order.place", {"apiKey": "unknown"}, 401, -2015),
        ("order.place", {"timestamp": 1}, 400, -1021),
        ("no.such.method", {}, 404, -5000),
        ("session.logon", {}, 401, -4056),
        ("order.place", {"quantity": [1]}, 400, -1022),
        ("order.place", {"quantity": {"a": 1}}, 400, -1100),
    ],
)
async def test_refusals_have_the_exchanges_shape(
    sandbox: Running, method: str, spoil: dict[str, Any], status: int, code: int
) -> None:
    async with wired(sandbox) as wire:
        params = limit_order("one")
        params |= {"apiKey": ALICE.key.get_secret_value(), "timestamp": time.time_ns() // 1_000_000}
        payload = "&".join(f"{name}={params[name]}" for name in sorted(params))
        params["signature"] = hmac.new(
            ALICE.secret.get_secret_value().encode(), payload.encode(), hashlib.sha256
        ).hexdigest()
        refused = await wire.ask(method, None, **(params | spoil))
        assert (refused["status"], refused["error"]["code"]) == (status, code)
        assert set(refused["error"]) == {"code", "msg"}
    assert not sandbox.exchange.accounts["alice"].orders


async def test_unsigned_methods_of_an_account_are_refused_without_a_session(sandbox: Running) -> None:
    async with wired(sandbox) as wire:
        refused = await wire.ask("account.balance", None, timestamp=time.time_ns() // 1_000_000)
        assert (refused["status"], refused["error"]["code"]) == (401, -2014)


async def test_a_session_speaks_for_the_account_that_logged_on_until_it_logs_out() -> None:
    private = Ed25519PrivateKey.generate()
    carol = replace(ALICE, name="carol", public_key=private.public_key().public_bytes_raw())
    async with running(plan(accounts=(carol, BOB))) as sandbox, wired(sandbox) as wire:
        now = time.time_ns() // 1_000_000
        key = carol.key.get_secret_value()
        signature = base64.b64encode(private.sign(f"apiKey={key}&timestamp={now}".encode())).decode()
        wrong = await wire.ask("session.logon", None, apiKey=key, timestamp=now + 1, signature=signature)
        assert wrong["error"]["code"] == -1022
        told = await wire.ask("session.logon", None, apiKey=key, timestamp=now, signature=signature)
        assert told["result"]["apiKey"] == key
        mine = await wire.ask("account.balance", None, timestamp=time.time_ns() // 1_000_000)
        assert mine["result"][0]["balance"].startswith("100000")
        late = await wire.ask("account.balance", None, timestamp=1)
        assert late["error"]["code"] == -1021
        other = await wire.ask("account.balance", BOB)
        assert other["result"][0]["balance"].startswith("5000")
        assert (await wire.ask("session.logout"))["result"]["apiKey"] is None
        gone = await wire.ask("account.balance", None, timestamp=time.time_ns() // 1_000_000)
        assert gone["error"]["code"] == -2014


async def test_user_events_come_over_the_connection_that_subscribed_to_them(sandbox: Running) -> None:
    async with wired(sandbox, SPOT) as wire, wired(sandbox, SPOT) as deaf:
        assert (await wire.ask("userDataStream.subscribe.signature", ALICE))["result"] == {"subscriptionId": 0}
        await wire.ask("order.place", ALICE, **limit_order("one"))
        await wire.ask("order.place", BOB, **limit_order("theirs", quantity="2"))
        await wire.ask("ping")
        assert {event["c"] for event in wire.events if event["e"] == "executionReport"} == {"one"}
        count = len(wire.events)
        await wire.ask("userDataStream.unsubscribe")
        await wire.ask("order.place", ALICE, **limit_order("two"))
        await wire.ask("ping")
        await deaf.ask("ping")
        assert len(wire.events) == count
        assert deaf.events == []
    async with wired(sandbox, USDM) as wire:
        assert (await wire.ask("userDataStream.subscribe.signature", ALICE))["error"]["code"] == -5000


async def test_faults_befall_calls_by_websocket_too(sandbox: Running) -> None:
    fault = {"kind": "TIMEOUT_AFTER_ACCEPT", "route": "POST /fapi/v1/order", "answer": "TELL", "times": 1}
    async with aiohttp.ClientSession() as http, wired(sandbox) as wire:
        async with http.post(f"{sandbox.url}/sandbox/v1/faults", json={"faults": [fault]}) as armed:
            assert armed.status == 200
        lost = await wire.ask("order.place", ALICE, **limit_order("one"))
        assert (lost["status"], lost["error"]["code"]) == (408, -1007)
        found = await wire.ask("order.status", ALICE, symbol="BTCUSDT", origClientOrderId="one")
        assert found["result"]["status"] == "NEW"
