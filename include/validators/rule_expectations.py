"""Airlock's own rules and criteria as Great Expectations' expectations, so that Data Docs show them beside its own.

The rules are vectorised numpy (`bar_rules`) and run once, in the gate. Here GX judges a small frame of what they found,
one line for each rule and criterion: the expectation reads its line and fails when the rule was broken or the
criterion not met. A line that is not there is an error, never a pass.

This module imports Great Expectations when it is imported, which takes seconds: import it inside functions only.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from great_expectations.execution_engine import PandasExecutionEngine  # noqa: TID253 - its classes are derived from
from great_expectations.expectations.expectation import BatchExpectation, FailureSeverity  # noqa: TID253
from great_expectations.expectations.metrics.metric_provider import metric_value  # noqa: TID253
from great_expectations.expectations.metrics.table_metric_provider import TableMetricProvider  # noqa: TID253
from great_expectations.render import (  # noqa: TID253
    LegacyDiagnosticRendererType,
    LegacyRendererType,
    RenderedStringTemplateContent,
    RenderedTableContent,
)
from great_expectations.render.renderer.renderer import renderer  # noqa: TID253

from include.domain.reason_codes import DataRule

FINDINGS = "table.airlock_findings"
WORST_HEADS = ("First", "Last", "Bars", "Scope", "Sample")


class AirlockFindings(TableMetricProvider):  # type: ignore[misc]  # the library ships no types here
    """The frame of findings as a list of lines: columns `name`, `holds`, `events`, `bars`, `observed`, `worst`."""

    metric_name = FINDINGS

    @metric_value(engine=PandasExecutionEngine)  # type: ignore[untyped-decorator]
    def _pandas(
        cls,  # noqa: N805 - the library binds the class
        execution_engine: PandasExecutionEngine,
        metric_domain_kwargs: Mapping[str, Any],
        **_: Any,
    ) -> list[dict[str, Any]]:
        frame, _compute, _accessor = execution_engine.get_compute_domain(metric_domain_kwargs, domain_type="table")
        found: list[dict[str, Any]] = frame.to_dict("records")
        return found


def _line(metrics: Mapping[str, Any], name: str) -> dict[str, Any]:
    lines: list[dict[str, Any]] = [line for line in metrics[FINDINGS] if line["name"] == name]
    if len(lines) != 1:
        raise ValueError(f"{len(lines)} findings on {name}, wanted one")
    return lines[0]


def _statement(template: str, params: Mapping[str, str], styling: Any) -> list[Any]:
    content = {"template": template, "params": dict(params), "styling": styling}
    return [RenderedStringTemplateContent(content_block_type="string_template", string_template=content)]


class ExpectRuleToHold(BatchExpectation):  # type: ignore[misc]
    """Expect that no bar of the window breaks a rule of the data gate."""

    rule: str
    meaning: str
    """One line on what an event of the rule is."""

    metric_dependencies = (FINDINGS,)
    success_keys = ("rule",)
    args_keys = ("rule", "meaning")
    library_metadata: ClassVar[dict[str, Any]] = {"tags": ["airlock"], "requirements": []}

    def _validate(self, metrics: Mapping[str, Any], **_: Any) -> dict[str, Any]:
        line = _line(metrics, self.rule)
        result = {"observed_value": int(line["events"]), "bars": int(line["bars"]), "worst": list(line["worst"])}
        return {"success": result["observed_value"] == 0, "result": result}

    @classmethod
    @renderer(renderer_type=LegacyRendererType.PRESCRIPTIVE)  # type: ignore[untyped-decorator]
    def _prescriptive_renderer(
        cls, configuration: Any = None, runtime_configuration: Any = None, **_: Any
    ) -> list[Any]:
        names = {key: str(configuration.kwargs[key]) for key in ("rule", "meaning")}
        return _statement("no event of $rule ($meaning)", names, (runtime_configuration or {}).get("styling"))

    @classmethod
    @renderer(renderer_type=LegacyDiagnosticRendererType.OBSERVED_VALUE)  # type: ignore[untyped-decorator]
    def _diagnostic_observed_value_renderer(cls, result: Any = None, **_: Any) -> str:
        events, bars = result.result["observed_value"], result.result["bars"]
        return f"{events:,} event{'' if events == 1 else 's'}, {bars:,} bar{'' if bars == 1 else 's'}"

    @classmethod
    @renderer(renderer_type=LegacyDiagnosticRendererType.UNEXPECTED_TABLE)  # type: ignore[untyped-decorator]
    def _diagnostic_unexpected_table_renderer(cls, result: Any = None, **_: Any) -> list[Any] | None:
        rows = result.result["worst"]
        if not rows:
            return None
        styling = {"body": {"classes": ["table", "table-sm"]}}
        return [RenderedTableContent(
            content_block_type="table", header_row=list(WORST_HEADS), table=[list(row) for row in rows],
            styling=styling,
        )]  # fmt: skip


class ExpectCriterionToBeMet(BatchExpectation):  # type: ignore[misc]
    """Expect that a score of the symbol meets the profile's criterion; unknown scores do not."""

    criterion: str
    """As the profile states it: metric, comparison, threshold."""

    metric_dependencies = (FINDINGS,)
    success_keys = ("criterion",)
    args_keys = ("criterion",)
    library_metadata: ClassVar[dict[str, Any]] = {"tags": ["airlock"], "requirements": []}

    def _validate(self, metrics: Mapping[str, Any], **_: Any) -> dict[str, Any]:
        line = _line(metrics, self.criterion)
        return {"success": line["holds"] is True, "result": {"observed_value": str(line["observed"])}}

    @classmethod
    @renderer(renderer_type=LegacyRendererType.PRESCRIPTIVE)  # type: ignore[untyped-decorator]
    def _prescriptive_renderer(
        cls, configuration: Any = None, runtime_configuration: Any = None, **_: Any
    ) -> list[Any]:
        wanted = {"criterion": str(configuration.kwargs["criterion"])}
        return _statement("must meet the criterion $criterion", wanted, (runtime_configuration or {}).get("styling"))

    @classmethod
    @renderer(renderer_type=LegacyDiagnosticRendererType.OBSERVED_VALUE)  # type: ignore[untyped-decorator]
    def _diagnostic_observed_value_renderer(cls, result: Any = None, **_: Any) -> str:
        return str(result.result["observed_value"])


def own_expectations(criteria: Sequence[str]) -> list[Any]:
    """One expectation for each criterion (critical: they decide) and each rule of the gate (warnings: they explain)."""
    met = [ExpectCriterionToBeMet(criterion=text, severity=FailureSeverity.CRITICAL) for text in criteria]
    held = [
        ExpectRuleToHold(rule=rule.value, meaning=rule.description, severity=FailureSeverity.WARNING)
        for rule in DataRule
    ]
    return [*met, *held]
