"""exchangeInfo of spot and the filters it promises, each refused with the real code and words."""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Decimal
from typing import Any

from include.domain.enums import OrderType
from include.domain.instruments import Instrument
from include.venues.matching import Request
from include.venues.matching.spot import base_asset
from include.venues.sandbox.errors import ApiError, Denial
from include.venues.sandbox.spot.numbers import eight
from include.venues.sandbox.tape import Tape
from include.venues.sandbox.weights import Segment, listed

MAX_QUANTITY_LOTS = 10**9
MAX_PRICE_TICKS = 10**9
MAX_OPEN_ORDERS = 200
MAX_NOTIONAL = "9000000.00000000"
ORDER_TYPES = (
    "LIMIT", "LIMIT_MAKER", "MARKET", "STOP_LOSS", "STOP_LOSS_LIMIT", "TAKE_PROFIT", "TAKE_PROFIT_LIMIT",
)  # fmt: skip
SELF_TRADE_PREVENTION = "EXPIRE_MAKER"


def exchange_info(tapes: Iterable[Tape], now_ms: int) -> dict[str, Any]:
    """Answer of GET /api/v3/exchangeInfo."""
    return {
        "timezone": "UTC",
        "serverTime": now_ms,
        "rateLimits": listed(Segment.SPOT),
        "exchangeFilters": [],
        "symbols": [_symbol(tape) for tape in tapes],
    }


def _symbol(tape: Tape) -> dict[str, Any]:
    instrument = tape.instrument
    tick, lot = eight(instrument.tick_size), eight(instrument.lot_size)
    lots = {"minQty": lot, "maxQty": eight(instrument.lot_size * MAX_QUANTITY_LOTS), "stepSize": lot}
    return {
        "symbol": tape.id, "status": "TRADING", "baseAsset": base_asset(instrument), "baseAssetPrecision": 8,
        "quoteAsset": instrument.quote, "quotePrecision": 8, "quoteAssetPrecision": 8, "baseCommissionPrecision": 8,
        "quoteCommissionPrecision": 8, "orderTypes": list(ORDER_TYPES), "icebergAllowed": False, "ocoAllowed": False,
        "otoAllowed": False, "quoteOrderQtyMarketAllowed": True, "allowTrailingStop": False,
        "cancelReplaceAllowed": True, "amendAllowed": False, "isSpotTradingAllowed": True,
        "isMarginTradingAllowed": False, "permissions": [], "permissionSets": [["SPOT"]],
        "defaultSelfTradePreventionMode": SELF_TRADE_PREVENTION,
        "allowedSelfTradePreventionModes": [SELF_TRADE_PREVENTION],
        "filters": [
            {"filterType": "PRICE_FILTER", "minPrice": tick, "maxPrice": eight(instrument.tick_size * MAX_PRICE_TICKS),
             "tickSize": tick},
            {"filterType": "LOT_SIZE", **lots},
            {"filterType": "MARKET_LOT_SIZE", **lots},
            {"filterType": "NOTIONAL", "minNotional": eight(instrument.min_notional), "applyMinToMarket": True,
             "maxNotional": MAX_NOTIONAL, "applyMaxToMarket": False, "avgPriceMins": 5},
            {"filterType": "MAX_NUM_ORDERS", "maxNumOrders": MAX_OPEN_ORDERS},
        ],
    }  # fmt: skip


def failure(name: str) -> Denial:
    """A filter is not met."""
    return Denial(-1013, f"Filter failure: {name}")


def check(instrument: Instrument, request: Request, mark: Decimal | None, working: int) -> None:
    """Hold a request to the filters of its symbol.

    Args:
        mark: where the market stands; None before the first bar.
        working: how many orders of the symbol the account has already.

    Raises:
        ApiError: with the words of the filter that it breaks.
    """
    if working >= MAX_OPEN_ORDERS:
        raise ApiError(failure("MAX_NUM_ORDERS"))
    check_quantity(instrument, request.type, request.quantity)
    for price in (request.price, request.stop_price):
        if price is not None and (price <= 0 or price % instrument.tick_size):
            raise ApiError(failure("PRICE_FILTER"))
        if price is not None and price > instrument.tick_size * MAX_PRICE_TICKS:
            raise ApiError(failure("PRICE_FILTER"))
    reference = request.price or request.stop_price or mark
    if reference is None:
        return
    if not instrument.min_notional <= request.quantity * reference:
        raise ApiError(failure("NOTIONAL"))
    if request.price is not None and request.quantity * reference > Decimal(MAX_NOTIONAL):
        raise ApiError(failure("NOTIONAL"))


def check_quantity(instrument: Instrument, kind: OrderType, quantity: Decimal) -> None:
    """Hold a quantity to the lot. Raises ApiError."""
    lot = instrument.lot_size
    if quantity <= 0 or quantity % lot or quantity > lot * MAX_QUANTITY_LOTS:
        raise ApiError(failure("MARKET_LOT_SIZE" if kind is OrderType.MARKET and quantity > 0 else "LOT_SIZE"))
