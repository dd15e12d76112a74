"""Faults as a client meets them: lost lines, lost answers, late answers; and the exchange's own control routes."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import aiohttp
import pytest

from include.venues.sandbox.accounts import AccountSpec
from include.venues.sandbox.faults.plan import read_plan
from tests.integration.venues.sandbox import ALICE, BOB, Running, plan, running

PATIENCE_SECS = 0.5


@asynccontextmanager
async def faulty(*faults: dict[str, Any], **changes: Any) -> AsyncIterator[tuple[Running, aiohttp.ClientSession]]:
    """An exchange with these faults after its first bar, and a plain HTTP client."""
    described = replace(plan(), faults=read_plan({"faults": list(faults)}, "test"), **changes)
    async with running(described) as sandbox, aiohttp.ClientSession() as http:
        await sandbox.advance()
        yield sandbox, http


async def ask(
    sandbox: Running, http: aiohttp.ClientSession, route: str, account: AccountSpec = ALICE, **params: Any
) -> tuple[int, Any]:
    method, _, path = route.partition(" ")
    query = urlencode({**params, "timestamp": time.time_ns() // 1_000_000})
    secret = account.secret.get_secret_value().encode()
    signature = hmac.new(secret, query.encode(), hashlib.sha256).hexdigest()
    url, headers = (
        f"{sandbox.url}{path}?{query}&signature={signature}",
        {"X-MBX-APIKEY": account.key.get_secret_value()},
    )
    async with http.request(
        method, url, headers=headers, timeout=aiohttp.ClientTimeout(total=PATIENCE_SECS)
    ) as response:
        return response.status, await response.json()


def order(name: str) -> dict[str, Any]:
    return {"symbol": "BTCUSDT", "side": "BUY", "type": "MARKET", "quantity": "1", "newClientOrderId": name}


@pytest.mark.parametrize(("kind", "accepted"), [("TIMEOUT_AFTER_ACCEPT", 1), ("TIMEOUT_BEFORE_ACCEPT", 0)])
@pytest.mark.parametrize(
    ("answer", "looks"),
    [("HANG", asyncio.TimeoutError), ("CUT", aiohttp.ClientError), ("TELL", None)],
)
async def test_a_lost_order_looks_the_same_whether_it_was_accepted_or_not(
    kind: str, accepted: int, answer: str, looks: type[Exception] | None
) -> None:
    async with faulty({"kind": kind, "answer": answer, "times": 1}) as (sandbox, http):
        if looks is None:
            assert await ask(sandbox, http, "POST /fapi/v1/order", **order("a")) == (
                408, {"code": -1007, "msg": "Timeout waiting for response from backend server. Send status unknown; "
                      "execution status unknown."},
            )  # fmt: skip
        else:
            with pytest.raises(looks):
                await ask(sandbox, http, "POST /fapi/v1/order", **order("a"))
        assert len(sandbox.exchange.accounts["alice"].orders) == accepted
        assert (await ask(sandbox, http, "GET /fapi/v1/openOrders"))[0] == 200


async def test_a_slow_answer_holds_up_nobody_else() -> None:
    async with faulty({"kind": "SLOW_ANSWER", "delay_ms": 200, "route": "GET /fapi/v1/openOrders"}) as (sandbox, http):
        slow = asyncio.create_task(ask(sandbox, http, "GET /fapi/v1/openOrders"))
        await asyncio.sleep(0)
        for _ in range(3):
            assert (await ask(sandbox, http, "GET /fapi/v2/balance"))[0] == 200
        assert not slow.done()
        assert (await slow)[0] == 200


async def test_a_cut_stream_is_a_reset_and_can_be_opened_again() -> None:
    async with faulty({"kind": "DISCONNECT", "stream": "btcusdt@*"}) as (sandbox, http):
        async with http.ws_connect(f"{sandbox.url}/ws/btcusdt@kline_1m") as socket:
            await sandbox.advance()
            message = await socket.receive(timeout=5)
            assert message.type in {aiohttp.WSMsgType.CLOSED, aiohttp.WSMsgType.CLOSE, aiohttp.WSMsgType.ERROR}
        async with http.ws_connect(f"{sandbox.url}/ws/btcusdt@kline_1m") as socket:
            await sandbox.advance()
            assert (await socket.receive_json(timeout=5))["e"] == "kline"


async def test_in_maintenance_nothing_opens_and_nothing_is_served_but_the_control_routes() -> None:
    async with faulty({"kind": "MAINTENANCE"}) as (sandbox, http):
        assert (await ask(sandbox, http, "GET /fapi/v1/openOrders"))[0] == 503
        for path in ("/ws", "/stream?streams=btcusdt@kline_1m", "/ws-fapi/v1"):
            with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
                await http.ws_connect(sandbox.url + path)
            assert refused.value.status == 503
        assert (await sandbox.advance())["phase"]


async def test_plans_are_armed_listed_and_cleared_over_the_control_route() -> None:
    async with faulty() as (sandbox, http):
        url = f"{sandbox.url}/sandbox/v1/faults"
        async with http.post(url, json={"faults": [{"kind": "BAN", "sleep": 1}]}) as refused:
            assert refused.status == 400
            assert (await refused.json())["error"] == "fault plan: faults.0.sleep: Extra inputs are not permitted"
        async with http.post(url, data=b"{") as refused:
            assert refused.status == 400
        async with http.post(url, json={"seed": 1, "faults": [{"kind": "SERVER_ERROR"}]}) as armed:
            assert (await armed.json())["faults"] == [{"kind": "SERVER_ERROR", "occasions": 0, "hits": 0}]
        assert (await ask(sandbox, http, "GET /fapi/v1/openOrders"))[0] == 500
        async with http.delete(url) as cleared:
            assert (await cleared.json())["faults"] == []
        assert (await ask(sandbox, http, "GET /fapi/v1/openOrders"))[0] == 200


async def test_lockstep_counts_what_concerns_the_caller() -> None:
    async with faulty() as (sandbox, http):
        keys = {a.name: {"X-MBX-APIKEY": a.key.get_secret_value()} for a in (ALICE, BOB)}
        listen = {}
        for name, headers in keys.items():
            async with http.post(f"{sandbox.url}/fapi/v1/listenKey", headers=headers) as made:
                listen[name] = (await made.json())["listenKey"]
        async with (
            http.ws_connect(f"{sandbox.url}/ws/{listen['alice']}"),
            http.ws_connect(f"{sandbox.url}/ws/{listen['bob']}"),
            http.ws_connect(f"{sandbox.url}/stream?streams=btcusdt@kline_1m/ethusdt@kline_1m"),
        ):
            await ask(sandbox, http, "POST /fapi/v1/order", **order("a"))
            await sandbox.advance(2)
            counts = {}
            for name, headers in keys.items():
                streams = {"streams": "btcusdt@kline_1m"}
                async with http.get(f"{sandbox.url}/sandbox/v1/status", headers=headers, params=streams) as status:
                    counts[name] = (await status.json())["sent"]
            async with http.get(f"{sandbox.url}/sandbox/v1/status") as status:
                everything = (await status.json())["sent"]
    assert counts["alice"]["market"] == counts["bob"]["market"] == 1
    assert everything["market"] == 2
    assert (counts["bob"]["user"], counts["alice"]["user"]) == (0, everything["user"])
    assert everything["user"] > 0


async def test_an_exchange_goes_on_from_its_snapshot(tmp_path: Path) -> None:
    path = tmp_path / "state.json"
    async with faulty(state=path) as (sandbox, http):
        await ask(sandbox, http, "POST /fapi/v1/order", **order("a"))
        await sandbox.advance(3)
        await ask(
            sandbox,
            http,
            "POST /fapi/v1/order",
            **order("b"),
        )
        async with http.post(f"{sandbox.url}/sandbox/v1/snapshot") as written:
            assert written.status == 200
            assert (await written.json())["path"] == str(path)
        kept = path.read_bytes()
        before = sandbox.exchange.state()
        await sandbox.advance(4)
        after = sandbox.exchange.state()
    path.write_bytes(kept)
    assert ALICE.secret.get_secret_value() not in kept.decode()
    assert path.stat().st_mode & 0o077 == 0
    async with running(replace(plan(), state=path)) as again:
        assert {**again.exchange.state(), "sent": None} == {**before, "sent": None}
        await again.advance(4)
        assert {**again.exchange.state(), "sent": None} == {**after, "sent": None}
    assert not list(tmp_path.glob(".*"))


async def test_without_a_place_for_it_a_snapshot_is_refused() -> None:
    async with faulty() as (sandbox, http), http.post(f"{sandbox.url}/sandbox/v1/snapshot") as refused:
        assert refused.status == 409
        assert "--state" in (await refused.json())["error"]
