"""Bars of a historical data node (another Airlock's `airlock node`, or whatever else speaks its protocol).

A window is asked for month by month, and a month is handed out only when all of it has come: as many rows as the node
announced, in the lake's columns, with the content it announced. What had not closed when the
node recorded it stays there.
"""

from __future__ import annotations

import io
import time
from collections.abc import Callable, Iterator
from datetime import datetime
from functools import partial
from typing import TypeVar

import httpx
import numpy as np
from numpy.typing import NDArray
from pydantic import SecretStr, ValidationError

from include.domain.errors import ConfigurationError, DataError
from include.domain.instruments import DERIVED, symbol_id
from include.domain.times import Timeframe, from_ms, iso, parse_utc, to_ms
from include.market_data import node_protocol as protocol
from include.market_data.node_protocol import Form, Problem, SeriesEntry, SeriesList, calendar_months
from include.market_data.partitions import Columns, to_columns
from include.market_data.sources.node_forms import Body, read_arrow, read_csv
from include.market_data.sources.patience import MAX_ATTEMPTS, Patience, SetbackError, retry_after_secs
from include.market_data.sources.protocol import Chunk, Request

T = TypeVar("T")

TIMEOUT_SECS = 30.0
CONNECT_SECS = 5.0
ACCEPT = f"{Form.ARROW.media_type}, {Form.CSV.media_type};q=0.5"
MAX_TEXT = 300


class NodeSource:
    """`Source` over a data node.

    Args:
        url: base address (`http://host:port`).
        token: sent as `Authorization: Bearer`; None where the node asks for none.
        venue: which of the node's venues is wanted; may be empty where only one has the series.
        now: tells the current time, aware: bars that are not over by it are left out.
        max_attempts: how often one request is made before giving up.
        sleep: waits so many seconds.

    Raises:
        ConfigurationError: the address is not one of HTTP, or holds a password.
    """

    def __init__(
        self,
        url: str,
        token: SecretStr | None,
        venue: str = "",
        *,
        now: Callable[[], datetime],
        max_attempts: int = MAX_ATTEMPTS,
        timeout_secs: float = TIMEOUT_SECS,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self.url = _checked(url)
        self._venue, self._now = venue, now
        self._patience = Patience(max_attempts, sleep)
        headers = [] if token is None else [(b"Authorization", f"Bearer {token.get_secret_value()}".encode())]
        self._client = httpx.Client(headers=headers, timeout=httpx.Timeout(timeout_secs, connect=CONNECT_SECS))

    @property
    def name(self) -> str:
        return f"node:{self.url.partition('://')[2]}"

    def chunks(self, request: Request) -> Iterator[Chunk]:
        """Bars month by month, oldest first.

        Raises:
            ConfigurationError: the node refuses the token or the request, or several of its venues have the series.
            DataError: it does not have the series, or what answers is no data node.
            RetryableError: it does not answer, or not completely.
        """
        entry = self._entry(request)
        first, last = parse_utc(entry.first), parse_utc(entry.last) + request.timeframe.delta
        start, end = max(request.start or first, first), min(request.end or last, last)
        for since, until in calendar_months(start, end):
            what = f"{request.symbol} {request.timeframe} {since:%Y-%m}"
            columns, resume_at = self._patiently(what, partial(self._window, request, entry, since, until))
            yield Chunk(columns, (until - start) / (end - start), f"{since:%Y-%m}", resume_at)

    # --- inside --------------------------------------------------------------------------------------------

    def _patiently(self, what: str, attempt: Callable[[], T]) -> T:
        def once() -> T:
            try:
                return attempt()
            except httpx.TransportError as error:
                raise SetbackError(f"{type(error).__name__}: {_short(str(error))}") from None

        return self._patience.call(f"data node {self.url}: {what}", once)

    def _entry(self, request: Request) -> SeriesEntry:
        """The node's series that is meant; names what there is when there is none."""
        listed = self._patiently("ask for its series", self._series)
        named = ("", self._venue) if self._venue else {e.venue for e in listed if DERIVED not in e.venue}
        wanted = [e for e in listed if e.venue in named and _is(e, request.symbol, request.timeframe)]
        if len(wanted) == 1:
            return wanted[0]
        where = f" of {self._venue}" if self._venue else ""
        asked = f"data node {self.url}: {request.symbol} {request.timeframe}{where}"
        if wanted:
            raise ConfigurationError(
                f"{asked}: is there of {', '.join(e.venue for e in wanted)}; name one as the venue"
            )
        known = ", ".join(f"{e.venue} {e.symbol} {e.timeframe}".strip() for e in listed[:10])
        raise DataError(f"{asked}: it has no such series (it has: {known or 'nothing'})")

    def _series(self) -> list[SeriesEntry]:
        with self._client.stream("GET", self.url + protocol.SYMBOLS_PATH) as response:
            self._require_answer(response)
            text = response.read()
        try:
            found = SeriesList.model_validate_json(text).series
            for entry in found:
                parse_utc(entry.first), parse_utc(entry.last), Timeframe.parse(entry.timeframe)
        except (ValidationError, ConfigurationError):
            raise DataError(
                f"{self._stranger()}: {protocol.SYMBOLS_PATH} answered {_short(text.decode('utf-8', 'replace'))!r}"
            ) from None
        return found

    def _window(
        self, request: Request, entry: SeriesEntry, since: datetime, until: datetime
    ) -> tuple[Columns, datetime]:
        """The finished bars of a month or a part of one, complete and checked, and where to go on after them."""
        asked = {"symbol": request.symbol, "timeframe": str(request.timeframe), "from": iso(since), "to": iso(until)}
        if entry.venue:
            asked["venue"] = entry.venue
        address = self.url + protocol.OHLCV_PATH
        with self._client.stream("GET", address, params=asked, headers={"Accept": ACCEPT}) as response:
            self._require_answer(response)
            announced = response.headers.get(protocol.ROWS_HEADER, "")
            if not announced.isdigit():
                raise DataError(f"{self._stranger()}: an answer with bars has no {protocol.ROWS_HEADER} header")
            columns, unfinished = self._bars(response, int(announced))
        told = response.headers.get(protocol.FINGERPRINT_HEADER, "")
        if told and told != protocol.month_fingerprint(request.symbol, request.timeframe, since, columns):
            raise SetbackError("the bars that came are not those announced: their fingerprint differs")
        times = columns["open_time"]
        if len(times) and not (to_ms(since) <= int(times.min()) and int(times.max()) < to_ms(until)):
            raise DataError(f"{self._stranger()}: sent bars from {iso(from_ms(int(times.min())))}, outside the window")
        over = ~np.isin(times, unfinished) & (times + request.timeframe.ms <= to_ms(self._now()))
        if over.all():
            return columns, until
        last = int(times[over].max(initial=0))
        waiting = times[~over & (times > last)]  # at the end: they are asked for again when they are over
        resume_at = from_ms(int(waiting.min())) if len(waiting) else until
        return {name: values[over] for name, values in columns.items()}, resume_at

    def _bars(self, response: httpx.Response, announced: int) -> tuple[Columns, NDArray[np.int64]]:
        """All rows, and the open times of those that had not closed."""
        form = _form(response)
        if form is None:
            kind = response.headers.get("Content-Type", "nothing")
            raise DataError(f"{self._stranger()}: answered {kind} where bars were asked for")
        reader = read_arrow if form is Form.ARROW else read_csv
        table, unfinished = reader(io.BufferedReader(Body(response.iter_bytes())), announced)
        return to_columns(table), np.array(unfinished, dtype=np.int64)

    def _require_answer(self, response: httpx.Response) -> None:
        status = response.status_code
        if status == 200:
            return
        said = f"{status} {_problem(response)}"
        if status == 429 or status >= 500:
            raise SetbackError(said, retry_after_secs(response.headers))
        if status in {401, 403}:
            raise ConfigurationError(f"data node {self.url}: refused the token ({said}); set AIRLOCK_NODE_TOKEN")
        if status == 404:
            raise DataError(f"data node {self.url}: {said}")
        if status == 400:
            raise ConfigurationError(f"data node {self.url}: {said}")
        raise DataError(f"{self._stranger()}: {said}")

    def _stranger(self) -> str:
        return f"{self.url} does not answer like a data node; check the address"


def _checked(url: str) -> str:
    try:
        parsed = httpx.URL(url)
    except httpx.InvalidURL:
        parsed = httpx.URL("")
    if parsed.scheme not in {"http", "https"} or not parsed.host:
        raise ConfigurationError(f"data node {url!r}: write for example http://127.0.0.1:8700")
    if parsed.userinfo:
        raise ConfigurationError(f"data node {parsed.host}: no password in the address; set AIRLOCK_NODE_TOKEN")
    return url.rstrip("/")


def _is(entry: SeriesEntry, symbol: str, timeframe: Timeframe) -> bool:
    return symbol_id(entry.symbol) == symbol_id(symbol) and Timeframe.parse(entry.timeframe) == timeframe


def _form(response: httpx.Response) -> Form | None:
    kind = response.headers.get("Content-Type", "").partition(";")[0].strip().lower()
    return next((form for form in Form if form.media_type == kind), None)


def _problem(response: httpx.Response) -> str:
    """What a refusal says, in one short line; nothing of a page made for people."""
    text = response.read().decode("utf-8", "replace")
    try:
        return _short(Problem.model_validate_json(text).error)
    except ValidationError:
        return _short(response.reason_phrase)


def _short(text: str) -> str:
    return " ".join(text.split())[:MAX_TEXT]
