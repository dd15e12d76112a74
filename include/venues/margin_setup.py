"""Bringing an account to one-way positions, isolated margin and the leverage that the engine counts on."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from include.domain.enums import MarginType
from include.domain.errors import RejectedError
from include.venues.ccxt_link import Link
from include.venues.dialect import NOTHING, MarginSetup, Market, Route


async def prepare_margin(link: Link, leverage: Mapping[str, int]) -> None:
    """Ask what is set, change only what differs, so that it can be repeated while a position is open.

    Raises:
        RetryableError: the exchange does not answer; whatever of it has been set, it can be repeated.
        RejectedError: the exchange refuses a change; or it has no margin and more than leverage 1 is asked for.
    """
    setup = link.dialect.margin
    if setup is None:
        wanted = [symbol for symbol, factor in leverage.items() if factor != 1]
        if wanted:
            raise RejectedError(f"{link.where} has no margin: leverage of {', '.join(wanted)} must be 1")
        return
    for symbol, factor in leverage.items():
        await _prepare_market(link, setup, link.market(symbol), factor)


async def _prepare_market(link: Link, setup: MarginSetup, market: Market, leverage: int) -> None:
    if await _ask(link, market, setup.mode, setup.is_hedged):
        await _change(link, market, "set one-way positions", setup.set_one_way)
    if await _ask(link, market, setup.margin, setup.read_margin) is not MarginType.ISOLATED:
        await _change(link, market, "set isolated margin", setup.set_isolated)
    if await _ask(link, market, setup.leverage, setup.read_leverage) != leverage:
        named = dict.fromkeys(setup.leverage_keys, str(leverage))
        await _change(link, market, f"set leverage {leverage}", setup.set_leverage, named)


async def _ask(link: Link, market: Market, route: Route, read: Any) -> Any:
    action = f"{market.symbol}: ask for margin"
    return link.asker.read(action, read, await link.asker.rows(action, route, market))


async def _change(link: Link, market: Market, what: str, route: Route, more: Mapping[str, Any] = NOTHING) -> None:
    try:
        # Set twice is set once: when the answer is lost it can simply be tried again, so it is no change to `ask`.
        await link.asker.ask(f"{market.symbol}: {what}", route, market, more)
    except RejectedError as error:
        if error.code not in link.dialect.unchanged:  # somebody else was faster
            raise
