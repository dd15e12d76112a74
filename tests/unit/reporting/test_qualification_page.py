"""The qualification page: verdict first, every reason shown, nothing fetched from elsewhere, nothing left unescaped."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import UTC, datetime
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest

from include.backtesting.equity import DailyEquity
from include.backtesting.trades import Trades
from include.config.files import find_profile
from include.domain.enums import Stage
from include.domain.errors import ConfigurationError
from include.domain.times import DAY_MS, to_ms
from include.qualification.criterion import Measurement
from include.qualification.evidence import Evidence, build_evidence
from include.reporting.charts import histogram, line_chart, nice_ticks, tick_text
from include.reporting.qualification import (
    ReportInput,
    format_metric,
    issues,
    monthly_returns,
    render_qualification,
    write_qualification,
)
from tests.samples import sample_candidate

NOW = datetime(2026, 1, 1, tzinfo=UTC)
PROFILE = find_profile("five-year")
CANDIDATE = sample_candidate("page", window=20)
GOOD = {
    "win_rate": Measurement(0.95, 0.94, 0.96, 1_000), "max_drawdown": Measurement(0.02), "sharpe": Measurement(2.0),
    "profit_factor": Measurement(2.0), "lookahead_rows": Measurement(0.0), "warmup_mismatches": Measurement(0.0),
}  # fmt: skip


def evidence(error: str = "", synthetic: bool = True, **metrics: Measurement) -> Evidence:
    return build_evidence(
        candidate=CANDIDATE, stage=Stage.BACKTEST, profile=PROFILE, fingerprint="d" * 64, measured_at=NOW,
        metrics={**GOOD, **metrics}, synthetic=synthetic, error=error,
        details={"window": {"from": "2021-01-01T00:00:00Z", "to": "2026-01-01T00:00:00Z", "venue": "test"}},
        artefacts={"backtest-trades.parquet": "e" * 64},
    )  # fmt: skip


def daily(days: int = 400) -> DailyEquity:
    start = to_ms(datetime(2023, 11, 20, tzinfo=UTC))
    equity = 1_000.0 + np.arange(days) * 1.0
    return DailyEquity(start + np.arange(days, dtype=np.int64) * DAY_MS, equity, np.full(days, 0.01))


def trades() -> Trades:
    n = 50
    zeros, ones = np.zeros(n, dtype=np.int64), np.ones(n)
    pnl = np.linspace(-0.01, 0.02, n)
    return Trades(("X/USDT",), zeros, zeros, zeros, ones.astype(np.int8), ones, ones, ones, ones * 0, pnl, 0)


def page(*items: Evidence, with_backtest: bool = True) -> str:
    report = ReportInput(CANDIDATE, PROFILE, items, NOW, "airlock qualify page --profile five-year", 1_000.0)
    return render_qualification(replace(report, trades=trades(), daily=daily()) if with_backtest else report)


class Reader(HTMLParser):
    """Collects text and checks that every tag is closed."""

    VOID = frozenset({"meta", "br", "line", "path", "rect", "link"})

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.text: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        if tag not in self.VOID:
            assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if not self.open or self.open[-1] != "style":
            self.text.append(data)


def read(html: str) -> str:
    reader = Reader()
    reader.feed(html)
    assert reader.open == []
    return " ".join(" ".join(reader.text).split())


@pytest.mark.parametrize(
    ("item", "headline"),
    [
        (evidence(), "page: QUALIFIES"),
        (evidence(win_rate=Measurement(0.5, 0.4, 0.6, 1_000)), "page: DOES NOT QUALIFY"),
        (evidence(sharpe=Measurement(None)), "page: INCONCLUSIVE"),
        (evidence(error="books disagree"), "page: ERROR"),
    ],
    ids=["pass", "fail", "inconclusive", "error"],
)
def test_the_verdict_comes_first(item: Evidence, headline: str) -> None:
    text = read(page(item))
    assert headline in text
    assert text.index(headline) < text.index("Criterion")


def test_every_issue_is_listed_with_threshold_and_value() -> None:
    failing = evidence(win_rate=Measurement(0.5, 0.4, 0.6, 1_000), error="books disagree")
    text = read(page(failing))
    for issue in issues([failing]):
        assert issue in text
    assert "BACKTEST: books disagree" in text
    assert ">= 93.00 %" in text and "50.00 %" in text and "40.00 % to 60.00 %" in text


def test_synthetic_data_is_said_where_the_result_is_and_only_then() -> None:
    assert "Synthetic data." in read(page(evidence()))
    assert "Synthetic data." not in read(page(evidence(synthetic=False)))


def test_digests_fingerprint_and_the_command_to_reproduce_are_shown() -> None:
    item = evidence()
    text = read(page(item))
    for shown in (item.digest, "d" * 64, "e" * 64, PROFILE.hash, CANDIDATE.id, CANDIDATE.source_digest):
        assert shown in text
    assert "airlock qualify page --profile five-year" in text


def test_the_page_fetches_nothing_and_runs_no_script() -> None:
    html = page(evidence())
    assert not re.search(r"<script|<link|<img|@import|url\(|https?://", html)
    assert len(html) < 200_000


def test_text_from_outside_is_escaped() -> None:
    html = page(evidence(error="<b>boom</b>"))
    assert "<b>boom</b>" not in html and "&lt;b&gt;boom" in html


def test_without_a_backtest_the_charts_are_left_out() -> None:
    html = page(evidence(error="strategy broke"), with_backtest=False)
    assert "<svg" not in html
    read(html)


def test_the_file_is_written_whole(tmp_path: Path) -> None:
    report = ReportInput(CANDIDATE, PROFILE, [evidence()], NOW, "airlock qualify page", 1_000.0)
    path = write_qualification(report, tmp_path / "deep")
    assert [p.name for p in path.parent.iterdir()] == ["qualification.html"]
    assert path.read_text(encoding="utf-8").rstrip().endswith("</html>")


def test_a_folder_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    blocked = tmp_path / "file"
    blocked.write_text("")
    report = ReportInput(CANDIDATE, PROFILE, [evidence()], NOW, "airlock qualify page", 1_000.0)
    with pytest.raises(ConfigurationError, match=r"file/qualification.html: report cannot be written"):
        write_qualification(report, blocked)


def test_monthly_returns_chain_to_the_whole() -> None:
    series = daily()
    rows = monthly_returns(series, 1_000.0)
    assert [row.year for row in rows] == [2024, 2023]
    assert rows[1].months[:10] == (None,) * 10
    assert rows[1].months[10] == pytest.approx(0.010)  # 20 to 30 November: 1000 -> 1010
    assert np.prod([1 + row.total for row in rows]) == pytest.approx(series.equity[-1] / 1_000.0)


def test_thinning_keeps_the_extremes() -> None:
    values = np.zeros(5_000)
    values[1_234], values[4_321] = 7.0, -3.0
    chart = line_chart(np.arange(5_000, dtype=np.int64) * DAY_MS, values)
    heights = [float(point.split(",")[1]) for point in chart.line.removeprefix("M").split("L")]
    top, bottom = (100 - label.position for label in (chart.y_labels[-1], chart.y_labels[0]))
    assert len(heights) < 1_300
    assert min(heights) < 100 - bottom and max(heights) > 100 - top
    assert all(0 <= height <= 100 for height in heights)


@pytest.mark.parametrize("value", [0.0, 5.0, -2.0])
def test_a_flat_curve_still_has_an_axis(value: float) -> None:
    chart = line_chart(np.arange(3, dtype=np.int64) * DAY_MS, np.full(3, value))
    assert len({label.text for label in chart.y_labels}) >= 2


def test_a_histogram_counts_every_trade() -> None:
    bars = histogram(np.concatenate((np.linspace(-0.01, 0.01, 1_000), [5.0])))
    counts = [int(b.title.rsplit(": ")[1].split()[0].replace(",", "")) for b in bars.bins]
    assert sum(counts) == 1_001


def test_ticks_are_round_and_cover_the_range() -> None:
    for low, high in ((0.0, 1.0), (-0.38, 0.0), (800_000.0, 9_020_453.0), (3.0, 3.0)):
        ticks = nice_ticks(low, high)
        assert ticks[0] <= low and ticks[-1] >= high * (1 - 1e-12) and 2 <= len(ticks) <= 7
    assert [tick_text(v) for v in (0, 1_500, 2.5e6, -3e9)] == ["0", "1.5 k", "2.5 M", "-3 G"]
    assert tick_text(-0.25, percent=True) == "-25 %"


@pytest.mark.parametrize(
    ("name", "value", "text"),
    [("win_rate", 0.9312, "93.12 %"), ("net_profit", 1234.5, "1,234.50"), ("trades", 1234.0, "1,234"),
     ("sharpe", None, "–"), ("sharpe", 1.005, "1.00"), ("max_gap_minutes", 2.5, "2.5")],
)  # fmt: skip
def test_metrics_are_shown_in_their_unit(name: str, value: float | None, text: str) -> None:
    assert format_metric(name, value) == text
