"""Pictures of the checks about money: costs, the benchmark, capacity."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise
from math import log10
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
    series,
    thinned,
)
from include.reporting.scene import Scene
from include.validators.capacity import CapacityPoint
from include.validators.costs import MOST_BPS


def costs_panel(item: Evidence, _: Scene) -> Panel:
    """Net profit against a multiple of all costs, and the break-even of slippage and fee."""
    curve = item.details["curve"]
    found = {"slippage": item.details["break_even_slippage_bps"], "fee": item.details["break_even_fee_bps"]}
    figures = [_costs_figure(curve)]
    known = {name: bps for name, bps in found.items() if bps is not None}
    notes = []
    if known:
        figures.append(_break_even_figure(known))
    if not known or min(known.values()) < 0:
        notes.append("There is no profit at the declared costs, so nothing is left that more of them could eat.")
    table = Table(
        "Profit at other costs", ("All costs times", "Net profit", "Trades"),
        tuple((f"{p['multiple']:g}", number(p["net_profit"], 0), f"{p['trades']:,}") for p in curve), texts=0,
    )  # fmt: skip
    return Panel(tuple(figures), (table,), tuple(notes))


def benchmark_panel(item: Evidence, scene: Scene) -> Panel:
    """The candidate beside buy and hold of the same symbols."""
    d, own = item.details, {name: m.value for name, m in scene.trading.items()}
    rows = (
        ("Total return", percent(own.get("total_return")), percent(d["total_return"])),
        ("Sharpe ratio", number(own.get("sharpe")), number(d["sharpe"])),
        ("Max drawdown", percent(own.get("max_drawdown")), percent(d["max_drawdown"])),
        ("Beta (moves with the market by)", number(d["beta"]), "1.00"),
        ("Alpha (return a year that beta does not explain)", percent(d["alpha_annual"]), "–"),
        ("Correlation of daily returns", number(d["correlation"]), "1.00"),
    )
    table = Table("Beside buy and hold", ("", "Candidate", "Buy and hold"), rows, folded=False)
    return Panel((_benchmark_figure(d["equity"], scene),), (table,))


def capacity_panel(item: Evidence, scene: Scene) -> Panel:
    """Profit and impact against capital, with the rungs of the capital ladder."""
    points = [CapacityPoint(**point) for point in item.details["points"]]
    rungs = [step * scene.capital for step in scene.capital_steps]
    table = Table(
        "The same trades with other capital",
        ("Capital", "Net profit", "Return on capital", "Mean impact of a fill, bps", "Most of a day's turnover"),
        tuple(
            (number(p.capital, 0), number(p.net_profit, 0), percent(p.net_profit / p.capital), number(p.impact_bps),
             percent(p.participation, 3)) for p in points
        ),
        texts=0, folded=False,
    )  # fmt: skip
    capacity = item.details["capacity"]
    notes = () if capacity is not None else ("Without profit there is no capacity.",)
    return Panel((_capacity_figure(points, rungs, capacity),) if points else (), (table,), notes)


# --- inside ------------------------------------------------------------------------------------------------


def zero_crossing(curve: Sequence[Mapping[str, Any]]) -> float | None:
    """Multiple of costs at which the straight lines between the points first fall through zero; None if never."""
    for left, right in pairwise(curve):
        if left["net_profit"] > 0 >= right["net_profit"]:
            span = left["net_profit"] - right["net_profit"]
            return float(left["multiple"] + (right["multiple"] - left["multiple"]) * left["net_profit"] / span)
    return None


def _costs_figure(curve: Sequence[Mapping[str, Any]]) -> Figure:
    x, y = [p["multiple"] for p in curve], [p["net_profit"] for p in curve]
    traces: list[Trace] = [
        line(x, y, "net profit", "--accent", mode="lines+markers", showlegend=False,
             hovertemplate="costs ×%{x}<br>net profit %{y:,.0f}<extra></extra>"),
    ]  # fmt: skip
    crossing = zero_crossing(curve)
    if crossing is not None:
        # The line falls: to its left there is room below, to its right above.
        place = "bottom left" if crossing > (x[0] + x[-1]) / 2 else "top right"
        traces.append({
            "type": "scatter", "mode": "markers+text", "x": [crossing], "y": [0], "showlegend": False,
            "text": [f"break-even near ×{crossing:.2f}"], "textposition": place, "hoverinfo": "skip",
            "marker": {"symbol": "diamond", "size": 10, "color": "--ink"}, "cliponaxis": False,
        })  # fmt: skip
    words = "no break-even within" if crossing is None else f"break-even near {crossing:.2f} times the costs within"
    return figure(
        traces, height=280, shapes=[level(0, colour="--fail", dash="dash"), level(1.0, along="y")],
        label=f"Net profit against costs, {words} {x[0]:g} to {x[-1]:g} times the costs",
        caption="Net profit when fees, spread and slippage are all multiplied; the dotted line is what the venue "
        "declares.",
        xaxis=axis("multiple of all declared costs", tickprefix="×"), yaxis=axis("net profit", tickformat=",.3~s"),
        margin={"l": 8, "r": 20, "t": 12, "b": 8},
    )  # fmt: skip


def _break_even_figure(known: Mapping[str, float]) -> Figure:
    rows = list(range(len(known)))
    most = float(MOST_BPS)
    view = [min(0.0, 1.25 * min(known.values())), max(5.0, 1.25 * max(known.values()))]
    bar: Trace = {
        "type": "bar", "orientation": "h", "y": rows, "x": list(known.values()), "width": 0.5, "showlegend": False,
        "marker": {"color": "--accent"}, "hoverinfo": "skip", "textposition": "auto",
        "text": [f"{bps:g} bps" + (" or more" if bps >= most else "") for bps in known.values()],
    }  # fmt: skip
    return figure(
        [bar], height=70 + 38 * len(known), margin={"l": 8, "r": 16, "t": 6, "b": 8},
        label="Break-even: " + ", ".join(f"{name} {bps:g} bps" for name, bps in known.items()),
        caption="The most that a fill may cost in addition before the profit is gone: slippage on market fills, fee on "
        f"every fill; below zero it would have to cost less. Searched up to {most:g} basis points.",
        xaxis=axis("basis points", rangemode="tozero", range=view),
        yaxis=axis(tickvals=rows, ticktext=[f"more {name}" for name in known], autorange="reversed", showgrid=False),
    )  # fmt: skip


def _benchmark_figure(equity: Mapping[str, Any], scene: Scene) -> Figure:
    days, held = series(equity)
    traces = [line(*thinned(days, held), "buy and hold", "--soft")]
    if scene.daily is not None:
        own = scene.daily.equity / scene.capital
        traces.append(line(*thinned(dates(scene.daily.day_ms), own), "candidate", "--accent"))
    return figure(
        traces, height=300, hovermode="x unified", shapes=[level(1)],
        label=f"Buy and hold ends at {number(float(held[-1]))} times the capital" if len(held) else "Buy and hold",
        caption="Equity as a multiple of the capital; buy and hold has the same symbols, capital and costs.",
        xaxis=axis(type="date"), yaxis=axis("equity / capital"),
    )  # fmt: skip


def _capacity_figure(points: Sequence[CapacityPoint], rungs: Sequence[float], capacity: float | None) -> Figure:
    x = [p.capital for p in points]
    traces: list[Trace] = [
        line(x, [p.net_profit for p in points], "net profit after impact", "--accent", mode="lines+markers", yaxis="y",
             hovertemplate="capital %{x:,.0f}<br>net profit %{y:,.0f}<extra></extra>", showlegend=False),
        line(x, [p.impact_bps for p in points], "mean impact of a fill", "--s2", mode="lines+markers", yaxis="y2",
             hovertemplate="capital %{x:,.0f}<br>impact %{y:.2f} bps<extra></extra>", showlegend=False),
    ]  # fmt: skip
    shapes = [level(0, colour="--fail", dash="dash")]
    shapes += [{**_upright(rung), "line": {"color": "--soft", "width": 1, "dash": "dot"}} for rung in rungs]
    notes = []
    if capacity is not None:
        shapes.append({**_upright(capacity), "line": {"color": "--ink", "width": 2}})
        # Shapes and annotations disagree on log axes: the first take the value, the second its logarithm.
        notes.append({"text": "capacity", "x": log10(capacity), "y": 1, "yref": "paper", "yanchor": "bottom",
                      "showarrow": False, "font": {"color": "--ink"}})  # fmt: skip
    # Far beyond capacity losses grow without bound and would flatten the part that matters; the table has them.
    top = max(p.net_profit for p in points)
    view = {"range": [-0.6 * top, 1.15 * top]} if top > 0 else {}
    return figure(
        traces, height=380, shapes=shapes, annotations=notes,
        label="Profit and impact against capital, capacity " + number(capacity, 0),
        caption="Above: net profit of the same trades with other capital, after market impact. Below: mean impact of a "
        "fill in basis points. Dotted lines are the rungs of the capital ladder; at capacity (solid) impact eats half "
        "of the profit.",
        xaxis=axis("capital, quote currency", type="log", anchor="y2", dtick=1, tickformat=",.3~s"),
        yaxis=axis("net profit", domain=[0.42, 1], tickformat=",.3~s", **view),
        yaxis2=axis("impact, bps", domain=[0, 0.34], rangemode="tozero"),
    )  # fmt: skip


def _upright(x: float) -> dict[str, Any]:
    return {"type": "line", "layer": "below", "xref": "x", "x0": x, "x1": x, "yref": "paper", "y0": 0, "y1": 1}


PANELS = {
    Stage.COSTS: costs_panel,
    Stage.BENCHMARK: benchmark_panel,
    Stage.CAPACITY: capacity_panel,
}
