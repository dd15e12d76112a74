"""Scheduled tasks: the daily report and the ingestion of market data."""

from __future__ import annotations

from datetime import UTC, datetime

from include import bootstrap
from include.config.settings import load_settings
from include.domain.errors import ConfigurationError, DataError
from include.domain.times import Timeframe, iso
from include.operations.tasks.support import log


def build_daily_report(moment: datetime) -> str:
    """Write the report of the day that `moment` falls into and announce it; returns the file's path."""
    from include.operations.daily import announce_daily_report, make_daily_report, report_day

    settings = load_settings()
    made, path = make_daily_report(settings, report_day(settings, moment), now=datetime.now(UTC))
    announce_daily_report(settings, made, path)
    return str(path)


def ingest_interval(venue: str, timeframe: str, start: datetime, end: datetime) -> str:
    """Bring one interval of a venue into the lake; a repeat changes nothing. Returns the interval's fingerprint.

    A synthetic venue is a function of its seed: what lies inside its span is generated again and must equal what
    the lake holds; beyond its span there is nothing to ingest.

    Raises:
        ConfigurationError: a venue whose data has no source that could be asked.
        DataError: what the lake holds differs from what the source gives.
    """
    from include.market_data import synthetic
    from include.market_data.importing import import_synthetic

    lake = bootstrap.open_lake(load_settings())
    if not lake.is_synthetic(venue):
        raise ConfigurationError(f"venue {venue!r}: bring its files in with `airlock data import`; no feed is declared")
    frame = Timeframe.parse(timeframe)
    spans = [lake.span(venue, symbol, frame) for symbol in synthetic.SYMBOLS]
    last = min(span[1] for span in spans) + frame.delta
    if end > last or start < max(span[0] for span in spans):
        log.info("nothing to ingest: the synthetic market of the lake ends at %s", iso(last))
        return ""
    first = spans[0][0]
    before = lake.fingerprint(venue, synthetic.SYMBOLS, frame, start, end)
    reports = import_synthetic(
        lake, synthetic.SYMBOLS, first, end, seed=synthetic.DEFAULT_SEED, now=datetime.now(UTC), venue=venue
    )
    after = lake.fingerprint(venue, synthetic.SYMBOLS, frame, start, end)
    if before != after or any(report.rows_added for report in reports):
        raise DataError(f"{venue}: {iso(start)} to {iso(end)} was not complete in the lake; run its data gate again")
    return after
