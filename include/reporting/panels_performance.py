"""Pictures of the backtest itself: equity beside buy and hold, drawdown, monthly returns, trades."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from include.backtesting.equity import DailyEquity
from include.backtesting.trades import Trades
from include.domain.bars import FloatArray
from include.domain.times import from_ms
from include.reporting.figures import (
    Figure,
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

BINS = 60
TAILS = (0.2, 99.8)
"""Percentiles of trade returns between which the bars lie; what is beyond joins the end bars."""


@dataclass(frozen=True, slots=True)
class YearRow:
    """Returns of one calendar year by month; None where the run did not reach."""

    year: int
    months: tuple[float | None, ...]
    total: float


def equity_figure(daily: DailyEquity, capital: float, benchmark: Mapping[str, Any] | None = None) -> Figure:
    """Equity at the end of each UTC day above the drawdown of its deepest bar.

    Args:
        benchmark: `equity` of BENCHMARK evidence, as a multiple of the capital.
    """
    days = dates(daily.day_ms)
    traces: list[Trace] = [line(*thinned(days, daily.equity), "candidate", "--accent", xaxis="x", yaxis="y")]
    if benchmark is not None:
        held_days, held = series(benchmark)
        traces.append(line(*thinned(held_days, held * capital), "buy and hold", "--soft", xaxis="x", yaxis="y"))
    traces.append(
        line(*thinned(days, -daily.drawdown), "drawdown", "--fail", xaxis="x", yaxis="y2", fill="tozeroy",
             fillcolor="--fail-band", showlegend=False)
    )  # fmt: skip
    deepest = int(np.argmax(daily.drawdown))
    return figure(
        traces, height=420, shapes=[level(capital)],
        label=f"Equity from {number(capital, 0)} to {number(float(daily.equity[-1]), 0)}, deepest drawdown "
        f"{percent(float(daily.drawdown[deepest]))} on {days[deepest]}",
        caption="Above: equity at the end of each UTC day in quote currency; the dotted line is the capital. "
        "Below: fall from the highest equity so far, deepest bar of each day, open positions included.",
        hovermode="x unified",
        xaxis=axis(type="date", anchor="y2"), yaxis=axis(domain=[0.36, 1], tickformat=",.3~s"),
        yaxis2=axis(domain=[0, 0.3], tickformat=".2~%", rangemode="tozero"),
    )  # fmt: skip


def monthly_returns(daily: DailyEquity, capital: float) -> list[YearRow]:
    """Return of each UTC month on the equity at its start, newest year first."""
    if not len(daily.day_ms):
        return []
    days = [from_ms(int(ms)) for ms in daily.day_ms]
    month = np.array([day.year * 12 + day.month - 1 for day in days])
    last = np.flatnonzero(np.diff(month, append=month[-1] + 1))
    equity = np.concatenate(([capital], daily.equity[last]))
    # More than everything cannot be lost, and on equity that is used up a return means nothing: such months stay empty.
    returns = {
        int(month[row]): max(-1.0, float(equity[i + 1] / equity[i] - 1)) for i, row in enumerate(last) if equity[i] > 0
    }
    years = sorted({int(key) // 12 for key in month}, reverse=True)
    rows = []
    for year in years:
        months = tuple(returns.get(year * 12 + m) for m in range(12))
        total = float(np.prod([1 + value for value in months if value is not None]) - 1)
        rows.append(YearRow(year, months, total))
    return rows


def trades_figure(trades: Trades) -> Figure:
    """How often which net return of the notional entered came out."""
    values = trade_returns(trades)
    low, high = (float(v) for v in np.percentile(values, TAILS))
    low, high = min(low, 0.0), max(high, 0.0)
    if high <= low:
        low, high = low - 0.001, high + 0.001
    step = (high - low) / BINS
    # Bins on multiples of the step: none holds both losses and wins.
    edges = np.arange(np.floor(low / step), np.ceil(high / step) + 1) * step
    counts, _ = np.histogram(np.clip(values, edges[0], edges[-1]), bins=edges)
    middle = (edges[:-1] + edges[1:]) / 2
    bars: Trace = {
        "type": "bar", "x": [float(f"{m:.6g}") for m in middle], "y": counts.tolist(),
        "width": [float(f"{step * 0.92:.6g}")] * len(middle), "hoverinfo": "text", "showlegend": False,
        "marker": {"color": ["--pass" if m > 0 else "--fail" for m in middle]}, "textposition": "none",
        "hovertext": [
            f"{a * 100:.3f} % to {b * 100:.3f} %<br>{c:,} trades"
            for a, b, c in zip(edges[:-1], edges[1:], counts.tolist(), strict=True)
        ],
    }  # fmt: skip
    return figure(
        [bars], height=260, shapes=[level(float(values.mean()), along="y", colour="--ink", dash="dash")],
        label=f"Distribution of the net returns of {len(values):,} trades, mean {percent(float(values.mean()), 3)}",
        caption="Net profit of each trade over the notional it entered with; the dashed line is the mean, and the end "
        "bars hold whatever lies beyond them.",
        xaxis=axis("net return of a trade", tickformat=".2~%"), yaxis=axis("trades", tickformat=",d"),
    )  # fmt: skip


def trades_table(trades: Trades) -> Table:
    """Typical and extreme trades."""
    values, held = trade_returns(trades), (trades.exit_ms - trades.entry_ms) / 60_000
    rows = [
        ("Long and short", f"{int((trades.side > 0).sum()):,} long, {int((trades.side < 0).sum()):,} short"),
        ("Mean return of a winning trade", _mean(values[trades.pnl > 0])),
        ("Mean return of a losing trade", _mean(values[trades.pnl <= 0])),
        ("Best and worst return", f"{percent(float(values.max()), 2)} and {percent(float(values.min()), 2)}"),
        ("Best and worst net profit",
         f"{number(float(trades.pnl.max()))} and {number(float(trades.pnl.min()))} quote currency"),
        ("Holding time, median", _duration(float(np.median(held)))),
        ("Holding time, longest", _duration(float(held.max()))),
        ("Longest run of losing trades in order of exit", f"{longest_run(trades.pnl <= 0):,}"),
    ]  # fmt: skip
    return Table("Trades in numbers", ("Of closed trades", ""), tuple(rows), texts=2, folded=False)


def honesty_table(symbols: Mapping[str, Any]) -> Table | None:
    """Rows compared and different in the two checks on the strategy itself, with the first difference; None without.

    Args:
        symbols: of the details of BACKTEST evidence.
    """
    rows = []
    for key, words in (("lookahead", "later bars taken away"), ("warmup", "only the warm-up shown")):
        for symbol, found in symbols.items():
            check = found.get(key)
            if check is not None:
                first = check["examples"][0] if check["examples"] else ""
                rows.append((symbol, words, first, f"{check['compared']:,}", f"{check['differing']:,}"))
    heads = ("Symbol", "Decisions with", "First difference", "Compared", "Different")
    differ = any(row[-1] != "0" for row in rows)
    return Table("Does it look ahead or remember too much?", heads, tuple(rows), 3, not differ) if rows else None


def trade_returns(trades: Trades) -> FloatArray:
    """Net profit over the notional entered, shape (k,)."""
    return trades.pnl / (trades.quantity * trades.entry_price)


def longest_run(hits: Any) -> int:
    """Length of the longest unbroken run of True."""
    edges = np.flatnonzero(np.diff(np.concatenate(([False], hits, [False])).astype(np.int8)))
    return int((edges[1::2] - edges[::2]).max()) if len(edges) else 0


def _mean(values: FloatArray) -> str:
    return percent(float(values.mean()), 3) if len(values) else "–"


def _duration(minutes: float) -> str:
    for size, unit in ((1440, "days"), (60, "hours")):
        if minutes >= 2 * size:
            return f"{minutes / size:,.1f} {unit}"
    return f"{minutes:,.0f} minute{'' if round(minutes) == 1 else 's'}"
