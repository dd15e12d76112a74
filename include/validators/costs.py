"""How much cost a candidate bears: break-even fee and slippage, found by trading it again at other costs."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from decimal import Decimal
from typing import Any

from include.backtesting.portfolio import Market, PortfolioRun
from include.backtesting.retrading import Outcome, Retrading
from include.domain.instruments import Instrument
from include.ports import Progress, no_progress
from include.qualification.criterion import Measurement
from include.strategies.protocol import Strategy

MULTIPLES = (Decimal(0), Decimal("0.5"), Decimal(1), Decimal("1.5"), Decimal(2), Decimal(3))
"""All costs at once: fees, half-spread and slippage."""
MOST_BPS = Decimal(64)
"""The search ends here: a candidate that still earns at 64 bps more a fill has nothing to fear from costs."""
STEP_BPS = Decimal("0.5")


@dataclass(frozen=True, slots=True)
class CostPoint:
    """The candidate at a multiple of its declared costs."""

    multiple: float
    net_profit: float
    trades: int


@dataclass(frozen=True, slots=True)
class CostStudy:
    """What is left at other costs.

    Attributes:
        curve: in order of the multiple.
        break_even_slippage_bps: largest additional slippage a market fill, in whole `STEP_BPS`, at which the net profit
            is still above zero. Negative where it loses at the declared costs: by so much less it would have to slip,
            and one step beyond what is declared where not even that would help. None without trades.
        break_even_fee_bps: the same for an additional fee on every fill, market or limit.
    """

    curve: tuple[CostPoint, ...]
    break_even_slippage_bps: float | None
    break_even_fee_bps: float | None

    def measurements(self) -> dict[str, Measurement]:
        """Metrics by the names of `qualification.metrics`."""
        runs = len(self.curve)
        return {
            "break_even_slippage_bps": Measurement(self.break_even_slippage_bps, samples=runs),
            "break_even_fee_bps": Measurement(self.break_even_fee_bps, samples=runs),
        }

    def document(self) -> dict[str, Any]:
        """Plain JSON for evidence and report."""
        return {**asdict(self), "curve": [asdict(point) for point in self.curve]}


def study_costs(
    strategy: Strategy, market: Market, capital: Decimal, own: PortfolioRun, progress: Progress = no_progress
) -> CostStudy:
    """Trade the same decisions at other costs; fills may differ otherwise too, since worse entries need other exits.

    Args:
        own: the run at the declared costs.
    """
    done = 0
    retrading = Retrading(market, capital)
    decisions = tuple(retrading.decide(strategy))

    def at(change: Callable[[Instrument], Instrument]) -> Outcome:
        nonlocal done
        done += 1
        progress(min(0.99, done / 20), f"costs, run {done}")
        return retrading.trade(decisions, market.with_instruments(change).instruments)

    def point(multiple: Decimal) -> CostPoint:
        if multiple == 1:
            return CostPoint(1.0, own_profit, len(own.trades))
        outcome = at(lambda i: scaled(i, multiple))
        return CostPoint(float(multiple), outcome.net_profit, outcome.trades)

    own_profit = float(own.curve.profit[-1])
    curve = tuple(point(multiple) for multiple in MULTIPLES)
    if not len(own.trades):
        return CostStudy(curve, None, None)
    slips = max(i.half_spread_bps + i.slippage_bps for i in market.instruments)
    fees = max(max(i.maker_fee_rate, i.taker_fee_rate) for i in market.instruments) * 10_000
    return CostStudy(
        curve,
        _break_even(lambda bps: at(lambda i: with_slippage(i, bps)).net_profit > 0, own_profit, slips),
        _break_even(lambda bps: at(lambda i: with_fee(i, bps)).net_profit > 0, own_profit, fees),
    )


def scaled(instrument: Instrument, multiple: Decimal) -> Instrument:
    """The instrument at a multiple of all its costs."""
    return replace(
        instrument,
        maker_fee_rate=instrument.maker_fee_rate * multiple, taker_fee_rate=instrument.taker_fee_rate * multiple,
        half_spread_bps=instrument.half_spread_bps * multiple, slippage_bps=instrument.slippage_bps * multiple,
    )  # fmt: skip


def with_slippage(instrument: Instrument, bps: Decimal) -> Instrument:
    """The instrument with market fills that much worse; what is less comes off the slippage first, then the spread."""
    slippage = instrument.slippage_bps + bps
    spread = max(Decimal(0), instrument.half_spread_bps + min(Decimal(0), slippage))
    return replace(instrument, slippage_bps=max(Decimal(0), slippage), half_spread_bps=spread)


def with_fee(instrument: Instrument, bps: Decimal) -> Instrument:
    """The instrument with a fee that much higher on every fill; never below nothing."""
    more = bps / 10_000
    return replace(
        instrument, maker_fee_rate=max(Decimal(0), instrument.maker_fee_rate + more),
        taker_fee_rate=max(Decimal(0), instrument.taker_fee_rate + more),
    )  # fmt: skip


def _break_even(earns: Callable[[Decimal], bool], own_profit: float, declared: Decimal) -> float:
    """Largest number of steps at which it still earns, by bisection; profit is taken to fall as cost grows.

    Args:
        own_profit: without any step, known already.
        declared: bps that can be taken away.
    """
    low, high = -int(declared / STEP_BPS) - 1, int(MOST_BPS / STEP_BPS) + 1
    low, high = (0, high) if own_profit > 0 else (low, 0)
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if earns(middle * STEP_BPS) else (low, middle)
    return float(low * STEP_BPS)
