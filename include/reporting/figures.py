"""Plotly figures as plain data, and the little that all of them share.

Colours are names of the page's style variables ("--pass"), which its script replaces, so one figure serves light and
dark. Text from outside goes through `plain`: Plotly reads HTML in texts.
"""

from __future__ import annotations

import html
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from include.domain.bars import FloatArray, IntArray
from include.domain.times import from_ms, iso
from include.reporting.charts import thin

POINTS = 2_000
"""Most points of a drawn line; the extremes of each stretch are kept."""
PALETTE = ("--s1", "--s2", "--s3", "--s4", "--s5", "--s6", "--s7", "--s8")
CLEAR = "rgba(0,0,0,0)"

Trace = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Figure:
    """Traces and layout for Plotly.

    Attributes:
        label: what the picture shows, for those who cannot see it.
        caption: how to read it, shown below.
    """

    data: tuple[Trace, ...]
    layout: Mapping[str, Any]
    label: str
    caption: str = ""


@dataclass(frozen=True, slots=True)
class Table:
    """Rows of texts; the first `texts` columns are words, the rest numbers. A folded one opens with a click."""

    title: str
    heads: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    texts: int = 1
    folded: bool = True


@dataclass(frozen=True, slots=True)
class Panel:
    """What a check has to show beyond its metrics."""

    figures: tuple[Figure, ...] = ()
    tables: tuple[Table, ...] = ()
    notes: tuple[str, ...] = ()


def figure(traces: Iterable[Trace], *, label: str, caption: str = "", height: int = 300, **layout: Any) -> Figure:
    """A figure with the page's looks; `layout` adds to the common layout or overrides it."""
    drawn = tuple(traces)
    named = sum(trace.get("showlegend", trace["type"] != "heatmap") for trace in drawn) > 1
    common: dict[str, Any] = {
        "height": height, "margin": {"l": 8, "r": 12, "t": 30 if named else 12, "b": 14}, "hovermode": "closest",
        "showlegend": named,
        "paper_bgcolor": CLEAR, "plot_bgcolor": CLEAR, "font": {"color": "--ink", "size": 12},
        "legend": {"orientation": "h", "x": 0, "y": 1, "yanchor": "bottom", "font": {"color": "--soft"}},
        "hoverlabel": {"bgcolor": "--card", "bordercolor": "--line", "font": {"color": "--ink"}, "align": "left"},
        "xaxis": axis(), "yaxis": axis(),
    }  # fmt: skip
    return Figure(drawn, {**common, **layout}, label, caption)


def axis(title: str = "", **more: Any) -> dict[str, Any]:
    """An axis in the page's looks."""
    return {
        "title": {"text": title, "font": {"color": "--soft", "size": 11}}, "gridcolor": "--line", "linecolor": "--line",
        "zeroline": False, "automargin": True, "tickfont": {"color": "--soft"}, **more,
    }  # fmt: skip


def line(x: Sequence[Any], y: Sequence[Any], name: str, colour: str, **more: Any) -> Trace:
    """A curve; None breaks it."""
    return {
        "type": "scatter", "mode": "lines", "x": list(x), "y": list(y), "name": plain(name),
        "line": {"color": colour, "width": 1.7}, **more,
    }  # fmt: skip


def band(x: Sequence[Any], low: Sequence[float], high: Sequence[float], name: str, fill: str) -> list[Trace]:
    """The area between two curves."""
    edge = {"width": 0, "color": fill}
    return [
        line(x, low, name, fill, line=edge, showlegend=False, hoverinfo="skip"),
        line(x, high, name, fill, line=edge, fill="tonexty", fillcolor=fill, hoverinfo="skip"),
    ]


def histogram_bars(found: Mapping[str, Any], name: str, colour: str, form: str) -> Trace:
    """Counted values as evidence keeps them (`edges`, `counts`); `form` is how d3 writes an edge."""
    edges, counts = np.asarray(found["edges"], dtype=np.float64), list(found["counts"])
    span = float(edges[-1] - edges[0])
    widths = np.diff(edges) if span > 0 else np.full(len(counts), max(1e-3, abs(float(edges[0])) * 0.02))
    return {
        "type": "bar", "x": ((edges[:-1] + edges[1:]) / 2).tolist(), "y": counts, "width": widths.tolist(),
        "name": plain(name), "marker": {"color": colour, "opacity": 0.62, "line": {"width": 0}},
        "hovertemplate": f"%{{x:{form}}}<br>%{{y:,d}}<extra></extra>",
    }  # fmt: skip


def level(value: float, *, along: str = "x", colour: str = "--soft", dash: str = "dot", ref: str = "") -> Trace:
    """A straight line over the whole plot at a value, a layout shape; `ref` is the number of the value's axis."""
    other = "y" if along == "x" else "x"
    return {
        "type": "line", "layer": "below", f"{along}ref": f"{along} domain", f"{along}0": 0, f"{along}1": 1,
        f"{other}ref": f"{other}{ref}", f"{other}0": value, f"{other}1": value,
        "line": {"color": colour, "width": 1.4, "dash": dash},
    }  # fmt: skip


def plain(value: Any) -> str:
    """Text that Plotly shows as it is."""
    return html.escape(str(value), quote=False)


def dates(day_ms: IntArray) -> list[str]:
    """Days as Plotly's date axis reads them."""
    return [iso(from_ms(int(ms)))[:10] for ms in day_ms]


def thinned(x: Sequence[Any], values: FloatArray) -> tuple[list[Any], list[float]]:
    """At most about `POINTS` points of a curve, six significant digits."""
    rows = thin(values, POINTS)
    return [x[i] for i in rows], [float(f"{values[i]:.6g}") for i in rows]


def series(details: Mapping[str, Any]) -> tuple[list[str], FloatArray]:
    """Days and values of a curve as evidence keeps it.

    Raises:
        ValueError: as many days as values are needed.
    """
    days, values = list(details["day"]), np.asarray(details["value"], dtype=np.float64)
    if len(days) != len(values):
        raise ValueError(f"{len(days)} days and {len(values)} values")
    return days, values


def number(value: float | None, digits: int = 2, suffix: str = "") -> str:
    """A number as people read it; a dash for none."""
    return "–" if value is None else f"{value:z,.{digits}f}{suffix}"


def percent(value: float | None, digits: int = 1) -> str:
    """A fraction as people read it."""
    return "–" if value is None else f"{value * 100:z,.{digits}f} %"
