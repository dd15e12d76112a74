"""The part of the data gate that Great Expectations judges: one suite, run once a symbol on a pandas frame.

Where GX has the expectation it gives the verdict and the numpy rule only says where; both must agree
(`data_quality`), so neither implementation can pass alone what the other refuses. Results are kept at SUMMARY:
COMPLETE costs megabytes a symbol.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass
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

    def document(self) -> dict[str, Any]:
        return {
            "rule": self.rule.value, "expectation": self.expectation, "columns": list(self.columns),
            "success": self.success, "unexpected": self.unexpected,
        }  # fmt: skip


class ExpectationSuite:
    """The suite on an ephemeral context, analytics and progress bars off. Importing GX takes seconds: build it once."""

    def __init__(self) -> None:
        os.environ.setdefault("GX_ANALYTICS_ENABLED", "false")
        import great_expectations as gx
        from great_expectations.data_context.types.base import ProgressBarsConfig

        context = gx.get_context(mode="ephemeral")
        context.enable_analytics(False)
        context.variables.progress_bars = ProgressBarsConfig(globally=False)
        asset = context.data_sources.add_pandas("lake").add_dataframe_asset("rows")
        self._batches = asset.add_batch_definition_whole_dataframe("window")
        self._suite = gx.ExpectationSuite("bars", expectations=_expectations())

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


def _expectations() -> list[Any]:
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
    config = outcome.expectation_config
    arguments = config.kwargs
    columns = tuple(arguments[k] for k in ("column", "column_A", "column_B") if k in arguments)
    info = outcome.exception_info or {}
    broken = info if "raised_exception" in info else next(iter(info.values()), {})
    if broken.get("raised_exception"):
        raise DataError(f"{config.type} on {', '.join(columns)} could not be evaluated: {broken['exception_message']}")
    unexpected = int((outcome.result or {}).get("unexpected_count") or 0)
    return ExpectationResult(DataRule[config.meta["rule"]], config.type, columns, bool(outcome.success), unexpected)
