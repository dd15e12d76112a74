"""exchangeInfo and the filters it promises: tick, lot, minimum notional, each refused with the real code."""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Decimal
from typing import Any

from include.domain.enums import OrderType
from include.domain.instruments import Instrument
from include.venues.matching import Request
from include.venues.sandbox import errors
from include.venues.sandbox.tape import Tape, places

MAX_QUANTITY_LOTS = 10**9
MAX_PRICE_TICKS = 10**9
MAX_OPEN_ORDERS = 200
PERPETUAL_DELIVERY_MS = 4_133_404_800_000
RATE_LIMITS = [
    {"rateLimitType": "REQUEST_WEIGHT", "interval": "MINUTE", "intervalNum": 1, "limit": 2400},
    {"rateLimitType": "ORDERS", "interval": "MINUTE", "intervalNum": 1, "limit": 1200},
    {"rateLimitType": "ORDERS", "interval": "SECOND", "intervalNum": 10, "limit": 300},
]


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
        "rateLimits": RATE_LIMITS,
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
        "underlyingType": "COIN", "underlyingSubType": [], "triggerProtect": "0.0500", "liquidationFee": "0.012500",
        "marketTakeBound": "0.05", "maxMoveOrderLimit": 10000,
        "filters": [
            {"filterType": "PRICE_FILTER", "minPrice": tick, "maxPrice": text(instrument.tick_size * MAX_PRICE_TICKS),
             "tickSize": tick},
            {"filterType": "LOT_SIZE", **lots, "maxQty": max_quantity},
            {"filterType": "MARKET_LOT_SIZE", **lots, "maxQty": max_quantity},
            {"filterType": "MAX_NUM_ORDERS", "limit": MAX_OPEN_ORDERS},
            {"filterType": "MIN_NOTIONAL", "notional": text(instrument.min_notional)},
        ],
        "orderTypes": [kind.value for kind in OrderType], "timeInForce": ["GTC"],
    }  # fmt: skip


def check(instrument: Instrument, request: Request, mark: Decimal | None) -> None:
    """Hold a request to the filters of its symbol.

    Raises:
        ApiError: with the real code of the filter that it breaks.
    """
    if request.quantity <= 0:
        raise errors.ApiError(errors.QUANTITY_NOT_POSITIVE)
    if request.quantity % instrument.lot_size:
        raise errors.ApiError(errors.QUANTITY_STEP)
    if request.quantity > instrument.lot_size * MAX_QUANTITY_LOTS:
        raise errors.ApiError(errors.QUANTITY_TOO_LARGE)
    if request.level is not None:
        if request.level <= 0:
            is_limit = request.type is OrderType.LIMIT
            raise errors.ApiError(errors.PRICE_NOT_POSITIVE if is_limit else errors.STOP_PRICE_NOT_POSITIVE)
        if request.level % instrument.tick_size:
            raise errors.ApiError(errors.PRICE_TICK)
    price = request.level if request.level is not None else mark
    if not request.reduce_only and price is not None and request.quantity * price < instrument.min_notional:
        raise errors.ApiError(errors.too_small(text(instrument.min_notional)))
