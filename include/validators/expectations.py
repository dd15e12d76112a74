"""The part of the data gate that Great Expectations judges: one suite, run once a symbol on a pandas frame.

Where GX has the expectation it gives the verdict and the numpy rule only says where; both must agree
(`data_quality`), so neither implementation can pass alone what the other refuses. Results are kept at SUMMARY:
COMPLETE costs megabytes a symbol. Rules that GX has no expectation for are in `rule_expectations`.
"""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from numpy.typing import NDArray

from include.domain.bars import BAR_COLUMNS, PRICE_COLUMNS
from include.domain.errors import DataError
from include.domain.reason_codes import DataRule

RESULT_FORMAT = "SUMMARY"


@dataclass(frozen=True, slots=True)
class ExpectationResult:
    """Outcome of one expectation on one symbol."""

    rule: DataRule
    expectation: str
    columns: tuple[str, ...]
    success: bool
    unexpected: int
    """Rows that broke it; 0 for expectations on the table."""
    outcome: Any = field(default=None, repr=False, compare=False)
    """The library's own result, for its Data Docs."""

    def document(self) -> dict[str, Any]:
        return {
            "rule": self.rule.value, "expectation": self.expectation, "columns": list(self.columns),
            "success": self.success, "unexpected": self.unexpected,
        }  # fmt: skip


def quiet_context(**arguments: Any) -> Any:
    """A context of Great Expectations that sends no analytics, draws no progress bars and logs warnings only.

    Args:
        arguments: of `great_expectations.get_context`. The import alone takes seconds.
    """
    os.environ["GX_ANALYTICS_ENABLED"] = "false"
    # Each step of building a context is logged at INFO, which would bury the verdict in a task's log.
    logging.getLogger("great_expectations").setLevel(logging.WARNING)
    import great_expectations as gx
    from great_expectations.data_context.types.base import ProgressBarsConfig

    context = gx.get_context(**arguments)
    context.enable_analytics(False)
    context.variables.progress_bars = ProgressBarsConfig(globally=False)
    return context


class ExpectationSuite:
    """The suite on an ephemeral context. Importing GX takes seconds: build it once."""

    def __init__(self) -> None:
        context = quiet_context(mode="ephemeral")
        import great_expectations as gx

        asset = context.data_sources.add_pandas("lake").add_dataframe_asset("rows")
        self._batches = asset.add_batch_definition_whole_dataframe("window")
        self._suite = gx.ExpectationSuite("bars", expectations=row_expectations())

    def validate(self, columns: Mapping[str, NDArray[Any]]) -> tuple[ExpectationResult, ...]:
        """Judge the rows of one symbol.

        Args:
            columns: `open_time` int64 and float64 prices and volume, shape (n,) each; extras are ignored.

        Raises:
            DataError: an expectation could not be evaluated; nothing is concluded from the others then.
        """
        import pandas as pd

        frame = pd.DataFrame({name: columns[name] for name in BAR_COLUMNS if name in columns}, copy=False)
        batch = self._batches.get_batch(batch_parameters={"dataframe": frame})
        return tuple(_result(r) for r in batch.validate(self._suite, result_format=RESULT_FORMAT).results)


def require_evaluated(outcome: Any) -> None:
    """Refuse a result of an expectation that broke instead of judging.

    Raises:
        DataError: names the expectation and what broke.
    """
    config, info = outcome.expectation_config, outcome.exception_info or {}
    broken = info if "raised_exception" in info else next(iter(info.values()), {})
    if broken.get("raised_exception"):
        where = (
            ", ".join(_columns(config)) or config.kwargs.get("rule") or config.kwargs.get("criterion") or "the table"
        )
        raise DataError(f"{config.type} on {where} could not be evaluated: {broken['exception_message']}")


def row_expectations() -> list[Any]:
    """What GX itself judges on the rows of a symbol; `meta.rule` names the rule each belongs to."""
    from great_expectations import expectations as gxe

    largest = sys.float_info.max
    rule = DataRule
    numbers = (*PRICE_COLUMNS, "volume")
    wanted: list[tuple[DataRule, Any, dict[str, Any]]] = [
        (rule.EMPTY, gxe.ExpectTableColumnsToMatchSet, {"column_set": list(BAR_COLUMNS), "exact_match": True}),
        (rule.EMPTY, gxe.ExpectTableRowCountToBeBetween, {"min_value": 1}),
        (rule.DUPLICATE_TIME, gxe.ExpectColumnValuesToBeUnique, {"column": "open_time"}),
        (rule.OUT_OF_ORDER, gxe.ExpectColumnValuesToBeIncreasing, {"column": "open_time"}),
        (rule.NEGATIVE_VOLUME, gxe.ExpectColumnValuesToBeBetween, {"column": "volume", "min_value": 0}),
    ]
    for name in numbers:
        wanted.append((rule.NON_FINITE, gxe.ExpectColumnValuesToNotBeNull, {"column": name}))
        bounds = {"column": name, "min_value": -largest, "max_value": largest}
        wanted.append((rule.NON_FINITE, gxe.ExpectColumnValuesToBeBetween, bounds))
    for name in PRICE_COLUMNS:
        positive = {"column": name, "min_value": 0, "strict_min": True}
        wanted.append((rule.NON_POSITIVE_PRICE, gxe.ExpectColumnValuesToBeBetween, positive))
    for upper, lower in (("high", "open"), ("high", "close"), ("open", "low"), ("close", "low")):
        pair = {"column_A": upper, "column_B": lower, "or_equal": True, "ignore_row_if": "either_value_is_missing"}
        wanted.append((rule.OHLC_INCONSISTENT, gxe.ExpectColumnPairValuesAToBeGreaterThanB, pair))
    return [make(**arguments, meta={"rule": code.value}) for code, make, arguments in wanted]


def _result(outcome: Any) -> ExpectationResult:
    require_evaluated(outcome)
    config = outcome.expectation_config
    unexpected = int((outcome.result or {}).get("unexpected_count") or 0)
    return ExpectationResult(
        DataRule[config.meta["rule"]], config.type, _columns(config), bool(outcome.success), unexpected, outcome
    )


def _columns(config: Any) -> tuple[str, ...]:
    return tuple(config.kwargs[k] for k in ("column", "column_A", "column_B") if k in config.kwargs)
