"""Drift between a simulation and the backtest of the same bars."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal

import pytest

from include.backtesting.kernel import simulate
from include.backtesting.trades import Trades, trades_of, trades_of_ledger
from include.domain.enums import Liquidity
from include.domain.errors import DataError
from include.domain.orders import Fill
from include.qualification.criterion import Measurement
from include.validators.drift import Drift, measure_drift
from tests.unit.fill_rule_cases import CASES, COIN, MINUTE, FillCase

CASE = next(case for case in CASES if case.name.startswith("a target still held after a stop"))
ROUND_TRIP = CASES[0]


def simulated(case: FillCase, *, late_secs: int = 0, worse: str = "0") -> Trades:
    """A ledger's view of the case's fills: venue times inside the bar, exits possibly worse."""
    fills = [
        Fill(
            str(k), "al-x", "COIN/USDT", f.side, f.quantity,
            f.price - (Decimal(worse) if k % 2 else 0), Decimal(0), Liquidity.TAKER,
            case.time_of(f) + timedelta(seconds=late_secs),
        )
        for k, f in enumerate(case.fills)
    ]  # fmt: skip
    return trades_of_ledger(fills, COIN)


def backtested(case: FillCase) -> Trades:
    return trades_of(simulate(case.bars(), case.signals(), case.instrument, case.allocation))


def drift(ours: Trades, theirs: Trades, **sharpe: Measurement | None) -> Drift:
    values = {"simulated_sharpe": Measurement(2.0, samples=7), "backtest_sharpe": Measurement(2.5, samples=7), **sharpe}
    return measure_drift({"COIN/USDT": ours}, {"COIN/USDT": theirs}, {"COIN/USDT": COIN}, MINUTE, **values)


def test_equal_trades_are_full_parity_wherever_inside_the_bar_they_filled() -> None:
    found = drift(simulated(ROUND_TRIP, late_secs=59), backtested(ROUND_TRIP))
    assert found.metrics["trade_parity"] == Measurement(1.0, samples=1)
    assert found.metrics["win_rate_drift"].value == 0.0
    assert found.metrics["sharpe_drift"].value == pytest.approx(0.2)
    assert (found.differing, found.only_simulated, found.only_backtest) == (0, (), ())


def test_one_tick_of_difference_is_listed_on_both_sides() -> None:
    found = drift(simulated(ROUND_TRIP, worse="0.1"), backtested(ROUND_TRIP))
    assert found.metrics["trade_parity"].value == 0.0
    assert found.differing == 2
    (ours,), (theirs,) = found.only_simulated, found.only_backtest
    assert "at 102.7" in ours and "at 102.8" in theirs
    assert "long 10.000 from 2024-01-01T00:01:00Z at 100.1" in theirs


def test_a_trade_a_bar_late_is_another_trade() -> None:
    assert drift(simulated(ROUND_TRIP, late_secs=60), backtested(ROUND_TRIP)).metrics["trade_parity"].value == 0.0


def test_a_missing_trade_lowers_parity_and_moves_the_win_rate() -> None:
    found = drift(trades_of_ledger([], COIN), backtested(ROUND_TRIP))
    assert found.metrics["trade_parity"] == Measurement(0.0, samples=1)
    assert found.metrics["win_rate_drift"].value is None  # one side has no win rate: never a pass


def test_no_trades_at_all_have_no_parity() -> None:
    nothing = trades_of_ledger([], COIN)
    assert drift(nothing, nothing).metrics["trade_parity"].value is None


@pytest.mark.parametrize(
    ("ours", "theirs"), [(None, Measurement(1.0)), (Measurement(1.0), None), (Measurement(None), Measurement(1.0)),
                         (Measurement(1.0), Measurement(0.0))],
)  # fmt: skip
def test_a_sharpe_that_one_side_could_not_measure_has_no_drift(
    ours: Measurement | None, theirs: Measurement | None
) -> None:
    found = drift(simulated(CASE), backtested(CASE), simulated_sharpe=ours, backtest_sharpe=theirs)
    assert found.metrics["sharpe_drift"].value is None


def test_sides_that_cover_different_symbols_are_not_compared() -> None:
    with pytest.raises(DataError, match="simulated"):
        measure_drift({}, {"COIN/USDT": backtested(CASE)}, {}, MINUTE, simulated_sharpe=None, backtest_sharpe=None)
