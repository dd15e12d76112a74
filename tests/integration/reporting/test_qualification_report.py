"""The qualification page on the evidence of a real battery: whatever was measured, the page says what is there."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from include.backtesting.portfolio import PortfolioRun, load_market, run_portfolio
from include.config.files import find_profile
from include.domain.enums import BATTERY, Stage
from include.qualification.candidate import Candidate
from include.qualification.criterion import Measurement
from include.qualification.evidence import Evidence, build_evidence, rebuild_evidence
from include.reporting.battery_panels import UNREADABLE
from include.reporting.qualification import ReportInput, render_qualification
from include.reporting.stage_views import NOT_DEMANDED, TITLES
from include.stages.robustness import run_battery
from include.strategies.protocol import load_strategy
from tests.adapters.memory_market import MemoryMarket
from tests.hourly_market import CAPITAL, DAYS, HOUR, PARAMS, START, TREND, market

NOW = datetime(2026, 1, 1, tzinfo=UTC)
END = START + timedelta(days=DAYS)
SYMBOLS = ("BTC/USDT", "ETH/USDT")
PROFILE = find_profile("two-year")
CANDIDATE = Candidate("measured", TREND, PARAMS, SYMBOLS, HOUR, "test", "ada", "ab" * 32)
HOSTILE = "</script><img src=x onerror=alert(1)>"


@dataclass(frozen=True)
class Measured:
    run: PortfolioRun
    evidence: dict[Stage, Evidence]


@pytest.fixture(scope="module")
def measured() -> Measured:
    """The battery on eight months of hourly bars, as the ledger would give it back, and the backtest beside it."""
    found = market(symbols=SYMBOLS)
    lake = MemoryMarket({bars.symbol: bars for bars in found.histories}, {i.symbol: i for i in found.instruments})
    strategy = load_strategy(TREND, PARAMS)
    run = run_portfolio(strategy, load_market(lake, CANDIDATE, START, END, strategy.warmup), CAPITAL)
    backtest = build_evidence(
        candidate=CANDIDATE, stage=Stage.BACKTEST, profile=PROFILE, fingerprint="d" * 64, measured_at=NOW,
        metrics={"trades": Measurement(float(len(run.trades))), "sharpe": Measurement(0.5)}, synthetic=True,
    )  # fmt: skip
    battery = run_battery(BATTERY, CANDIDATE, PROFILE, START, END, lake, now=NOW, logged_sharpes=(0.4, None))
    stored = (rebuild_evidence(json.loads(json.dumps(item.document()))) for item in (backtest, *battery))
    return Measured(run, {item.stage: item for item in stored})


def page(measured: Measured, evidence: Sequence[Evidence], *, with_backtest: bool = True) -> str:
    report = ReportInput(CANDIDATE, PROFILE, evidence, NOW, "airlock qualify measured", float(CAPITAL))
    run = measured.run
    return render_qualification(replace(report, trades=run.trades, daily=run.daily) if with_backtest else report)


def figures(html: str) -> list[dict[str, Any]]:
    found = re.search(r'<script type="application/json" id="figures">(.*?)</script>', html, re.DOTALL)
    assert found
    drawn: list[dict[str, Any]] = json.loads(found[1])
    return drawn


def text_of(html: str) -> str:
    return re.sub(r"<script.*?</script>|<style.*?</style>", "", html, flags=re.DOTALL)


def test_every_check_of_a_real_battery_is_drawn(measured: Measured) -> None:
    html = page(measured, list(measured.evidence.values()))
    text = text_of(html)
    assert UNREADABLE not in text
    places = re.findall(r'data-figure="(\d+)"', text)
    assert [int(n) for n in places] == list(range(len(figures(html))))
    sections = dict(part.split('"', 1) for part in text.split('<details class="card stage" id="')[1:])
    assert list(sections) == [stage.value for stage in Stage if stage in measured.evidence]
    for stage, item in measured.evidence.items():
        assert "data-figure" in sections[stage.value]
        assert item.digest in text
        assert all(f"<code>{name}</code>" in sections[stage.value] for name in item.metrics)
        assert (NOT_DEMANDED in sections[stage.value]) is not item.is_demanded
    assert not re.search(r"https?://|<link|<img| src=", text)
    assert len(html) < 7_000_000


@pytest.mark.parametrize("stage", [Stage.BACKTEST, *BATTERY])
def test_any_stage_alone_and_any_stage_missing_makes_a_page(measured: Measured, stage: Stage) -> None:
    alone = text_of(page(measured, [measured.evidence[stage]], with_backtest=False))
    assert f'id="{stage.value}"' in alone and UNREADABLE not in alone
    rest = [item for item in measured.evidence.values() if item.stage is not stage]
    without = text_of(page(measured, rest))
    assert f'id="{stage.value}"' not in without
    assert all(f'id="{item.stage.value}"' in without for item in rest)
    if stage in PROFILE.measured_stages:
        assert re.search(rf"Not measured yet: [^.]*{TITLES[stage][0]}", without)


def test_a_check_that_broke_shows_its_reason_and_leaves_the_others_alone(measured: Measured) -> None:
    broken = [
        build_evidence(
            candidate=CANDIDATE, stage=item.stage, profile=PROFILE, fingerprint="", measured_at=NOW, metrics={},
            synthetic=False, error=f"bars of {stage.value} <b>vanished</b>",
        )
        if stage in (Stage.WALK_FORWARD, Stage.COSTS) else item
        for stage, item in measured.evidence.items()
    ]  # fmt: skip
    text = text_of(page(measured, broken))
    for stage in (Stage.WALK_FORWARD, Stage.COSTS):
        assert f"bars of {stage.value} &lt;b&gt;vanished&lt;/b&gt;" in text
    assert text.count('class="badge ERROR"') >= 3
    assert "Paths below it" in text


def test_the_order_of_the_evidence_does_not_matter(measured: Measured) -> None:
    evidence = list(measured.evidence.values())
    assert page(measured, evidence) == page(measured, evidence[::-1])


def test_hostile_names_stay_text(measured: Measured) -> None:
    """A parameter, a symbol and a reason that are attacks, everywhere where they are shown."""
    details = json.dumps([dict(item.details) for item in measured.evidence.values()])
    attacked = json.loads(details.replace('"fast"', json.dumps(HOSTILE)))
    hostile = [replace(item, details=d) for item, d in zip(measured.evidence.values(), attacked, strict=True)]
    candidate = replace(CANDIDATE, params={HOSTILE: 8, "slow": 40}, symbols=(HOSTILE,), venue=HOSTILE)
    report = ReportInput(candidate, PROFILE, hostile, NOW, HOSTILE, float(CAPITAL))
    html = render_qualification(replace(report, trades=measured.run.trades, daily=measured.run.daily))
    assert UNREADABLE not in html
    assert "<img" not in text_of(html)
    raw = re.search(r'id="figures">(.*?)</script>', html, re.DOTALL)
    assert raw and "<" not in raw[1]
    assert "<img" not in json.dumps([[f["data"], f["layout"]] for f in figures(html)])
