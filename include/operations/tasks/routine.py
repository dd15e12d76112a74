"""Scheduled tasks: the daily report."""

from __future__ import annotations

from datetime import UTC, datetime

from include.config.settings import load_settings
from include.operations.report_links import REPORT, Announce, report_id, unannounced


def build_daily_report(moment: datetime, *, announce: Announce = unannounced) -> str:
    """Write the report of the day that `moment` falls into and announce it; returns the file's path."""
    from include.operations.daily import announce_daily_report, make_daily_report, report_day

    settings = load_settings()
    made, path = make_daily_report(settings, report_day(settings, moment), now=datetime.now(UTC))
    announce({REPORT: report_id(settings.reports, path)})
    announce_daily_report(settings, made, path)
    return str(path)
