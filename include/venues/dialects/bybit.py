"""Bybit v5: linear perpetuals of a unified account."""

from __future__ import annotations

from datetime import timedelta

from include.domain.enums import OrderType
from include.venues import bybit_wire as wire
from include.venues.dialect import (
    CancelAnswer,
    Dialect,
    FundingLog,
    Klines,
    Limits,
    MarginSetup,
    OrderPlace,
    Permissions,
    Route,
    Sandbox,
    TimeWindow,
    TradeLog,
    Words,
)

_LINEAR = {"category": "linear"}
_SETTLED = {"category": "linear", "settleCoin": "USDT"}
_OPEN = _SETTLED | {"openOnly": 0, "limit": 50}
_ROWS = ("result", "list")
_NEXT = ("result", "nextPageCursor")

LINEAR = Dialect(
    name="bybit",
    ccxt_id="bybit",
    sandbox=Sandbox.TESTNET,
    # ccxt otherwise asks for markets of every kind, and for the kind of account before each order.
    options={
        "defaultType": "swap",
        "fetchMarkets": {"types": ["linear"]},
        "enableUnifiedMargin": False,
        "enableUnifiedAccount": True,
    },
    # A trailing stop belongs to a position there, without an order and without an id: it cannot be reconciled.
    order_types=frozenset(OrderType) - {OrderType.TRAILING_STOP_MARKET},
    words=Words("clientOrderId", "reduceOnly", "triggerPrice", "triggerPrice", directed=True),
    limits=Limits(remaining=("x-bapi-limit-status", "x-bapi-limit", "x-bapi-limit-reset-timestamp")),
    margin=MarginSetup(
        mode=Route("privateGetV5PositionList", _LINEAR, _ROWS),
        is_hedged=wire.is_hedged,
        set_one_way=Route("privatePostV5PositionSwitchMode", _LINEAR | {"mode": 0}),
        margin=Route("privateGetV5AccountInfo", by_symbol=False),
        read_margin=wire.margin_type,
        set_isolated=Route("privatePostV5AccountSetMarginMode", {"setMarginMode": "ISOLATED_MARGIN"}, by_symbol=False),
        leverage=Route("privateGetV5PositionList", _LINEAR, _ROWS),
        read_leverage=wire.leverage,
        set_leverage=Route("privatePostV5PositionSetLeverage", _LINEAR),
        leverage_keys=("buyLeverage", "sellLeverage"),
    ),
    funding=FundingLog(
        TimeWindow(
            Route("privateGetV5ExecutionList", _LINEAR | {"execType": "Funding", "limit": 100}, _ROWS, _NEXT),
            "execId", "execTime", timedelta(days=7), 100,
        ),
        wire.funding_answer,
    ),
    clock=Route("publicGetV5MarketTime", by_symbol=False),
    read_clock=wire.clock,
    market_time=Route("publicGetV5MarketTickers", _LINEAR),
    read_market_time=wire.clock,
    klines=Klines(
        Route("publicGetV5MarketKline", _LINEAR, _ROWS), "interval", "end", 1_000, newest_first=True,
        read=wire.kline_row,
    ),
    fees=Route("privateGetV5AccountFeeRate", _LINEAR, _ROWS),
    read_instrument=wire.instrument,
    steps=wire.steps,
    places=(
        OrderPlace(
            id_key="orderLinkId",
            cancel=Route("privatePostV5OrderCancel", _LINEAR),
            cancel_answer=CancelAnswer.TAKEN,
            find=(
                Route("privateGetV5OrderRealtime", _LINEAR, _ROWS),
                Route("privateGetV5OrderHistory", _LINEAR, _ROWS),
            ),
            open=Route("privateGetV5OrderRealtime", _OPEN, _ROWS, _NEXT, by_symbol=False),
            read=wire.order_answer,
        ),
    ),
    trade_log=TradeLog(
        trades=TimeWindow(
            Route("privateGetV5ExecutionList", _LINEAR, _ROWS, _NEXT), "execId", "execTime", timedelta(days=7), 100,
        ),
        of_order=Route("privateGetV5ExecutionList", _LINEAR, _ROWS),
        read=wire.trade_answer,
        client_id=wire.client_id,
        is_fill=wire.is_trade,
    ),
    positions=Route("privateGetV5PositionList", _SETTLED | {"limit": 200}, _ROWS, _NEXT, by_symbol=False),
    read_positions=wire.positions_answer,
    balances=Route("privateGetV5AccountWalletBalance", {"accountType": "UNIFIED"}, _ROWS, by_symbol=False),
    read_balances=wire.balances_answer,
    permissions=Permissions(Route("privateGetV5UserQueryApi", by_symbol=False), wire.permissions),
    read_market=wire.market_message,
    read_user=wire.user_message,
    watch_user=("watch_orders", "watch_my_trades"),
    user_url="/v5/private",
    user_ready=2,
    answers_orders=False,
    not_found=frozenset({"110001", "170213"}),
    unchanged=frozenset({"110025", "110026", "110027", "110043"}),
)  # fmt: skip
