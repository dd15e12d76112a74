"""`ports.Venue` over ccxt.pro: translates out, translates in, classifies errors. It hides no retry, invents no status.

Which exchange it speaks to is data (`dialects`): Binance USD-M and spot, Bybit linear, at their own addresses, in their
test environments, or at our sandbox. Where an exchange keeps conditional orders apart, a caller sees one order.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from pydantic import SecretStr

from include.domain.bars import Bar
from include.domain.enums import OrderStatus
from include.domain.errors import OutcomeUnknownError, RejectedError, RetryableError
from include.domain.instruments import Instrument
from include.domain.orders import Balance, Fill, FundingPayment, Order, OrderReport, Position
from include.domain.times import Timeframe, from_ms
from include.ports import VenueEvent
from include.venues import placing
from include.venues.ccxt_client import Endpoint
from include.venues.ccxt_link import Link
from include.venues.clock_offset import ClockOffset
from include.venues.dialect import CancelAnswer, Market, OrderPlace
from include.venues.dialects import find_dialect
from include.venues.expiring import Expiring
from include.venues.margin_setup import prepare_margin
from include.venues.rate_limits import RateGovernor

FACTS_LAST = timedelta(hours=1)
"""How long steps, minimums and fees are believed before they are asked for again."""


class CcxtVenue:
    """One account on one exchange.

    Args:
        base_url: `http://host:port`; every request and stream goes there. Empty: the exchange's own addresses.
        key, secret: the account's credentials.
        exchange: which one, as `dialects.DIALECTS` names it.
        sandbox: the exchange's own test environment.
        timeout_ms: how long an answer may take.
        obeys_limits: whether to slow down before the exchange's limits; False only where time is replayed.

    Raises:
        ConfigurationError: the exchange is not known.
    """

    def __init__(
        self,
        base_url: str,
        key: SecretStr,
        secret: SecretStr,
        *,
        exchange: str = "binance-usdm",
        sandbox: bool = False,
        timeout_ms: int = 10_000,
        obeys_limits: bool | None = None,
    ) -> None:
        endpoint = Endpoint(base_url.rstrip("/"), sandbox, timeout_ms)
        obeys = not endpoint.base_url if obeys_limits is None else obeys_limits
        self._link = Link(find_dialect(exchange), endpoint, key, secret, obeys_limits=obeys)
        self._facts: Expiring[Mapping[str, Instrument]] = Expiring(FACTS_LAST)

    # --- the connection ------------------------------------------------------------------------------------

    @property
    def base_url(self) -> str:
        return self._link.endpoint.base_url

    @property
    def streams(self) -> Any:
        """The streams of the present connection."""
        return self._link.streams

    @property
    def reconnects(self) -> int:
        """How often something may have been missed since `connect`: a stream opened again, a message that could not
        be read."""
        return self._link.streams.reconnects + self._link.streams.unreadable

    @property
    def governor(self) -> RateGovernor:
        """What has been used of the exchange's limits."""
        return self._link.governor

    @property
    def clock_offset(self) -> ClockOffset | None:
        """The exchange's clock less ours as measured by `connect`; None before."""
        return self._link.clock_offset

    @property
    def listening(self) -> tuple[str, Mapping[str, str]]:
        """API key, side and kline streams of the present connection, see `Link.listening`."""
        return self._link.listening

    @property
    def session(self) -> Any:
        """The aiohttp session of the connection. Raises RetryableError when there is none."""
        return self._link.session

    async def connect(self, symbols: Sequence[str], timeframe: Timeframe) -> None:
        """Load markets, compare clocks and open both streams; returns once the exchange has confirmed them.

        Raises:
            RetryableError: the exchange does not answer.
            RejectedError: a symbol is not traded there.
            FatalError: the credentials are refused, or our clock is too far off.
        """
        self._facts.forget()
        await self._link.open(symbols, timeframe, with_account=True)

    async def close(self) -> None:
        """Close both streams and the session; `events` ends. Safe to call twice."""
        await self._link.close()

    async def prepare(self, leverage: Mapping[str, int]) -> None:
        """One-way positions, isolated margin and this leverage for each symbol; only what differs is changed.

        Raises:
            RejectedError: the exchange refuses a change, or has no margin and more than 1 is asked for.
        """
        await prepare_margin(self._link, leverage)

    def events(self) -> AsyncIterator[VenueEvent]:
        """Finished bars, order reports and funding as they arrived; ends on `close`, raises when a stream cannot go
        on."""
        return self._link.streams.events()

    # --- facts ---------------------------------------------------------------------------------------------

    async def server_time(self) -> datetime:
        """The market's time: what the exchange stamps on its data now (in a replay, the replayed time)."""
        return await self._link.market_time()

    async def instruments(self) -> Mapping[str, Instrument]:
        """Tick, lot, minimum notional and the account's fees, by the candidate's symbols; spread and slippage are
        zero, because no venue states them. Asked for once in `FACTS_LAST`."""
        return await self._facts.get(self._ask_instruments)

    async def _ask_instruments(self) -> Mapping[str, Instrument]:
        link, dialect, found = self._link, self._link.dialect, {}
        await link.refresh_markets()
        for market in link.markets.values():
            action = f"{market.symbol}: ask for fees"
            fees = await link.asker.rows(action, dialect.fees, market)
            found[market.symbol] = link.asker.read(action, dialect.read_instrument, market, fees)
        return found

    async def history(self, symbol: str, limit: int) -> Sequence[Bar]:
        """The last finished bars, oldest first, at most `limit`."""
        return await self._link.history(symbol, limit)

    # --- orders --------------------------------------------------------------------------------------------

    async def submit(self, order: Order) -> OrderReport:
        """Send one order under its client id.

        Raises:
            RejectedError: refused, with the exchange's code.
            RetryableError: it certainly was not sent or not looked at.
            OutcomeUnknownError: it was sent and no answer can be trusted.
        """
        link, intent = self._link, order.intent
        action = f"{intent.symbol}: send {intent.type.value} {order.client_order_id}"
        market = link.market(intent.symbol)
        placing.require_steps(intent, *link.dialect.steps(market.info))
        what = placing.arguments(link.dialect, order)
        answer = await link.asker.call(
            action, lambda: link.client.create_order(market.unified, *what), changes=True, urgent=intent.reduce_only
        )
        if not link.dialect.answers_orders:
            return await self._look_at(order, action)
        place = self._place(order)
        report = link.asker.read(action, place.read, answer["info"], market, changes=True)
        return await self._with_its_fill(report, market)

    async def cancel(self, order: Order) -> OrderReport:
        """Cancel one order by our id.

        Raises:
            RejectedError: there is no such working order; it has filled, expired, or never arrived.
            OutcomeUnknownError: it was sent and no answer can be trusted.
        """
        first = self._place(order)
        others = [place for place in self._link.dialect.places if place is not first]
        try:
            return await self._cancel(order, first)
        except RejectedError as error:
            if error.code not in self._link.dialect.not_found or not others:
                raise
        # It has triggered, or is somebody else's, whose kind its id does not tell: look in the other place too.
        return await self._cancel(order, others[0])

    async def _cancel(self, order: Order, place: OrderPlace) -> OrderReport:
        link, market = self._link, self._link.market(order.intent.symbol)
        action = f"{market.symbol}: cancel {order.client_order_id}"
        wanted = {place.id_key: order.client_order_id}
        answer = await link.asker.ask(action, place.cancel, market, wanted, changes=True, urgent=True)
        if place.cancel_answer is CancelAnswer.TAKEN:
            return await self._look_at(order, action)
        if place.cancel_answer is CancelAnswer.ORDER:
            return link.asker.read(action, place.read, answer, market, changes=True)
        # The algo service confirms without a time: the newest market time that we have seen stands in for it.
        seen = link.streams.last_event_ms
        at = order.created_at if seen is None else from_ms(seen)
        algo_id = link.asker.read(action, lambda: str(answer["algoId"]), changes=True)
        return OrderReport(
            order.client_order_id, algo_id, market.symbol, OrderStatus.CANCELED, order.filled_quantity, at
        )

    async def _look_at(self, order: Order, action: str) -> OrderReport:
        """What became of an order whose receipt we have. Raises OutcomeUnknownError when that cannot be told."""
        try:
            found = await self.find_order(order.intent.symbol, order.client_order_id)
        except RetryableError as error:
            raise OutcomeUnknownError(f"{action}: taken, but the order could not be looked at ({error})") from None
        if found is None:
            raise OutcomeUnknownError(f"{action}: taken, but the exchange does not show the order yet")
        return await self._with_its_fill(found, self._link.market(order.intent.symbol))

    async def find_order(self, symbol: str, client_order_id: str) -> OrderReport | None:
        """State of one order by our id; None only when no place of the exchange knows it."""
        link, market = self._link, self._link.market(symbol)
        action = f"{symbol}: find {client_order_id}"
        for place in link.dialect.places:
            for route in place.find:
                try:
                    answer = await link.asker.ask(action, route, market, {place.id_key: client_order_id}, urgent=True)
                except RejectedError as error:
                    if error.code not in link.dialect.not_found:
                        raise
                    continue
                found = link.asker.read(action, route.rows_of, answer)
                if route.rows:  # a list, which may be empty
                    found = found[0] if found else None
                if found is not None:
                    return link.asker.read(action, place.read, found, market)
        return None

    async def open_orders(self) -> Sequence[OrderReport]:
        """Working orders of the connected symbols, conditional ones included."""
        found: list[OrderReport] = []
        for place in self._link.dialect.places:
            rows = await self._link.asker.rows("ask for open orders", place.open)
            found += self._link.asker.read("open orders", self._read_orders, rows, place)
        return found

    def _read_orders(self, rows: Sequence[Any], place: OrderPlace) -> list[OrderReport]:
        markets = self._link.markets
        return [place.read(row, markets[row["symbol"]]) for row in rows if row["symbol"] in markets]

    # --- account -------------------------------------------------------------------------------------------

    async def fills(self, symbol: str, since: datetime) -> Sequence[Fill]:
        """Fills from `since` on, oldest first, under our order ids."""
        link, log, market = self._link, self._link.dialect.trade_log, self._link.market(symbol)
        now = await self.server_time()
        rows = await link.asker.since(f"{symbol}: ask for fills", log.trades, market, since, now)
        if (is_fill := log.is_fill) is not None:
            rows = link.asker.read("fills", lambda: [row for row in rows if is_fill(row)])
        ids: dict[str, str] = {}
        if rows and log.order_ids is not None:
            orders = await link.asker.since(f"{symbol}: ask for orders", log.order_ids, market, since, now)
            ids = link.asker.read("orders", lambda: {str(row["orderId"]): row["clientOrderId"] for row in orders})
        return [await self._fill(row, market, ids) for row in rows]

    async def _fill(self, row: Any, market: Market, ids: dict[str, str]) -> Fill:
        asker, log = self._link.asker, self._link.dialect.trade_log
        if log.client_id is not None:
            name = asker.read("fill", log.client_id, row)
        else:
            order_id = asker.read("fill", lambda: str(row["orderId"]))
            if order_id not in ids and log.order_by_id is not None:  # an order that had rested since before
                action = f"{market.symbol}: find order {order_id}"
                answer = await asker.ask(action, log.order_by_id, market, {"orderId": order_id})
                ids[order_id] = asker.read(action, lambda: str(answer["clientOrderId"]))
            name = asker.read("fill", lambda: ids[order_id])
        return asker.read("fill", log.read, row, market, name)

    async def _with_its_fill(self, report: OrderReport, market: Market) -> OrderReport:
        """An order that filled while it was sent: its answer names no fill, so ask for it. More than one is left to
        the user stream, which reports each."""
        if not report.filled_quantity:
            return report
        log, asker = self._link.dialect.trade_log, self._link.asker
        wanted = {"orderId": report.venue_order_id}
        try:
            rows = await asker.rows("ask for the fill", log.of_order, market, wanted)
            fills = [asker.read("fill", log.read, row, market, report.client_order_id) for row in rows]
        except RetryableError:
            return report
        return replace(report, fill=fills[0]) if len(fills) == 1 else report

    async def funding(self, symbol: str, since: datetime) -> Sequence[FundingPayment]:
        """Funding paid and received from `since` on, oldest first; nothing where the exchange has none."""
        log, market = self._link.dialect.funding, self._link.market(symbol)
        if log is None:
            return []
        action = f"{symbol}: ask for funding"
        rows = await self._link.asker.since(action, log.window, market, since, await self.server_time())
        return [self._link.asker.read(action, log.read, row, market) for row in rows]

    async def positions(self) -> Sequence[Position]:
        """Non-zero positions of the connected symbols."""
        dialect, asker = self._link.dialect, self._link.asker
        rows = await asker.rows("ask for positions", dialect.positions)
        held = asker.read("positions", dialect.read_positions, rows, self._link.markets)
        return [position for position in held if position.quantity]

    async def balances(self) -> Sequence[Balance]:
        """Wallets of the account."""
        dialect, asker = self._link.dialect, self._link.asker
        rows = await asker.rows("ask for balances", dialect.balances)
        return asker.read("balances", dialect.read_balances, rows)

    async def top_of_book(self, symbol: str) -> tuple[Decimal, Decimal]:
        """Best bid and ask."""
        link, market = self._link, self._link.market(symbol)
        action = f"{symbol}: ask for the book"
        book = await link.asker.call(action, lambda: link.client.fetch_order_book(market.unified, 5))
        return link.asker.read(action, lambda: (Decimal(str(book["bids"][0][0])), Decimal(str(book["asks"][0][0]))))

    async def permissions(self) -> tuple[bool, bool]:
        """(may trade, may withdraw), as the exchange says of this key."""
        asked, asker = self._link.dialect.permissions, self._link.asker
        answer = await asker.ask("ask for permissions", asked.route)
        return asker.read("permissions", asked.read, answer)

    def _place(self, order: Order) -> OrderPlace:
        places = self._link.dialect.places
        return places[-1] if order.intent.type in self._link.dialect.conditional else places[0]
