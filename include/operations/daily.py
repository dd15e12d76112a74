"""The daily report as the command line and the scheduled task make it: one way for both."""

from __future__ import annotations

from datetime import date, datetime
from pathlib import Path
from zoneinfo import ZoneInfo

from include import bootstrap
from include.config.settings import Settings
from include.domain.instruments import base_venue
from include.reporting.daily import DailyReport, build_daily_report, day_bounds
from include.reporting.daily_page import daily_notice, write_daily


def report_day(settings: Settings, moment: datetime) -> date:
    """The calendar day of an instant in the report's time zone.

    Raises:
        ConfigurationError: the configured zone is not known.
    """
    day_bounds(moment.date(), settings.report_time_zone)
    return moment.astimezone(ZoneInfo(settings.report_time_zone)).date()


def make_daily_report(settings: Settings, day: date, *, now: datetime) -> tuple[DailyReport, Path]:
    """Build the report of a day from the ledger and write its page; making it again replaces it.

    Args:
        now: wall time, aware UTC; a day that still runs is reported up to here.
    """
    facts = bootstrap.venue_facts()
    report = build_daily_report(
        bootstrap.open_ledger(settings), day, now=now, zone=settings.report_time_zone,
        is_synthetic=lambda venue: base_venue(venue) in facts and facts[base_venue(venue)].synthetic,
    )  # fmt: skip
    return report, write_daily(report, settings.reports)


def announce_daily_report(settings: Settings, report: DailyReport, path: Path) -> bool:
    """Send the report's headline and one line a deployment to people; False when that failed."""
    return bootstrap.build_notifier(settings).send(daily_notice(report, str(path)))
