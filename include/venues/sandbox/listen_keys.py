"""Routes of listen keys, and the hour after which one that nobody keeps alive ends."""

from __future__ import annotations

from functools import partial

from aiohttp import web

from include.venues.sandbox import errors
from include.venues.sandbox.accounts import AccountSpec
from include.venues.sandbox.exchange import Exchange
from include.venues.sandbox.gateway import Params
from include.venues.sandbox.http import keyed
from include.venues.sandbox.hub import SPOT
from include.venues.sandbox.messages import JsonObject
from include.venues.sandbox.weights import Segment

FUTURES, SPOT_ROUTE = "/fapi/v1/listenKey", "/api/v3/userDataStream"
PREFIXES = {Segment.USDM: "", Segment.SPOT: SPOT}


def routes() -> list[web.RouteDef]:
    found = []
    for path, segment in ((FUTURES, Segment.USDM), (SPOT_ROUTE, Segment.SPOT)):
        found += [
            web.post(path, keyed(partial(create, segment))),
            web.put(path, keyed(keep if segment is Segment.USDM else keep_named)),
            web.delete(path, keyed(partial(close, segment))),
        ]
    return found


def create(segment: Segment, exchange: Exchange, account: AccountSpec, params: Params, now_ms: int) -> JsonObject:
    return {"listenKey": exchange.credentials.listen_keys[segment].issue(account, now_ms)}


def keep(exchange: Exchange, account: AccountSpec, params: Params, now_ms: int) -> JsonObject:
    return {"listenKey": exchange.credentials.listen_keys[Segment.USDM].keep(account, now_ms)}


def keep_named(exchange: Exchange, account: AccountSpec, params: Params, now_ms: int) -> JsonObject:
    """Spot names the key it keeps, and answers nothing."""
    keys = exchange.credentials.listen_keys[Segment.SPOT]
    if keys.owner(params.get("listenKey", "")) != account.name:
        raise errors.ApiError(errors.INVALID_LISTEN_KEY)
    keys.keep(account, now_ms)
    return {}


def close(segment: Segment, exchange: Exchange, account: AccountSpec, params: Params, now_ms: int) -> JsonObject:
    """The account's listen key ends, and with it what its streams are told."""
    exchange.credentials.listen_keys[segment].close(account)
    exchange.hub.end_user_streams(account.name, PREFIXES[segment])
    return {}


def expire(exchange: Exchange, now_ms: int) -> int:
    """End the listen keys whose hour is over and tell their streams; returns how many there were."""
    count = 0
    for segment, keys in exchange.credentials.listen_keys.items():
        for account, listen_key in keys.expire(now_ms):
            event = {"e": "listenKeyExpired", "E": exchange.event_time, "listenKey": listen_key}
            exchange.hub.publish_user(account, event, PREFIXES[segment])
            exchange.hub.end_user_streams(account, PREFIXES[segment])
            count += 1
    return count
