"""Binance spot beside USD-M: the same tapes and clock, accounts of currencies instead of margin.

`market_messages` and `public_routes` tell the market, `desk` keeps the accounts (`matching.spot`) and tells them,
`private_routes` and `sapi_routes` are the doors. Streams and the websocket API share their doors with USD-M.
"""

from __future__ import annotations

from aiohttp import web


def routes() -> list[web.RouteDef]:
    """All REST routes of spot."""
    from include.venues.sandbox.spot import private_routes, public_routes, sapi_routes

    return [*public_routes.routes(), *private_routes.routes(), *sapi_routes.routes()]
