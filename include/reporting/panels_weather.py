"""Pictures of the checks for weather: market regimes, stress."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from include.domain.enums import Stage
from include.qualification.evidence import Evidence
from include.reporting.figures import (
    Figure,
    Panel,
    Table,
    Trace,
    axis,
    dates,
    figure,
    level,
    line,
    number,
    percent,
    plain,
    thinned,
)
from include.reporting.scene import Scene

REGIME_COLOURS = {
    "CALM_DOWN": "--s2", "CALM_SIDEWAYS": "--s8", "CALM_UP": "--s3",
    "VOLATILE_DOWN": "--s4", "VOLATILE_SIDEWAYS": "--s5", "VOLATILE_UP": "--s6",
}  # fmt: skip


def regimes_panel(item: Evidence, scene: Scene) -> Panel:
    """Regimes as colours behind the equity, and the candidate in each."""
    details = item.details
    table = Table(
        "The candidate in each regime",
        ("Regime", "Enough to judge", "Days", "Trades", "Win rate", "Profit factor", "Net profit", "Sharpe"),
        tuple(
            (_words(r["regime"]), "yes" if r["covered"] else "no", f"{r['days']:,}", f"{r['trades']:,}",
             percent(r["win_rate"]), number(r["profit_factor"]), number(r["net_profit"], 0), number(r["sharpe"]))
            for r in details["regimes"]
        ),
        texts=2, folded=False,
    )  # fmt: skip
    notes = () if details["runs"] else ("The history is too short for any day to carry a label.",)
    figures = (_regimes_figure(item, scene),) if details["runs"] else ()
    return Panel(figures, (table,), notes)


def stress_panel(item: Evidence, _: Scene) -> Panel:
    """Each shock: worst drawdown, mean and worst result."""
    scenarios = item.details["scenarios"]
    if not scenarios:
        return Panel(notes=("The history is shorter than the week that is traded around a shock.",))
    table = Table(
        "Scenarios", ("Scenario", "Shock", "Worst start", "Worst drawdown", "Mean change of result", "Worst change"),
        tuple((s["name"], s["description"], s["worst_start"][:16].replace("T", " "), percent(s["worst_drawdown"]),
               percent(s["mean_result"]), percent(s["worst_result"])) for s in scenarios),
        texts=3, folded=False,
    )  # fmt: skip
    return Panel((_stress_figure(scenarios),), (table,))


# --- regimes -------------------------------------------------------------------------------------------------


def _regimes_figure(item: Evidence, scene: Scene) -> Figure:
    runs, end = item.details["runs"], item.details["window"]["to"][:10]
    ends = [*(run["from"] for run in runs[1:]), end]
    traces: list[Trace] = []
    for regime in dict.fromkeys((*REGIME_COLOURS, *(run["regime"] for run in runs))):
        own = [(run["from"], until) for run, until in zip(runs, ends, strict=True) if run["regime"] == regime]
        x = [moment for first, until in own for moment in (first, until, None)]
        colour = REGIME_COLOURS.get(regime, "--soft")
        if own:
            traces.append(
                line(x, [None if m is None else 0 for m in x], _words(regime), colour, yaxis="y", xaxis="x",
                     line={"color": colour, "width": 26, "simplify": False},
                     hovertemplate=f"{plain(_words(regime))}<br>%{{x}}<extra></extra>")
            )  # fmt: skip
    strip = axis(domain=[0, 0.14], visible=False, fixedrange=True, range=[-1, 1])
    if scene.daily is None:
        layout: dict[str, Any] = {"height": 130, "yaxis": {**strip, "domain": [0, 1]}, "xaxis": axis(type="date")}
    else:
        days = dates(scene.daily.day_ms)
        traces.append(
            line(*thinned(days, scene.daily.equity), "equity", "--ink", yaxis="y2", xaxis="x", showlegend=False)
        )
        layout = {"height": 340, "yaxis": strip, "xaxis": axis(type="date", anchor="y"),
                  "yaxis2": axis("equity", domain=[0.2, 1], tickformat=",.3~s")}  # fmt: skip
    return figure(
        traces, label=f"Market regimes over time, {len(runs)} stretches",
        caption="The regime of each day, from closes up to the day before: volatility above or below its median so "
        "far, and the trend of 30 days. The first 60 days carry no label.", **layout,
    )  # fmt: skip


def _words(regime: str) -> str:
    return regime.replace("_", ", ", 1).replace("_", " ").lower()


# --- stress --------------------------------------------------------------------------------------------------


def _stress_figure(scenarios: Sequence[Mapping[str, Any]]) -> Figure:
    rows = list(range(len(scenarios)))
    traces: list[Trace] = [
        {"type": "bar", "orientation": "h", "y": rows, "x": [-s["worst_drawdown"] for s in scenarios],
         "name": "worst drawdown", "marker": {"color": "--fail"}, "width": 0.55, "hoverinfo": "text",
         "textposition": "none", "hovertext": [
             f"worst drawdown {percent(s['worst_drawdown'])}<br>shock begins {plain(s['worst_start'])}"
             for s in scenarios
         ]},
    ]  # fmt: skip
    for key, name, symbol in (
        ("mean_result", "mean change of result", "diamond"),
        ("worst_result", "worst change", "x"),
    ):
        traces.append({
            "type": "scatter", "mode": "markers", "x": [s[key] for s in scenarios], "y": rows, "name": name,
            "marker": {"symbol": symbol, "size": 10, "color": "--ink"},
            "hovertemplate": f"{name} %{{x:.2%}}<extra></extra>",
        })  # fmt: skip
    worst = max(scenarios, key=lambda s: s["worst_drawdown"])
    return figure(
        traces, height=110 + 44 * len(scenarios), shapes=[level(0, along="y")],
        label=f"Stress: worst drawdown {percent(worst['worst_drawdown'])} in {worst['name']}",
        caption="Percent of the capital over the week that is traded around each shock. A change of result is the week "
        "with the shock less the same week without it.",
        xaxis=axis(tickformat=".2~%"),
        yaxis=axis(tickvals=rows, ticktext=[plain(s["name"]) for s in scenarios], autorange="reversed", showgrid=False),
    )  # fmt: skip


PANELS = {
    Stage.REGIMES: regimes_panel,
    Stage.STRESS: stress_panel,
}
