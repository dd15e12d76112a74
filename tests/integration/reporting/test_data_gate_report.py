"""The report of a data gate: a page that needs nothing but itself, and Data Docs that show every rule."""

from __future__ import annotations

import errno
import hashlib
import html
import json
import re
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
import pytest

from include.config.files import find_profile
from include.domain.errors import ConfigurationError, DataError
from include.domain.reason_codes import DataRule
from include.qualification.verdict import Verdict
from include.reporting import data_docs
from include.reporting.data_docs import DATA_DOCS, write_data_docs
from include.reporting.data_gate import JSON_FILE, PAGE_FILE, render_gate, score_text, write_gate_report
from include.reporting.gate_findings import GateRun, gate_command, result_findings
from include.reporting.gate_timeline import BUCKETS, MARKS, build_timeline, coverage
from include.stages.data_gate import DataGateResult, gate_data
from include.validators.presence import Presence
from tests.market import MINUTE, NOW, START, bars, lake_at, minutes, table, take

COUNT = 1_440
END = START + minutes(COUNT)
SYMBOLS = ("BTC/USDT", "ETH/USDT")
PROFILE = find_profile("five-year")
HOSTILE = "<img src=x onerror=alert(1)>--</script>"


@pytest.fixture(scope="module")
def result(tmp_path_factory: pytest.TempPathFactory) -> DataGateResult:
    """Two symbols with one outage in common; the second has a hole, a negative volume and a misprint of its own."""
    lake = lake_at(tmp_path_factory.mktemp("gate"))
    for symbol in SYMBOLS:
        columns = bars(COUNT)
        if symbol == SYMBOLS[1]:
            columns["volume"][10] = -1.0
            columns["high"][20] = columns["close"][20] = columns["close"][20] * 3
        keep = np.r_[0:100, 130:COUNT] if symbol == SYMBOLS[0] else np.r_[0:100, 130:900, 960:COUNT]
        lake.ingest("synthetic", symbol, MINUTE, table(take(columns, keep)), source="test", now=NOW)
    return gate_data("synthetic", SYMBOLS, MINUTE, START, END, PROFILE, lake, now=NOW)


@pytest.fixture(scope="module")
def run() -> GateRun:
    command = gate_command("synthetic", SYMBOLS, MINUTE, START, END, PROFILE.name)
    return GateRun("synthetic", MINUTE, START, END, PROFILE, NOW, True, command)


@pytest.fixture(scope="module")
def written(result: DataGateResult, run: GateRun, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("report") / "new"
    write_gate_report(result, run, folder)
    return folder


def hostile(result: DataGateResult) -> DataGateResult:
    """The same result for a symbol whose name is an attack."""
    gated = result.symbols[SYMBOLS[1]]
    violations = tuple(replace(v, symbol=HOSTILE) for v in gated.quality.violations)
    quality = replace(gated.quality, symbol=HOSTILE, violations=violations)
    return replace(result, symbols=MappingProxyType({HOSTILE: replace(gated, quality=quality)}), violations=violations)


def figure_of(page: str) -> dict[str, Any]:
    found = re.search(r'<script type="application/json" id="figure">(.*?)</script>', page, re.DOTALL)
    assert found
    figure: dict[str, Any] = json.loads(found[1])
    return figure


def without_scripts(page: str) -> str:
    return re.sub(r"<script.*?</script>", "", page, flags=re.DOTALL)


def loads(page: str) -> list[str]:
    """What a browser would fetch for this page."""
    return re.findall(r"""<(?:link|script|img|iframe|object|embed|source)[^>]*\b(?:src|href|data)=[^>]*""", page)


def test_the_page_needs_no_network_and_forbids_it(written: Path) -> None:
    page = (written / PAGE_FILE).read_text()
    assert "Plotly" in page
    assert loads(without_scripts(page)) == []
    assert "http" not in without_scripts(page).replace("http-equiv", "")
    assert "default-src 'none'" in page
    assert len(page) < 6_000_000


def test_the_page_says_verdict_scores_violations_fingerprint_and_how_to_reproduce(
    written: Path, result: DataGateResult, run: GateRun
) -> None:
    page = without_scripts((written / PAGE_FILE).read_text())
    assert result.verdict is Verdict.FAIL
    assert page.index("REFUSED") < page.index("Scores by symbol") < page.index("Violations")
    assert result.fingerprint in page
    assert html.escape(run.reproduce, quote=True).replace("&#x27;", "&#39;") in page
    assert "Synthetic data" in page
    assert f'href="{DATA_DOCS}/index.html"' in page
    for rule in {v.rule for v in result.violations}:
        assert f"<b>{rule.value}</b>" in page
    assert "all symbols" in page, "the common outage is nobody's own"


def test_repaired_data_is_announced(result: DataGateResult, run: GateRun) -> None:
    assert "Repaired data" not in render_gate(result, run)
    quality = replace(result.symbols[SYMBOLS[0]].quality, repairs=("drop-duplicates",))
    gated = {**result.symbols, SYMBOLS[0]: replace(result.symbols[SYMBOLS[0]], quality=quality)}
    page = render_gate(replace(result, symbols=MappingProxyType(gated)), run)
    assert "Repaired data" in page
    assert "drop-duplicates" in page


def test_hostile_names_stay_text_on_the_page_and_in_the_picture(result: DataGateResult, run: GateRun) -> None:
    page = render_gate(hostile(result), replace(run, venue=HOSTILE))
    assert "<img" not in without_scripts(page)
    assert page.count("</script>") == 3
    assert html.escape(HOSTILE) in page
    (name,) = [a["text"] for a in figure_of(page)["layout"]["annotations"]]
    assert "<img" not in name


def test_the_figure_is_one_that_plotly_accepts(result: DataGateResult, run: GateRun) -> None:
    from plotly.graph_objects import Figure

    text = json.dumps(build_timeline(result, run).figure)
    figure = json.loads(re.sub(r'"--[a-z]+"', '"#123456"', text))
    assert "--" not in re.sub(r'"--[a-z]+"', "", text)
    assert Figure(figure).layout.yaxis2.ticktext[0] == "coverage"


def test_marks_carry_rule_time_count_and_scope(result: DataGateResult, run: GateRun) -> None:
    traces = [t for t in build_timeline(result, run).figure["data"] if t["type"] != "heatmap"]
    texts = [text for trace in traces for text in trace["hovertext"]]
    (outage,) = {text for text in texts if "GAP" in text and "whole exchange" in text}
    assert "30 bars" in outage
    (own,) = [text for text in texts if "GAP" in text and "this symbol" in text]
    assert "60 bars" in own
    assert any("NEGATIVE_VOLUME" in text for text in texts)


def test_the_picture_stays_small_whatever_was_found(result: DataGateResult, run: GateRun) -> None:
    gated = result.symbols[SYMBOLS[1]]
    one = next(v for v in gated.quality.violations if v.rule is DataRule.NEGATIVE_VOLUME)
    many = tuple(
        replace(one, first=START + timedelta(seconds=4 * i), last=START + timedelta(seconds=4 * i))
        for i in range(20_000)
    )
    quality = replace(gated.quality, violations=many)
    crowded = replace(result, symbols=MappingProxyType({SYMBOLS[1]: replace(gated, quality=quality)}))
    timeline = build_timeline(crowded, run)
    marks = [text for trace in timeline.figure["data"] if trace["type"] != "heatmap" for text in trace["hovertext"]]
    assert len(marks) <= MARKS
    told = sum(int(m[1].replace(",", "")) for text in marks if (m := re.search(r"([\d,]+) events", text)))
    assert told + sum("events" not in text for text in marks) == len(many), "merged marks say how many they stand for"


@pytest.mark.parametrize(("step_min", "size_min"), [(1, 60), (5, 360), (60, 1_440), (7, 60)])
def test_coverage_counts_every_bar_once(step_min: int, size_min: int) -> None:
    held = np.random.default_rng(1).random(1_000) < 0.7
    presence = Presence(1_704_067_200_000 // (step_min * 60_000) * step_min * 60_000, step_min * 60_000, held)
    start, present, wanted = coverage(presence, size_min * 60_000)
    assert (present.sum(), wanted.sum()) == (np.count_nonzero(held), 1_000)
    assert (present <= wanted).all()
    cell = (presence.time(int(np.flatnonzero(held)[0])) - start) // (size_min * 60_000)
    assert present[:cell].sum() == 0 < present[cell]
    assert len(present) <= BUCKETS


@pytest.mark.parametrize(
    ("metric", "value", "text"),
    [("completeness", 0.949999, "94.99 %"), ("completeness", 0.95, "95 %"), ("max_jump", 0.100001, "10.01 %"),
     ("max_jump", 0.1, "10 %"), ("max_gap_minutes", 5.0, "5"), ("quality", None, "unknown")],
)  # fmt: skip
def test_scores_are_rounded_against_the_data(
    result: DataGateResult, metric: str, value: float | None, text: str
) -> None:
    (criterion,) = [r.criterion for r in result.results if r.criterion.metric == metric]
    assert score_text(criterion, value) == text


def test_counts_of_a_rule_take_a_common_outage_once(result: DataGateResult) -> None:
    (gap,) = [f for f in result_findings(result, 1) if f.rule is DataRule.GAP]
    assert (gap.events, gap.bars, gap.more) == (2, 90, 1)
    assert gap.worst[0].count == 60


# --- Data Docs ---------------------------------------------------------------------------------------------


def test_data_docs_have_an_index_a_suite_and_a_page_for_each_symbol(written: Path) -> None:
    docs = written / DATA_DOCS
    index = (docs / "index.html").read_text()
    pages = sorted(docs.glob("validations/**/*.html"))
    assert [page.stem for page in pages] == ["01-BTC-USDT", "02-ETH-USDT"]
    for page in pages:
        assert page.relative_to(docs).as_posix().replace(":", "%3A") in index
    suite = (docs / "expectations" / f"{data_docs.SUITE}.html").read_text()
    assert all(rule.value in suite for rule in DataRule), "every rule of the gate is an expectation"


def test_data_docs_show_what_failed_and_what_held(written: Path, result: DataGateResult) -> None:
    (page,) = (written / DATA_DOCS).glob("validations/**/02-*.html")
    text = re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", page.read_text()))
    status = {
        name: mark
        for row in re.findall(r"<tr>(.*?)</tr>", page.read_text(), re.DOTALL)
        for name in re.findall(r"no event of.*?>([A-Z_]+)<", row, re.DOTALL)
        for mark in [("fa-check-circle" in row)]
    }
    broken = set(result.symbols[SYMBOLS[1]].quality.counts)
    assert {DataRule[name] for name, good in status.items() if not good} == broken
    assert set(status) == {rule.value for rule in DataRule}
    assert "1 event, 60 bars" in text or "2 events, 90 bars" in text
    assert "FAIL: max_gap_minutes" in text
    assert "values must be greater than or equal to" in text, "GX's own expectations stand beside ours"


def test_data_docs_need_no_network(written: Path) -> None:
    for page in (written / DATA_DOCS).rglob("*.html"):
        text = page.read_text()
        assert loads(text) == [], page
        assert "http" not in text.replace("http-equiv", ""), page
        assert "<script" not in text, page


def test_data_docs_take_hostile_names_as_text(result: DataGateResult, run: GateRun, tmp_path: Path) -> None:
    write_data_docs(hostile(result), run, tmp_path)
    for page in tmp_path.rglob("*.html"):
        assert "<img" not in page.read_text(), page
    (shown,) = tmp_path.glob(f"{DATA_DOCS}/validations/**/*.html")
    assert "&lt;img" in shown.read_text()


def test_a_page_that_cannot_be_rendered_is_an_error(
    result: DataGateResult, run: GateRun, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(data_docs, "VIEW", {**data_docs.VIEW, "class_name": "OfflinePageView"})
    from include.reporting.data_docs_view import OfflinePageView

    monkeypatch.setattr(OfflinePageView, "_template", "gone.j2")
    with pytest.raises(DataError, match=r"Data Docs: 0 of 1 pages index\.html"):
        write_data_docs(result, run, tmp_path)
    assert list(tmp_path.iterdir()) == [], "nothing half-written remains"


# --- writing -----------------------------------------------------------------------------------------------


def test_a_repeated_report_replaces_the_first_and_digests_are_those_of_the_files(
    result: DataGateResult, run: GateRun, tmp_path: Path
) -> None:
    first = write_gate_report(result, run, tmp_path, data_docs=False)
    stale = tmp_path / DATA_DOCS / "validations" / "old.html"
    stale.parent.mkdir(parents=True)
    stale.write_text("from a run before")
    second = write_gate_report(result, run, tmp_path)
    assert first.artefacts.keys() == second.artefacts.keys() == {JSON_FILE, PAGE_FILE}
    assert not stale.exists()
    assert {path.name for path in tmp_path.iterdir()} == {JSON_FILE, PAGE_FILE, DATA_DOCS}
    for name, digest in second.artefacts.items():
        assert hashlib.sha256((tmp_path / name).read_bytes()).hexdigest() == digest
    document = json.loads((tmp_path / JSON_FILE).read_text())
    assert document["window"]["symbols"] == list(SYMBOLS)
    assert document["verdict"] == "FAIL"
    assert len(document["expectations"]["BTC/USDT"]) == 23


def test_without_data_docs_the_page_does_not_link_them(result: DataGateResult, run: GateRun) -> None:
    assert f"{DATA_DOCS}/index.html" not in render_gate(result, run, data_docs=False)


def test_a_folder_that_cannot_be_written_is_named(result: DataGateResult, run: GateRun, tmp_path: Path) -> None:
    (tmp_path / "taken").write_text("a file")
    with pytest.raises(ConfigurationError, match="taken: report cannot be written"):
        write_gate_report(result, run, tmp_path / "taken", data_docs=False)


def test_a_disk_that_is_full_while_data_docs_are_made_is_one_line_and_leaves_nothing(
    result: DataGateResult, run: GateRun, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from great_expectations.data_context.data_context import serializable_data_context as scaffolding

    def full(base_dir: Path) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(scaffolding.SerializableDataContext, "_scaffold_gitignore", full)
    with pytest.raises(DataError, match=r"Data Docs cannot be rendered .*No space left.*check space") as refused:
        write_gate_report(result, run, tmp_path)
    assert "\n" not in str(refused.value)
    assert list(tmp_path.iterdir()) == []


def test_the_command_quotes_what_a_shell_would_read() -> None:
    command = gate_command("a venue; rm -rf /", ["BTC/USDT"], MINUTE, START, START + timedelta(days=1), "five-year")
    assert "--venue 'a venue; rm -rf /'" in command
    assert command.startswith("airlock data gate ")
