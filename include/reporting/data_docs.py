"""Great Expectations' Data Docs of one gate run: an index, the suite, and one validation result for each symbol.

Each run has a file context of its own in a temporary folder, so that runs beside each other share nothing. The results
of the rows are those that the gate got from GX; rules and criteria of Airlock's are judged by `rule_expectations` on
what the gate found, so nothing is computed twice.
"""

from __future__ import annotations

import re
import shutil
from collections.abc import Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from include.domain.enums import Stage
from include.domain.errors import DataError
from include.domain.reason_codes import DataRule
from include.domain.times import iso
from include.qualification.criterion import CriterionResult
from include.qualification.evidence import evaluate_stage
from include.qualification.verdict import Verdict
from include.qualification.wording import wanted_text
from include.reporting.gate_findings import GateRun, sample_text, symbol_findings
from include.reporting.replacing import replace_folder
from include.stages.data_gate import DataGateResult
from include.validators.expectations import RESULT_FORMAT, quiet_context, require_evaluated, row_expectations

DATA_DOCS = "data-docs"
SUITE = "airlock-data-gate"
WORST_SHOWN = 10
"""Worst events of each rule on a symbol's page."""
VIEW = {"module_name": "include.reporting.data_docs_view", "class_name": "OfflinePageView"}


def write_data_docs(result: DataGateResult, run: GateRun, folder: Path) -> Path:
    """Write `data-docs/` into `folder`, complete or not at all, in place of an earlier one; returns its index page.

    Raises:
        DataError: an expectation could not be evaluated, or a page could not be rendered.
        OSError: the folder cannot be written.
    """
    from great_expectations.exceptions import GreatExpectationsError

    try:
        return _write(result, run, folder)
    except GreatExpectationsError as error:  # it wraps what the disk said, in more than one line
        raise DataError(f"{folder}: Data Docs cannot be rendered ({' '.join(str(error).split())}); check space and"
                        " rights, or leave them out (--no-docs)") from None  # fmt: skip


# --- inside ------------------------------------------------------------------------------------------------


def _write(result: DataGateResult, run: GateRun, folder: Path) -> Path:
    with TemporaryDirectory(prefix=f".{DATA_DOCS}-", dir=folder) as scratch:
        site = Path(scratch) / "site"
        context = quiet_context(mode="file", project_root_dir=scratch)
        # The default site belongs to the scratch folder; ours is the only one that is built.
        context.delete_data_docs_site("local_site")
        context.add_data_docs_site(run.venue, _site(site))
        _store(context, result, run)
        context.build_data_docs(site_names=[run.venue])
        _require_pages(site, len(result.symbols))
        shutil.rmtree(site / "static", ignore_errors=True)  # fonts and images that our templates do not use
        return replace_folder(site, folder / DATA_DOCS) / "index.html"


def _site(folder: Path) -> dict[str, Any]:
    sections = {
        name: {"class_name": "DefaultSiteSectionBuilder", "view": VIEW} for name in ("expectations", "validations")
    }
    return {
        "class_name": "SiteBuilder", "show_how_to_buttons": False,
        "store_backend": {"class_name": "TupleFilesystemStoreBackend", "base_directory": str(folder)},
        "site_index_builder": {"class_name": "DefaultSiteIndexBuilder", "view": VIEW},
        "site_section_builders": {**sections, "profiling": "None"},
    }  # fmt: skip


def _store(context: Any, result: DataGateResult, run: GateRun) -> None:
    """Put the suite and one validation result a symbol into the context's stores."""
    import great_expectations as gx
    import pandas as pd
    from great_expectations.core.expectation_validation_result import ExpectationSuiteValidationResult
    from great_expectations.core.run_identifier import RunIdentifier
    from great_expectations.data_context.types.resource_identifiers import (
        ExpectationSuiteIdentifier,
        ValidationResultIdentifier,
    )

    from include.validators.rule_expectations import own_expectations

    criteria = run.profile.stage_criteria(Stage.DATA_GATE, run.timeframe)
    own = gx.ExpectationSuite(
        "own", expectations=own_expectations([_wanted(r) for r in evaluate_stage(criteria, {})[0]])
    )
    shown = gx.ExpectationSuite(SUITE, expectations=[*row_expectations(), *own.expectations])
    context.suites.add(shown)
    batches = (
        context.data_sources.add_pandas("gate")
        .add_dataframe_asset("findings")
        .add_batch_definition_whole_dataframe("all")
    )
    run_id = RunIdentifier(run_name=_slug(f"{run.venue}-{run.timeframe}-{run.profile.name}"), run_time=run.measured_at)
    for number, (symbol, gated) in enumerate(result.symbols.items(), start=1):
        measured = evaluate_stage(criteria, gated.quality.measurements())[0]
        lines = pd.DataFrame([*map(_criterion_line, measured), *_rule_lines(result, symbol)])
        judged = batches.get_batch(batch_parameters={"dataframe": lines}).validate(own, result_format=RESULT_FORMAT)
        for outcome in judged.results:
            require_evaluated(outcome)
        outcomes = [*(e.outcome for e in gated.quality.expectations if e.outcome is not None), *judged.results]
        good = sum(1 for outcome in outcomes if outcome.success)
        document = ExpectationSuiteValidationResult(
            # The gate's own verdict: a warning among the rules does not fail a symbol, a missing score does.
            success=gated.verdict is Verdict.PASS,
            results=outcomes, suite_name=SUITE,
            statistics={
                "evaluated_expectations": len(outcomes), "successful_expectations": good,
                "unsuccessful_expectations": len(outcomes) - good, "success_percent": 100.0 * good / len(outcomes),
            },
            meta={"run_id": run_id.to_json_dict(), "batch_spec": _about(result, run, symbol)},
        )  # fmt: skip
        key = ValidationResultIdentifier(ExpectationSuiteIdentifier(SUITE), run_id, f"{number:02d}-{_slug(symbol)}")
        context.validation_results_store.add(key, document)


def _slug(text: str) -> str:
    """Part of a file name; the full text is on the page."""
    return re.sub(r"[^A-Za-z0-9]+", "-", text).strip("-")[:60]


def _wanted(result: CriterionResult) -> str:
    c = result.criterion
    return wanted_text(c.metric, c.op.value, c.threshold) + (f" ({c.window})" if c.window != "all" else "")


def _criterion_line(result: CriterionResult) -> dict[str, Any]:
    holds = result.verdict is Verdict.PASS
    return {
        "name": _wanted(result), "holds": holds, "events": 0 if holds else 1, "bars": 0, "worst": [],
        "observed": f"{result.verdict.value}: {result.reason}",
    }  # fmt: skip


def _rule_lines(result: DataGateResult, symbol: str) -> list[dict[str, Any]]:
    found = {f.rule: f for f in symbol_findings(result, symbol, WORST_SHOWN)}
    lines = []
    for rule in DataRule:
        finding = found.get(rule)
        worst = [
            [iso(v.first), iso(v.last), f"{v.count:,}", v.scope.value, sample_text(v.sample)]
            for v in (finding.worst if finding else ())
        ]
        lines.append({
            "name": rule.value, "holds": finding is None, "events": finding.events if finding else 0,
            "bars": finding.bars if finding else 0, "worst": worst, "observed": "",
        })  # fmt: skip
    return lines


def _about(result: DataGateResult, run: GateRun, symbol: str) -> Mapping[str, str]:
    """What the page says it is about; GX escapes these values."""
    gated = result.symbols[symbol]
    return {
        "data_asset_name": symbol, "venue": run.venue + (" (synthetic)" if run.synthetic else ""),
        "timeframe": str(run.timeframe), "from": iso(run.start), "to": iso(run.end), "profile": run.profile.name,
        "profile_hash": run.profile.hash, "verdict": gated.verdict.value, "rows": f"{gated.quality.rows:,}",
        "fingerprint": gated.fingerprint,
    }  # fmt: skip


def _require_pages(site: Path, symbols: int) -> None:
    """GX logs a page that it cannot render and goes on; here that is an error."""
    wanted = {"index.html": 1, f"expectations/{SUITE}.html": 1, "validations/**/*.html": symbols}
    for pattern, number in wanted.items():
        made = [page for page in site.glob(pattern) if page.stat().st_size]
        if len(made) != number:
            raise DataError(f"Data Docs: {len(made)} of {number} pages {pattern} rendered; see Great Expectations' log")
