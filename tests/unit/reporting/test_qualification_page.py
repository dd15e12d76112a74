"""The qualification page: verdict first, every reason shown, nothing fetched from elsewhere, nothing left unescaped."""

from __future__ import annotations

import base64
import hashlib
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
from include.reporting.panels_performance import monthly_returns
from include.reporting.qualification import (
    ReportInput,
    headline,
    issues,
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

    VOID = frozenset({"meta", "br"})

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
        if not self.open or self.open[-1] not in {"style", "script"}:
            self.text.append(data)


def without_scripts(html: str) -> str:
    return re.sub(r"<script.*?</script>", "", html, flags=re.DOTALL)


def read(html: str) -> str:
    reader = Reader()
    reader.feed(html)
    assert reader.open == []
    return " ".join(" ".join(reader.text).split())


def gate() -> Evidence:
    measured = {"history_days": 2_000.0, "completeness": 1.0, "quality": 1.0, "compatibility": 1.0,
                "max_gap_minutes": 0.0, "max_jump": 0.01}  # fmt: skip
    return build_evidence(
        candidate=CANDIDATE, stage=Stage.DATA_GATE, profile=PROFILE, fingerprint="d" * 64, measured_at=NOW,
        metrics={name: Measurement(value) for name, value in measured.items()}, synthetic=True,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("items", "words"),
    [
        ([gate(), evidence()], "page: QUALIFIES"),
        ([evidence()], "page: PASSES SO FAR"),
        ([gate(), evidence(win_rate=Measurement(0.5, 0.4, 0.6, 1_000))], "page: DOES NOT QUALIFY"),
        ([gate(), evidence(sharpe=Measurement(None))], "page: INCONCLUSIVE"),
        ([gate(), evidence(error="books disagree")], "page: ERROR"),
        ([], "page: INCONCLUSIVE"),
    ],
    ids=["pass", "a demanded stage not measured", "fail", "inconclusive", "error", "nothing"],
)
def test_the_verdict_comes_first(items: list[Evidence], words: str) -> None:
    text = read(page(*items))
    assert words in text
    assert text.index(words) < text.index("What was measured")
    assert words.removeprefix("page: ") in headline(items, PROFILE)


def test_every_issue_is_listed_under_its_stage_with_threshold_and_value() -> None:
    failing = evidence(win_rate=Measurement(0.5, 0.4, 0.6, 1_000), error="books disagree")
    text = read(page(failing))
    for issue in issues([failing]):
        stage, reason = issue.split(": ", 1)
        assert stage == "BACKTEST" and reason in text
    assert "The measurement broke: books disagree" in text
    assert "≥ 93 %, 100 samples" in text and "50.00 %" in text and "40.00 % to 60.00 %" in text


def test_what_the_profile_still_demands_is_named() -> None:
    assert "Not measured yet: Data gate, Simulation." in read(page(evidence()))
    assert "Not measured yet: Simulation." in read(page(gate(), evidence()))


def test_every_link_within_the_page_leads_somewhere() -> None:
    html = without_scripts(page(gate(), evidence(win_rate=Measurement(0.5, 0.4, 0.6, 1_000))))
    for target in re.findall(r'href="#([^"]+)"', html):
        assert f'id="{target}"' in html


def test_synthetic_data_is_said_where_the_result_is_and_only_then() -> None:
    assert "Synthetic data." in read(page(evidence()))
    assert "Synthetic data." not in read(page(evidence(synthetic=False)))


def test_digests_fingerprint_and_the_command_to_reproduce_are_shown() -> None:
    item = evidence()
    text = read(page(item))
    for shown in (item.digest, "d" * 64, "e" * 64, PROFILE.hash, CANDIDATE.id, CANDIDATE.source_digest):
        assert shown in text
    assert "airlock qualify page --profile five-year" in text


def test_the_page_fetches_nothing_and_runs_only_the_scripts_that_its_policy_names() -> None:
    html = page(evidence())
    assert not re.search(r"<link|<img|<iframe|@import|url\(|https?://| src=", without_scripts(html))
    policy = re.search(r'Content-Security-Policy" content="([^"]+)"', html)
    assert policy and "default-src &#39;none&#39;" in policy[1] and "http" not in policy[1]
    scripts = re.findall(r"<script>(.*?)</script>", html, re.DOTALL)
    assert len(scripts) == 2
    for script in scripts:
        assert base64.b64encode(hashlib.sha256(script.encode()).digest()).decode() in policy[1]
    assert len(html) < 7_000_000


def test_text_from_outside_is_escaped() -> None:
    html = page(evidence(error="<b>boom</b>"))
    assert "<b>boom</b>" not in html and "&lt;b&gt;boom" in html


def test_without_a_backtest_the_charts_are_left_out() -> None:
    html = page(evidence(error="strategy broke"), with_backtest=False)
    assert "<script" not in html and "script-src &#39;none&#39;" in html
    assert len(html) < 100_000
    read(html)


def test_a_page_of_the_ladder_points_to_the_one_with_the_charts() -> None:
    report = ReportInput(CANDIDATE, PROFILE, [evidence()], NOW, "airlock qualify page", 1_000.0)
    assert 'href="../qualification.html"' in render_qualification(replace(report, artefacts_at="../"))
    assert "qualification.html" not in render_qualification(report)


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


def test_a_month_cannot_lose_more_than_everything_and_nothing_follows_it() -> None:
    series = daily(100)
    series.equity[60:] = -500.0
    months = [m for row in reversed(monthly_returns(series, 1_000.0)) for m in row.months if m is not None]
    assert min(months) == months[-1] == -1.0


def test_monthly_returns_chain_to_the_whole() -> None:
    series = daily()
    rows = monthly_returns(series, 1_000.0)
    assert [row.year for row in rows] == [2024, 2023]
    assert rows[1].months[:10] == (None,) * 10
    assert rows[1].months[10] == pytest.approx(0.010)  # 20 to 30 November: 1000 -> 1010
    assert np.prod([1 + row.total for row in rows]) == pytest.approx(series.equity[-1] / 1_000.0)


def test_funding_and_liquidations_stand_beside_each_symbol_that_has_any() -> None:
    row = {"trades": 3, "win_rate": 0.5, "net_profit_closed": 10.0, "fees": 1.0}
    bare, charged = (
        replace(evidence(), details={"symbols": found})
        for found in ({"A": row}, {"A": {**row, "funding": -1_234.5, "liquidations": 2}, "B": row})
    )
    assert "Funding paid" not in read(page(bare))
    text = read(page(charged))
    assert "Funding paid" in text and "-1,234.50" in text
