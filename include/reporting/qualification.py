"""The qualification report: one self-contained HTML page for a candidate under a profile.

Rendered from evidence and the backtest's numbers alone; it decides nothing.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from include.backtesting.equity import DailyEquity
from include.backtesting.trades import Trades
from include.domain.enums import BATTERY, Stage
from include.domain.errors import ConfigurationError
from include.domain.times import iso
from include.qualification.candidate import Candidate
from include.qualification.evidence import Evidence
from include.qualification.profile import Profile
from include.qualification.verdict import Verdict, worst
from include.reporting.battery_panels import build_panel, held_equity
from include.reporting.figures import Panel
from include.reporting.gate_evidence import evidence_findings, gate_links
from include.reporting.page_scripts import Album, page_scripts
from include.reporting.panels_performance import (
    equity_figure,
    honesty_table,
    monthly_returns,
    trades_figure,
    trades_table,
)
from include.reporting.replacing import replace_file
from include.reporting.scene import Scene
from include.reporting.stage_views import (
    NOT_DEMANDED,
    TITLES,
    data_rows,
    key_figures,
    ladder_rows,
    reasons,
    stage_view,
    symbol_rows,
    unmeasured,
)
from include.reporting.templates import render_template

__all__ = [
    "HEADLINES", "ReportInput", "headline", "issues", "overall_verdict", "render_qualification",
    "write_qualification",
]  # fmt: skip

HEADLINES: Mapping[Verdict, str] = {
    Verdict.PASS: "QUALIFIES",
    Verdict.FAIL: "DOES NOT QUALIFY",
    Verdict.INCONCLUSIVE: "INCONCLUSIVE: a person must decide",
    Verdict.ERROR: "ERROR: the measurement broke",
}
PASSES_SO_FAR = "PASSES SO FAR"
MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
STRONG_MONTH = 0.10
"""A month's return from which on its cell has its full colour."""
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
    artefacts_at: str = ""
    """Where the evidence's files lie, relative to the page: empty, or a path that ends with a slash."""


def overall_verdict(evidence: Sequence[Evidence]) -> Verdict:
    """Worst verdict of the stages that the profile demands."""
    return worst(item.verdict for item in evidence if item.is_demanded)


def issues(evidence: Sequence[Evidence]) -> list[str]:
    """Why the candidate does not pass, one line each, stage by stage; empty when it passes."""
    return [f"{item.stage.value}: {reason}" for item in evidence for reason in reasons(item)]


def headline(evidence: Sequence[Evidence], profile: Profile) -> str:
    """The verdict in words. Nothing QUALIFIES while a stage before the simulation has not been measured."""
    verdict = overall_verdict(evidence)
    if verdict is Verdict.PASS and any(stage is not Stage.SIMULATION for stage in unmeasured(evidence, profile)):
        return PASSES_SO_FAR
    return HEADLINES.get(verdict, verdict.value)


def render_qualification(report: ReportInput) -> str:
    """The page as HTML text without external resources."""
    album = Album()
    words = headline(report.evidence, report.profile)
    evidence = sorted(report.evidence, key=lambda item: list(Stage).index(item.stage))
    scene = _scene(report)
    sections = [_section(item, report, scene, album) for item in evidence]
    missing = unmeasured(evidence, report.profile)
    return render_template(
        "qualification.html.j2",
        title=f"{report.candidate.name}: {words}",
        verdict=overall_verdict(evidence).value,
        mood=Verdict.INCONCLUSIVE.value if words == PASSES_SO_FAR else overall_verdict(evidence).value,
        headline=words,
        candidate=report.candidate,
        profile=report.profile,
        synthetic=any(item.synthetic for item in evidence),
        ladder=ladder_rows(evidence, report.profile),
        missing=[TITLES[stage][0] for stage in missing],
        key_figures=key_figures(evidence),
        sections=sections,
        data=data_rows(evidence),
        not_demanded=NOT_DEMANDED,
        months=MONTHS,
        reproduce=report.reproduce,
        made_at=iso(report.made_at),
        scripts=page_scripts(album.figures),
    )


def write_qualification(report: ReportInput, folder: Path) -> Path:
    """Write the page into `folder`, complete or not at all; returns its path.

    Raises:
        ConfigurationError: the folder cannot be written.
    """
    page, path = render_qualification(report), folder / FILE_NAME
    try:
        folder.mkdir(parents=True, exist_ok=True)
        return replace_file(path, page.encode())
    except OSError as error:
        raise ConfigurationError(
            f"{path}: report cannot be written ({error.strerror}); check space and rights"
        ) from None


# --- inside ------------------------------------------------------------------------------------------------


def _scene(report: ReportInput) -> Scene:
    trading = next((item.metrics for item in report.evidence if item.stage is Stage.BACKTEST), {})
    daily = report.daily if report.daily is not None and len(report.daily.equity) else None
    return Scene(
        report.candidate.params, report.capital, report.profile.promotion.capital_steps, daily, trading
    )  # fmt: skip


def _section(item: Evidence, report: ReportInput, scene: Scene, album: Album) -> dict[str, Any]:
    """Everything in a stage's section; its figures go into the album."""
    panel = _backtest_panel(item, report, scene) if item.stage is Stage.BACKTEST else build_panel(item, scene)
    daily = scene.daily if item.stage is Stage.BACKTEST else None
    return {
        **stage_view(item),
        "check": item.stage in BATTERY,
        "figures": [album.add(figure) for figure in panel.figures],
        "tables": panel.tables,
        "notes": panel.notes,
        "links": [{"name": name, "href": report.artefacts_at + path} for name, path in _links(item, report)],
        "findings": evidence_findings(item),
        "symbols": symbol_rows(item) if item.stage is Stage.BACKTEST else [],
        "books_agree": "books" in item.details and "error" not in item.details,
        "not_modelled": item.details.get("not_modelled", ""),
        "years": _year_rows(daily, report.capital) if daily is not None else [],
    }


def _links(item: Evidence, report: ReportInput) -> list[tuple[str, str]]:
    """Name and place of a stage's own pages. The page of the ladder points to the one with charts."""
    if item.stage is Stage.BACKTEST and report.artefacts_at and report.daily is None:
        return [("Equity, monthly returns and trades", FILE_NAME)]
    return gate_links(item)


def _backtest_panel(item: Evidence, report: ReportInput, scene: Scene) -> Panel:
    figures, tables = [], []
    if scene.daily is not None:
        figures.append(equity_figure(scene.daily, report.capital, held_equity(report.evidence)))
    if report.trades is not None and len(report.trades):
        figures.append(trades_figure(report.trades))
        tables.append(trades_table(report.trades))
    honesty = honesty_table(item.details.get("symbols", {}))
    tables += [honesty] if honesty is not None else []
    return Panel(tuple(figures), tuple(tables))


def _year_rows(daily: DailyEquity, capital: float) -> list[dict[str, Any]]:
    return [
        {
            "year": row.year, "total": f"{row.total * 100:z,.1f}",
            "months": [None if value is None else _month(value) for value in row.months],
        }
        for row in monthly_returns(daily, capital)
    ]  # fmt: skip


def _month(value: float) -> dict[str, str]:
    return {
        "text": f"{value * 100:z,.1f}", "sign": "up" if value > 0 else "down" if value < 0 else "",
        "strength": f"{min(1.0, 0.15 + 0.85 * abs(value) / STRONG_MONTH):.2f}",
    }  # fmt: skip
