"""Bad input through the stages: an ERROR verdict with one clear line, and nobody else is touched by it."""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import MappingProxyType

import numpy as np
import pytest

from include.config.files import find_profile
from include.domain.bars import Bars
from include.domain.enums import Stage
from include.qualification.candidate import Candidate
from include.qualification.criterion import Measurement
from include.qualification.evidence import Evidence
from include.qualification.verdict import Verdict
from include.stages.backtest import run_backtest
from include.stages.robustness import run_battery
from tests.adapters import nasty
from tests.adapters.memory_market import MemoryMarket
from tests.hourly_market import HOUR, START, bars_of, instrument

NOW = datetime(2026, 1, 1, tzinfo=UTC)
DAYS = 60
END = START + timedelta(days=DAYS)
PROFILE = find_profile("two-year")
STAGES = (Stage.MONTE_CARLO, Stage.COSTS)


def walk() -> Bars:
    return bars_of(100 * np.exp(np.cumsum(np.random.default_rng(5).normal(0, 0.004, DAYS * 24))))


def lake(bars: Bars | None = None) -> MemoryMarket:
    return MemoryMarket({"BTC/USDT": bars or walk()}, {"BTC/USDT": instrument()})


def candidate(strategy: type, *symbols: str) -> Candidate:
    name = f"{strategy.__module__}:{strategy.__name__}"
    return Candidate("nasty", name, MappingProxyType({"weight": 0.5}), symbols or ("BTC/USDT",), HOUR, "test", "eve",
                     "ab" * 32)  # fmt: skip


def measure(of: Candidate, market: MemoryMarket, end: datetime = END, now: datetime = NOW) -> list[Evidence]:
    return [
        run_backtest(of, PROFILE, START, end, market, now=now).evidence,
        *run_battery(STAGES, of, PROFILE, START, end, market, now=now),
    ]


def errors(found: list[Evidence]) -> set[str]:
    """The error lines, once it is certain that every stage says ERROR and in one line."""
    assert all(item.verdict is Verdict.ERROR and not item.metrics for item in found)
    lines = {str(item.details["error"]) for item in found}
    assert all("\n" not in line and 20 < len(line) < 300 for line in lines)
    return lines


BAD = {
    nasty.Short: "1439 rows of signals for 1440 bars",
    nasty.FutureRows: "1443 rows of signals for 1440 bars",
    nasty.Raises: "signals() raised KeyError: 'no such\\ncolumn'",
    nasty.Exits: "signals() raised SystemExit: bye",
    nasty.Recurses: "signals() raised RecursionError",
    nasty.RewritesBars: "bars are read-only, copy what you change",
    nasty.RewritesTimes: "bars are read-only, copy what you change",
    nasty.Objects: "target holds object, numbers are needed",
    nasty.Words: "weight holds <U4, numbers are needed",
    nasty.InfiniteLevels: "stop of an entry is not a price at row",
    nasty.TwoColumns: "weight has shape (1440,), target has (1440, 2)",
    nasty.Nothing: "signals() returned NoneType, not Signals",
    nasty.CannotBeBuilt: "cannot be built (FileNotFoundError: model.bin)",
}


@pytest.fixture(scope="module")
def honest() -> list[str]:
    return [item.digest for item in measure(candidate(nasty.Nasty), lake())]


@pytest.mark.parametrize("strategy", BAD, ids=lambda strategy: strategy.__name__)
def test_a_strategy_that_breaks_the_rules_is_an_error_and_its_neighbours_do_not_notice(
    strategy: type, honest: list[str]
) -> None:
    market = lake()
    (line,) = errors(measure(candidate(strategy), market))
    assert BAD[strategy] in line and strategy.__name__ in line
    assert [item.digest for item in measure(candidate(nasty.Nasty), market)] == honest


def test_numbers_of_any_kind_are_numbers() -> None:
    found = measure(candidate(nasty.Lists), lake())
    plain = measure(candidate(nasty.Nasty), lake())
    assert found[0].metrics["net_profit"] == plain[0].metrics["net_profit"]
    assert isinstance(found[0].metrics["net_profit"], Measurement) and "error" not in found[1].details


def spoiled(change: Callable[[Bars], None]) -> MemoryMarket:
    bars = walk()
    change(bars)
    return lake(bars)


def put(column: str, value: float) -> Callable[[Bars], None]:
    return lambda bars: getattr(bars, column).__setitem__(700, value)


@pytest.mark.parametrize(
    "change",
    [put("close", np.nan), put("high", np.nan), put("open", np.inf), put("high", np.inf), put("low", 0.0),
     put("low", -1.0), put("high", 1.0)],
    ids=["NaN close", "NaN high", "infinite open", "infinite high", "zero low", "negative low", "high below low"],
)  # fmt: skip
def test_prices_that_cannot_be_are_an_error_that_names_the_row(change: Callable[[Bars], None]) -> None:
    (line,) = errors(measure(candidate(nasty.Nasty), spoiled(change)))
    assert "BTC/USDT: the bar at row 700" in line and "impossible prices" in line


@pytest.mark.parametrize("days", [0, -3], ids=["nothing", "backwards"])
def test_an_empty_window_is_an_error(days: int) -> None:
    lines = errors(measure(candidate(nasty.Nasty), lake(), end=START + timedelta(days=days)))
    assert all("no bars" in line for line in lines)


def test_bars_that_have_not_closed_yet_are_an_error() -> None:
    now = END - timedelta(minutes=30)
    (line,) = errors(measure(candidate(nasty.Nasty), lake(), now=now))
    assert "2023-03-01T23:00:00Z has not closed yet at 2023-03-01T23:30:00Z" in line
    earlier = measure(candidate(nasty.Nasty), lake(), end=END - timedelta(hours=1), now=now)
    assert all("error" not in item.details for item in earlier), "what has closed can be measured"


def test_a_symbol_that_is_not_there_is_an_error() -> None:
    (line,) = errors(measure(candidate(nasty.Nasty, "BTC/USDT", "ETH/USDT"), lake()))
    assert "ETH/USDT" in line


def test_one_bad_symbol_of_two_is_an_error_of_the_whole_candidate() -> None:
    bad = replace(walk(), symbol="ETH/USDT")
    bad.close[10] = np.nan
    market = MemoryMarket({"BTC/USDT": walk(), "ETH/USDT": bad}, {s: instrument(s) for s in ("BTC/USDT", "ETH/USDT")})
    (line,) = errors(measure(candidate(nasty.Nasty, "BTC/USDT", "ETH/USDT"), market))
    assert line.startswith("ETH/USDT: the bar at row 10")


@pytest.mark.parametrize(
    ("source", "reason"),
    [
        ("raise RuntimeError('no GPU')", "cannot import (RuntimeError: no GPU)"),
        ("import sys; sys.exit(3)", "cannot import (SystemExit: 3)"),
        ("def broken(:", "cannot import (SyntaxError"),
        ("import math; math.nonsense", "cannot import (AttributeError"),
        ("import no_such_package", "cannot import (ModuleNotFoundError"),
        ("", "module has no 'Strategy'"),
    ],
)
def test_a_module_that_breaks_while_it_is_imported_is_an_error(
    source: str, reason: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "broken_module.py").write_text(source)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "broken_module", raising=False)
    of = replace(candidate(nasty.Nasty), strategy="broken_module:Strategy")
    (line,) = errors(measure(of, lake()))
    assert reason in line
