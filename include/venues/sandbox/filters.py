"""exchangeInfo and the filters it promises, each refused with the real code.

The price band is wider than the real exchange's: a take-profit that the next open has jumped over must still be taken.
"""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Decimal
from typing import Any

from include.domain.enums import Side
from include.domain.instruments import Instrument
from include.venues.matching import Book, Request
from include.venues.sandbox import errors
from include.venues.sandbox.tape import Tape, places
from include.venues.sandbox.weights import LIMITS, Segment

MAX_QUANTITY_LOTS = 10**9
MAX_PRICE_TICKS = 10**9
MAX_OPEN_ORDERS = 200
MAX_ALGO_ORDERS = 100
PRICE_BAND = Decimal("0.5")
"""How far a limit may be on the costly side of the mark, as a fraction of it."""
MIN_CALLBACK, MAX_CALLBACK, CALLBACK_STEP = Decimal("0.001"), Decimal("0.1"), Decimal("0.001")
ORDER_TYPES = ["LIMIT", "MARKET", "STOP", "STOP_MARKET", "TAKE_PROFIT", "TAKE_PROFIT_MARKET", "TRAILING_STOP_MARKET"]
TIMES_IN_FORCE = ["GTC", "IOC", "FOK", "GTX", "GTD"]
PERPETUAL_DELIVERY_MS = 4_133_404_800_000


def text(value: Decimal) -> str:
    """Plain decimal text without trailing zeros."""
    normal = format(value.normalize(), "f")
    return "0" if normal == "-0" else normal


def exchange_info(tapes: Iterable[Tape], now_ms: int) -> dict[str, Any]:
    """Answer of GET /fapi/v1/exchangeInfo."""
    tapes = list(tapes)
    quotes = sorted({tape.instrument.quote for tape in tapes})
    return {
        "timezone": "UTC",
        "serverTime": now_ms,
        "futuresType": "U_MARGINED",
        "rateLimits": [limit.document() for limit in LIMITS[Segment.USDM]],
        "exchangeFilters": [],
        "assets": [{"asset": quote, "marginAvailable": True, "autoAssetExchange": "0"} for quote in quotes],
        "symbols": [_symbol(tape) for tape in tapes],
    }


def _symbol(tape: Tape) -> dict[str, Any]:
    instrument, quote = tape.instrument, tape.instrument.quote
    lots = {"minQty": text(instrument.lot_size), "stepSize": text(instrument.lot_size)}
    max_quantity = text(instrument.lot_size * MAX_QUANTITY_LOTS)
    tick = text(instrument.tick_size)
    return {
        "symbol": tape.id, "pair": tape.id, "contractType": "PERPETUAL", "deliveryDate": PERPETUAL_DELIVERY_MS,
        "onboardDate": int(tape.bars.open_time[0]), "status": "TRADING", "maintMarginPercent": "2.5000",
        "requiredMarginPercent": "5.0000", "baseAsset": tape.id.removesuffix(quote), "quoteAsset": quote,
        "marginAsset": quote, "pricePrecision": places(instrument.tick_size),
        "quantityPrecision": places(instrument.lot_size), "baseAssetPrecision": 8, "quotePrecision": 8,
        "underlyingType": "COIN", "underlyingSubType": [], "triggerProtect": "0.0500",
        "liquidationFee": text(instrument.liquidation_fee_rate),
        "marketTakeBound": "0.05", "maxMoveOrderLimit": 10000,
        "filters": [
            {"filterType": "PRICE_FILTER", "minPrice": tick, "maxPrice": text(instrument.tick_size * MAX_PRICE_TICKS),
             "tickSize": tick},
            {"filterType": "LOT_SIZE", **lots, "maxQty": max_quantity},
            {"filterType": "MARKET_LOT_SIZE", **lots, "maxQty": max_quantity},
            {"filterType": "MAX_NUM_ORDERS", "limit": MAX_OPEN_ORDERS},
            {"filterType": "MAX_NUM_ALGO_ORDERS", "limit": MAX_ALGO_ORDERS},
            {"filterType": "MIN_NOTIONAL", "notional": text(instrument.min_notional)},
            {"filterType": "PERCENT_PRICE", "multiplierUp": text(1 + PRICE_BAND),
             "multiplierDown": text(1 - PRICE_BAND), "multiplierDecimal": "4"},
        ],
        "orderTypes": ORDER_TYPES, "timeInForce": TIMES_IN_FORCE,
    }  # fmt: skip


def check(book: Book, request: Request) -> None:
    """Hold a request to the filters of its symbol.

    Raises:
        ApiError: with the real code of the filter that it breaks.
    """
    instrument = book.instrument
    if not request.close_position:
        _check_quantity(instrument, request.quantity)
    for price in (request.price, request.stop_price, request.activation):
        if price is not None:
            _check_price(instrument, price, is_limit=price is request.price)
    if request.price is not None and book.mark is not None and not request.is_conditional:
        check_band(instrument, request.side, request.price, book.mark)
    if request.callback is not None:
        _check_callback(request.callback)
    if not request.reduces:
        check_notional(instrument, request.quantity, request.price or request.stop_price or book.mark)
    _check_count(book, request)


def check_change(book: Book, request: Request, quantity: Decimal, price: Decimal) -> None:
    """Hold a modified limit order to the filters. Raises ApiError."""
    _check_quantity(book.instrument, quantity)
    _check_price(book.instrument, price, is_limit=True)
    if book.mark is not None:
        check_band(book.instrument, request.side, price, book.mark)
    if not request.reduces:
        check_notional(book.instrument, quantity, price)


def _check_quantity(instrument: Instrument, quantity: Decimal) -> None:
    if quantity <= 0:
        raise errors.ApiError(errors.QUANTITY_NOT_POSITIVE)
    if quantity > instrument.lot_size * MAX_QUANTITY_LOTS:
        raise errors.ApiError(errors.QUANTITY_TOO_LARGE)
    if quantity % instrument.lot_size:
        raise errors.ApiError(errors.QUANTITY_STEP)


def _check_price(instrument: Instrument, price: Decimal, *, is_limit: bool) -> None:
    if price <= 0:
        raise errors.ApiError(errors.PRICE_NOT_POSITIVE if is_limit else errors.STOP_PRICE_NOT_POSITIVE)
    if price > instrument.tick_size * MAX_PRICE_TICKS:
        raise errors.ApiError(errors.PRICE_TOO_LARGE)
    if price % instrument.tick_size:
        raise errors.ApiError(errors.PRICE_TICK)


def check_band(instrument: Instrument, side: Side, price: Decimal, mark: Decimal) -> None:
    """PERCENT_PRICE: a buy not far above the mark, a sale not far below. Raises ApiError."""
    limit = instrument.worse_price(mark * (1 + side.sign * PRICE_BAND), side.opposite)
    if side is Side.BUY and price > limit:
        raise errors.ApiError(errors.above_band(text(limit)))
    if side is Side.SELL and price < limit:
        raise errors.ApiError(errors.below_band(text(limit)))


def _check_callback(callback: Decimal) -> None:
    if not MIN_CALLBACK <= callback <= MAX_CALLBACK or callback % CALLBACK_STEP:
        raise errors.ApiError(errors.invalid_callback(text(MIN_CALLBACK * 100), text(MAX_CALLBACK * 100)))


def check_notional(instrument: Instrument, quantity: Decimal, price: Decimal | None) -> None:
    """MIN_NOTIONAL. Raises ApiError."""
    if price is not None and quantity * price < instrument.min_notional:
        raise errors.ApiError(errors.too_small(text(instrument.min_notional)))


def _check_count(book: Book, request: Request) -> None:
    if len(book.orders) < min(MAX_OPEN_ORDERS, MAX_ALGO_ORDERS):
        return
    waiting = sum(order.is_waiting for order in book.orders.values())
    if request.is_conditional and waiting >= MAX_ALGO_ORDERS:
        raise errors.ApiError(errors.TOO_MANY_STOP_ORDERS)
    if not request.is_conditional and len(book.orders) - waiting >= MAX_OPEN_ORDERS:
        raise errors.ApiError(errors.TOO_MANY_OPEN_ORDERS)
