"""How fast the sandbox exchange replays and takes orders, and whether a simulated day leaves its memory flat.

    python -m benchmarks.bench_exchange [--bars N] [--orders N] [--hours N] [--fuzz N]

The exchange runs as a process of its own, its client here, both on loopback; the market is seeded and in memory. Orders
are market orders that fill at once, over keep-alive connections; beside them the same requests go to a bare web server
that answers a constant, which is what the web framework leaves at best. Orders per second of the exchange's own
processor time do not depend on what else the machine does.
The soak is a trader's day in lockstep: every minute a market order, a
limit order and its cancel, and questions as a trader asks them. Exit 1 when a budget is missed.
"""

from __future__ import annotations

import argparse
import asyncio
import hashlib
import hmac
import os
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from typing import Any
from urllib.parse import urlsplit

BUDGETS = {
    "bars_per_sec": (3_000.0, "at least"),
    "orders_per_sec": (1_000.0, "at least"),
    "order_p99_ms": (20.0, "at most"),
    "soak_mb_per_hour": (1.0, "at most"),
}
CONNECTIONS = 4
SAMPLES_WARM = 0.25
"""Share of the soak after which memory counts: imports and caches are over by then."""


# --- the server process ------------------------------------------------------------------------------------


def serve(speed: str, minutes: int) -> None:
    """Serve until killed; prints its address."""
    from include.venues.sandbox.server import build_exchange
    from include.venues.sandbox.server import serve as serve_exchange
    from tests.integration.venues.sandbox import market, plan

    async def run() -> None:
        replay = plan(minutes, speed=speed)
        exchange = build_exchange(market(minutes), replay)
        await serve_exchange(exchange, replay, asyncio.Event(), lambda url: print(url, flush=True))

    asyncio.run(run())


def serve_bare() -> None:
    """The web framework alone, answering every request with a constant of an order's size."""
    from aiohttp import web

    body = b'{"orderId":1,"symbol":"BTCUSDT","status":"FILLED"' + b" " * 550 + b"}"

    async def run() -> None:
        async def answer(request: web.Request) -> web.Response:
            return web.Response(body=body, content_type="application/json")

        app = web.Application()
        app.router.add_post("/fapi/v1/order", answer)
        runner = web.AppRunner(app, access_log=None)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        print(f"http://127.0.0.1:{runner.addresses[0][1]}", flush=True)
        await asyncio.Event().wait()

    asyncio.run(run())


@asynccontextmanager
async def served(*arguments: str) -> AsyncIterator[tuple[str, int]]:
    """A server process: its address and process id."""
    command = [sys.executable, "-m", "benchmarks.bench_exchange", *arguments]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        yield (await asyncio.to_thread(process.stdout.readline)).strip(), process.pid
    finally:
        process.terminate()
        process.wait()


# --- clients -----------------------------------------------------------------------------------------------


class Connection:
    """One keep-alive connection that sends signed requests and reads answers; as little client as possible."""

    def __init__(self, url: str) -> None:
        from tests.integration.venues.sandbox import ALICE

        self._host, self._port = urlsplit(url).hostname, urlsplit(url).port
        self._key, self._secret = ALICE.key.get_secret_value(), ALICE.secret.get_secret_value().encode()

    async def __aenter__(self) -> Connection:
        self._reader, self._writer = await asyncio.open_connection(self._host, self._port)
        return self

    async def __aexit__(self, *_: object) -> None:
        self._writer.close()

    async def ask(self, method: str, path: str, query: str = "") -> tuple[int, bytes]:
        query += f"{'&' if query else ''}timestamp={time.time_ns() // 1_000_000}"
        query += f"&signature={hmac.digest(self._secret, query.encode(), hashlib.sha256).hex()}"
        head = f"{method} {path}?{query} HTTP/1.1\r\nHost: x\r\nX-MBX-APIKEY: {self._key}\r\n\r\n"
        self._writer.write(head.encode())
        answer = await self._reader.readuntil(b"\r\n\r\n")
        length = int(answer.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0])
        return int(answer[9:12]), await self._reader.readexactly(length)


def order(number: int, account: str = "") -> str:
    side = "BUY" if number % 2 else "SELL"
    return f"symbol=BTCUSDT&side={side}&type=MARKET&quantity=0.1&newClientOrderId={account}{number}"


async def measure_bars(bars: int) -> dict[str, float]:
    """Bars a second that one websocket client receives and reads while the replay runs as fast as it can."""
    import aiohttp
    import orjson

    async with (
        served("--serve", "max", "--minutes", str(bars)) as (url, _),
        aiohttp.ClientSession() as session,
        session.ws_connect(f"{url}/stream?streams=btcusdt@kline_1m/ethusdt@kline_1m") as socket,
    ):
        received, began = 0, 0.0
        while received < 2 * bars:
            message = await socket.receive()
            received += bool(orjson.loads(message.data)["data"]["k"]["x"])
            began = began or time.perf_counter()
        elapsed = time.perf_counter() - began
    return {"bars_per_sec": received / elapsed}


async def measure_orders(orders: int) -> dict[str, float]:
    """Accepted orders a second over a few connections, with the time of each; beside it the bare web server."""
    import psutil

    figures = {}
    async with served("--serve", "step", "--minutes", "60") as (url, pid), Connection(url) as opener:
        await opener.ask("POST", "/sandbox/v1/advance")
        await opener.ask("POST", "/fapi/v1/order", order(0, "open"))
        await opener.ask("POST", "/sandbox/v1/advance")  # the open: market orders fill at once from here
        await _hammer(url, orders // 10, "warm")
        used = sum(psutil.Process(pid).cpu_times()[:2])
        rate, times = await _hammer(url, orders, "o")
        used = sum(psutil.Process(pid).cpu_times()[:2]) - used
        status, _ = await opener.ask("GET", "/fapi/v1/openOrders")
        assert status == 200
    figures["orders_per_sec"], figures["orders_per_cpu_sec"] = rate, orders / used
    figures["order_p50_ms"] = times[len(times) // 2] * 1_000
    figures["order_p99_ms"] = times[int(len(times) * 0.99)] * 1_000
    async with served("--serve-bare") as (url, _):
        await _hammer(url, orders // 10, "warm")
        figures["bare_web_server_per_sec"], _times = await _hammer(url, orders, "o")
    return figures


async def _hammer(url: str, count: int, name: str) -> tuple[float, list[float]]:
    """Rate, and sorted times of the requests."""
    numbers: Iterator[int] = iter(range(count))
    times: list[float] = []

    async def one(lane: int) -> None:
        async with Connection(url) as line:
            for number in numbers:
                began = time.perf_counter()
                status, body = await line.ask("POST", "/fapi/v1/order", order(number, f"{name}{lane}-"))
                times.append(time.perf_counter() - began)
                if status != 200:
                    raise RuntimeError(f"order refused: {status} {body!r}")

    began = time.perf_counter()
    await asyncio.gather(*(one(lane) for lane in range(CONNECTIONS)))
    return count / (time.perf_counter() - began), sorted(times)


async def measure_soak(hours: int) -> dict[str, float]:
    """Megabytes that the exchange's memory grows in an hour of a trader's day, from the least-squares line."""
    import aiohttp
    import psutil

    minutes, samples = hours * 60, []
    async with served("--serve", "step", "--minutes", str(minutes)) as (url, pid), aiohttp.ClientSession() as session:
        process, began = psutil.Process(pid), time.perf_counter()
        streams = f"{url}/stream?streams=btcusdt@kline_1m/ethusdt@kline_1m"
        async with Connection(url) as line, session.ws_connect(streams) as socket:
            drain = asyncio.create_task(_drain(socket))
            for minute in range(minutes):
                await _trade_a_minute(line, minute)
                if minute % 10 == 9:
                    samples.append((minute / 60, process.memory_info().rss / 2**20))
            drain.cancel()
    warm = samples[int(len(samples) * SAMPLES_WARM) :]
    elapsed = time.perf_counter() - began
    return {
        "soak_mb_per_hour": slope(warm), "soak_mb_at_end": samples[-1][1],
        "soak_times_real_time": hours * 3_600 / elapsed, "soak_orders": 2.0 * minutes,
    }  # fmt: skip


async def _trade_a_minute(line: Connection, minute: int) -> None:
    limit = f"symbol=ETHUSDT&side=BUY&type=LIMIT&quantity=1&price=20.0&timeInForce=GTC&newClientOrderId=l{minute}"
    for method, path, query in (
        ("POST", "/fapi/v1/order", order(minute, "m")), ("POST", "/fapi/v1/order", limit),
        ("GET", "/fapi/v1/openOrders", ""), ("GET", "/fapi/v2/account", ""), ("GET", "/fapi/v2/positionRisk", ""),
        ("DELETE", "/fapi/v1/order", f"symbol=ETHUSDT&origClientOrderId=l{minute}"),
        ("POST", "/sandbox/v1/advance", ""), ("POST", "/sandbox/v1/advance", ""),
    ):  # fmt: skip
        status, body = await line.ask(method, path, query)
        if status != 200:
            raise RuntimeError(f"{method} {path}: {status} {body!r}")


async def _drain(socket: Any) -> None:
    while True:
        await socket.receive()


def slope(samples: list[tuple[float, float]]) -> float:
    """Slope of the least-squares line through (hours, MB)."""
    mean_x = sum(x for x, _ in samples) / len(samples)
    mean_y = sum(y for _, y in samples) / len(samples)
    spread = sum((x - mean_x) ** 2 for x, _ in samples)
    return sum((x - mean_x) * (y - mean_y) for x, y in samples) / spread


async def fuzz(count: int) -> dict[str, float]:
    """A long campaign of nonsense; raises when an answer does not have the exchange's shape."""
    from include.venues.sandbox.weights import Segment
    from tests.adapters.fuzzing import Fuzzer, fuzz_frames, fuzz_rest
    from tests.integration.venues.sandbox import ALICE, running

    seed = int.from_bytes(os.urandom(4), "big")
    print(f"fuzz seed {seed}")
    async with running() as sandbox:
        await sandbox.advance()
        findings = [await fuzz_rest(sandbox.url, Fuzzer(seed, ALICE), count)]
        for segment, path in ((Segment.USDM, "/ws-fapi/v1"), (Segment.SPOT, "/ws-api/v3")):
            findings.append(await fuzz_frames(sandbox.url, Fuzzer(seed, ALICE), segment, path, min(count, 900)))
    wrong = [problem for found in findings for problem in found.wrong]
    if wrong:
        raise RuntimeError("\n".join(wrong[:10]))
    return {"fuzz_answers": float(sum(found.statuses.total() for found in findings))}


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("--bars", type=int, default=20_000)
    parser.add_argument("--orders", type=int, default=10_000)
    parser.add_argument("--hours", type=int, default=24)
    parser.add_argument("--fuzz", type=int, default=5_000)
    parser.add_argument("--serve")
    parser.add_argument("--serve-bare", action="store_true")
    parser.add_argument("--minutes", type=int, default=60)
    options = parser.parse_args()
    if options.serve_bare:
        serve_bare()
    elif options.serve:
        serve(options.serve, options.minutes)
    else:
        return report(options)
    return 0


def report(options: argparse.Namespace) -> int:
    figures: dict[str, float] = {}
    for measuring in (
        measure_bars(options.bars), measure_orders(options.orders), measure_soak(options.hours), fuzz(options.fuzz),
    ):  # fmt: skip
        figures |= asyncio.run(measuring)
    missed = 0
    for name, value in figures.items():
        limit, how = BUDGETS.get(name, (0.0, ""))
        is_missed = bool(how) and (value < limit if how == "at least" else value > limit)
        missed += is_missed
        print(
            f"{name:28} {value:12,.2f}"
            + (f"   budget {how} {limit:,g}{'  MISSED' if is_missed else ''}" if how else "")
        )
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
