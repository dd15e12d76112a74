"""Pictures of the sensitivity check: heat map with plateau, profile along each parameter."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from include.domain.enums import Stage
from include.qualification.evidence import Evidence
from include.reporting.figures import (
    PALETTE,
    Figure,
    Panel,
    Table,
    Trace,
    axis,
    figure,
    level,
    line,
    number,
    percent,
    plain,
)
from include.reporting.scene import Scene
from include.validators.neighbourhood import MULTIPLES


def sensitivity_panel(item: Evidence, scene: Scene) -> Panel:
    """Profile along each parameter's axis, and the heat map of the two that matter most."""
    details = item.details
    names, cells = details["heat_map"], details["cells"]
    figures = []
    if len(names) == 2:
        figures.append(_heat_figure(names, cells, details.get("kept", []), scene.params, details["plateau"]))
    figures.append(_axes_figure(details["points"], details["influence"]))
    rows = sorted(details["influence"].items(), key=lambda pair: -pair[1])
    table = Table(
        "Parameters by influence", ("Parameter", "Candidate's value", "Range of Sharpe ratios along it"),
        tuple((name, str(scene.params.get(name, "–")), number(value)) for name, value in rows), folded=False,
    )  # fmt: skip
    points = Table(
        "Every point", ("Multiples of the candidate's parameters", "Sharpe", "Net profit", "Trades"),
        tuple((_multiples(p["multiples"]), number(p["sharpe"]), number(p["net_profit"], 0), f"{p['trades']:,}")
              for p in details["points"]),
    )  # fmt: skip
    notes = [f"{details['near']} near neighbours (every parameter within a quarter of its value) were judged."]
    if details["worst"] is not None:
        notes.append(f"The worst of them: {_multiples(details['worst'])}.")
    if refused := details["refused"]:
        notes.append(f"{len(refused)} points were refused by the strategy, for example: {refused[0]}.")
    return Panel(tuple(figures), (table, points), tuple(notes))


# --- inside ------------------------------------------------------------------------------------------------


def _heat_figure(
    names: Sequence[str], cells: Sequence[Sequence[float | None]], kept: Sequence[Sequence[bool]],
    params: Mapping[str, Any], plateau: float | None,
) -> Figure:  # fmt: skip
    down, across = names
    largest = max((abs(value) for row in cells for value in row if value is not None), default=1.0) or 1.0
    ticks = {name: [_tick(params.get(name), m) for m in MULTIPLES] for name in names}
    trace: Trace = {
        "type": "heatmap", "x": list(range(len(MULTIPLES))), "y": list(range(len(MULTIPLES))),
        "z": [list(row) for row in cells], "zmin": -largest, "zmax": largest, "xgap": 2, "ygap": 2,
        "colorscale": [[0, "--fail"], [0.5, "--card"], [1, "--pass"]], "hoverongaps": False,
        "text": [[number(value) for value in row] for row in cells], "texttemplate": "%{text}",
        "hovertemplate": "Sharpe %{text}<extra></extra>", "showscale": False,
    }  # fmt: skip
    middle = MULTIPLES.index(1.0)
    frames = [_frame(column, row, 0.42, "--soft", width=1)
              for row, line_ in enumerate(kept) for column, keeps in enumerate(line_) if keeps]  # fmt: skip
    frames += [_frame(middle, middle, 1.5, "--ink", dash="dash"), _frame(middle, middle, 0.5, "--ink", width=3)]
    side = {"tickmode": "array", "tickvals": list(range(len(MULTIPLES))), "showgrid": False}
    return figure(
        [trace], height=340, shapes=frames,
        label=f"Heat map of the Sharpe ratio over {down} and {across}",
        caption="Sharpe ratio over the two parameters that move it most, all others as the candidate has them. The "
        "thick frame is the candidate; cells with a thin one keep a profit and half of its Sharpe ratio; inside the "
        f"dashed one are near neighbours. Plateau: {percent(plateau, 0)} of all near neighbours keep it. Frames all "
        "around are good, a lone one is fitted. Empty cells have no Sharpe ratio: refused, never traded, or the "
        "capital was used up.",
        xaxis=axis(plain(across), ticktext=ticks[across], **side),
        yaxis=_set_off(axis(plain(down), ticktext=ticks[down], **side)),
    )  # fmt: skip


def _frame(column: int, row: int, half: float, colour: str, **line_: Any) -> dict[str, Any]:
    """A square around the middle of a cell."""
    return {
        "type": "rect", "x0": column - half, "x1": column + half, "y0": row - half, "y1": row + half,
        "line": {"color": colour, "width": 2, **line_},
    }  # fmt: skip


def _set_off(found: dict[str, Any]) -> dict[str, Any]:
    """An axis whose title keeps away from ticks of two lines."""
    return {**found, "title": {**found["title"], "standoff": 22}}


def _tick(value: Any, multiple: float) -> str:
    """What the parameter is there, and the multiple; names without a number get the multiple alone."""
    times = f"×{multiple:g}"
    if not isinstance(value, int | float) or isinstance(value, bool):
        return times
    there = (
        max(1, round(abs(value) * multiple)) * (1 if value > 0 else -1) if isinstance(value, int) else value * multiple
    )
    return f"{there:.4g}<br>{times}"


def _axes_figure(points: Sequence[Mapping[str, Any]], influence: Mapping[str, float]) -> Figure:
    own = next((p["sharpe"] for p in points if not p["multiples"]), None)
    traces: list[Trace] = []
    for n, name in enumerate(sorted(influence, key=lambda key: -influence[key])):
        along = {p["multiples"][name]: p["sharpe"] for p in points if set(p["multiples"]) == {name}}
        along[1.0] = own
        x = sorted(along)
        traces.append(
            line(x, [along[m] for m in x], name, PALETTE[n % len(PALETTE)], mode="lines+markers",
                 hovertemplate=f"{plain(name)} ×%{{x}}<br>Sharpe %{{y:.2f}}<extra></extra>")
        )  # fmt: skip
    return figure(
        traces, height=320, shapes=[level(0), level(1.0, along="y")],
        label="Sharpe ratio along the axis of each parameter",
        caption="Each parameter alone at 0.5 to 1.5 times its value. Flat lines are good: nothing hangs on the exact "
        "number. Points without a Sharpe ratio are left out.",
        xaxis=axis("multiple of the candidate's value", tickvals=list(MULTIPLES)), yaxis=axis("Sharpe"),
    )  # fmt: skip


def _multiples(multiples: Mapping[str, float]) -> str:
    return ", ".join(f"{name} ×{m:g}" for name, m in multiples.items()) or "the candidate itself"


PANELS = {Stage.SENSITIVITY: sensitivity_panel}
