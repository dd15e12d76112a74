"""Reading and measuring symbol by symbol for the data gate; Great Expectations works beside our own rules."""

from __future__ import annotations

import json
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from datetime import datetime

from include.domain.times import Timeframe, to_ms
from include.ports import REPAIRS, UNFINISHED_BARS, MarketData, Progress
from include.qualification.profile import DataRules
from include.stages.gate_references import Columns, bar_columns, coarser_bars, reference_series
from include.validators.data_quality import SymbolQuality, measure_symbol, require_agreement
from include.validators.expectations import ExpectationResult, ExpectationSuite
from include.validators.repairs import filled_rows
from include.validators.time_zones import HalfHours, half_hours


@dataclass(frozen=True, slots=True)
class Measuring:
    """One run over one window of one venue; at most two symbols in memory at a time."""

    venue: str
    timeframe: Timeframe
    start: datetime
    end: datetime
    rules: DataRules
    market_data: MarketData
    now: datetime

    def measure(
        self, symbols: Sequence[str], progress: Progress
    ) -> tuple[str, list[SymbolQuality], tuple[HalfHours, ...]]:
        """Fingerprint before anything was read, measurements, and the series to compare times with."""
        measured: list[SymbolQuality] = []
        references: list[HalfHours] = []
        with ThreadPoolExecutor(1, "great-expectations") as beside:
            progress(0.0, "loading Great Expectations")
            suite = beside.submit(ExpectationSuite)
            fingerprint = self.market_data.fingerprint(self.venue, symbols, self.timeframe, self.start, self.end)
            waiting: tuple[SymbolQuality, Future[tuple[ExpectationResult, ...]]] | None = None
            for done, symbol in enumerate(symbols):
                progress(done / len(symbols), f"{self.venue} {symbol}")
                stored = self._stored(symbol)
                # The next symbol is read while the last one is still with Great Expectations, but no third.
                measured += _agreed(waiting)
                judged = beside.submit(_judge, suite, stored.columns)
                own, others = self._own(symbol, stored)
                references += others
                waiting = own, judged
                del stored
            measured += _agreed(waiting)
        return fingerprint, measured, tuple(references)

    def _stored(self, symbol: str) -> _Stored:
        """The rows to judge: bars that a repair filled in are left out, so that no score can rise by them."""
        table = self.market_data.rows(self.venue, symbol, self.timeframe, self.start, self.end)
        marks = table.schema.metadata or {}
        columns = bar_columns(table)
        filled = filled_rows(columns)
        if filled.any():
            columns = {name: values[~filled] for name, values in columns.items()}
        return _Stored(
            columns, json.loads(marks.get(UNFINISHED_BARS, b"[]")), tuple(json.loads(marks.get(REPAIRS, b"[]"))),
            int(filled.sum()),
        )  # fmt: skip

    def _own(self, symbol: str, stored: _Stored) -> tuple[SymbolQuality, tuple[HalfHours, ...]]:
        window = self.start, self.end
        coarser = coarser_bars(self.market_data, self.venue, symbol, self.timeframe, *window)
        quality = measure_symbol(
            symbol, stored.columns, self.timeframe, *window, self.rules, unfinished=stored.unfinished,
            now=self.now, coarser=coarser,
        )  # fmt: skip
        quality = replace(quality, repairs=stored.repairs, filled=stored.filled)
        others = reference_series(self.market_data, self.venue, symbol, self.timeframe, *window, coarser=coarser)
        return quality, tuple(
            half_hours(name, bars["open_time"], bars["close"], timeframe, to_ms(self.start), to_ms(self.end))
            for name, timeframe, bars in others
        )


# --- inside ------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Stored:
    """One symbol's rows without the bars that a repair filled in, and what the lake says about them."""

    columns: Columns
    unfinished: list[int]
    repairs: tuple[str, ...]
    filled: int


def _judge(suite: Future[ExpectationSuite], columns: Columns) -> tuple[ExpectationResult, ...]:
    return suite.result().validate(columns)


def _agreed(waiting: tuple[SymbolQuality, Future[tuple[ExpectationResult, ...]]] | None) -> list[SymbolQuality]:
    """The measurement with what Great Expectations found, once that is known; nothing while nobody waits."""
    if waiting is None:
        return []
    quality, expectations = waiting[0], waiting[1].result()
    require_agreement(quality, expectations)
    return [replace(quality, expectations=expectations)]
