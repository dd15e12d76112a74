"""Pictures of the checks for fitting: sensitivity to parameters, overfitting."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from include.domain.enums import Stage
from include.qualification.criterion import Measurement
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

LUCK = (
    ("probabilistic_sharpe", "probabilistic Sharpe (PSR)", True),
    ("deflated_sharpe", "deflated Sharpe (DSR)", True),
    ("probability_of_overfitting", "overfitting (PBO)", False),
    ("out_of_sample_loss_probability", "loss out of sample", False),
)
"""Probabilities of the overfitting check: metric, name, and whether high is good."""
UNANSWERED = {
    "probabilistic_sharpe": "probabilistic Sharpe ratio", "track_record": "minimum track record length",
    "deflated_sharpe": "deflated Sharpe ratio", "backtest_length": "minimum backtest length",
    "cross_validation": "probability of overfitting",
}  # fmt: skip


def sensitivity_panel(item: Evidence, scene: Scene) -> Panel:
    """Profile along each parameter's axis, and the heat map of the two that matter most."""
    details = item.details
    names, cells = details["heat_map"], details["cells"]
    figures = [_heat_figure(names, cells, scene.params)] if len(names) == 2 else []
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


def overfitting_panel(item: Evidence, scene: Scene) -> Panel:
    """Probabilities that the result is luck, the trials counted, and what has no answer."""
    counts = item.details["trials"]
    notes = (
        f"Trials counted: {counts['neighbourhood']} of the neighbourhood and {counts['logged']} that the ledger has "
        "logged for this strategy.",
        *(f"No answer for the {UNANSWERED.get(name, name)}: {why}."
          for name, why in item.details["unanswered"].items()),
    )  # fmt: skip
    drawn = _luck_figure(item.metrics, item)
    return Panel((drawn,) if drawn else (), (), notes)


# --- sensitivity ---------------------------------------------------------------------------------------------


def _heat_figure(names: Sequence[str], cells: Sequence[Sequence[float | None]], params: Mapping[str, Any]) -> Figure:
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
    own = {
        "type": "rect", "x0": middle - 0.5, "x1": middle + 0.5, "y0": middle - 0.5, "y1": middle + 0.5,
        "line": {"color": "--ink", "width": 2},
    }  # fmt: skip
    side = {"tickmode": "array", "tickvals": list(range(len(MULTIPLES))), "showgrid": False}
    return figure(
        [trace], height=340, shapes=[own],
        label=f"Heat map of the Sharpe ratio over {down} and {across}",
        caption="Sharpe ratio over the two parameters that move it most, all others as the candidate has them; the "
        "frame is the candidate. A plateau around it is good, a lone peak is fitted. Empty cells have no Sharpe ratio: "
        "refused by the strategy, never traded, or the capital was used up.",
        xaxis=axis(plain(across), ticktext=ticks[across], **side),
        yaxis=_set_off(axis(plain(down), ticktext=ticks[down], **side)),
    )  # fmt: skip


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


# --- overfitting ---------------------------------------------------------------------------------------------


def _luck_figure(metrics: Mapping[str, Measurement], item: Evidence) -> Figure | None:
    known = [(name, words, good, value) for name, words, good in LUCK
             if name in metrics and (value := metrics[name].value) is not None]  # fmt: skip
    if not known:
        return None
    wanted = {r.criterion.metric: r.criterion.threshold for r in item.results}
    rows = list(range(len(known)))
    shapes = [
        {"type": "line", "x0": wanted[name], "x1": wanted[name], "y0": n - 0.4, "y1": n + 0.4,
         "line": {"color": "--ink", "width": 2}}
        for n, (name, *_) in enumerate(known) if name in wanted
    ]  # fmt: skip
    bars: Trace = {
        "type": "bar", "orientation": "h", "y": rows, "x": [value for *_, value in known], "showlegend": False,
        "marker": {"color": ["--accent" if good else "--open" for _, _, good, _ in known]}, "width": 0.55,
        "hoverinfo": "skip",
    }  # fmt: skip
    return figure(
        [bars], height=80 + 42 * len(known), shapes=shapes,
        label="; ".join(f"{words} {percent(value)}" for _, words, _, value in known),
        caption="Probabilities. Blue should be near 100 % (the Sharpe ratio is above zero, and above the best that "
        "luck gives that many trials); amber should be near 0 %. A stroke marks what the profile asks for.",
        xaxis=axis(range=[0, 1], tickformat=".0%", fixedrange=True), margin={"l": 8, "r": 16, "t": 6, "b": 8},
        yaxis=axis(tickvals=rows, ticktext=[f"{words}  {percent(value)}" for _, words, _, value in known],
                   autorange="reversed", showgrid=False),
    )  # fmt: skip


PANELS = {
    Stage.SENSITIVITY: sensitivity_panel,
    Stage.OVERFITTING: overfitting_panel,
}
