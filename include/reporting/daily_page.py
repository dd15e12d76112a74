"""The daily report as a page, as JSON and as a notice. It shows values of `reporting.daily` and decides nothing."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np

from include.domain.enums import Mode, Severity, Stage, TradingState
from include.domain.errors import ConfigurationError
from include.domain.times import iso, to_ms
from include.ports import Notice
from include.qualification.verdict import Verdict
from include.reporting.charts import Label, LineChart, line_chart
from include.reporting.daily import CandidateStanding, DailyReport, DeploymentDay
from include.reporting.templates import render_template

TRADES_SHOWN = 20
"""Newest trades listed per deployment; the count above the table says how many there were."""
_DASH = "–"


def render_daily(report: DailyReport) -> str:
    """The page as HTML text without external resources; the same report gives the same text."""
    return render_template(
        "daily.html.j2",
        title=f"Airlock {report.day.isoformat()}: {headline(report)}",
        report=report,
        day=f"{report.day:%A}, {report.day.day} {report.day:%B %Y}",
        headline=headline(report),
        mood=_mood(report),
        groups=[
            (mode, _totals(days), [_deployment_view(d) for d in days])
            for mode in (Mode.LIVE, Mode.SIMULATION)
            if (days := report.of_mode(mode))
        ],
        standings=[_standing_view(standing) for standing in report.candidates],
        stages=[stage for stage in Stage if any(stage in standing.verdicts for standing in report.candidates)],
        clock=lambda moment: _clock(moment, report.zone),
        stamp=_stamp,
        words=_words,
    )


def write_daily(report: DailyReport, folder: Path) -> Path:
    """Write `daily-YYYY-MM-DD.html` into `folder`, complete or not at all; returns its path.

    Raises:
        ConfigurationError: the file cannot be written; nothing is left behind.
    """
    path = folder / f"daily-{report.day.isoformat()}.html"
    draft = path.with_name(f".{path.name}.part")
    page = render_daily(report)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        draft.write_text(page, encoding="utf-8")
        draft.replace(path)
    except OSError as error:
        raise ConfigurationError(f"{path}: the report cannot be written ({error.strerror})") from None
    finally:
        if folder.is_dir():
            draft.unlink(missing_ok=True)
    return path


def daily_document(report: DailyReport) -> dict[str, Any]:
    """Plain JSON form: money as text, fractions as numbers, times in UTC."""
    return {
        "day": report.day.isoformat(),
        "zone": report.zone,
        "start": iso(report.start),
        "end": iso(report.end),
        "complete": report.complete,
        "synthetic": report.synthetic,
        "headline": headline(report),
        "deployments": [_deployment_document(day) for day in report.deployments],
        "candidates": [
            {
                "candidate_id": s.candidate.id, "name": s.candidate.name, "profile": s.profile,
                "verdicts": {stage.value: verdict.value for stage, verdict in s.verdicts.items()},
                "synthetic": s.synthetic,
            }
            for s in report.candidates
        ],
        "halts": [
            {"scope": h.scope, "state": h.state.value, "by": h.by, "reason": h.reason, "since": iso(h.since)}
            for h in report.halts
        ],
        "incidents": [
            {"at": iso(i.opened_at), "severity": i.severity.value, "code": i.code, "subject": i.subject,
             "message": i.message}
            for i in report.incidents
        ],
        "chains": {head.name: {"sequence": head.sequence, "chain": head.chain} for head in report.heads},
    }  # fmt: skip


def daily_notice(report: DailyReport, link: str) -> Notice:
    """What goes to people's phones: the headline, then one line a deployment."""
    lines = [
        f"{d.candidate_name} ({d.deployment.mode.value.lower()}{', synthetic data' if d.synthetic else ''}): "
        f"{len(d.trades)} trades, {money(d.profit, signed=True)} {d.quote} on the day, drawdown {percent(d.drawdown)}"
        for d in report.deployments
    ]
    lines += [f"{h.state.value} {h.scope}: {h.reason} ({h.by})" for h in report.halts]
    severity = {"FAIL": Severity.WARNING}.get(_mood(report), Severity.INFO)
    return Notice(severity, f"Daily report {report.day.isoformat()}: {headline(report)}", tuple(lines), link)


def headline(report: DailyReport) -> str:
    """The day in a few words, the worst first."""
    if halted := [halt for halt in report.halts if halt.state is TradingState.HALTED]:
        where = ", ".join("everything" if halt.scope == "all" else halt.scope for halt in halted[:2])
        return f"trading halted ({_cut_id(where)}{', …' if len(halted) > 2 else ''})"
    critical = sum(incident.severity is Severity.CRITICAL for incident in report.incidents)
    if critical:
        return f"{critical} critical incident{'s' if critical > 1 else ''}"
    trades = sum(len(day.trades) for day in report.deployments)
    if trades:
        return f"{trades:,} trade{'s' if trades > 1 else ''} closed"
    return "no trades" if any(day.active for day in report.deployments) else "nothing traded"


def money(value: Decimal | None, *, signed: bool = False) -> str:
    """Two decimals with thousands separators; a dash for what is not known."""
    if value is None:
        return _DASH
    text = f"{value:+,.2f}" if signed else f"{value:,.2f}"
    return text.replace("-", "−")


def percent(value: Decimal | None) -> str:
    return _DASH if value is None else f"{value * 100:.2f} %"


# --- views ---------------------------------------------------------------------------------------------------


def _mood(report: DailyReport) -> str:
    """FAIL when something needs a person, PASS when something traded well-behaved, nothing otherwise."""
    critical = any(incident.severity is Severity.CRITICAL for incident in report.incidents)
    if critical or any(halt.state is TradingState.HALTED for halt in report.halts):
        return "FAIL"
    return "PASS" if any(day.active for day in report.deployments) else ""


def _totals(days: Sequence[DeploymentDay]) -> dict[str, str]:
    """Sums over deployments of one mode; money only where all are in one currency."""
    trades, wins = sum(len(day.trades) for day in days), sum(day.wins for day in days)
    one_currency = len({day.quote for day in days}) == 1
    known = [day.profit for day in days if day.profit is not None]
    return {
        "trades": f"{trades:,}",
        "win rate": f"{wins / trades:.1%}".replace("%", " %") if trades else _DASH,
        f"profit of the day, {days[0].quote}" if one_currency else "profit of the day": money(
            sum(known, Decimal(0)) if known and one_currency else None, signed=True
        ),
        "fees": money(sum((day.fees for day in days), Decimal(0)) if one_currency else None),
    }


def _deployment_view(day: DeploymentDay) -> dict[str, Any]:
    trades = len(day.trades)
    sign = 0 if day.profit is None else (day.profit > 0) - (day.profit < 0)
    return {
        "day": day,
        "profit_class": {1: "up", -1: "down"}.get(sign, ""),
        "tiles": [
            ("Profit of the day", money(day.profit, signed=True), day.quote),
            ("Profit in total", money(day.total_profit, signed=True), f"on {money(day.deployment.capital)}"),
            ("Equity", money(day.equity), f"{money(day.unrealised, signed=True)} open"),
            ("Drawdown", percent(day.drawdown), f"deepest of the day {percent(day.max_drawdown)}"),
            ("Trades closed", f"{trades:,}", f"{day.trades_before:,} before"),
            ("Win rate", f"{day.wins / trades:.1%}".replace("%", " %") if trades else _DASH,
             f"{day.wins:,} of {trades:,}" if trades else "no trade closed"),
            ("Fees", money(day.fees), f"{money(day.total_fees)} in total; funding {money(day.funding, signed=True)}"),
            ("Fills", f"{day.fills:,}", f"{sum(day.orders.values()):,} orders"),
        ],
        "chart": _chart(day),
        "trades": [
            {
                "left_at": trade.left_at, "symbol": trade.symbol, "side": "long" if trade.long else "short",
                "quantity": f"{trade.quantity:g}", "entry": _price(trade.entry_price),
                "exit": _price(trade.exit_price), "profit": money(trade.profit, signed=True),
                "gain": "up" if trade.profit > 0 else "down",
            }
            for trade in reversed(day.trades[-TRADES_SHOWN:])
        ],
        "positions": [
            {"symbol": p.symbol, "side": "long" if p.quantity > 0 else "short", "quantity": f"{abs(p.quantity):f}",
             "entry": _price(p.entry_price)}
            for p in day.positions
        ],
    }  # fmt: skip


def _chart(day: DeploymentDay) -> LineChart | None:
    """Equity over the day against its start, labelled with market time; None for fewer than two points."""
    if len(day.curve) < 2 or day.profit is None or day.equity is None:
        return None
    at = np.array([to_ms(point.at) for point in day.curve], dtype=np.int64)
    drawn = line_chart(at, np.array([float(point.equity) for point in day.curve]), base=float(day.equity - day.profit))
    rows = sorted({round(i * (len(at) - 1) / 4) for i in range(5)})
    form = "%H:%M" if day.curve[0].at.date() == day.curve[-1].at.date() else "%m-%d %H:%M"
    labels = (Label(row / (len(at) - 1) * 100, day.curve[row].at.strftime(form)) for row in rows)
    return replace(drawn, x_labels=tuple(labels))


def _standing_view(standing: CandidateStanding) -> dict[str, Any]:
    return {"standing": standing, "worst": _next_word(standing)}


def _next_word(standing: CandidateStanding) -> str:
    """Where the candidate stands, in words."""
    if failed := [stage for stage, verdict in standing.verdicts.items() if verdict is Verdict.FAIL]:
        return f"turned down at {_words(failed[0].value)}"
    if unsure := [stage for stage, verdict in standing.verdicts.items() if verdict is not Verdict.PASS]:
        return f"{standing.verdicts[unsure[0]].value.lower()} at {_words(unsure[0].value)}: a person must look"
    return f"passed {_words(list(standing.verdicts)[-1].value)}"


def _deployment_document(day: DeploymentDay) -> dict[str, Any]:
    def text(value: Decimal | None) -> str | None:
        return None if value is None else format(value, "f")

    def number(value: Decimal | None) -> float | None:
        return None if value is None else float(value)

    return {
        "deployment_id": day.deployment.id, "candidate": day.candidate_name, "mode": day.deployment.mode.value,
        "status": day.status.value, "state": day.state.value, "synthetic": day.synthetic, "quote": day.quote,
        "trades": len(day.trades), "wins": day.wins, "win_rate": day.wins / len(day.trades) if day.trades else None,
        "profit": text(day.profit), "total_profit": text(day.total_profit), "equity": text(day.equity),
        "drawdown": number(day.drawdown), "max_drawdown": number(day.max_drawdown),
        "fees": text(day.fees), "total_fees": text(day.total_fees), "funding": text(day.funding), "fills": day.fills,
        "positions": {p.symbol: format(p.quantity, "f") for p in day.positions},
        "orders": {status.value: count for status, count in day.orders.items()}, "denials": dict(day.denials),
        "market_from": iso(day.market_span[0]) if day.market_span else None,
        "market_to": iso(day.market_span[1]) if day.market_span else None,
    }  # fmt: skip


def _price(value: float | Decimal) -> str:
    """Cents where a price is large, eight digits where it is small."""
    return f"{value:,.2f}" if abs(float(value)) >= 100 else f"{value:.8g}"


def _clock(moment: datetime, zone: str) -> str:
    return moment.astimezone(ZoneInfo(zone)).strftime("%H:%M:%S")


def _stamp(moment: datetime) -> str:
    return moment.strftime("%Y-%m-%d %H:%M")


def _words(code: str) -> str:
    return code.replace("_", " ").lower()


def _cut_id(scope: str) -> str:
    """Scopes hold ids of 64 digits; twelve are enough to find one."""
    return ", ".join(part[:23] if part.startswith("deployment:") else part for part in scope.split(", "))
