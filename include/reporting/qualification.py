"""The qualification report: one self-contained HTML page for a candidate under a profile.

Rendered from evidence and the backtest's numbers alone; it decides nothing.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np

from include.backtesting.equity import DailyEquity
from include.backtesting.trades import Trades
from include.domain.enums import Stage
from include.domain.errors import ConfigurationError
from include.domain.times import from_ms, iso
from include.qualification.candidate import Candidate
from include.qualification.criterion import CriterionResult, Measurement
from include.qualification.evidence import Evidence
from include.qualification.metrics import METRICS
from include.qualification.profile import Profile
from include.qualification.verdict import Verdict, worst
from include.reporting.charts import Histogram, LineChart, histogram, line_chart
from include.reporting.templates import render_template

HEADLINES: Mapping[Verdict, str] = {
    Verdict.PASS: "QUALIFIES",
    Verdict.FAIL: "DOES NOT QUALIFY",
    Verdict.INCONCLUSIVE: "INCONCLUSIVE: a person must decide",
    Verdict.ERROR: "ERROR: the measurement broke",
}
MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
FILE_NAME = "qualification.html"


@dataclass(frozen=True, slots=True)
class ReportInput:
    """Everything the page shows. Without a backtest (`trades` is None) the charts are left out."""

    candidate: Candidate
    profile: Profile
    evidence: Sequence[Evidence]
    made_at: datetime
    reproduce: str
    """The command that gives the same result."""
    capital: float
    trades: Trades | None = None
    daily: DailyEquity | None = None


@dataclass(frozen=True, slots=True)
class YearRow:
    """Returns of one calendar year by month; None where the run did not reach."""

    year: int
    months: tuple[float | None, ...]
    total: float


def overall_verdict(evidence: Sequence[Evidence]) -> Verdict:
    """Worst verdict of the stages."""
    return worst(item.verdict for item in evidence)


def issues(evidence: Sequence[Evidence]) -> list[str]:
    """Why the candidate does not pass, one line each, stage by stage; empty when it passes."""
    found = []
    for item in evidence:
        if error := item.details.get("error"):
            found.append(f"{item.stage.value}: {error}")
        found += [f"{item.stage.value}: {r.reason}" for r in item.results if r.verdict is not Verdict.PASS]
    return found


def render_qualification(report: ReportInput) -> str:
    """The page as HTML text without external resources."""
    verdict = overall_verdict(report.evidence)
    return render_template(
        "qualification.html.j2",
        title=f"{report.candidate.name}: {HEADLINES.get(verdict, verdict.value)}",
        verdict=verdict.value,
        headline=HEADLINES.get(verdict, verdict.value),
        issues=issues(report.evidence),
        candidate=report.candidate,
        profile=report.profile,
        synthetic=any(item.synthetic for item in report.evidence),
        stages=[_stage_view(item) for item in report.evidence],
        symbols=_symbol_rows(report.evidence),
        books_agree=any("books" in item.details and "error" not in item.details for item in report.evidence),
        figures=_figures(report.evidence),
        equity=_equity_chart(report),
        drawdown=_drawdown_chart(report),
        years=monthly_returns(report.daily, report.capital) if report.daily is not None else [],
        months=MONTHS,
        distribution=_distribution(report.trades),
        not_modelled=[item.details["not_modelled"] for item in report.evidence if "not_modelled" in item.details],
        reproduce=report.reproduce,
        made_at=iso(report.made_at),
    )


def write_qualification(report: ReportInput, folder: Path) -> Path:
    """Write the page into `folder`, complete or not at all; returns its path.

    Raises:
        ConfigurationError: the folder cannot be written.
    """
    page = render_qualification(report)
    path, draft = folder / FILE_NAME, folder / f".{FILE_NAME}.part"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        draft.write_text(page, encoding="utf-8")
        draft.replace(path)
    except OSError as error:
        raise ConfigurationError(
            f"{path}: report cannot be written ({error.strerror}); check space and rights"
        ) from None
    return path


def monthly_returns(daily: DailyEquity, capital: float) -> list[YearRow]:
    """Return of each UTC month on the equity at its start, newest year first."""
    if not len(daily.day_ms):
        return []
    days = [from_ms(int(ms)) for ms in daily.day_ms]
    month = np.array([day.year * 12 + day.month - 1 for day in days])
    last = np.flatnonzero(np.diff(month, append=month[-1] + 1))
    equity = np.concatenate(([capital], daily.equity[last]))
    returns = {int(month[row]): float(equity[i + 1] / equity[i] - 1) for i, row in enumerate(last)}
    years = sorted({key // 12 for key in returns}, reverse=True)
    rows = []
    for year in years:
        months = tuple(returns.get(year * 12 + m) for m in range(12))
        total = float(np.prod([1 + value for value in months if value is not None]) - 1)
        rows.append(YearRow(year, months, total))
    return rows


def format_metric(name: str, value: float | None) -> str:
    """A metric as people read it, in its unit; a dash when the sample gave no value."""
    if value is None:
        return "–"
    unit = METRICS[name].unit if name in METRICS else "ratio"
    if unit == "fraction":
        return f"{value * 100:,.2f} %"
    if unit == "quote":
        return f"{value:,.2f}"
    if unit == "count":
        return f"{value:,.6g}" if value % 1 else f"{int(value):,}"
    return f"{value:,.2f}"


def _stage_view(item: Evidence) -> dict[str, Any]:
    return {
        "name": item.stage.value,
        "verdict": item.verdict.value,
        "error": item.details.get("error", ""),
        "criteria": [_criterion_view(result) for result in item.results],
        "window": item.details.get("window", {}),
        "fingerprint": item.fingerprint,
        "digest": item.digest,
        "artefacts": dict(item.artefacts),
        "measured_at": iso(item.measured_at),
    }


def _criterion_view(result: CriterionResult) -> dict[str, str]:
    c, m = result.criterion, result.measurement
    interval = ""
    if m is not None and m.low is not None and m.high is not None:
        interval = f"{format_metric(c.metric, m.low)} to {format_metric(c.metric, m.high)}"
    return {
        "metric": c.metric, "meaning": METRICS[c.metric].meaning, "window": c.window,
        "wanted": f"{c.op.value} {format_metric(c.metric, c.threshold)}",
        "value": format_metric(c.metric, m.value if m is not None else None),
        "interval": interval, "verdict": result.verdict.value, "reason": result.reason,
    }  # fmt: skip


def _symbol_rows(evidence: Sequence[Evidence]) -> list[dict[str, str]]:
    """The backtest's results symbol by symbol."""
    return [
        {
            "symbol": symbol, "trades": f"{row['trades']:,}", "win_rate": format_metric("win_rate", row["win_rate"]),
            "profit": format_metric("net_profit", row["net_profit_closed"]), "fees": format_metric("fees", row["fees"]),
        }
        for item in evidence
        if item.stage is Stage.BACKTEST
        for symbol, row in item.details.get("symbols", {}).items()
    ]  # fmt: skip


def _figures(evidence: Sequence[Evidence]) -> list[dict[str, str]]:
    """Every measured metric with its interval, in the order of the metric list."""
    measured: dict[str, Measurement] = {}
    for item in evidence:
        measured.update(item.metrics)
    return [
        {
            "name": name, "meaning": METRICS[name].meaning, "value": format_metric(name, measured[name].value),
            "interval": ""
            if measured[name].low is None
            else f"{format_metric(name, measured[name].low)} to {format_metric(name, measured[name].high)}",
        }
        for name in METRICS
        if name in measured
    ]  # fmt: skip


def _equity_chart(report: ReportInput) -> LineChart | None:
    if report.daily is None or not len(report.daily.equity):
        return None
    return line_chart(report.daily.day_ms, report.daily.equity, base=report.capital)


def _drawdown_chart(report: ReportInput) -> LineChart | None:
    if report.daily is None or not len(report.daily.equity):
        return None
    return line_chart(report.daily.day_ms, -report.daily.drawdown, percent=True, base=0.0)


def _distribution(trades: Trades | None) -> Histogram | None:
    """Net profit of each trade over the notional it entered with."""
    if trades is None or not len(trades):
        return None
    return histogram(trades.pnl / (trades.quantity * trades.entry_price))
