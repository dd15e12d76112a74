"""Tasks of scheduled ingestion: plan a day of a venue, bring it into the lake series by series, judge it.

A partition is one UTC day of one series; a series is named `VENUE/SYMBOL/TIMEFRAME`, in runs and in asset names alike.
Running any of it twice changes nothing: equal rows are known already, rows that contradict stored ones are refused.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from include import bootstrap
from include.config.files import find_profile
from include.config.settings import Settings, load_settings
from include.domain.enums import Stage
from include.domain.errors import ConfigurationError, DataError, RejectedError, RetryableError
from include.domain.instruments import symbol_id
from include.domain.times import Timeframe, iso
from include.operations.feeds import Feed, choose_feed, find_venue, open_source
from include.operations.private_files import write_json
from include.operations.report_links import REPORT, Announce, report_id, unannounced
from include.operations.tasks.support import log
from include.qualification.criterion import Comparison
from include.qualification.profile import CriterionDocument, Profile
from include.qualification.verdict import Verdict

if TYPE_CHECKING:
    from include.config.venues import VenueFacts
    from include.market_data.lake import ParquetLake
    from include.stages.data_gate import DataGateResult

DAY = timedelta(days=1)
SETTLES_WITHIN = timedelta(hours=1)
"""How long after midnight a source may still lack the end of the day without that being an error."""
_NAMED_VIOLATIONS = 3


@dataclass(frozen=True, slots=True)
class Partition:
    """One UTC day of one series."""

    venue: VenueFacts
    symbol: str
    """As declared (BTC/USDT)."""
    timeframe: Timeframe
    start: datetime

    @property
    def end(self) -> datetime:
        return self.start + DAY

    @property
    def series(self) -> str:
        return f"{self.venue.name}/{symbol_id(self.symbol)}/{self.timeframe}"

    def __str__(self) -> str:
        return f"{self.series} of {self.start:%Y-%m-%d}"


def plan_ingestion(
    venue: str | None,
    timeframe: str,
    symbols: Sequence[str],
    feed: str,
    profile_name: str,
    start: datetime,
    *,
    now: datetime,
) -> list[str]:
    """Series whose partition of a day is to be ingested; empty when there can be nothing to ingest yet or ever.

    Args:
        venue: in the lake; the one of setting `ingest_venue` when None.
        symbols: in any spelling; all that the venue declares when empty.
        start: midnight UTC that begins the day.

    Raises:
        ConfigurationError: something asked for is not declared, or fits nothing; says what is known.
    """
    settings = load_settings()
    facts = find_venue(venue or settings.ingest_venue)
    frame = Timeframe.parse(timeframe)
    if DAY % frame.delta or frame.delta == DAY:
        raise ConfigurationError(
            f"timeframe {timeframe}: a partition is a day of whole bars, two at least; use for example 1m or 1h"
        )
    wanted = [facts.instrument(symbol).symbol for symbol in symbols or [i.symbol for i in facts.instruments.values()]]
    if repeated := sorted({symbol for symbol in wanted if wanted.count(symbol) > 1}):
        raise ConfigurationError(f"symbols: {', '.join(repeated)} is named twice")
    partition_profile(find_profile(profile_name))
    chosen = choose_feed(settings, facts, feed)
    if reason := _nothing_to_ingest(chosen, start, now):
        log.info("nothing to ingest for %s on %s: %s", facts.name, f"{start:%Y-%m-%d}", reason)
        return []
    return [Partition(facts, symbol, frame, start).series for symbol in wanted]


def ingest_partition(series: str, feed: str, start: datetime, *, now: datetime) -> str:
    """Bring one partition into the lake; a repeat changes nothing. Returns the fingerprint of what is stored now.

    Raises:
        DataError: the source contradicts a stored bar (it is named), or has nothing that can be used.
        RetryableError: the source does not answer, another import holds the lake, or the day has only just ended and
            its last bar is not published yet.
    """
    from include.market_data.importing import import_bars
    from include.market_data.sources.protocol import Request

    settings, partition = load_settings(), _partition(series, start)
    lake = bootstrap.open_lake(settings)
    venue, symbol, frame = partition.venue.name, partition.symbol, partition.timeframe
    source = open_source(settings, partition.venue, choose_feed(settings, partition.venue, feed))
    request = Request(symbol, frame, partition.start, partition.end)
    fresh = now < partition.end + SETTLES_WITHIN
    try:
        (report,) = import_bars(lake, source, venue, [request], now=now)
    except DataError as error:
        # Nothing is stored, so nothing was contradicted: a node that ingests at midnight too has the day in a minute.
        if fresh and not _stored_rows(lake, partition):
            raise RetryableError(f"{partition}: not there yet, asking again: {error}") from error
        raise
    log.info("%s from %s: %s rows added, %s known", partition, source.name, report.rows_added, report.rows_known)
    if fresh and lake.span(venue, symbol, frame)[1] < partition.end - frame.delta:
        raise RetryableError(f"{partition}: {source.name} has not published the end of the day yet; asking again")
    return lake.fingerprint(venue, [symbol], frame, partition.start, partition.end)


@dataclass(frozen=True, slots=True)
class CheckedPartition:
    """A partition that passed its check."""

    series: str
    fingerprint: str
    verdict: Verdict
    rows: int


def check_partition(
    series: str, profile_name: str, start: datetime, *, now: datetime, announce: Announce = unannounced
) -> CheckedPartition:
    """Judge one partition by the data gate and write the report beside the others.

    Raises:
        RejectedError: the verdict is not PASS; names the criteria and the first violations.
        DataError: the partition cannot be judged at all.
    """
    from include.stages.data_gate import gate_data

    settings, partition = load_settings(), _partition(series, start)
    profile, lake = partition_profile(find_profile(profile_name)), bootstrap.open_lake(settings)
    result = gate_data(
        partition.venue.name, [partition.symbol], partition.timeframe, partition.start, partition.end, profile, lake,
        now=now,
    )  # fmt: skip
    path = _write_report(settings, partition, profile, result, now)
    announce({REPORT: report_id(settings.reports, path)})
    (gated,) = result.symbols.values()
    log.info("%s: %s, %s rows; %s", partition, result.verdict.value, gated.quality.rows, path)
    if result.verdict is not Verdict.PASS:
        failed = [r.reason for r in result.results if r.verdict is not Verdict.PASS]
        named = [violation.text for violation in result.violations[:_NAMED_VIOLATIONS]]
        reasons = "; ".join([*failed, *named])
        raise RejectedError(f"{partition}: {reasons}; everything found is in {path}", code=result.verdict.value)
    return CheckedPartition(partition.series, result.fingerprint, result.verdict, gated.quality.rows)


def partition_profile(profile: Profile) -> Profile:
    """The profile as it judges one day: its rules, without length of history, and every bar must be there.

    A hole in a day can still be healed by ingesting it again, so none is tolerated here; what years may lack is decided
    by the profile itself, at the ladder's gate.
    """
    kept = [c for c in profile.criteria[Stage.DATA_GATE] if c.metric not in ("history_days", "completeness")]
    complete = CriterionDocument(metric="completeness", op=Comparison.GE, threshold=1.0)
    rules = profile.data.model_copy(update={"min_history_days": 0})
    return profile.model_copy(
        update={"data": rules, "criteria": {**profile.criteria, Stage.DATA_GATE: [complete, *kept]}}
    )


# --- inside ------------------------------------------------------------------------------------------------


def _partition(series: str, start: datetime) -> Partition:
    venue, symbol, timeframe = series.split("/")
    facts = find_venue(venue)
    return Partition(facts, facts.instrument(symbol).symbol, Timeframe.parse(timeframe), start)


def _stored_rows(lake: ParquetLake, partition: Partition) -> int:
    try:
        return int(
            lake.rows(
                partition.venue.name, partition.symbol, partition.timeframe, partition.start, partition.end
            ).num_rows
        )
    except DataError:
        return 0


def _nothing_to_ingest(feed: Feed, start: datetime, now: datetime) -> str:
    """Why a day holds no data for anybody; empty when it should hold some."""
    from include.market_data import synthetic

    if start + DAY > now:
        return "the day is not over"
    if feed is Feed.SYNTHETIC and not synthetic.DEFAULT_START <= start < synthetic.DEFAULT_END:
        return f"the synthetic market lasts from {iso(synthetic.DEFAULT_START)} to {iso(synthetic.DEFAULT_END)}"
    return ""


def _write_report(
    settings: Settings, partition: Partition, profile: Profile, result: DataGateResult, now: datetime
) -> Path:
    from include.reporting.data_gate import report_document
    from include.reporting.gate_findings import GateRun, gate_command

    venue, frame, window = partition.venue, partition.timeframe, (partition.start, partition.end)
    command = gate_command(venue.name, [partition.symbol], frame, *window, profile.name)
    run = GateRun(venue.name, frame, *window, profile, now, venue.synthetic, command)
    path = settings.reports / "market-data" / partition.series / f"{partition.start:%Y-%m-%d}.json"
    write_json(path, report_document(result, run))
    return path
