"""What requests cost and how much an address or an account may spend: the limits of Binance, as data.

Sources: the exchange's general information and the weight of every endpoint in its documentation (USD-M, spot).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType
from typing import Any


class Segment(StrEnum):
    """Separate limits are kept for the two exchanges that share the address."""

    USDM = "USDM"
    SPOT = "SPOT"

    @classmethod
    def of(cls, path: str) -> Segment:
        """The segment a REST path belongs to."""
        return cls.SPOT if path.startswith("/api/") else cls.USDM


class LimitType(StrEnum):
    REQUEST_WEIGHT = "REQUEST_WEIGHT"
    """Sum of weights by address."""
    RAW_REQUESTS = "RAW_REQUESTS"
    """Requests by address, whatever they weigh."""
    ORDERS = "ORDERS"
    """Orders by account."""


INTERVAL_MS = {"SECOND": 1_000, "MINUTE": 60_000, "DAY": 86_400_000}


@dataclass(frozen=True, slots=True)
class Limit:
    """At most `limit` in every `number` intervals; windows begin at whole multiples of their length."""

    type: LimitType
    interval: str
    number: int
    limit: int

    @property
    def window_ms(self) -> int:
        return INTERVAL_MS[self.interval] * self.number

    @property
    def suffix(self) -> str:
        """As the usage headers write it: 1M, 10S."""
        return f"{self.number}{self.interval[0]}"

    @property
    def words(self) -> str:
        """As the refusals write it."""
        return self.interval.lower() if self.number == 1 else f"{self.number} {self.interval.lower()}s"

    def document(self, count: int | None = None) -> dict[str, Any]:
        """A row of exchangeInfo's `rateLimits`, with the use so far where it is told."""
        row = {
            "rateLimitType": self.type.value,
            "interval": self.interval,
            "intervalNum": self.number,
            "limit": self.limit,
        }
        return row if count is None else {**row, "count": count}


LIMITS: Mapping[Segment, tuple[Limit, ...]] = MappingProxyType(
    {
        Segment.USDM: (
            Limit(LimitType.REQUEST_WEIGHT, "MINUTE", 1, 2_400),
            Limit(LimitType.ORDERS, "MINUTE", 1, 1_200),
            Limit(LimitType.ORDERS, "SECOND", 10, 300),
        ),
        Segment.SPOT: (
            Limit(LimitType.REQUEST_WEIGHT, "MINUTE", 1, 6_000),
            Limit(LimitType.ORDERS, "SECOND", 10, 100),
            Limit(LimitType.ORDERS, "DAY", 1, 200_000),
            Limit(LimitType.RAW_REQUESTS, "MINUTE", 5, 61_000),
        ),
    }
)


MESSAGES_A_SEC: Mapping[Segment, int] = MappingProxyType({Segment.USDM: 10, Segment.SPOT: 5})
"""Messages (subscriptions, pings) that a client may send on a connection of streams; more close it."""


def listed(segment: Segment) -> list[dict[str, Any]]:
    """`rateLimits` of exchangeInfo."""
    return [limit.document() for limit in LIMITS[segment]]


@dataclass(frozen=True, slots=True)
class Weight:
    """What one request weighs: `cost`, `every` when it names no symbol, or by how many rows it asks for."""

    cost: int = 1
    every: int | None = None
    by_rows: tuple[tuple[int, int], ...] = ()
    """(most rows, weight), ascending; more rows than the last weigh as the last."""
    rows: int = 500
    """Rows asked for when the request does not say."""
    orders: int = 0
    """How many orders it counts as, by account."""

    def of(self, params: Mapping[str, str]) -> int:
        """Weight of a request with these parameters; a malformed `limit` weighs as much as the largest."""
        if self.every is not None and not (params.get("symbol") or params.get("symbols")):
            return self.every
        if not self.by_rows:
            return self.cost
        asked = params.get("limit", "")
        rows = int(asked) if asked.isascii() and asked.isdigit() and len(asked) < 9 else self.rows
        return next((weight for most, weight in self.by_rows if rows <= most), self.by_rows[-1][1])


_KLINES = Weight(by_rows=((99, 1), (499, 2), (1_000, 5), (1_500, 10)))
_FUTURES = {
    "GET /fapi/v1/depth": Weight(by_rows=((50, 2), (100, 5), (500, 10), (1_000, 20))),
    "GET /fapi/v1/klines": _KLINES, "GET /fapi/v1/continuousKlines": _KLINES, "GET /fapi/v1/markPriceKlines": _KLINES,
    "GET /fapi/v1/indexPriceKlines": _KLINES, "GET /fapi/v1/premiumIndexKlines": _KLINES,
    "GET /fapi/v1/trades": Weight(5), "GET /fapi/v1/aggTrades": Weight(20),
    "GET /fapi/v1/premiumIndex": Weight(1, every=10), "GET /fapi/v1/ticker/24hr": Weight(1, every=40),
    "GET /fapi/v1/ticker/price": Weight(1, every=2), "GET /fapi/v2/ticker/price": Weight(1, every=2),
    "GET /fapi/v1/ticker/bookTicker": Weight(2, every=5), "GET /fapi/v1/openOrders": Weight(1, every=40),
    "GET /fapi/v1/openAlgoOrders": Weight(1, every=40), "GET /fapi/v1/allOrders": Weight(5),
    "GET /fapi/v1/allAlgoOrders": Weight(5), "GET /fapi/v1/userTrades": Weight(5), "GET /fapi/v1/income": Weight(30),
    "GET /fapi/v1/commissionRate": Weight(20), "GET /fapi/v1/positionSide/dual": Weight(30),
    "GET /fapi/v1/multiAssetsMargin": Weight(30), "GET /fapi/v1/symbolConfig": Weight(5),
    "GET /fapi/v1/accountConfig": Weight(5), "GET /fapi/v1/forceOrders": Weight(20, every=50),
    "GET /fapi/v1/adlQuantile": Weight(5),
    "GET /fapi/v2/account": Weight(5), "GET /fapi/v2/balance": Weight(5), "GET /fapi/v2/positionRisk": Weight(5),
    "GET /fapi/v3/account": Weight(5), "GET /fapi/v3/balance": Weight(5), "GET /fapi/v3/positionRisk": Weight(5),
    "POST /fapi/v1/order": Weight(0, orders=1), "PUT /fapi/v1/order": Weight(0, orders=1),
    "POST /fapi/v1/algoOrder": Weight(0, orders=1), "POST /fapi/v1/batchOrders": Weight(5, orders=5),
    "PUT /fapi/v1/batchOrders": Weight(5, orders=5), "POST /fapi/v1/countdownCancelAll": Weight(10),
}  # fmt: skip
_SPOT = {
    "GET /api/v3/depth": Weight(by_rows=((100, 5), (500, 25), (1_000, 50), (5_000, 250)), rows=100),
    "GET /api/v3/klines": Weight(2), "GET /api/v3/uiKlines": Weight(2), "GET /api/v3/trades": Weight(25),
    "GET /api/v3/aggTrades": Weight(4), "GET /api/v3/avgPrice": Weight(2), "GET /api/v3/exchangeInfo": Weight(20),
    "GET /api/v3/ticker/24hr": Weight(2, every=80), "GET /api/v3/ticker/price": Weight(2, every=4),
    "GET /api/v3/ticker/bookTicker": Weight(2, every=4), "GET /api/v3/account": Weight(20),
    "GET /api/v3/account/commission": Weight(20), "GET /api/v3/order": Weight(4),
    "GET /api/v3/openOrders": Weight(6, every=80), "GET /api/v3/allOrders": Weight(20),
    "GET /api/v3/myTrades": Weight(20), "GET /api/v3/rateLimit/order": Weight(40),
    "POST /api/v3/order": Weight(1, orders=1), "POST /api/v3/order/cancelReplace": Weight(1, orders=1),
    "POST /api/v3/userDataStream": Weight(2), "PUT /api/v3/userDataStream": Weight(2),
    "DELETE /api/v3/userDataStream": Weight(2),
}  # fmt: skip
WEIGHTS: Mapping[str, Weight] = MappingProxyType({**_FUTURES, **_SPOT})
"""By method and path; what is not listed weighs 1."""
DEFAULT_WEIGHT = Weight()


def weight(method: str, path: str) -> Weight:
    """The weight of a route."""
    return WEIGHTS.get(f"{method} {path}", DEFAULT_WEIGHT)
