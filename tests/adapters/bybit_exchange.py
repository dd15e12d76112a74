"""A double of Bybit v5 for linear perpetuals: the routes and streams that our venue uses, over a paper account.

Shapes follow the exchange's documentation as ccxt's parsers quote it; nothing here was recorded from the exchange. It
moves in lockstep like the sandbox. Orders are acknowledged with a receipt, as there. `bybit_server` serves it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import orjson
from aiohttp import web

from include.domain.bars import Bar
from include.domain.enums import Liquidity, MarginType, OrderPurpose, OrderStatus, OrderType, Side, TimeInForce
from include.domain.errors import RejectedError
from include.domain.instruments import Instrument, symbol_id
from include.domain.orders import Intent, Order, OrderReport
from include.domain.times import Timeframe, to_ms
from include.ports import VenueEvent
from include.venues.paper.account import PaperAccount, prices_of

CODES = {
    "-4116": 110072, "-2011": 110001, "-2022": 110017, "-2019": 110007, "-4164": 110094, "-5022": 110017,
}  # fmt: skip
STATUS = {
    OrderStatus.ACCEPTED: "New", OrderStatus.TRIGGERED: "Triggered", OrderStatus.PARTIALLY_FILLED: "PartiallyFilled",
    OrderStatus.FILLED: "Filled", OrderStatus.CANCELED: "Cancelled", OrderStatus.EXPIRED: "Cancelled",
}  # fmt: skip


@dataclass(slots=True)
class Client:
    """One account: its key, its secret and its money."""

    key: str
    secret: str
    account: PaperAccount
    sockets: set[web.WebSocketResponse] = field(default_factory=set)
    topics: set[str] = field(default_factory=set)
    asked: dict[str, Order] = field(default_factory=dict)


class RefusedError(Exception):
    def __init__(self, code: int, message: str) -> None:
        super().__init__(message)
        self.code = code


class BybitExchange:
    """The double. `bars` by symbol, those before `start` are history."""

    def __init__(
        self, bars: Mapping[str, Sequence[Bar]], instruments: Mapping[str, Instrument], start: datetime,
        clients: Mapping[str, tuple[str, Decimal]], timeframe: Timeframe,
    ) -> None:  # fmt: skip
        self.bars, self.instruments, self.timeframe = bars, instruments, timeframe
        self.ids = {symbol_id(symbol): symbol for symbol in bars}
        self.clients = {
            key: Client(key, secret, PaperAccount(instruments, deposit, timeframe))
            for key, (secret, deposit) in clients.items()
        }
        self.row = next(i for i, bar in enumerate(next(iter(bars.values()))) if bar.open_time >= start)
        self.sent = {"market": 0, "user": 0}
        self.market_sockets: dict[web.WebSocketResponse, set[str]] = {}
        self.now_ms = to_ms(start) - 1
        self.is_open = False
        marks = {symbol: rows[self.row - 1].close for symbol, rows in bars.items()}
        for client in self.clients.values():
            client.account.mark(marks, self.now_ms)

    # --- time ----------------------------------------------------------------------------------------------

    async def advance(self) -> None:
        """One phase; an open at which nothing moved is no stop."""
        current = {symbol: rows[self.row] for symbol, rows in self.bars.items()}
        if not self.is_open:
            self.now_ms = to_ms(next(iter(current.values())).open_time)
            prices = {symbol: prices_of(bar) for symbol, bar in current.items()}
            moved = [await self._tell(c, c.account.open_bar(self.now_ms, prices)) for c in self.clients.values()]
            self.is_open = True
            if any(moved):
                return
        for client in self.clients.values():
            await self._tell(client, client.account.finish_bar())
        self.is_open, self.now_ms = False, self.now_ms + self.timeframe.ms - 1
        self.row += 1
        for symbol, bar in current.items():
            await self._tell_kline(symbol, bar)

    async def _tell_kline(self, symbol: str, bar: Bar) -> None:
        topic = f"kline.1.{symbol_id(symbol)}"
        start = to_ms(bar.open_time)
        row = {
            "start": start, "end": start + self.timeframe.ms - 1, "interval": "1", "open": str(bar.open),
            "close": str(bar.close), "high": str(bar.high), "low": str(bar.low), "volume": str(bar.volume),
            "turnover": "0", "confirm": True, "timestamp": self.now_ms,
        }  # fmt: skip
        message = {"type": "snapshot", "topic": topic, "data": [row], "ts": self.now_ms}
        listeners = [socket for socket, topics in self.market_sockets.items() if topic in topics]
        self.sent["market"] += bool(listeners)
        for socket in listeners:
            await socket.send_str(orjson.dumps(message).decode())

    async def _tell(self, client: Client, events: Sequence[VenueEvent]) -> bool:
        for event in events:
            if isinstance(event, OrderReport):
                await self._publish(client, "order", self._order(client, event))
                if event.fill is not None:
                    await self._publish(client, "execution", self._execution(client, event))
        return bool(events)

    async def _publish(self, client: Client, topic: str, row: Any) -> None:
        if topic not in client.topics or not client.sockets:
            return
        self.sent["user"] += 1
        text = orjson.dumps({"id": "1", "topic": topic, "creationTime": self.now_ms, "data": [row]}).decode()
        for socket in client.sockets:
            await socket.send_str(text)

    # --- rows ----------------------------------------------------------------------------------------------

    def _order(self, client: Client, report: OrderReport) -> dict[str, Any]:
        order = client.asked[report.client_order_id]
        intent, waiting = order.intent, report.status is OrderStatus.ACCEPTED and order.intent.stop_price is not None
        status = "Untriggered" if waiting else STATUS[report.status]
        expired = report.status is OrderStatus.EXPIRED
        return {
            "category": "linear", "symbol": symbol_id(report.symbol), "orderId": report.venue_order_id,
            "orderLinkId": report.client_order_id, "side": intent.side.value.capitalize(), "orderStatus": status,
            "cancelType": "CancelByReduceOnly" if expired else "UNKNOWN", "rejectReason": "EC_NoError",
            "orderType": "Limit" if intent.price is not None else "Market", "qty": str(intent.quantity),
            "price": str(intent.price or ""), "cumExecQty": str(report.filled_quantity),
            "leavesQty": str(intent.quantity - report.filled_quantity), "reduceOnly": intent.reduce_only,
            "triggerPrice": str(intent.stop_price or ""), "createdTime": str(to_ms(report.reported_at)),
            "updatedTime": str(to_ms(report.reported_at)), "timeInForce": "GTC",
        }  # fmt: skip

    def _execution(self, client: Client, report: OrderReport) -> dict[str, Any]:
        fill, intent = report.fill, client.asked[report.client_order_id].intent
        assert fill is not None
        return {
            "category": "linear", "symbol": symbol_id(fill.symbol), "execId": f"e-{fill.trade_id}",
            "orderId": report.venue_order_id, "orderLinkId": fill.client_order_id,
            "side": fill.side.value.capitalize(), "execPrice": str(fill.price), "execQty": str(fill.quantity),
            "execFee": str(fill.fee), "execType": "Trade", "isMaker": fill.liquidity is Liquidity.MAKER,
            "orderQty": str(intent.quantity), "leavesQty": str(intent.quantity - report.filled_quantity),
            "execTime": str(to_ms(fill.filled_at)),
        }  # fmt: skip

    def _kline(self, bar: Bar) -> list[str]:
        return [str(to_ms(bar.open_time)), *(str(v) for v in (bar.open, bar.high, bar.low, bar.close, bar.volume)), "0"]

    # --- questions -----------------------------------------------------------------------------------------

    def klines(self, params: Mapping[str, str]) -> Any:
        rows = self.bars[self._symbol(params)][: self.row + self.is_open]
        end = int(params.get("end", 2**62))
        found = [self._kline(bar) for bar in rows if to_ms(bar.open_time) <= end]
        return {"category": "linear", "list": found[-int(params.get("limit", 200)) :][::-1]}

    def instruments_info(self, params: Mapping[str, str]) -> Any:
        if params.get("status") == "PreLaunch":
            return {"category": "linear", "list": [], "nextPageCursor": ""}
        rows = [
            {
                "symbol": symbol_id(symbol), "contractType": "LinearPerpetual", "status": "Trading",
                "baseCoin": symbol.split("/")[0], "quoteCoin": "USDT", "settleCoin": "USDT", "launchTime": "0",
                "deliveryTime": "0",
                "leverageFilter": {"minLeverage": "1", "maxLeverage": "100.00", "leverageStep": "0.01"},
                "priceFilter": {"minPrice": "0.1", "maxPrice": "1999999", "tickSize": str(facts.tick_size)},
                "lotSizeFilter": {
                    "maxOrderQty": "100000000", "minOrderQty": str(facts.lot_size), "qtyStep": str(facts.lot_size),
                    "minNotionalValue": str(facts.min_notional),
                },
            }
            for symbol, facts in self.instruments.items()
        ]  # fmt: skip
        return {"category": "linear", "list": rows, "nextPageCursor": ""}

    def tickers(self, params: Mapping[str, str]) -> Any:
        return {"category": "linear", "list": [{"symbol": params["symbol"]}]}

    def fee_rate(self, client: Client, params: Mapping[str, str]) -> Any:
        facts = self.instruments[self._symbol(params)]
        rates = {"makerFeeRate": str(facts.maker_fee_rate), "takerFeeRate": str(facts.taker_fee_rate)}
        return {"list": [{"symbol": params["symbol"], **rates}]}

    def wallet(self, client: Client, params: Mapping[str, str]) -> Any:
        coins = [{"coin": b.currency, "walletBalance": str(b.wallet)} for b in client.account.balances()]
        return {"list": [{"accountType": "UNIFIED", "coin": coins}]}

    def position_list(self, client: Client, params: Mapping[str, str]) -> Any:
        held = {p.symbol: p for p in client.account.positions()}
        terms = client.account._core.margin.terms
        rows = []
        for symbol in [self._symbol(params)] if "symbol" in params else list(self.ids.values()):
            size = held[symbol].quantity if symbol in held else Decimal(0)
            side = "" if not size else "Buy" if size > 0 else "Sell"
            price = str(held[symbol].entry_price) if symbol in held else ""
            leverage = str(terms[symbol].leverage)
            rows.append(
                {"symbol": symbol_id(symbol), "positionIdx": 0, "side": side, "size": str(abs(size)),
                 "avgPrice": price, "leverage": leverage}
            )  # fmt: skip
        return {"category": "linear", "list": rows, "nextPageCursor": ""}

    def account_info(self, client: Client, params: Mapping[str, str]) -> Any:
        isolated = all(t.margin_type is MarginType.ISOLATED for t in client.account._core.margin.terms.values())
        return {"marginMode": "ISOLATED_MARGIN" if isolated else "REGULAR_MARGIN", "unifiedMarginStatus": 5}

    def realtime(self, client: Client, params: Mapping[str, str]) -> Any:
        if "orderLinkId" in params:
            report = client.account.report(params["orderLinkId"])
            found = [report] if report is not None and not _is_over(report) else []
        else:
            found = client.account.open_orders()
        return {"category": "linear", "list": [self._order(client, r) for r in found], "nextPageCursor": ""}

    def order_history(self, client: Client, params: Mapping[str, str]) -> Any:
        report = client.account.report(params["orderLinkId"])
        rows = [self._order(client, report)] if report is not None and _is_over(report) else []
        return {"category": "linear", "list": rows, "nextPageCursor": ""}

    def executions(self, client: Client, params: Mapping[str, str]) -> Any:
        """Newest first, a page at a time, as there."""
        symbol = self._symbol(params)
        since = datetime.fromtimestamp(int(params.get("startTime", 0)) / 1000, UTC)
        rows = []
        for fill in reversed(client.account.fills(symbol, since)):
            report = client.account.report(fill.client_order_id)
            assert report is not None
            shown = OrderReport(
                report.client_order_id, report.venue_order_id, symbol, report.status, report.filled_quantity,
                fill.filled_at, fill,
            )  # fmt: skip
            if to_ms(fill.filled_at) <= int(params.get("endTime", 2**62)):
                rows.append(self._execution(client, shown))
        if "orderId" in params:
            rows = [row for row in rows if row["orderId"] == params["orderId"]]
        begin = int(params.get("cursor") or 0)
        limit = min(int(params.get("limit", 50)), 3)  # small pages, so that the cursor is really used
        more = str(begin + limit) if begin + limit < len(rows) else ""
        return {"category": "linear", "list": rows[begin : begin + limit], "nextPageCursor": more}

    # --- changes -------------------------------------------------------------------------------------------

    async def create(self, client: Client, body: Mapping[str, Any]) -> Any:
        order = self._read(body)
        client.asked.setdefault(order.client_order_id, order)
        events = self._guard(lambda: client.account.submit(order))
        await self._tell(client, events)
        report = client.account.report(order.client_order_id)
        assert report is not None
        return {"orderId": report.venue_order_id, "orderLinkId": order.client_order_id}

    async def cancel(self, client: Client, body: Mapping[str, Any]) -> Any:
        events = self._guard(lambda: client.account.cancel(self._symbol(body), body["orderLinkId"]))
        await self._tell(client, events)
        return {"orderId": "", "orderLinkId": body["orderLinkId"]}

    async def set_leverage(self, client: Client, body: Mapping[str, Any]) -> Any:
        self._guard(lambda: client.account.prepare({self._symbol(body): int(body["buyLeverage"])}))
        return {}

    async def set_margin_mode(self, client: Client, body: Mapping[str, Any]) -> Any:
        terms = client.account._core.margin.terms
        self._guard(lambda: client.account.prepare({symbol: term.leverage for symbol, term in terms.items()}))
        return {"reasons": []}

    def _guard(self, act: Any) -> Any:
        try:
            return act()
        except RejectedError as error:
            raise RefusedError(CODES.get(error.code, 10001), str(error)) from None

    def _read(self, body: Mapping[str, Any]) -> Order:
        trigger = Decimal(body["triggerPrice"]) if body.get("triggerPrice") else None
        price = Decimal(body["price"]) if body.get("price") else None
        side = Side(body["side"].upper())
        rises = body.get("triggerDirection") == 1
        is_stop = (side is Side.BUY) == rises
        kinds = {
            (False, False): OrderType.MARKET, (False, True): OrderType.LIMIT,
            (True, False): OrderType.STOP_MARKET if is_stop else OrderType.TAKE_PROFIT_MARKET,
            (True, True): OrderType.STOP_LIMIT if is_stop else OrderType.TAKE_PROFIT_LIMIT,
        }  # fmt: skip
        at = datetime(2020, 1, 1, tzinfo=UTC)
        intent = Intent(
            deployment_id="x", symbol=self._symbol(body), bar_time=at, purpose=OrderPurpose.EXIT, side=side,
            type=kinds[trigger is not None, price is not None], quantity=Decimal(str(body["qty"])),
            reference_price=Decimal(1), price=price, stop_price=trigger, reduce_only=bool(body.get("reduceOnly")),
        )  # fmt: skip
        tif = TimeInForce.GTX if body.get("timeInForce") == "PostOnly" else TimeInForce.GTC
        return Order(body["orderLinkId"], intent, tif, OrderStatus.SUBMITTED, Decimal(0), None, "", at)

    def _symbol(self, params: Mapping[str, Any]) -> str:
        if params.get("symbol") not in self.ids:
            raise RefusedError(10001, "symbol invalid")
        return self.ids[params["symbol"]]


def _is_over(report: OrderReport) -> bool:
    return report.status in {OrderStatus.FILLED, OrderStatus.CANCELED, OrderStatus.EXPIRED}
