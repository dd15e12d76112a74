"""Picture of the walk-forward analysis: windows, Sharpe ratios in and out of sample, and what was traded."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from include.domain.bars import FloatArray
from include.domain.enums import Stage
from include.domain.times import parse_utc, to_ms
from include.qualification.evidence import Evidence
from include.reporting.figures import (
    Figure,
    Panel,
    Table,
    Trace,
    axis,
    figure,
    level,
    line,
    number,
    plain,
    series,
    thinned,
)
from include.reporting.scene import Scene

SCHEMES = ("rolling", "anchored")
FOLD_HEADS = (
    "Test window", "Trained from", "Parameters chosen", "Sharpe in sample", "Sharpe out of sample", "Trades",
    "Net profit",
)  # fmt: skip


def walk_forward_panel(item: Evidence, scene: Scene) -> Panel:
    """Windows, Sharpe ratios in and out of sample and what was traded, on one time line."""
    found = {scheme: item.details[scheme] for scheme in SCHEMES}
    if not found["rolling"]["folds"]:
        return Panel(
            notes=("The history is too short for a single fold: one training and one test window are needed.",)
        )
    tables = tuple(
        Table(f"Folds with {scheme} training", FOLD_HEADS, _fold_rows(found[scheme]["folds"], scene.params), texts=3)
        for scheme in SCHEMES
    )  # fmt: skip
    days = item.details["purge_days"]
    notes = (
        f"Each fold chose among {item.details['points']} parameter points. {days} day{'' if days == 1 else 's'} before "
        "each test window "
        f"{'is' if days == 1 else 'are'} in neither window, so that no position reaches from training into the test "
        "(purging).",
    )  # fmt: skip
    return Panel((_folds_figure(found),), tables, notes)


def _folds_figure(found: Mapping[str, Any]) -> Figure:
    folds = found["rolling"]["folds"]
    traces: list[Trace] = []
    for key, name, colour in (("train", "training", "--faint"), ("test", "test", "--accent")):
        for n, fold in enumerate(folds):
            first, end = fold[key]
            traces.append(
                line([first, end], [n + 1, n + 1], name, colour, line={"color": colour, "width": 5}, xaxis="x",
                     yaxis="y", legendgroup=name, showlegend=n == 0, hoverinfo="text",
                     hovertext=f"fold {n + 1} {name}<br>{plain(first)[:10]} to {plain(end)[:10]}")
            )  # fmt: skip
    middle = [fold["test"][0] for fold in folds]
    sharpes = [fold["test_sharpe"] for fold in folds]
    texts = [_fold_hover(n, fold) for n, fold in enumerate(folds, start=1)]
    traces += [
        {"type": "bar", "x": middle, "y": sharpes, "yaxis": "y2", "xaxis": "x", "name": "Sharpe out of sample",
         "hoverinfo": "text", "hovertext": texts, "textposition": "none", "offset": 0, "width": _width(folds),
         "marker": {"color": ["--pass" if (s or 0) > 0 else "--fail" for s in sharpes]}, "showlegend": False},
        {"type": "scatter", "mode": "markers", "x": [_middle(fold) for fold in folds],
         "y": [fold["train_sharpe"] for fold in folds], "yaxis": "y2", "xaxis": "x", "name": "Sharpe in sample",
         "marker": {"symbol": "diamond", "size": 8, "color": "--ink"}, "hoverinfo": "text", "hovertext": texts},
    ]  # fmt: skip
    equity = {scheme: series(found[scheme]["equity"]) for scheme in SCHEMES}
    for (scheme, (days, values)), colour in zip(equity.items(), ("--accent", "--s2"), strict=True):
        traces.append(line(*thinned(days, values), f"equity, {scheme}", colour, xaxis="x", yaxis="y3"))
    return figure(
        traces, height=520, shapes=[level(0, ref="2"), level(1, ref="3")],
        label=f"Walk-forward over {len(folds)} folds, Sharpe ratio out of sample {number(found['rolling']['sharpe'])} "
        f"with rolling and {number(found['anchored']['sharpe'])} with anchored training",
        caption="Above: where each rolling fold trained and where it was tested. Middle: bars are Sharpe ratios out of "
        "sample, diamonds those of the same fold in training; bars far below their diamonds mean that choosing did not "
        "work. Below: the test windows' returns compounded one after the other, as a multiple of the capital.",
        xaxis=axis(type="date", anchor="y3"),
        yaxis=axis("fold", domain=[0.74, 1], autorange="reversed", tickformat="d"),
        yaxis2=axis("Sharpe", domain=[0.37, 0.69]),
        yaxis3=axis("equity", domain=[0, 0.32], type="log" if _spans_decades(equity) else "linear"),
    )  # fmt: skip


def _spans_decades(equity: Mapping[str, tuple[list[str], FloatArray]]) -> bool:
    """Folds compound: a curve that grows tenfold hides the other on a linear axis. Used-up capital has no logarithm."""
    values = np.concatenate([values for _, values in equity.values()])
    return bool(len(values) and values.min() > 0 and values.max() > 10 * values.min())


def _width(folds: Sequence[Mapping[str, Any]]) -> list[float]:
    return [0.96 * (_ms(fold["test"][1]) - _ms(fold["test"][0])) for fold in folds]


def _middle(fold: Mapping[str, Any]) -> float:
    return (_ms(fold["test"][0]) + _ms(fold["test"][1])) / 2


def _ms(moment: str) -> int:
    return to_ms(parse_utc(moment))


def _fold_hover(n: int, fold: Mapping[str, Any]) -> str:
    chosen = "nothing" if fold["params"] is None else ", ".join(f"{k}={_short(v)}" for k, v in fold["params"].items())
    return (
        f"fold {n}, {plain(fold['test'][0][:10])} to {plain(fold['test'][1][:10])}<br>"
        f"Sharpe {number(fold['train_sharpe'])} in sample, {number(fold['test_sharpe'])} out of sample<br>"
        f"{fold['trades']:,} trades, net {number(fold['net_profit'], 0)}<br>chosen: {plain(chosen)}"
    )


def _fold_rows(folds: Sequence[Mapping[str, Any]], own: Mapping[str, Any]) -> tuple[tuple[str, ...], ...]:
    return tuple(
        (
            f"{fold['test'][0][:10]} to {fold['test'][1][:10]}", fold["train"][0][:10], _chosen(fold["params"], own),
            number(fold["train_sharpe"]), number(fold["test_sharpe"]), f"{fold['trades']:,}",
            number(fold["net_profit"], 0),
        )
        for fold in folds
    )  # fmt: skip


def _chosen(params: Mapping[str, Any] | None, own: Mapping[str, Any]) -> str:
    """The chosen parameters, as far as they are not the candidate's."""
    if params is None:
        return "nothing could be chosen"
    changed = {name: value for name, value in params.items() if own.get(name) != value}
    return ", ".join(f"{name}={_short(value)}" for name, value in changed.items()) or "the candidate's own"


def _short(value: Any) -> str:
    return f"{value:.6g}" if isinstance(value, float) else str(value)


PANELS = {Stage.WALK_FORWARD: walk_forward_panel}
