"""The data gate's timeline as a Plotly figure: per symbol a strip of coverage and a lane for each broken rule.

A figure is plain data. Colours are names of the page's style variables ("--pass"), which its script replaces, so one
figure serves light and dark. Its size is bounded: at most `BUCKETS` cells a strip and `MARKS` marks in all, whatever
was judged; marks that would be too many are merged, and say so.
"""

from __future__ import annotations

import html
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from include.domain.bars import IntArray
from include.domain.reason_codes import DataRule
from include.domain.times import DAY_MS, Timeframe, from_ms, iso, to_ms
from include.reporting.gate_findings import GateRun, sample_text
from include.stages.data_gate import DataGateResult, GatedSymbol
from include.validators.presence import Presence
from include.validators.violations import WHOLE_WINDOW, Scope, Violation, worst_first

BUCKETS = 3_000
MARKS = 4_000
"""Marks of all symbols and rules together; about 250 bytes each."""
VISIBLE = 250
"""An event shorter than this part of the window is a stroke, not a bar."""
STRIP, LANE, HEAD, GAP = 26, 17, 22, 16
"""Heights in pixels: coverage strip, rule lane, symbol's name, space between symbols."""
HOUR_MS = 3_600_000
STEPS: tuple[tuple[int, str], ...] = (
    (HOUR_MS, "one hour"), (6 * HOUR_MS, "six hours"), (DAY_MS, "one day"), (7 * DAY_MS, "one week"),
    (30 * DAY_MS, "30 days"), (365 * DAY_MS, "one year"),
)  # fmt: skip
COVERAGE = "coverage"
SCOPE_COLOURS: Mapping[Scope, str] = {Scope.SYMBOL: "--fail", Scope.EXCHANGE: "--accent"}
SCOPE_NAMES: Mapping[Scope, str] = {Scope.SYMBOL: "this symbol", Scope.EXCHANGE: "whole exchange"}
COVERAGE_COLOURS = [[0, "--fail"], [0.5, "--half"], [0.995, "--open"], [0.9999, "--most"], [1, "--pass"]]


@dataclass(frozen=True, slots=True)
class Timeline:
    """A Plotly figure and what one cell of its strips stands for."""

    figure: Mapping[str, Any]
    bucket: str


def build_timeline(result: DataGateResult, run: GateRun) -> Timeline:
    """The figure of all symbols on one time axis."""
    size, name = bucket_size(to_ms(run.end) - to_ms(run.start), run.timeframe)
    heights = [_height(gated) for gated in result.symbols.values()]
    total = sum(heights) + GAP * max(0, len(heights) - 1)
    lanes = sum(len(_lanes(gated)) for gated in result.symbols.values())
    per_lane = max(20, MARKS // max(1, lanes))
    traces: list[dict[str, Any]] = []
    layout: dict[str, Any] = {
        "height": total + 38, "margin": {"l": 8, "r": 12, "t": 4, "b": 34}, "showlegend": False, "barmode": "overlay",
        "hovermode": "closest", "dragmode": "zoom", "paper_bgcolor": "rgba(0,0,0,0)", "plot_bgcolor": "rgba(0,0,0,0)",
        "font": {"color": "--ink", "size": 11}, "annotations": [],
        "hoverlabel": {"bgcolor": "--card", "bordercolor": "--line", "font": {"color": "--ink"}, "align": "left"},
        "xaxis": {"type": "date", "range": [iso(run.start), iso(run.end)], "gridcolor": "--line", "linecolor": "--line",
                  "zeroline": False, "anchor": "free", "position": 0, "side": "bottom"},
    }  # fmt: skip
    top = total
    for number, ((symbol, gated), height) in enumerate(zip(result.symbols.items(), heights, strict=True), start=1):
        axis = "" if number == 1 else str(number)
        names = [COVERAGE, *_lanes(gated)]
        layout[f"yaxis{axis}"] = {
            "domain": [(top - height) / total, (top - HEAD) / total], "range": [len(names) - 0.5, -0.5],
            "fixedrange": True, "tickmode": "array", "tickvals": list(range(len(names))), "ticktext": names,
            "zeroline": False, "showgrid": False, "automargin": True, "ticks": "", "anchor": "x",
        }  # fmt: skip
        layout["annotations"].append({
            "text": f"<b>{html.escape(symbol)}</b>", "xref": "paper", "yref": "paper", "x": 0, "y": top / total,
            "xanchor": "left", "yanchor": "top", "showarrow": False, "font": {"size": 13, "color": "--ink"},
        })  # fmt: skip
        traces.append(_strip(gated.quality.presence, size, name, axis))
        traces += _events(gated, names, per_lane, (to_ms(run.end) - to_ms(run.start)) // VISIBLE, axis)
        top -= height + GAP
    return Timeline({"data": traces, "layout": layout}, name)


def bucket_size(window_ms: int, timeframe: Timeframe) -> tuple[int, str]:
    """Width in milliseconds and name of a coverage cell: the shortest step that gives `BUCKETS` cells or fewer."""
    for size, name in STEPS:
        if size >= timeframe.ms and window_ms <= size * BUCKETS:
            return size, name
    size = max(timeframe.ms, -(-window_ms // BUCKETS))
    return size, f"{size / DAY_MS:.0f} days"


def coverage(presence: Presence, size: int) -> tuple[int, IntArray, IntArray]:
    """Bars present and bars wanted in each cell of `size` milliseconds.

    Returns:
        Start of the first cell (epoch milliseconds, a multiple of `size`), bars present (n,) and bars wanted (n,).
    """
    first = presence.first_slot_ms // size
    cells = presence.time(presence.expected - 1) // size - first + 1
    edges = (np.arange(cells + 1) + first) * size
    # Slots open at first_slot + k * step: those before an edge number ceil((edge - first_slot) / step).
    before = np.clip(-((presence.first_slot_ms - edges) // presence.step_ms), 0, presence.expected)
    held = np.concatenate([[0], np.cumsum(presence.held)])
    return first * size, np.diff(held[before]), np.diff(before)


# --- inside ------------------------------------------------------------------------------------------------


def _lanes(gated: GatedSymbol) -> list[str]:
    """Broken rules that have a place in time, in the order of the enum."""
    broken = {violation.rule for violation in gated.quality.violations}
    return [rule.value for rule in DataRule if rule in broken and rule not in WHOLE_WINDOW]


def _height(gated: GatedSymbol) -> int:
    return HEAD + STRIP + LANE * len(_lanes(gated))


def _strip(presence: Presence, size: int, name: str, axis: str) -> dict[str, Any]:
    start, present, wanted = coverage(presence, size)
    share = np.divide(present, wanted, out=np.zeros(len(present)), where=wanted > 0)
    # Rounded down, so that a cell with a single hole among many bars is never shown as complete.
    shown = np.floor(share * 10_000) / 10_000
    return {
        "type": "heatmap", "x0": start + size / 2, "dx": size, "y": [0], "z": [shown.tolist()],
        "customdata": [[f"{p:,} of {w:,}" for p, w in zip(present.tolist(), wanted.tolist(), strict=True)]],
        "zmin": 0, "zmax": 1, "colorscale": COVERAGE_COLOURS, "showscale": False, "yaxis": f"y{axis}", "xaxis": "x",
        "hovertemplate": f"%{{x|%Y-%m-%d %H:%M}} (middle of {name})<br>%{{customdata}} bars present<extra></extra>",
    }  # fmt: skip


def _events(gated: GatedSymbol, names: Sequence[str], limit: int, short_ms: int, axis: str) -> list[dict[str, Any]]:
    """Traces of each scope: strokes for what is too short to be seen, bars from first to last for the rest."""
    by_lane: dict[tuple[Scope, str], list[Violation]] = {}
    for violation in gated.quality.violations:
        if violation.rule.value in names:
            by_lane.setdefault((violation.scope, violation.rule.value), []).append(violation)
    marks: dict[tuple[Scope, bool], list[tuple[int, int, int, str]]] = {}
    for (scope, lane), violations in by_lane.items():
        for first, length, text in _marks(violations, limit):
            marks.setdefault((scope, length < short_ms), []).append((names.index(lane), first, length, text))
    # Plotly answers the pointer only on a bar's true width, so hairlines are markers.
    return [
        {**(_strokes if short else _bars)(chosen, SCOPE_COLOURS[scope]), "name": SCOPE_NAMES[scope],
         "hoverinfo": "text", "hovertext": [text for *_, text in chosen], "xaxis": "x", "yaxis": f"y{axis}"}
        for (scope, short), chosen in marks.items()
    ]  # fmt: skip


def _strokes(marks: Sequence[tuple[int, int, int, str]], colour: str) -> dict[str, Any]:
    return {
        "type": "scatter", "mode": "markers", "y": [lane for lane, *_ in marks],
        "x": [first + length // 2 for _, first, length, _ in marks],
        "marker": {"symbol": "line-ns", "size": 12, "line": {"width": 2, "color": colour}},
    }  # fmt: skip


def _bars(marks: Sequence[tuple[int, int, int, str]], colour: str) -> dict[str, Any]:
    return {
        "type": "bar", "orientation": "h", "width": 0.72, "textposition": "none", "y": [lane for lane, *_ in marks],
        "base": [first for _, first, _, _ in marks], "x": [length for _, _, length, _ in marks],
        "marker": {"color": colour, "line": {"width": 1, "color": colour}},
    }  # fmt: skip


def _marks(violations: Sequence[Violation], limit: int) -> Iterable[tuple[int, int, str]]:
    """Start, length in milliseconds and hover text of each mark; neighbours share one when there are too many."""
    ordered = sorted(violations, key=lambda v: v.first)
    if len(ordered) <= limit:
        groups = [[violation] for violation in ordered]
    else:
        start, end = to_ms(ordered[0].first), to_ms(ordered[-1].first) + 1
        cells: dict[int, list[Violation]] = {}
        for violation in ordered:
            cells.setdefault((to_ms(violation.first) - start) * limit // (end - start), []).append(violation)
        groups = list(cells.values())
    for group in groups:
        first, last = to_ms(group[0].first), max(to_ms(v.last) for v in group)
        yield first, last - first, _hover(group, first, last)


def _hover(group: Sequence[Violation], first: int, last: int) -> str:
    worst = worst_first(group)[0]
    lines = [f"<b>{worst.rule.value}</b> {html.escape(worst.rule.description)}"]
    if len(group) > 1:
        bars = sum(v.count for v in group)
        lines.append(f"{len(group):,} events, {bars:,} bars, {iso(from_ms(first))} to {iso(from_ms(last))}; the worst:")
    lines.append(f"{iso(worst.first)} to {iso(worst.last)}")
    lines.append(f"{worst.count:,} bars, {SCOPE_NAMES[worst.scope]}")
    if worst.sample:
        lines.append(f"sample {html.escape(sample_text(worst.sample))}")
    return "<br>".join(lines)
