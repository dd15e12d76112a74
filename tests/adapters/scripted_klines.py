"""A real HTTP server that speaks Binance's public kline routes and misbehaves on cue.

`faults` holds what happens to the next kline requests, one entry each; None serves it. Every kline request is kept.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from pytest_httpserver import HTTPServer
from werkzeug import Request, Response

from include.domain.times import Timeframe
from tests.market import MINUTE, Columns

Fault = Callable[["ScriptedKlines", Request], Response]
DAY_MS = 86_400_000


@dataclass
class ScriptedKlines:
    """Attributes:
    columns: what the exchange has.
    has_days: False refuses daily bars, as a venue that lists them without having them does.
    by_window: a page reaches as far as `limit` bars would, not as far as there are bars (many exchanges do so).
    """

    server: HTTPServer
    columns: Columns
    timeframe: Timeframe = MINUTE
    by_window: bool = False
    has_days: bool = True
    faults: list[Fault | None] = field(default_factory=list)
    asked: list[dict[str, str]] = field(default_factory=list)
    paths: list[str] = field(default_factory=list)
    last_page: list[Any] = field(default_factory=list)
    released: threading.Event = field(default_factory=threading.Event)

    def start(self) -> str:
        """Serve; returns the base address."""
        for prefix in ("/fapi/v1", "/api/v3"):
            self.server.expect_request(f"{prefix}/exchangeInfo").respond_with_handler(self._info)
            self.server.expect_request(f"{prefix}/klines").respond_with_handler(self._klines)
        return self.server.url_for("").rstrip("/")

    @property
    def since(self) -> list[int]:
        return [int(asked["startTime"]) for asked in self.asked]

    def rows(self, since: int, limit: int, length: int) -> list[list[Any]]:
        """Klines from `since` on as the wire has them; days are made of the minutes."""
        times = self.columns["open_time"]
        opens = sorted({int(t) // length * length for t in times})
        found = [t for t in opens if t >= since]
        if self.by_window:
            found = [t for t in found if t < since + limit * length]
        return [self._row(t, length) for t in found[:limit]]

    def _row(self, opened: int, length: int) -> list[Any]:
        at = int((self.columns["open_time"] >= opened).argmax())
        prices = [repr(float(self.columns[name][at])) for name in ("open", "high", "low", "close", "volume")]
        return [opened, *prices, opened + length - 1, "0", 1, "0", "0", "0"]

    def _info(self, request: Request) -> Response:
        self.paths.append(request.path)
        return answer({"timezone": "UTC", "rateLimits": [], "assets": [], "symbols": [market("BTC"), market("ETH")]})

    def _klines(self, request: Request) -> Response:
        self.asked.append(dict(request.args))
        if request.args["interval"] == "1d" and not self.has_days:
            return answer({"code": -1120, "msg": "Invalid interval."}, 400)
        fault = self.faults.pop(0) if self.faults else None
        if fault is not None:
            return fault(self, request)
        return answer(self.page(request))

    def page(self, request: Request) -> list[Any]:
        length = DAY_MS if request.args["interval"] == "1d" else self.timeframe.ms
        self.last_page = self.rows(int(request.args["startTime"]), int(request.args["limit"]), length)
        return self.last_page


def answer(document: Any, status: int = 200, **headers: str) -> Response:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return Response(json.dumps(document), status, named, content_type="application/json")


def status(code: int, document: Any = None, **headers: str) -> Fault:
    return lambda klines, request: answer(document or {"code": -1, "msg": "no"}, code, **headers)


def repeats_the_last_page(klines: ScriptedKlines, request: Request) -> Response:
    return answer(klines.last_page)


def breaks_off(klines: ScriptedKlines, request: Request) -> Response:
    body = json.dumps(klines.page(request)).encode()
    return Response(body[: len(body) // 2], 200, {"Content-Length": str(len(body))}, content_type="application/json")


def does_not_answer(klines: ScriptedKlines, request: Request) -> Response:
    klines.released.wait(10)
    return answer([])


def shows_a_page_for_people(klines: ScriptedKlines, request: Request) -> Response:
    return Response("<html><body>Maintenance</body></html>", 200, content_type="text/html")


def shuffles_and_repeats(klines: ScriptedKlines, request: Request) -> Response:
    page = klines.page(request)
    return answer([*page[::-1], *page[:3]])


def market(base: str) -> dict[str, Any]:
    """One entry of exchangeInfo, for USD-M and spot alike."""
    lots = {"minQty": "0.001", "maxQty": "1000", "stepSize": "0.001"}
    return {
        "symbol": f"{base}USDT", "pair": f"{base}USDT", "contractType": "PERPETUAL", "deliveryDate": 4133404800000,
        "onboardDate": 0, "status": "TRADING", "baseAsset": base, "quoteAsset": "USDT", "marginAsset": "USDT",
        "isSpotTradingAllowed": True, "permissions": ["SPOT"], "pricePrecision": 2, "quantityPrecision": 3,
        "baseAssetPrecision": 8, "quotePrecision": 8, "orderTypes": ["LIMIT"], "timeInForce": ["GTC"],
        "filters": [
            {"filterType": "PRICE_FILTER", "minPrice": "0.01", "maxPrice": "1000000", "tickSize": "0.01"},
            {"filterType": "LOT_SIZE", **lots}, {"filterType": "MARKET_LOT_SIZE", **lots},
        ],
    }  # fmt: skip
