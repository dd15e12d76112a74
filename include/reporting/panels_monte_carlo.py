"""Pictures of the Monte Carlo check: orders of trades, resampled days, execution noise."""

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
    figure,
    histogram_bars,
    level,
    line,
    number,
    percent,
    plain,
)
from include.reporting.scene import Scene

FANS = (
    ("trades", "The same trades in random order", "closed trades"),
    ("days", "Days drawn again in blocks", "days"),
    ("execution", "The same decisions badly executed", "days"),
)
QUANTILES = ("0.01", "0.05", "0.25", "0.5", "0.75", "0.95", "0.99")
TABLED = (
    ("drawdown", "max drawdown"), ("wealth", "equity at the end / capital"), ("net_profit", "net profit"),
    ("sharpe", "Sharpe"),
)  # fmt: skip
COLOURS = {"trades": "--s1", "days": "--s2"}


def monte_carlo_panel(item: Evidence, _: Scene) -> Panel:
    """Fans of equity, the distributions of drawdown and result, and what each kind of execution noise costs."""
    details = item.details
    known = [(key, title, unit) for key, title, unit in FANS if key in details]
    orders = [(title, details[key]["drawdown"]) for key, title, _ in known if key != "execution"]
    figures = [_fan_figure(title, unit, details[key]["fan"]) for key, title, unit in known]
    if orders:
        figures.append(_drawdown_figure(orders, details["drawdown_limit"]))
        figures += _histogram_figures(details)
    if "execution" in details:
        figures.append(_noise_figure(details["execution"]))
    names = {key: title.lower() for key, title, _ in FANS}
    notes = [f"No answer from {names.get(name, name)}: {why}." for name, why in details["unanswered"].items()]
    return Panel(tuple(figures), tuple(_tables(details)), tuple([*notes, *_sample_notes(details)]))


# --- inside ------------------------------------------------------------------------------------------------


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


def _histogram_figures(details: Mapping[str, Any]) -> list[Figure]:
    """How often which drawdown and which result came; evidence of older versions has no histograms."""
    found = {key: details[key] for key in COLOURS if "histogram" in details.get(key, {}).get("drawdown", {})}
    drawn = []
    if found:
        drawn.append(_histogram_figure({key: mc["drawdown"] for key, mc in found.items()}, "max drawdown"))
    if "days" in found:
        drawn.append(_histogram_figure({"days": found["days"]["wealth"]}, "equity at the end / capital"))
    return drawn


def _histogram_figure(found: Mapping[str, Mapping[str, Any]], what: str) -> Figure:
    """One row for each way of drawing, since one may be far wider than the other."""
    is_share, titles = what == "max drawdown", {key: title for key, title, _ in FANS}
    show, form = (percent, ".2~%") if is_share else (number, ".3~f")
    traces, shapes, layout = [], [], {}
    for n, (key, spread) in enumerate(found.items(), start=1):
        suffix = "" if n == 1 else str(n)
        bars = histogram_bars(spread["histogram"], titles[key], COLOURS[key], form)
        traces.append({**bars, "xaxis": "x", "yaxis": f"y{suffix}"})
        happened = level(spread["realised"], along="y", colour="--ink", dash="dash")
        shapes.append({**happened, "yref": f"y{suffix} domain"})
        rows = len(found)
        layout[f"yaxis{suffix}"] = axis(
            "paths", tickformat=",d", domain=[1 - n / rows + (0.12 if n < rows else 0), 1 - (n - 1) / rows], nticks=4
        )
    return figure(
        traces, height=110 + 120 * len(found), shapes=shapes, bargap=0,
        label=f"Histogram of {what}: " + "; ".join(
            f"{titles[key]}, median {show(s['quantiles']['0.5'])}, happened {show(s['realised'])}"
            for key, s in found.items()),
        caption=f"How many paths had which {what}"
        + (". " if len(found) > 1 else f" ({', '.join(titles[key].lower() for key in found)}). ")
        + "The dashed line is what happened.",
        xaxis=axis(what, tickformat=form, anchor="y" if len(found) == 1 else f"y{len(found)}"), **layout,
    )  # fmt: skip


def _noise_figure(found: Mapping[str, Any]) -> Figure:
    """Net profit over all runs, and its mean under each kind of noise alone."""
    spread, alone = found["net_profit"], found["alone"]
    names = ["as decided", *(row["name"] + " only" for row in alone), "everything"]
    profits = [spread["realised"], *(row["net_profit"] for row in alone), spread["quantiles"]["0.5"]]
    bars: Trace = {
        "type": "bar", "orientation": "h", "y": list(range(len(names))), "x": profits, "width": 0.55, "xaxis": "x2",
        "yaxis": "y2", "showlegend": False, "textposition": "none", "hoverinfo": "text",
        "hovertext": [f"{plain(n)}: {number(p, 0)}" for n, p in zip(names, profits, strict=True)],
        "marker": {"color": ["--soft", *["--s5"] * len(alone), "--accent"]},
    }  # fmt: skip
    counts = histogram_bars(spread["histogram"], "runs", "--accent", ",.3~s")
    first, last = spread["histogram"]["edges"][0], spread["histogram"]["edges"][-1]
    # An undisturbed run far from all others would squeeze them into a corner; the bars below show how far it is.
    near = first - 3 * (last - first) <= spread["realised"] <= last + 3 * (last - first)
    where = "the dashed line is the undisturbed run" if near else "the undisturbed run is far off"
    return figure(
        [{**counts, "showlegend": False}, bars], height=430, bargap=0,
        shapes=[level(spread["realised"], along="y", colour="--ink", dash="dash")] if near else [],
        label=f"Execution noise: net profit as decided {number(spread['realised'], 0)}, median with noise "
        f"{number(spread['quantiles']['0.5'], 0)}, 5th percentile {number(spread['quantiles']['0.05'], 0)}",
        caption=f"Above: net profit of the runs with every kind of noise; {where}. "
        "Below: what is left with each kind alone (means) and with all of them (median).",
        xaxis=axis("net profit", tickformat=",.3~s", anchor="y"), yaxis=axis("runs", domain=[0.58, 1]),
        xaxis2=axis(tickformat=",.3~s", anchor="y2"),
        yaxis2=axis(domain=[0, 0.4], tickvals=list(range(len(names))), ticktext=[plain(n) for n in names],
                    autorange="reversed", showgrid=False),
    )  # fmt: skip


def _tables(details: Mapping[str, Any]) -> list[Table]:
    rows = []
    for key, title, _ in FANS:
        for what, words in TABLED:
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
    if found := details.get("execution"):
        notes.append(_noise_note(found))
    return notes


def _noise_note(found: Mapping[str, Any]) -> str:
    noise, slips = found["noise"], sorted(set(found["slippage_bps"].values()))
    between = number(slips[0], 1) if len(slips) == 1 else f"{number(slips[0], 1)} to {number(slips[-1], 1)}"
    return (
        f"Execution noise, {found['runs']:,} runs of {found['trades']:,} trades: every market fill slips {between} "
        f"basis points more on average (exponentially distributed), {percent(noise['missed'], 0)} of the entries are "
        f"missed, {percent(noise['late'], 0)} come 1 to {noise['most_bars']} bars late. Equity and drawdown at daily "
        "closes."
    )


PANELS = {Stage.MONTE_CARLO: monte_carlo_panel}
