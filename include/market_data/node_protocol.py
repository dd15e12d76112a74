"""What a historical data node and its readers share: paths, headers, forms. Described in docs/market-data.md.

Times are ISO-8601 in UTC, `from` inclusive, `to` exclusive, by open time. An answer with bars says how many there are
and what their content's fingerprint is, so that a reader can tell a stream that was cut short or altered.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from enum import StrEnum

from pydantic import BaseModel, Field

from include.domain.instruments import symbol_id
from include.domain.times import Timeframe
from include.market_data.partitions import Columns, chained_fingerprint, content_digest

SYMBOLS_PATH = "/v1/symbols"
OHLCV_PATH = "/v1/ohlcv"
HEALTH_PATH = "/healthz"
ROWS_HEADER = "Airlock-Rows"
FINGERPRINT_HEADER = "Airlock-Fingerprint"
FINISHED = "finished"
"""Column of the CSV form: 0 for a bar that had not closed when it was recorded. The Arrow form lists such bars in its
schema's metadata (`ports.UNFINISHED_BARS`)."""


class Form(StrEnum):
    """How bars are written."""

    ARROW = "arrow"
    CSV = "csv"

    @property
    def media_type(self) -> str:
        return MEDIA_TYPES[self]


MEDIA_TYPES = {Form.ARROW: "application/vnd.apache.arrow.stream", Form.CSV: "text/csv"}


class SeriesEntry(BaseModel):
    """One series that a node serves. A reader ignores what it does not know."""

    venue: str = Field("", description="Name of the venue; empty where the node knows no venues.")
    symbol: str = Field(description="BTC/USDT or BTCUSDT.")
    timeframe: str = Field(description="Length of a bar: 1m, 5m, 1h, 1d, ...")
    rows: int = Field(ge=0, description="Bars stored.")
    first: str = Field(description="Open time of the first bar, ISO-8601 UTC.")
    last: str = Field(description="Open time of the last bar, ISO-8601 UTC.")


class SeriesList(BaseModel):
    """Answer of `/v1/symbols`."""

    series: list[SeriesEntry]


class Problem(BaseModel):
    """Answer of every refusal."""

    error: str = Field(description="One line: what is wrong and what to do.")


def calendar_months(start: datetime, end: datetime) -> Iterator[tuple[datetime, datetime]]:
    """The window cut at the beginning of each month (UTC)."""
    while start < end:
        following = (start.replace(day=1, hour=0, minute=0, second=0, microsecond=0) + timedelta(days=32)).replace(
            day=1
        )
        yield start, min(following, end)
        start = following


def month_fingerprint(symbol: str, timeframe: Timeframe, month: datetime, columns: Columns) -> str:
    """Fingerprint of bars that all lie in one calendar month: what the lake says of the same window.

    Args:
        month: any time of that month.
        columns: as stored; may be empty.
    """
    digest = content_digest(columns) if len(columns["open_time"]) else ""
    return chained_fingerprint(timeframe, {symbol_id(symbol): [(f"{month:%Y-%m}", digest)]})
