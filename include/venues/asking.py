"""REST questions to one exchange through ccxt: paced, translated, paged, and read strictly."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from datetime import datetime, timedelta
from decimal import localcontext
from typing import Any, TypeVar

from include.domain.errors import FatalError, OutcomeUnknownError, RetryableError
from include.domain.times import to_ms
from include.venues.ccxt_errors import translate
from include.venues.dialect import NOTHING, Market, Route, TimeWindow
from include.venues.rate_limits import RateGovernor

T = TypeVar("T")

MAX_PAGES = 1_000
_UNREADABLE = (KeyError, IndexError, ValueError, TypeError, ArithmeticError, AttributeError, StopIteration)


class Asker:
    """One exchange's REST side.

    Args:
        client: ccxt client.
        where: name of the exchange for messages.
    """

    def __init__(self, client: Any, governor: RateGovernor, where: str) -> None:
        self.client, self.governor, self._where = client, governor, where

    async def ask(
        self,
        action: str,
        route: Route,
        market: Market | None = None,
        more: Mapping[str, Any] = NOTHING,
        *,
        changes: bool = False,
        urgent: bool = False,
    ) -> Any:
        """The exchange's whole answer. Errors as `ports.Venue` declares them."""
        params = {**({"symbol": market.id} if route.by_symbol and market is not None else {}), **route.constant, **more}
        request = getattr(self.client, route.method)
        return await self.call(action, lambda: request(params), changes=changes, urgent=urgent)

    async def call(
        self, action: str, request: Callable[[], Awaitable[Any]], *, changes: bool = False, urgent: bool = False
    ) -> Any:
        """Any ccxt call, paced and with its errors translated.

        Args:
            changes: whether it could change something at the exchange that a repetition would change again.
            urgent: whether it must not be held back to stay below a limit.
        """
        await self.governor.admit(urgent=urgent)
        try:
            # ccxt sets the rounding of the thread's decimal context; everybody else's arithmetic must not notice.
            with localcontext():
                return await request()
        except Exception as error:
            raise translate(error, f"{self._where} {action}", changes=changes) from None

    def read(self, action: str, parse: Callable[..., T], *arguments: Any, changes: bool = False) -> T:
        """Parse an answer. Unreadable, it leaves the outcome of a change unknown, while a question can be repeated."""
        try:
            return parse(*arguments)
        except _UNREADABLE as error:
            reaction = OutcomeUnknownError if changes else RetryableError
            raise reaction(f"{self._where} {action}: unreadable answer ({type(error).__name__}: {error})") from None

    async def rows(
        self, action: str, route: Route, market: Market | None = None, more: Mapping[str, Any] = NOTHING
    ) -> Any:
        """All rows of a route, over as many pages as it takes."""
        answer = await self.ask(action, route, market, more)
        rows = self.read(action, route.rows_of, answer)
        if not route.cursor:
            return rows
        rows = list(rows)
        for _ in range(MAX_PAGES):
            mark = self.read(action, route.next_page, answer)
            if not mark:
                return rows
            answer = await self.ask(action, route, market, {**more, "cursor": mark})
            rows += self.read(action, route.rows_of, answer)
        raise FatalError(f"{self._where} {action}: more than {MAX_PAGES} pages; they cannot be read completely")

    async def since(self, action: str, window: TimeWindow, market: Market, start: datetime, now: datetime) -> list[Any]:
        """All rows of a time-windowed route from `start` to `now`, oldest first, each once.

        Raises:
            FatalError: more rows share one millisecond than a page holds.
        """
        rows: dict[str, Any] = {}
        begin, now_ms = to_ms(start), to_ms(now)
        while begin <= now_ms:
            end = min(begin + window.span // timedelta(milliseconds=1), now_ms)
            more = {"startTime": begin, "endTime": end, "limit": window.page}
            page = list(await self.rows(action, window.route, market, more))
            known = len(rows)
            rows.update(self.read(action, lambda p=page: {str(row[window.key]): row for row in p}))
            if window.route.cursor or len(page) < window.page:
                begin = end + 1
            elif len(rows) == known:
                raise FatalError(f"{action}: more than {window.page} rows in one millisecond; they cannot all be read")
            else:
                begin = max(int(row[window.time]) for row in page)
        return sorted(rows.values(), key=lambda row: (int(row[window.time]), _numeric(str(row[window.key]))))


def _numeric(key: str) -> tuple[int, str]:
    """Ids that are numbers in their order: 9 before 10."""
    return (len(key), key) if key.isdigit() else (0, key)
