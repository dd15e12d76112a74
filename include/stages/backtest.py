"""Stage BACKTEST: trade a candidate on history by the fill rule and measure everything the profiles ask for.

The books are kept twice, by our kernel and by vectorbt; if they disagree the verdict is ERROR. So is it when strategy
or data break: this stage never raises for their sake. Recording the evidence and counting the trial is the caller's.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import asdict, dataclass
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np

from include.backtesting.equity import DailyEquity, ProfitCurve, daily_equity, profit_curve, total_profit
from include.backtesting.fills import Fills
from include.backtesting.metrics import Account, measure_trading
from include.backtesting.portfolio import candidate_instrument
from include.backtesting.reference import (
    Books,
    SymbolBooks,
    differences,
    load_reference,
    own_books,
    reference_books,
    reference_symbol,
)
from include.backtesting.run import SymbolRun, history_start, run_symbol
from include.backtesting.trades import Trades, merge_trades, trades_of, write_trades
from include.domain.enums import Stage
from include.domain.errors import AirlockError, ConfigurationError
from include.domain.fill_rule import symbol_allocation
from include.domain.times import iso
from include.ports import MarketData, Progress, no_progress
from include.qualification.candidate import Candidate
from include.qualification.criterion import Measurement
from include.qualification.evidence import Evidence, build_evidence
from include.qualification.profile import Profile
from include.strategies.protocol import Strategy, load_strategy
from include.validators.causality import check_causality
from include.validators.future_bars import refuse_future_bars
from include.validators.signal_rows import SignalCheck
from include.validators.warmup import check_warmup

TRADES_FILE = "backtest-trades.parquet"
NOT_MODELLED = "leverage brackets, cross margin and the order book beyond a share of each bar's volume are not modelled"


@dataclass(frozen=True, slots=True)
class SymbolResult:
    """One symbol's share of the result; the bars themselves are let go."""

    bars: int
    fills: Fills
    trades: Trades
    causality: SignalCheck
    warmup: SignalCheck


@dataclass(frozen=True, slots=True)
class Played:
    """Everything that happened, before it is judged."""

    symbols: tuple[SymbolResult, ...]
    trades: Trades
    daily: DailyEquity
    metrics: Mapping[str, Measurement]
    own: Books
    reference: Books


@dataclass(frozen=True, slots=True)
class BacktestResult:
    """Evidence and, unless the measurement broke, what stands behind it."""

    evidence: Evidence
    played: Played | None


def run_backtest(
    candidate: Candidate,
    profile: Profile,
    start: datetime,
    end: datetime,
    market_data: MarketData,
    *,
    now: datetime,
    progress: Progress = no_progress,
    report_dir: Path | None = None,
) -> BacktestResult:
    """Backtest a candidate on [start, end) with the profile's capital, and judge it.

    Bars before `start` warm the strategy up where the lake has them. The whole capital is the profile's
    `initial_capital`, split equally over the symbols.

    Args:
        report_dir: where to write the trades as Parquet (an artefact of the evidence); nowhere when None.

    Raises:
        ConfigurationError: `report_dir` cannot be written.
    """
    window = {"from": iso(start), "to": iso(end), "venue": candidate.venue, "symbols": list(candidate.symbols)}
    synthetic = market_data.is_synthetic(candidate.venue)
    fingerprint = ""
    try:
        refuse_future_bars(market_data, candidate, end, now)
        fingerprint = market_data.fingerprint(candidate.venue, candidate.symbols, candidate.timeframe, start, end)
        played = play(candidate, profile, start, end, market_data, progress=progress)
    except AirlockError as error:
        evidence = build_evidence(
            candidate=candidate, stage=Stage.BACKTEST, profile=profile, fingerprint=fingerprint, measured_at=now,
            metrics={}, synthetic=synthetic, details={"window": window}, error=str(error),
        )  # fmt: skip
        return BacktestResult(evidence, None)
    disagreements = differences(played.own, played.reference)
    evidence = build_evidence(
        candidate=candidate, stage=Stage.BACKTEST, profile=profile, fingerprint=fingerprint, measured_at=now,
        metrics=played.metrics, synthetic=synthetic, details={"window": window, **_details(candidate, profile, played)},
        artefacts=_write_artefacts(report_dir, played.trades),
        error="kernel and vectorbt disagree: " + "; ".join(disagreements) if disagreements else "",
    )  # fmt: skip
    return BacktestResult(evidence, played)


def play(
    candidate: Candidate,
    profile: Profile,
    start: datetime,
    end: datetime,
    market_data: MarketData,
    *,
    progress: Progress = no_progress,
) -> Played:
    """Trade, keep both books and measure, without judging.

    Raises:
        AirlockError: the strategy or the data cannot be used; one line says why.
    """
    capital = Decimal(repr(profile.initial_capital))
    allocation = symbol_allocation(capital, len(candidate.symbols))
    seed = int(candidate.id[:8], 16)
    parts: list[SymbolResult] = []
    jobs: list[Future[SymbolBooks]] = []
    total: ProfitCurve | None = None
    strategy = load_strategy(candidate.strategy, candidate.params)
    # The second thread loads vectorbt (ten seconds of imports) and keeps its books while this one trades.
    with ThreadPoolExecutor(1) as second:
        second.submit(load_reference)
        for symbol in candidate.symbols:
            progress(0.6 * len(parts) / len(candidate.symbols), f"trading {symbol}")
            first = history_start(start, candidate.timeframe, strategy)
            history = market_data.bars(candidate.venue, symbol, candidate.timeframe, first, end)
            instrument = candidate_instrument(market_data, candidate, symbol)
            run = run_symbol(strategy, history, start, instrument, allocation)
            total = total_profit(total, profit_curve(run.bars, run.fills))
            books_input = (run.bars.open_time, run.bars.close, candidate.timeframe, run.fills, float(capital))
            jobs.append(second.submit(reference_symbol, *books_input))
            parts.append(_examine(strategy, run, seed))
        books: list[SymbolBooks] = []
        for job in jobs:
            progress(0.6 + 0.4 * len(books) / len(jobs), "checking the books against vectorbt")
            books.append(job.result())
    progress(1.0, "done")
    assert total is not None  # noqa: S101 (a candidate has at least one symbol)
    return _assemble(candidate, float(capital), parts, total, books, seed)


def _examine(strategy: Strategy, run: SymbolRun, seed: int) -> SymbolResult:
    instrument = run.fills.instrument
    return SymbolResult(
        len(run.bars), run.fills, trades_of(run.fills),
        check_causality(strategy, run.history, run.signals, instrument, seed=seed),
        check_warmup(strategy, run.history, run.signals, instrument, seed=seed),
    )  # fmt: skip


def _assemble(
    candidate: Candidate,
    capital: float,
    parts: list[SymbolResult],
    total: ProfitCurve,
    books: list[SymbolBooks],
    seed: int,
) -> Played:
    trades = merge_trades(part.trades for part in parts)
    fees = float(sum(part.fills.fee.sum() for part in parts))
    account = Account(
        capital=capital, timeframe=candidate.timeframe, trades=trades, curve=total, fees=fees,
        bars=sum(part.bars for part in parts),
        notional=sum(part.fills.notional for part in parts),
        funding=float(sum(part.fills.funding_paid.sum() for part in parts)),
        liquidations=sum(part.fills.liquidations for part in parts),
    )  # fmt: skip
    metrics = {
        **measure_trading(account, seed=seed),
        "lookahead_rows": _count([part.causality for part in parts]),
        "warmup_mismatches": _count([part.warmup for part in parts]),
    }
    reference_total: ProfitCurve | None = None
    for book in books:
        reference_total = total_profit(reference_total, book.curve)
    assert reference_total is not None  # noqa: S101 (as many books as symbols)
    return Played(
        tuple(parts), trades, daily_equity(total, capital), MappingProxyType(metrics),
        own_books(trades, fees, total, capital), reference_books(books, reference_total, capital),
    )  # fmt: skip


def _count(checks: list[SignalCheck]) -> Measurement:
    """Differing rows of all symbols; no value when a symbol gave nothing to compare."""
    compared = sum(check.compared for check in checks)
    differing = sum(check.differing for check in checks)
    return Measurement(float(differing) if all(check.compared for check in checks) else None, samples=compared)


def _details(candidate: Candidate, profile: Profile, played: Played) -> dict[str, Any]:
    return {
        "initial_capital": profile.initial_capital,
        "bootstrap_seed": int(candidate.id[:8], 16),
        "open_trades": played.trades.open_trades,
        "books": {"kernel": asdict(played.own), "vectorbt": asdict(played.reference)},
        "not_modelled": "; ".join([NOT_MODELLED, *_unknown_margins(played)]),
        "symbols": {part.fills.symbol: _symbol_details(part) for part in played.symbols},
    }


def _unknown_margins(played: Played) -> list[str]:
    """What is left out because the venue declares no maintenance margin for a leveraged symbol."""
    instruments = [part.fills.instrument for part in played.symbols]
    bare = [i.symbol for i in instruments if i.leverage > 1 and not i.maintenance_margin_rate]
    return (
        [f"no maintenance margin rate is declared for {', '.join(bare)}: liquidated only when all margin is used up"]
        if bare
        else []
    )


def _symbol_details(part: SymbolResult) -> dict[str, Any]:
    pnl = part.trades.pnl
    return {
        "bars": part.bars,
        "trades": len(pnl),
        "win_rate": float(np.mean(pnl > 0)) if len(pnl) else None,
        "net_profit_closed": float(pnl.sum()),
        "fees": float(part.fills.fee.sum()),
        "funding": float(part.fills.funding_paid.sum()),
        "liquidations": part.fills.liquidations,
        "lookahead": asdict(part.causality),
        "warmup": asdict(part.warmup),
    }


def _write_artefacts(folder: Path | None, trades: Trades) -> dict[str, str]:
    if folder is None:
        return {}
    path = folder / TRADES_FILE
    try:
        write_trades(trades, path)
        return {TRADES_FILE: hashlib.sha256(path.read_bytes()).hexdigest()}
    except OSError as error:
        raise ConfigurationError(
            f"{path}: trades cannot be written ({error.strerror}); check space and rights"
        ) from None
