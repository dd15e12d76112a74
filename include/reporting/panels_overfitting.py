"""Pictures of the overfitting check: probabilities of luck, and what choosing the best was worth afterwards."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from include.domain.enums import Stage
from include.qualification.criterion import Measurement
from include.qualification.evidence import Evidence
from include.reporting.figures import (
    Figure,
    Panel,
    Table,
    Trace,
    axis,
    figure,
    histogram_bars,
    level,
    line,
    number,
    percent,
)
from include.reporting.scene import Scene

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


def overfitting_panel(item: Evidence, _: Scene) -> Panel:
    """Probabilities that the result is luck, the cross-validation behind them, and what has no answer."""
    details = item.details
    counts = details["trials"]
    notes = (
        f"Trials counted: {counts['neighbourhood']} of the neighbourhood and {counts['logged']} that the ledger has "
        "logged for this strategy.",
        *(f"No answer for the {UNANSWERED.get(name, name)}: {why}." for name, why in details["unanswered"].items()),
    )  # fmt: skip
    drawn = _luck_figure(item.metrics, item)
    figures = [drawn] if drawn else []
    found = details.get("cross_validation")
    if found is not None:
        figures += [_logit_figure(found), _degradation_figure(found), _rank_figure(found)]
    return Panel(tuple(figures), _tables(details), notes)


# --- inside ------------------------------------------------------------------------------------------------


def _logit_figure(found: Mapping[str, Any]) -> Figure:
    edges = np.asarray(found["logits"]["edges"], dtype=np.float64)
    bars = histogram_bars(found["logits"], "halves", "--pass", ".2f")
    middle = (edges[:-1] + edges[1:]) / 2
    bars["marker"] = {"color": ["--pass" if m > 0 else "--fail" for m in middle], "line": {"width": 0}}
    return figure(
        [bars], height=240, bargap=0, shapes=[level(0, along="y", colour="--ink", dash="dash")],
        label=f"Distribution of the logits over {found['halves']:,} halves of the days",
        caption=f"The history was cut into {found['blocks']} blocks and halved in all {found['halves']:,} ways. Each "
        "time the best trial of one half was ranked among all trials in the other: right of zero (green) it beat the "
        "median there, left of it choosing was worse than taking any. The red share is the probability of overfitting.",
        xaxis=axis("logit of the rank out of sample"), yaxis=axis("halves", tickformat=",d"),
    )  # fmt: skip


def _degradation_figure(found: Mapping[str, Any]) -> Figure:
    x, y, counts = (np.asarray(column, dtype=np.float64) for column in zip(*found["cells"], strict=True))
    dots: Trace = {
        "type": "scatter", "mode": "markers", "x": x.tolist(), "y": y.tolist(), "name": "halves", "showlegend": False,
        "marker": {"size": (3 + 15 * np.sqrt(counts / counts.max())).round(1).tolist(), "color": "--accent",
                   "opacity": 0.6, "line": {"width": 0}},
        "customdata": counts.astype(int).tolist(),
        "hovertemplate": "%{customdata:,d} halves<br>Sharpe %{x:.2f} in sample, %{y:.2f} after<extra></extra>",
    }  # fmt: skip
    both = [float(max(x.min(), y.min())), float(min(x.max(), y.max()))]
    equal = [line(both, both, "as good as in sample", "--soft", line={"color": "--soft", "width": 1.4, "dash": "dot"})]
    worse = float(counts[y < 0].sum() / counts.sum())
    return figure(
        [dots, *(equal if both[0] < both[1] else [])], height=320, shapes=[level(0, colour="--fail", dash="dash")],
        showlegend=False,
        label=f"Sharpe ratio of the chosen trial in sample and after, {percent(worse)} of the halves below zero after",
        caption="Annualised Sharpe ratio of the trial that was best in one half (across) and what it had in the other "
        "(up); larger dots stand for more halves. On the dotted line it stayed as good as it had been, below the "
        "dashed one it lost money. The halves complement each other, so a falling cloud alone proves nothing.",
        xaxis=axis("Sharpe in sample"), yaxis=axis("Sharpe out of sample"),
    )  # fmt: skip


def _rank_figure(found: Mapping[str, Any]) -> Figure:
    ranks, after = ([row[i] for row in found["by_rank"]] for i in range(2))
    trace = line(
        ranks, after, "mean", "--accent", mode="lines+markers", marker={"size": 5}, showlegend=False,
        hovertemplate="rank %{x:.0f} in sample<br>Sharpe %{y:.2f} out of sample<extra></extra>",
    )  # fmt: skip
    return figure(
        [trace], height=260, shapes=[level(0)],
        label=f"Mean Sharpe ratio out of sample by rank in sample: best {number(after[0])}, last {number(after[-1])}",
        caption=f"Rank of the {found['trials']} trials in one half (1 is the best) and their mean Sharpe ratio in the "
        "other. A line that falls to the right says that ranks mean something; a flat one that they are luck.",
        xaxis=axis("rank in sample"), yaxis=axis("mean Sharpe out of sample"),
    )  # fmt: skip


def _tables(details: Mapping[str, Any]) -> tuple[Table, ...]:
    """Every number behind the probabilities, with the convention they follow."""
    rows = [
        (f"{UNANSWERED[name]}: {key.replace('_', ' ')}", value if isinstance(value, str) else number(value, 4))
        for name in UNANSWERED if name != "cross_validation" and name in details
        for key, value in _flat(details[name]).items()
    ]  # fmt: skip
    return (Table("Numbers behind the probabilities", ("Sharpe ratios per day", ""), tuple(rows)),) if rows else ()


def _flat(found: Mapping[str, Any]) -> dict[str, str | float]:
    flat: dict[str, str | float] = {}
    for key, value in found.items():
        if isinstance(value, Mapping):
            flat |= {f"{key} {inner}": item for inner, item in _flat(value).items()}
        elif isinstance(value, str | int | float):
            flat[key] = value
    return flat


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


PANELS = {Stage.OVERFITTING: overfitting_panel}
