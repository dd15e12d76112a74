"""Binance: USD-M perpetuals and spot."""

from __future__ import annotations

from datetime import timedelta

from include.domain.enums import OrderType
from include.venues import binance_wire as usdm
from include.venues import spot_wire as spot
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

_CONDITIONAL = frozenset(
    {
        OrderType.STOP_MARKET,
        OrderType.STOP_LIMIT,
        OrderType.TAKE_PROFIT_MARKET,
        OrderType.TAKE_PROFIT_LIMIT,
        OrderType.TRAILING_STOP_MARKET,
    }
)
_PERMISSIONS = Permissions(Route("sapiGetAccountApiRestrictions", by_symbol=False), usdm.permissions)
_NOT_FOUND = frozenset({"-2011", "-2013"})

USDM = Dialect(
    name="binance-usdm",
    ccxt_id="binanceusdm",
    # Futures have no testnet any more; ccxt reaches the demo environment instead.
    sandbox=Sandbox.DEMO,
    options={},
    order_types=frozenset(OrderType),
    words=Words("newClientOrderId", "reduceOnly", "stopLossPrice", "takeProfitPrice", callback="trailingPercent"),
    limits=Limits(
        {
            "x-mbx-used-weight-1m": (2_400, 60),
            "x-mbx-order-count-10s": (300, 10),
            "x-mbx-order-count-1m": (1_200, 60),
        },
        stated=usdm.stated_limits,
    ),
    margin=MarginSetup(
        mode=Route("fapiPrivateGetPositionSideDual", by_symbol=False),
        is_hedged=usdm.is_hedged,
        set_one_way=Route("fapiPrivatePostPositionSideDual", {"dualSidePosition": "false"}, by_symbol=False),
        margin=Route("fapiPrivateGetSymbolConfig"),
        read_margin=usdm.margin_type,
        set_isolated=Route("fapiPrivatePostMarginType", {"marginType": "ISOLATED"}),
        leverage=Route("fapiPrivateGetSymbolConfig"),
        read_leverage=usdm.leverage,
        set_leverage=Route("fapiPrivatePostLeverage"),
        leverage_keys=("leverage",),
    ),
    funding=FundingLog(
        TimeWindow(
            Route("fapiPrivateGetIncome", {"incomeType": "FUNDING_FEE"}), "tranId", "time", timedelta(days=7), 1_000
        ),
        usdm.funding_answer,
    ),
    clock=Route("fapiPublicGetTime", by_symbol=False),
    read_clock=usdm.clock,
    market_time=Route("fapiPublicGetPremiumIndex"),
    read_market_time=usdm.market_time,
    klines=Klines(Route("fapiPublicGetKlines"), "interval", "endTime", 1_500, newest_first=False, read=usdm.kline_row),
    fees=Route("fapiPrivateGetCommissionRate"),
    read_instrument=usdm.instrument,
    steps=usdm.steps,
    places=(
        OrderPlace(
            id_key="origClientOrderId",
            cancel=Route("fapiPrivateDeleteOrder"),
            cancel_answer=CancelAnswer.ORDER,
            find=(Route("fapiPrivateGetOrder"),),
            open=Route("fapiPrivateGetOpenOrders", by_symbol=False),
            read=usdm.order_answer,
        ),
        # Conditional orders live in a service of their own and become an order under the same id when they trigger.
        OrderPlace(
            id_key="clientAlgoId",
            cancel=Route("fapiPrivateDeleteAlgoOrder"),
            cancel_answer=CancelAnswer.DONE,
            find=(Route("fapiPrivateGetAlgoOrder"),),
            open=Route("fapiPrivateGetOpenAlgoOrders", by_symbol=False),
            read=usdm.algo_answer,
        ),
    ),
    conditional=_CONDITIONAL,
    trade_log=TradeLog(
        trades=TimeWindow(Route("fapiPrivateGetUserTrades"), "id", "time", timedelta(days=7), 1_000),
        of_order=Route("fapiPrivateGetUserTrades"),
        read=usdm.trade_answer,
        order_ids=TimeWindow(Route("fapiPrivateGetAllOrders"), "orderId", "time", timedelta(days=7), 1_000),
        order_by_id=Route("fapiPrivateGetOrder"),
    ),
    positions=Route("fapiPrivateV3GetPositionRisk", by_symbol=False),
    read_positions=usdm.positions_answer,
    balances=Route("fapiPrivateV3GetAccount", rows=("assets",), by_symbol=False),
    read_balances=usdm.balances_answer,
    permissions=_PERMISSIONS,
    read_market=usdm.market_message,
    read_user=usdm.user_message,
    watch_user=("watch_orders",),
    user_url="listenKey=",
    user_ready=1,
    not_found=_NOT_FOUND,
    unchanged=frozenset({"-4046", "-4059"}),
)

SPOT = Dialect(
    name="binance-spot",
    ccxt_id="binance",
    sandbox=Sandbox.TESTNET,
    options={"defaultType": "spot", "fetchMarkets": {"types": ["spot"]}},
    order_types=frozenset(OrderType) - {OrderType.TRAILING_STOP_MARKET},
    words=Words("newClientOrderId", "", "stopLossPrice", "takeProfitPrice"),
    limits=Limits({"x-mbx-used-weight-1m": (6_000, 60), "x-mbx-order-count-10s": (100, 10)}, stated=usdm.stated_limits),
    margin=None,
    funding=None,
    clock=Route("publicGetTime", by_symbol=False),
    read_clock=usdm.clock,
    market_time=Route("publicGetTicker24hr"),
    read_market_time=spot.market_time,
    klines=Klines(Route("publicGetKlines"), "interval", "endTime", 1_000, newest_first=False, read=usdm.kline_row),
    fees=Route("privateGetAccountCommission"),
    read_instrument=spot.instrument,
    steps=usdm.steps,
    places=(
        OrderPlace(
            id_key="origClientOrderId",
            cancel=Route("privateDeleteOrder"),
            cancel_answer=CancelAnswer.ORDER,
            find=(Route("privateGetOrder"),),
            open=Route("privateGetOpenOrders", by_symbol=False),
            read=spot.order_answer,
        ),
    ),
    trade_log=TradeLog(
        trades=TimeWindow(Route("privateGetMyTrades"), "id", "time", timedelta(days=1), 1_000),
        of_order=Route("privateGetMyTrades"),
        read=spot.trade_answer,
        order_ids=TimeWindow(Route("privateGetAllOrders"), "orderId", "time", timedelta(days=1), 1_000),
        order_by_id=Route("privateGetOrder"),
    ),
    positions=Route("privateGetAccount", rows=("balances",), by_symbol=False),
    read_positions=spot.positions_answer,
    balances=Route("privateGetAccount", rows=("balances",), by_symbol=False),
    read_balances=spot.balances_answer,
    permissions=_PERMISSIONS,
    read_market=usdm.market_message,
    read_user=spot.user_message,
    watch_user=("watch_orders",),
    user_url="/ws-api/",
    user_ready=1,
    not_found=_NOT_FOUND,
    sandbox_prefix="spot:",
)
