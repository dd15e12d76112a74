"""Account and order routes: what a signed request may do, and where."""

from __future__ import annotations

from aiohttp import web

from include.venues.sandbox import account_routes, order_queries, order_routes
from include.venues.sandbox.gateway import PrivateRoute
from include.venues.sandbox.http import about_limits, private
from include.venues.sandbox.messages import JsonObject

GET: dict[str, PrivateRoute] = {
    "/fapi/v1/order": order_queries.get_order,
    "/fapi/v1/openOrder": order_queries.get_open_order,
    "/fapi/v1/openOrders": order_queries.open_orders,
    "/fapi/v1/allOrders": order_queries.all_orders,
    "/fapi/v1/algoOrder": order_queries.get_algo_order,
    "/fapi/v1/openAlgoOrders": order_queries.open_algo_orders,
    "/fapi/v1/allAlgoOrders": order_queries.all_algo_orders,
    "/fapi/v1/userTrades": order_queries.user_trades,
    "/fapi/v1/forceOrders": order_queries.force_orders,
    "/fapi/v1/accountConfig": account_routes.account_config,
    "/fapi/v1/adlQuantile": account_routes.adl_quantile,
    "/fapi/v1/apiTradingStatus": account_routes.trading_status,
    "/fapi/v1/commissionRate": account_routes.commission_rate,
    "/fapi/v1/feeBurn": lambda exchange, account, params: {"feeBurn": False},
    "/fapi/v1/income": account_routes.income,
    "/fapi/v1/leverageBracket": account_routes.leverage_bracket,
    "/fapi/v1/multiAssetsMargin": lambda exchange, account, params: {"multiAssetsMargin": False},
    "/fapi/v1/positionMargin/history": account_routes.margin_moves,
    "/fapi/v1/positionSide/dual": account_routes.position_mode,
    "/fapi/v1/symbolConfig": account_routes.symbol_config,
    **{f"/fapi/v{version}/account": account_routes.account_information for version in (2, 3)},
    **{f"/fapi/v{version}/balance": account_routes.balance for version in (2, 3)},
    **{f"/fapi/v{version}/positionRisk": account_routes.position_risk for version in (2, 3)},
}
POST: dict[str, PrivateRoute] = {
    "/fapi/v1/order": order_routes.new_order,
    "/fapi/v1/algoOrder": order_routes.new_algo_order,
    "/fapi/v1/batchOrders": order_routes.new_orders,
    "/fapi/v1/countdownCancelAll": order_routes.count_down,
    "/fapi/v1/leverage": account_routes.set_leverage,
    "/fapi/v1/marginType": account_routes.set_margin_type,
    "/fapi/v1/multiAssetsMargin": account_routes.set_multi_assets_mode,
    "/fapi/v1/positionMargin": account_routes.move_margin,
    "/fapi/v1/positionSide/dual": account_routes.set_position_mode,
}
PUT: dict[str, PrivateRoute] = {
    "/fapi/v1/order": order_routes.modify_order,
    "/fapi/v1/batchOrders": order_routes.modify_orders,
}
DELETE: dict[str, PrivateRoute] = {
    "/fapi/v1/order": order_routes.cancel_order,
    "/fapi/v1/allOpenOrders": order_routes.cancel_all_orders,
    "/fapi/v1/algoOrder": order_routes.cancel_algo_order,
    "/fapi/v1/algoOpenOrders": order_routes.cancel_all_algo_orders,
    "/fapi/v1/batchOrders": order_routes.cancel_orders,
}


def routes() -> list[web.RouteDef]:
    return [
        web.get("/fapi/v1/rateLimit/order", about_limits(_without_counts)),
        *(web.get(path, private(route)) for path, route in GET.items()),
        *(web.post(path, private(route)) for path, route in POST.items()),
        *(web.put(path, private(route)) for path, route in PUT.items()),
        *(web.delete(path, private(route)) for path, route in DELETE.items()),
    ]


def _without_counts(limits: list[JsonObject]) -> list[JsonObject]:
    """USD-M names its order limits; what is used of them stands in the headers only."""
    return [{name: value for name, value in limit.items() if name != "count"} for limit in limits]
