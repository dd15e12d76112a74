"""`ports.Venue` over ccxt.pro for Binance USD-M: translates out, translates in, classifies errors.

Used against the sandbox exchange (replayed in lockstep, or running by itself). It hides no retry and invents no status.
Conditional orders (STOP_MARKET) live in the exchange's algo service and become an order of their own when they trigger,
under the same client id; a caller of this class sees one order.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from decimal import localcontext
from typing import Any, TypeVar

from pydantic import SecretStr

from include.domain.bars import Bar
from include.domain.enums import OrderStatus, OrderType
from include.domain.errors import FatalError, OutcomeUnknownError, RejectedError, RetryableError
from include.domain.instruments import Instrument, symbol_id
from include.domain.orders import Balance, Fill, Intent, Order, OrderReport, Position
from include.domain.times import Timeframe, from_ms, to_ms
from include.venues import binance_wire as wire
from include.venues.ccxt_client import build_client
from include.venues.ccxt_errors import translate
from include.venues.ccxt_streams import Streams

T = TypeVar("T")

CONNECT_TIMEOUT_SECS = 15.0
WINDOW = timedelta(days=7)
"""The longest stretch of trades or orders that one request may ask for."""
PAGE = 1_000
MAX_KLINES = 1_500
NOT_FOUND = frozenset({"-2011", "-2013"})


class CcxtVenue:
    """One account on one exchange shaped like Binance USD-M.

    Args:
        base_url: `http://host:port`; every request and stream goes there.
        key, secret: the account's credentials.
        timeout_ms: how long an answer may take.
    """

    def __init__(self, base_url: str, key: SecretStr, secret: SecretStr, *, timeout_ms: int = 10_000) -> None:
        self.base_url = base_url.rstrip("/")
        self.streams = Streams({})
        self._key, self._secret, self._timeout_ms = key, secret, timeout_ms
        self._client: Any = None
        self._symbols: dict[str, str] = {}
        self._timeframe = Timeframe(60)

    @property
    def reconnects(self) -> int:
        """How often a stream had to be opened again since `connect`."""
        return self.streams.reconnects

    @property
    def session(self) -> Any:
        """The aiohttp session of the connection. Raises RetryableError when there is none."""
        if self._client is None or self._client.session is None:
            raise RetryableError(f"{self.base_url}: not connected")
        return self._client.session

    # --- life ----------------------------------------------------------------------------------------------

    async def connect(self, symbols: Sequence[str], timeframe: Timeframe) -> None:
        """Load markets and open both streams; returns once the exchange has confirmed them.

        Raises:
            RetryableError: the exchange does not answer.
            RejectedError: a symbol is not traded there.
            FatalError: the credentials are refused.
        """
        self._timeframe = timeframe
        self._symbols = {symbol_id(symbol): symbol for symbol in symbols}
        self.streams = Streams(self._symbols)
        self._client = build_client(self.base_url, self._key, self._secret, self._timeout_ms, self.streams)
        try:
            await self._call("load markets", self._client.load_markets())
            missing = [symbol for known, symbol in self._symbols.items() if known not in self._client.markets_by_id]
            if missing:
                raise RejectedError(f"{self.base_url} does not trade {', '.join(missing)}", code="-1121")
            pairs = [[self._market(symbol)["symbol"], str(timeframe)] for symbol in symbols]
            await self.streams.open(
                lambda: self._client.watch_ohlcv_for_symbols(pairs),
                self._client.watch_orders,
                CONNECT_TIMEOUT_SECS,
            )
        except BaseException:
            await self.close()
            raise

    async def close(self) -> None:
        """Close both streams and the session; `events` ends. Safe to call twice."""
        client, self._client = self._client, None
        if client is not None:
            await self.streams.close()
            await client.close()

    def events(self) -> AsyncIterator[Bar | OrderReport]:
        """Finished bars and order reports as they arrived; ends on `close`, raises when a stream cannot go on."""
        return self.streams.events()

    # --- facts ---------------------------------------------------------------------------------------------

    async def server_time(self) -> datetime:
        """The market's time: what the exchange stamps on its data now (in a replay, the replayed time)."""
        market_id = next(iter(self._symbols))
        answer = await self._call("ask for the time", self._client.fapiPublicGetPremiumIndex({"symbol": market_id}))
        return self._read("time", lambda: from_ms(int(answer["time"])))

    async def instruments(self) -> Mapping[str, Instrument]:
        """Tick, lot, minimum notional and the account's fees, by the candidate's symbols; spread and slippage are
        zero, because no venue states them."""
        found = {}
        for market_id, symbol in self._symbols.items():
            asking = self._client.fapiPrivateGetCommissionRate({"symbol": market_id})
            fees = await self._call(f"{symbol}: ask for fees", asking)
            found[symbol] = self._read("instrument", wire.instrument, self._market(symbol)["info"], symbol, fees)
        return found

    async def history(self, symbol: str, limit: int) -> Sequence[Bar]:
        """The last finished bars, oldest first, at most `limit`."""
        now_ms = to_ms(await self.server_time())
        bars: list[Bar] = []
        before: dict[str, int] = {}
        while len(bars) < limit:
            # One more than needed: the newest may still be forming.
            wanted = {"symbol": symbol_id(symbol), "interval": str(self._timeframe)} | before
            wanted["limit"] = min(limit - len(bars) + 1, MAX_KLINES)
            rows = await self._call(f"{symbol}: ask for bars", self._client.fapiPublicGetKlines(wanted))
            page = self._read("bars", _finished, rows, symbol, now_ms)
            if not page:
                break
            bars = page + bars
            before = {"endTime": to_ms(page[0].open_time) - 1}
        return bars[-limit:]

    # --- orders --------------------------------------------------------------------------------------------

    async def submit(self, order: Order) -> OrderReport:
        """Send one order under its client id.

        Raises:
            RejectedError: refused, with the exchange's code.
            RetryableError: it certainly was not sent or not looked at.
            OutcomeUnknownError: it was sent and no answer can be trusted.
        """
        intent = order.intent
        action = f"{intent.symbol}: send {intent.type.value} {order.client_order_id}"
        self._require_steps(intent)
        params: dict[str, Any] = {"newClientOrderId": order.client_order_id}
        if intent.reduce_only:
            params["reduceOnly"] = True
        kind, price = "market", None
        if intent.type is OrderType.LIMIT:
            kind, price = "limit", format(intent.price or 0, "f")
            params["timeInForce"] = order.time_in_force.value
        elif intent.type is OrderType.STOP_MARKET:
            params["stopLossPrice"] = format(intent.stop_price or 0, "f")
        market, side, quantity = self._market(intent.symbol), intent.side.value.lower(), format(intent.quantity, "f")
        sending = self._client.create_order(market["symbol"], kind, side, quantity, price, params)
        answer = await self._call(action, sending, changes=True)
        report = self._read(action, _order_report, answer, intent.symbol, changes=True)
        return await self._with_its_fill(report)

    async def cancel(self, order: Order) -> OrderReport:
        """Cancel one order by our id.

        Raises:
            RejectedError: there is no such working order; it has filled, expired, or never arrived.
            OutcomeUnknownError: it was sent and no answer can be trusted.
        """
        is_stop = order.intent.type is OrderType.STOP_MARKET
        try:
            return await self._cancel(order, conditional=is_stop)
        except RejectedError as error:
            if error.code not in NOT_FOUND:
                raise
            # Somebody else's order: what kind it is cannot be told from its id, so look in the other place too.
            return await self._cancel(order, conditional=not is_stop)

    async def _cancel(self, order: Order, *, conditional: bool) -> OrderReport:
        symbol, client_order_id = order.intent.symbol, order.client_order_id
        action = f"{symbol}: cancel {client_order_id}"
        params: dict[str, Any] = {"clientOrderId": client_order_id} | ({"trigger": True} if conditional else {})
        sending = self._client.cancel_order("", self._market(symbol)["symbol"], params)
        answer = await self._call(action, sending, changes=True)
        if not conditional:
            return self._read(action, _order_report, answer, symbol, changes=True)
        # The algo service confirms without a time: the newest market time that we have seen stands in for it.
        at = from_ms(self.streams.last_event_ms) if self.streams.last_event_ms is not None else order.created_at
        algo_id = self._read(action, lambda: str(answer["info"]["algoId"]), changes=True)
        return OrderReport(client_order_id, algo_id, symbol, OrderStatus.CANCELED, order.filled_quantity, at)

    async def find_order(self, symbol: str, client_order_id: str) -> OrderReport | None:
        """State of one order by our id; None only when neither the order book nor the algo service knows it."""
        action = f"{symbol}: find {client_order_id}"
        for conditional in (False, True):
            params: dict[str, Any] = {"clientOrderId": client_order_id} | ({"trigger": True} if conditional else {})
            asking = self._client.fetch_order("", self._market(symbol)["symbol"], params)
            try:
                answer = await self._call(action, asking)
            except RejectedError as error:
                if error.code not in NOT_FOUND:
                    raise
                continue
            return self._read(action, _order_report, answer, symbol)
        return None

    async def open_orders(self) -> Sequence[OrderReport]:
        """Working orders of the connected symbols, conditional ones included."""
        plain = await self._call("ask for open orders", self._client.fapiPrivateGetOpenOrders())
        algo = await self._call("ask for open conditional orders", self._client.fapiPrivateGetOpenAlgoOrders())
        return self._read(
            "open orders",
            lambda: [_order_report({"info": row}, symbol) for row, symbol in self._ours([*plain, *algo])],
        )

    async def fills(self, symbol: str, since: datetime) -> Sequence[Fill]:
        """Fills from `since` on, oldest first, under our order ids."""
        trades = await self._paged(symbol, since, self._client.fapiPrivateGetUserTrades, "id")
        ids: dict[str, str] = {}
        if trades:
            orders = await self._paged(symbol, since, self._client.fapiPrivateGetAllOrders, "orderId")
            ids = self._read("orders", lambda: {str(order["orderId"]): order["clientOrderId"] for order in orders})
        found = []
        for trade in trades:
            order_id = self._read("fill", lambda t=trade: str(t["orderId"]))
            if order_id not in ids:  # an order that had rested since before `since`
                ids[order_id] = await self._client_id_of(symbol, order_id)
            found.append(self._read("fill", wire.trade_answer, trade, symbol, ids[order_id]))
        return found

    async def positions(self) -> Sequence[Position]:
        """Non-zero positions of the connected symbols."""
        rows = await self._call("ask for positions", self._client.fapiPrivateV3GetPositionRisk())
        held = self._read("positions", lambda: [wire.position_answer(row, symbol) for row, symbol in self._ours(rows)])
        return [position for position in held if position.quantity]

    async def balances(self) -> Sequence[Balance]:
        """Wallets of the account."""
        answer = await self._call("ask for balances", self._client.fapiPrivateV3GetAccount())
        return self._read("balances", lambda: [wire.balance_answer(asset) for asset in answer["assets"]])

    # --- internals -----------------------------------------------------------------------------------------

    def _market(self, symbol: str) -> Any:
        return self._client.markets_by_id[symbol_id(symbol)][0]

    def _ours(self, rows: Sequence[Any]) -> list[tuple[Any, str]]:
        """Rows of connected symbols with the candidate's spelling."""
        return [(row, self._symbols[row["symbol"]]) for row in rows if row["symbol"] in self._symbols]

    def _require_steps(self, intent: Intent) -> None:
        """ccxt would round what is off the steps without a word; refuse it instead."""
        filters = {entry["filterType"]: entry for entry in self._market(intent.symbol)["info"]["filters"]}
        level = intent.price if intent.price is not None else intent.stop_price
        if not wire.is_multiple(intent.quantity, filters["LOT_SIZE"]["stepSize"]):
            raise RejectedError(
                f"{intent.symbol}: quantity {intent.quantity} is not a multiple of the lot", code="-1111"
            )
        if level is not None and not wire.is_multiple(level, filters["PRICE_FILTER"]["tickSize"]):
            raise RejectedError(f"{intent.symbol}: price {level} is not a multiple of the tick", code="-4014")

    async def _with_its_fill(self, report: OrderReport) -> OrderReport:
        """An order that filled while it was sent: its answer names no fill, so ask for it. More than one is left to
        the user stream, which reports each."""
        if not report.filled_quantity:
            return report
        wanted = {"symbol": symbol_id(report.symbol), "orderId": report.venue_order_id}
        try:
            trades = await self._call("ask for the fill", self._client.fapiPrivateGetUserTrades(wanted))
            fills = [self._read("fill", wire.trade_answer, t, report.symbol, report.client_order_id) for t in trades]
        except RetryableError:
            return report
        return replace(report, fill=fills[0]) if len(fills) == 1 else report

    async def _paged(
        self, symbol: str, since: datetime, ask: Callable[[dict[str, Any]], Awaitable[Any]], key: str
    ) -> list[Any]:
        """All rows of a time-windowed route from `since` to now, oldest first, each once."""
        rows: dict[int, Any] = {}
        start, now_ms = to_ms(since), to_ms(await self.server_time())
        while start <= now_ms:
            end = min(start + WINDOW // timedelta(milliseconds=1), now_ms)
            wanted = {"symbol": symbol_id(symbol), "startTime": start, "endTime": end, "limit": PAGE}
            page = await self._call(f"{symbol}: ask for {key} list", ask(wanted))
            known = len(rows)
            rows.update(self._read(f"{key} list", lambda p=page: {int(row[key]): row for row in p}))
            if len(page) < PAGE:
                start = end + 1
            elif len(rows) == known:
                raise FatalError(f"{symbol}: more than {PAGE} rows in one millisecond; they cannot be read completely")
            else:
                start = max(int(row["time"]) for row in page)
        return [rows[number] for number in sorted(rows)]

    async def _client_id_of(self, symbol: str, order_id: str) -> str:
        wanted = {"symbol": symbol_id(symbol), "orderId": order_id}
        answer = await self._call(f"{symbol}: find order {order_id}", self._client.fapiPrivateGetOrder(wanted))
        return self._read("order", lambda: str(answer["clientOrderId"]))

    async def _call(self, action: str, request: Awaitable[Any], *, changes: bool = False) -> Any:
        try:
            # ccxt sets the rounding of the thread's decimal context; everybody else's arithmetic must not notice.
            with localcontext():
                return await request
        except Exception as error:
            raise translate(error, f"{self.base_url} {action}", changes=changes) from None

    def _read(self, action: str, parse: Callable[..., T], *arguments: Any, changes: bool = False) -> T:
        """Parse an answer. Unreadable, it leaves the outcome of a change unknown, while a question can be repeated."""
        try:
            return parse(*arguments)
        except (KeyError, ValueError, TypeError, ArithmeticError, AttributeError) as error:
            reaction = OutcomeUnknownError if changes else RetryableError
            raise reaction(f"{self.base_url} {action}: unreadable answer ({type(error).__name__}: {error})") from None


def _order_report(answer: Any, symbol: str) -> OrderReport:
    info = answer["info"]
    return wire.algo_answer(info, symbol) if "algoId" in info else wire.order_answer(info, symbol)


def _finished(rows: Sequence[Sequence[Any]], symbol: str, now_ms: int) -> list[Bar]:
    return [wire.kline_row(row, symbol) for row in rows if int(row[6]) <= now_ms]
