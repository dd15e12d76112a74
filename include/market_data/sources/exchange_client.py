"""Public bars of one exchange through an unmodified ccxt: which market, page by page, at a pace the exchange bears.

ccxt keeps its own interval between requests; it is doubled whenever the exchange says that it is too much and given
back slowly. What comes back is float64 straight from the exchange's text; no Decimal is made here (ccxt changes the
thread's decimal context, so its calls run in a context of their own).
"""

from __future__ import annotations

import difflib
import math
import re
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from decimal import localcontext
from typing import Any, TypeVar
from urllib.parse import urlsplit

from include.domain.errors import ConfigurationError, RetryableError
from include.domain.instruments import symbol_id
from include.domain.times import Timeframe, iso, to_ms
from include.market_data.sources.patience import Patience, SetbackError, http_date_ms, retry_after_secs

T = TypeVar("T")
Row = tuple[float, ...]
"""Open time (epoch ms), open, high, low, close, volume."""

MAX_PAGE_BARS = 1_000
UNKNOWN_PAGE_BARS = 100
"""Where ccxt does not know an exchange's page: small enough for all, as an empty page counts as a hole that long."""
BANNED, TOO_MANY = 418, 429
LIMIT_WAIT_SECS = 60.0
"""Limits count by the minute nearly everywhere; waited for when the exchange does not say."""
BAN_WAIT_SECS = 120.0
"""Binance's shortest ban."""
REFUSALS = frozenset({401, 403, 404, 405, 407, 410, 451})
"""ccxt calls some of these a network trouble; asking again would not change the answer."""
SLOWDOWN, RECOVERY, SLOWEST = 2.0, 0.99, 64.0
MAX_TEXT = 300
# The spot venue needs no futures: three large documents fewer at every start.
_OPTIONS: dict[str, dict[str, Any]] = {"binance": {"fetchMarkets": {"types": ["spot"]}}}
# ccxt's table of features says 500; its own request, and the exchange, take this many.
_PAGE_BARS = {"binanceusdm": 1_000}
_UNTIL = re.compile(r"until (\d{13})")
_QUERY = re.compile(r"\?\S+")


class ExchangeClient:
    """Asks one exchange for bars.

    Args:
        exchange_id: ccxt's id.
        url: base address that replaces the host of every route (`http://host:port`); the exchange itself when empty.
        now: the current time, aware.

    Raises:
        ConfigurationError: ccxt knows no such exchange, or it has no public bars.
    """

    def __init__(
        self, exchange_id: str, url: str, *, now: Callable[[], datetime], patience: Patience, timeout_ms: int
    ) -> None:
        self.exchange_id, self._now, self._patience = exchange_id, now, patience
        self._client = _build(exchange_id, url, timeout_ms)
        self._client.session.hooks["response"].append(self._note)
        self._usual_interval = float(self._client.rateLimit)
        self._answer: Any = None
        self._barred_until: datetime | None = None

    @property
    def slowdown(self) -> float:
        """How many times its usual interval the pace is now."""
        return float(self._client.rateLimit) / self._usual_interval

    def has_timeframe(self, timeframe: Timeframe) -> bool:
        return str(timeframe) in self._client.timeframes

    def market(self, symbol: str, timeframe: Timeframe) -> str:
        """ccxt's name of the market that a candidate's symbol means: itself, else the linear swap of the same pair.

        Raises:
            ConfigurationError: no such market or timeframe; names the nearest ones.
            RetryableError: the exchange does not answer.
        """
        markets = self.call("ask for its markets", self._client.load_markets)
        if not self.has_timeframe(timeframe):
            known = ", ".join(self._client.timeframes)
            raise ConfigurationError(f"{self.exchange_id}: has no {timeframe} bars (known: {known})")
        if symbol in markets:
            return symbol
        for wanted in ("spot", "linear"):
            for name, market in markets.items():
                pair = symbol_id(f"{market['base']}/{market['quote']}")
                if pair == symbol_id(symbol) and market.get(wanted) and (market["spot"] or market["swap"]):
                    return str(name)
        near = difflib.get_close_matches(symbol, list(markets), 5, 0.5) or sorted(markets)[:5]
        raise ConfigurationError(
            f"{self.exchange_id}: does not trade {symbol!r} (near: {', '.join(near) or 'it lists no market at all'})"
        )

    def page_bars(self, market: str) -> int:
        """Bars one request may ask for."""
        known = _PAGE_BARS.get(self.exchange_id) or self._client.feature_value(market, "fetchOHLCV", "limit")
        return min(int(known or UNKNOWN_PAGE_BARS), MAX_PAGE_BARS)

    def page(
        self, market: str, timeframe: Timeframe, since: int, limit: int, *, holding: int | None = None
    ) -> list[Row]:
        """One page of bars from `since` on, by time, rows that repeat another entirely left out.

        Args:
            since: first open time, epoch ms.
            holding: an open time that must be among them, because the page before ended with it. A page without it
                is not the one that was asked for.

        Raises:
            ConfigurationError: the exchange refuses.
            RetryableError: it does not answer, or not sensibly.
        """

        def ask() -> list[Row]:
            rows = self._client.fetch_ohlcv(market, str(timeframe), since, limit)
            found = sorted(dict.fromkeys(map(_row, rows)), key=lambda row: row[0])
            if holding is not None and not any(row[0] == holding for row in found):
                raise SetbackError("the answer is not the page that was asked for")
            return found

        return self.call(f"ask for {market} {timeframe} from {since}", ask)

    def now_ms(self) -> int:
        """The current time, or the exchange's own (`Date` of its last answer) where that is behind: a bar must be
        over by both clocks."""
        ours = to_ms(self._now())
        theirs = http_date_ms(self._answer.headers.get("Date", "")) if self._answer is not None else None
        return ours if theirs is None else min(ours, theirs)

    def call(self, what: str, request: Callable[[], T]) -> T:
        """One request with patience. Raises as `page`."""
        if self._barred_until is not None and self._now() < self._barred_until:
            raise RetryableError(f"{self.exchange_id}: asked us to stay away; try again at {iso(self._barred_until)}")
        return self._patience.call(f"{self.exchange_id}: {what}", lambda: self._attempt(what, request))

    # --- inside --------------------------------------------------------------------------------------------

    def _note(self, answer: Any, *_: Any, **__: Any) -> None:
        self._answer = answer

    def _attempt(self, what: str, request: Callable[[], T]) -> T:
        import ccxt

        self._answer = None
        try:
            with localcontext():
                found = request()
        except ccxt.BaseError as error:
            raise self._reaction(error, what) from None
        except (TypeError, ValueError, LookupError, AttributeError) as error:
            raise SetbackError(f"unreadable answer ({type(error).__name__}: {_short(error)})") from None
        self._barred_until = None
        self._client.rateLimit = max(self._usual_interval, self._client.rateLimit * RECOVERY)
        return found

    def _reaction(self, error: Exception, what: str) -> Exception:
        """What to do about an error of ccxt: wait and slow down, try again, or give up at once."""
        import ccxt

        status = self._answer.status_code if self._answer is not None else 0
        text = f"{type(error).__name__}: {_short(error)}"
        if status in {BANNED, TOO_MANY} or isinstance(error, ccxt.DDoSProtection | ccxt.RateLimitExceeded):
            wait = self._asked_wait(status, str(error))
            self._barred_until = self._now() + timedelta(seconds=wait)
            self._client.rateLimit = min(self._usual_interval * SLOWEST, self._client.rateLimit * SLOWDOWN)
            return SetbackError(f"asked us to stay away ({text})", wait)
        if status >= 500 or (isinstance(error, ccxt.OperationFailed) and status not in REFUSALS):
            return SetbackError(text, retry_after_secs(self._answer.headers) if self._answer is not None else None)
        return ConfigurationError(f"{self.exchange_id}: {what}: refused ({text})")

    def _asked_wait(self, status: int, text: str) -> float:
        told = retry_after_secs(self._answer.headers) if self._answer is not None else None
        if told is not None:
            return told
        if until := _UNTIL.search(text):
            return max(0.0, (int(until[1]) - to_ms(self._now())) / 1_000)
        return BAN_WAIT_SECS if status == BANNED else LIMIT_WAIT_SECS


def _build(exchange_id: str, url: str, timeout_ms: int) -> Any:
    with localcontext():
        import ccxt

        if exchange_id not in ccxt.exchanges:
            near = ", ".join(difflib.get_close_matches(exchange_id, ccxt.exchanges, 5)) or "see ccxt.exchanges"
            raise ConfigurationError(f"exchange {exchange_id!r}: ccxt knows no such exchange (near: {near})")
        # No credentials: what fills a lake is public.
        options = {"fetchMargins": False, "fetchCurrencies": False} | _OPTIONS.get(exchange_id, {})
        client = getattr(ccxt, exchange_id)({"enableRateLimit": True, "timeout": timeout_ms, "options": options})
    if client.has["fetchOHLCV"] is not True:
        raise ConfigurationError(f"exchange {exchange_id}: offers no bars by REST")
    client.has["fetchCurrencies"] = False
    if url:
        client.urls["api"] = _redirected(client.urls["api"], url)
    return client


def _redirected(urls: Any, base_url: str) -> Any:
    """ccxt's table of addresses with every host replaced; paths stay."""
    if isinstance(urls, dict):
        return {name: _redirected(url, base_url) for name, url in urls.items()}
    base = urlsplit(base_url)
    return urlsplit(str(urls))._replace(scheme=base.scheme, netloc=base.netloc).geturl()


def _row(row: Sequence[Any]) -> Row:
    """A missing price or volume becomes NaN, for the gate to find; a row without a time is no row."""
    opened, *values = row
    if len(values) != 5:
        raise ValueError(f"a bar with {len(values) + 1} fields")
    return (int(opened), *(math.nan if value is None else float(value) for value in values))


def _short(error: Exception) -> str:
    return _QUERY.sub("", " ".join(str(error).split()))[:MAX_TEXT]
