"""Pictures of the checks for luck and weather: Monte Carlo, market regimes, stress."""

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
    band,
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

FANS = (
    ("trades", "The same trades in random order", "closed trades"),
    ("days", "Days drawn again in blocks", "days"),
)
REGIME_COLOURS = {
    "CALM_DOWN": "--s2", "CALM_SIDEWAYS": "--s8", "CALM_UP": "--s3",
    "VOLATILE_DOWN": "--s4", "VOLATILE_SIDEWAYS": "--s5", "VOLATILE_UP": "--s6",
}  # fmt: skip
QUANTILES = ("0.01", "0.05", "0.25", "0.5", "0.75", "0.95", "0.99")


def monte_carlo_panel(item: Evidence, _: Scene) -> Panel:
    """Fans of equity, the distribution of drawdowns and, for resampled days, of the result."""
    details = item.details
    known = [(key, title, unit) for key, title, unit in FANS if key in details]
    figures = [_fan_figure(title, unit, details[key]["fan"]) for key, title, unit in known]
    if known:
        figures.append(_drawdown_figure([(title, details[key]["drawdown"]) for key, title, _ in known],
                                        details["drawdown_limit"]))  # fmt: skip
    notes = [f"No answer from {dict((k, t) for k, t, _ in FANS).get(name, name).lower()}: {why}."
             for name, why in details["unanswered"].items()]  # fmt: skip
    return Panel(tuple(figures), tuple(_quantile_tables(details)), tuple([*notes, *_sample_notes(details)]))


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


# --- Monte Carlo ---------------------------------------------------------------------------------------------


def _fan_figure(title: str, unit: str, fan: Mapping[str, Any]) -> Figure:
    steps, (low, lower, middle, upper, high) = fan["steps"], fan["levels"]
    traces = [
        *band(steps, low, high, "90 % of the paths", "--band"), *band(steps, lower, upper, "half of them", "--band"),
        line(steps, middle, "median path", "--accent", line={"color": "--accent", "width": 1.4, "dash": "dash"}),
        line(steps, fan["realised"], "what happened", "--ink"),
    ]  # fmt: skip
    return figure(
        traces, height=300, hovermode="x", shapes=[level(1)],
        label=f"{title}: equity along the paths, 5th to 95th percentile from {number(low[-1])} to {number(high[-1])} "
        f"times the capital at the end, {number(fan['realised'][-1])} happened",
        caption=f"{title}: equity as a multiple of the capital along all paths."
        + (" Every order ends at the same total; only the way there differs." if unit == "closed trades" else ""),
        xaxis=axis(unit, tickformat=",d"), yaxis=axis("equity / capital", hoverformat=".3f"),
    )  # fmt: skip


def _drawdown_figure(rows: Sequence[tuple[str, Mapping[str, Any]]], limit: float) -> Figure:
    traces: list[Trace] = []
    for n, (_, found) in enumerate(rows):
        q = found["quantiles"]
        for low, high, width in (("0.01", "0.99", 3), ("0.05", "0.95", 9), ("0.25", "0.75", 17)):
            text = f"{float(low):.0%} to {float(high):.0%} of the paths:<br>{percent(q[low])} to {percent(q[high])}"
            traces.append(line([q[low], q[high]], [n, n], "", "--accent", line={"color": "--range", "width": width},
                               showlegend=False, hoverinfo="text", hovertext=text))  # fmt: skip
    marks = (("median", "line-ns", "--accent", [f["quantiles"]["0.5"] for _, f in rows]),
             ("happened", "diamond", "--ink", [f["realised"] for _, f in rows]))  # fmt: skip
    for name, symbol, colour, x in marks:
        traces.append({
            "type": "scatter", "mode": "markers", "x": x, "y": list(range(len(rows))), "name": name,
            "marker": {"symbol": symbol, "size": 14 if symbol == "line-ns" else 10, "color": colour,
                       "line": {"width": 2 if symbol == "line-ns" else 0, "color": colour}},
            "hovertemplate": f"{name} %{{x:.2%}}<extra></extra>",
        })  # fmt: skip
    labels = [title.replace(" in ", "<br>in ") for title, _ in rows]
    # A limit far beyond everything that was drawn would squeeze the rest into a corner.
    near = limit <= 4 * max(max(found["quantiles"]["0.99"], found["realised"]) for _, found in rows)
    return figure(
        traces, height=90 + 62 * len(rows),
        shapes=[level(limit, along="y", colour="--fail", dash="dash")] if near else [],
        label="Max drawdown over the paths: " + "; ".join(
            f"{title}: median {percent(f['quantiles']['0.5'])}, 95th percentile {percent(f['quantiles']['0.95'])}, "
            f"happened {percent(f['realised'])}" for title, f in rows),
        caption="Max drawdown over all paths: the thick bar holds half of them, the middle one 90 %, the thin line 98 "
        f"%. The risk gate's drawdown limit, {percent(limit)}, is {'the dashed line' if near else 'far to the right'}. "
        "A diamond far to the left means that luck helped.",
        xaxis=axis(tickformat=".2~%", rangemode="tozero"),
        yaxis=axis(tickvals=list(range(len(rows))), ticktext=labels, range=[len(rows) - 0.5, -0.5], showgrid=False),
    )  # fmt: skip


def _quantile_tables(details: Mapping[str, Any]) -> list[Table]:
    rows = []
    for key, title, _ in FANS:
        for what, words in (("drawdown", "max drawdown"), ("wealth", "equity at the end / capital")):
            found = details.get(key, {}).get(what)
            if found is None:
                continue
            show = percent if what == "drawdown" else number
            levels = (show(found["quantiles"][q]) for q in QUANTILES)
            share = percent(found["realised_percentile"], 0)
            rows.append((f"{title}: {words}", *levels, show(found["realised"]), share))
    heads = ("Over all paths", *(f"{float(q):.0%}" for q in QUANTILES), "Happened", "Paths below it")
    return [Table("Percentiles", heads, tuple(rows))] if rows else []


def _sample_notes(details: Mapping[str, Any]) -> list[str]:
    notes = []
    if found := details.get("trades"):
        notes.append(f"{found['trades']:,} trades on {found['paths']:,} paths; ruin is a loss of "
                     f"{percent(found['ruin_fraction'], 0)} of the capital.")  # fmt: skip
    if found := details.get("days"):
        notes.append(f"{found['days']:,} days on {found['paths']:,} paths, in blocks of {found['block']:.1f} days on "
                     "average (stationary bootstrap).")  # fmt: skip
    return notes


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
    Stage.MONTE_CARLO: monte_carlo_panel,
    Stage.REGIMES: regimes_panel,
    Stage.STRESS: stress_panel,
}
