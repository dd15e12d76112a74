"""The historical data node: serves a lake's bars over HTTP to other Airlocks and to whatever reads Arrow or CSV."""

from __future__ import annotations

import hmac
import logging
from collections.abc import Callable
from typing import Annotated, Any

from fastapi import Depends, FastAPI, Header, Query, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, Response, StreamingResponse
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer
from pydantic import BaseModel, ConfigDict, Field, SecretStr
from starlette.exceptions import HTTPException

from include.domain.errors import AirlockError, ConfigurationError, DataError, RetryableError
from include.domain.times import Timeframe, iso, parse_utc
from include.market_data import node_protocol as protocol
from include.market_data.lake import ParquetLake
from include.market_data.node_answers import open_window
from include.market_data.node_protocol import Form, Problem, SeriesEntry, SeriesList
from include.market_data.series import Series

log = logging.getLogger(__name__)

VERSION = "1.0.0"
DESCRIPTION = "Historical bars. Times are ISO-8601 UTC, `from` inclusive, `to` exclusive, by open time of the bar."
_BARS_ANSWER: dict[int | str, dict[str, Any]] = {
    200: {
        "description": "The bars in stored order, defects and all: an Arrow IPC stream, or CSV with a header line "
        "(`open_time` in epoch milliseconds; `finished` is 0 for a bar recorded before it had closed).",
        "content": {
            Form.ARROW.media_type: {"schema": {"type": "string", "format": "binary"}},
            Form.CSV.media_type: {"schema": {"type": "string"}},
        },
        "headers": {
            protocol.ROWS_HEADER: {"description": "Bars in the answer.", "schema": {"type": "integer"}},
            protocol.FINGERPRINT_HEADER: {
                "description": "SHA-256 of the window's content.", "schema": {"type": "string"}
            },
            "ETag": {"description": "The fingerprint, for If-None-Match.", "schema": {"type": "string"}},
        },
    },
    304: {"description": "The window still has the fingerprint named in If-None-Match."},
}  # fmt: skip
_REFUSALS: dict[int | str, dict[str, Any]] = {
    "4XX": {"model": Problem, "description": "The request is refused; one line says why."},
    "5XX": {"model": Problem, "description": "The node or its lake cannot answer now."},
}


class OhlcvQuery(BaseModel):
    """Which bars."""

    model_config = ConfigDict(extra="forbid", populate_by_name=False)

    symbol: str = Field(description="BTC/USDT or BTCUSDT.", examples=["BTC/USDT"])
    timeframe: str = Field(description="Length of a bar.", examples=["1m"])
    start: str = Field(alias="from", description="First open time, inclusive.", examples=["2024-01-01"])
    end: str = Field(alias="to", description="Exclusive.", examples=["2024-02-01T00:00:00Z"])
    venue: str = Field("", description="Needed where more than one venue has the series.")
    form: Form | None = Field(None, alias="format", description="Wins over the Accept header; Arrow by default.")


def build_app(lake: ParquetLake, *, token: SecretStr | None = None, venue: str = "") -> FastAPI:
    """The node as an application.

    Args:
        token: what readers must send as `Authorization: Bearer`; nothing when None.
        venue: the only venue served; all when empty.
    """
    app = FastAPI(
        title="Airlock historical data node", version=VERSION, description=DESCRIPTION, docs_url=None, redoc_url=None
    )
    catalogue = Catalogue(lake, venue)
    guarded = [Depends(_guard(token))] if token is not None else []

    @app.get(protocol.HEALTH_PATH, summary="Whether the node answers", responses=_REFUSALS)
    def healthz() -> dict[str, str]:
        return {"status": "ok"}

    @app.get(
        protocol.SYMBOLS_PATH, summary="Which series the node has", dependencies=guarded, responses=_REFUSALS
    )  # fmt: skip
    def symbols() -> SeriesList:
        return SeriesList(series=catalogue.entries())

    @app.get(
        protocol.OHLCV_PATH, summary="Bars of one series in a window", dependencies=guarded,
        response_class=StreamingResponse, responses=_BARS_ANSWER | _REFUSALS,
    )  # fmt: skip
    def ohlcv(
        query: Annotated[OhlcvQuery, Query()],
        accept: Annotated[str, Header()] = "",
        if_none_match: Annotated[str, Header()] = "",
    ) -> Response:
        form = query.form or negotiated_form(accept)
        start, end = parse_utc(query.start), parse_utc(query.end)
        if not start < end:
            raise ConfigurationError(f"from {iso(start)} is not before to {iso(end)}")
        series = catalogue.find(query.symbol, Timeframe.parse(query.timeframe), query.venue)
        window = open_window(lake, series, start, end)
        # Weak: the same bars in another form carry the same tag.
        tag = f'W/"{window.fingerprint}"'
        headers = {"ETag": tag, "Vary": "Accept", protocol.FINGERPRINT_HEADER: window.fingerprint}
        if tag in (known.strip() for known in if_none_match.split(",")):
            return Response(status_code=304, headers=headers)
        headers[protocol.ROWS_HEADER] = str(window.rows)
        return StreamingResponse(window.stream(form), media_type=form.media_type, headers=headers)

    _explain_refusals(app)
    return app


class Catalogue:
    """The series a node serves."""

    def __init__(self, lake: ParquetLake, venue: str) -> None:
        self._lake, self._venue = lake, venue

    def entries(self) -> list[SeriesEntry]:
        summaries = [s for s in self._lake.summaries() if self._venue in ("", s.series.venue)]
        return [
            SeriesEntry(
                venue=s.series.venue, symbol=s.series.symbol, timeframe=str(s.series.timeframe), rows=s.rows,
                first=iso(s.first), last=iso(s.last),
            )
            for s in summaries
        ]  # fmt: skip

    def find(self, symbol: str, timeframe: Timeframe, venue: str) -> Series:
        """The one series that is meant.

        Raises:
            HTTPException: 404 when the node does not have it.
            ConfigurationError: several venues have it and none is named.
        """
        held = (name for name, frame in self._lake.holdings(symbol) if frame == timeframe)
        found = [name for name in held if venue in ("", name) and self._venue in ("", name)]
        if not found:
            where = f" of {venue}" if venue else ""
            raise HTTPException(
                404, f"no {timeframe} bars of {symbol!r}{where} here; {protocol.SYMBOLS_PATH} lists what is"
            )
        if len(found) > 1:
            raise ConfigurationError(f"{symbol} {timeframe} is here of {', '.join(found)}; name one with venue=")
        return Series.named(found[0], symbol, timeframe)


def negotiated_form(accept: str) -> Form:
    """The form that an Accept header likes best; Arrow when it does not care.

    Raises:
        HTTPException: 406 when it takes neither.
    """
    offers = {f.media_type: f for f in Form} | {"*/*": Form.ARROW, "application/*": Form.ARROW, "text/*": Form.CSV}
    best, liking = Form.ARROW, 0.0 if accept.strip() else 1.0
    for part in accept.split(","):
        kind, _, parameters = part.partition(";")
        quality = parameters.strip().removeprefix("q=") or "1"
        try:
            weight = float(quality)
        except ValueError:
            weight = 1.0
        if (form := offers.get(kind.strip().lower())) is not None and weight > liking:
            best, liking = form, weight
    if not liking:
        raise HTTPException(406, f"bars come as {' or '.join(f.media_type for f in Form)}")
    return best


# --- inside ------------------------------------------------------------------------------------------------


def _guard(token: SecretStr) -> Callable[..., None]:
    expected = token.get_secret_value().encode()

    def check(given: Annotated[HTTPAuthorizationCredentials | None, Depends(HTTPBearer(auto_error=False))]) -> None:
        if given is None or not hmac.compare_digest(given.credentials.encode(), expected):
            raise HTTPException(401, "send the node's token: Authorization: Bearer ...", {"WWW-Authenticate": "Bearer"})

    return check


def _explain_refusals(app: FastAPI) -> None:
    """Every refusal is one JSON object with one line; what concerns the node's own files stays in its log."""

    @app.exception_handler(HTTPException)
    async def http(request: Request, error: HTTPException) -> JSONResponse:
        return _problem(error.status_code, str(error.detail), dict(error.headers or {}))

    @app.exception_handler(RequestValidationError)
    async def invalid(request: Request, error: RequestValidationError) -> JSONResponse:
        said = (f"{'.'.join(str(part) for part in e['loc'][1:])}: {e['msg'].lower()}" for e in error.errors())
        return _problem(400, "; ".join(said))

    @app.exception_handler(ConfigurationError)
    async def mistaken(request: Request, error: ConfigurationError) -> JSONResponse:
        return _problem(400, str(error))

    async def broken(request: Request, error: Exception) -> JSONResponse:
        log.error("%s: %s", request.url.path, error)
        return _problem(500, "the node cannot read its lake; its own log says why")

    @app.exception_handler(RetryableError)
    async def waiting(request: Request, error: RetryableError) -> JSONResponse:
        log.warning("%s: %s", request.url.path, error)
        return _problem(503, "the node's store does not answer now; try again")

    app.add_exception_handler(DataError, broken)
    app.add_exception_handler(AirlockError, broken)


def _problem(status: int, text: str, headers: dict[str, str] | None = None) -> JSONResponse:
    return JSONResponse(Problem(error=" ".join(text.split())).model_dump(), status, headers)
