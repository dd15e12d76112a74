"""The shared formulas of the fill rule, and the table of cases played with them alone."""

from decimal import Decimal

import pytest

from include.domain import fill_rule
from include.domain.enums import OrderType, Side
from tests.adapters.decimal_executor import play
from tests.unit.fill_rule_cases import CASES, COIN, FillCase


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_the_formulas_alone_give_the_fills_of_the_table(case: FillCase) -> None:
    rates = case.bars().extras.get("funding_rate")
    played = play(case.decimal_bars(), case.signals(), case.instrument, case.allocation, case.timeframe, rates)
    assert (played.fills, played.funding) == (case.fills, case.funding)


def test_case_names_are_unique_sentences() -> None:
    assert len({case.name for case in CASES}) == len(CASES)


@pytest.mark.parametrize(
    ("capital", "symbols", "share"), [("800000", 5, "160000.00"), ("100", 3, "33.33"), ("0.05", 3, "0.01")]
)
def test_the_allocation_is_an_equal_share_rounded_down_to_the_cent(capital: str, symbols: int, share: str) -> None:
    assert fill_rule.symbol_allocation(Decimal(capital), symbols) == Decimal(share)


@pytest.mark.parametrize(
    ("allocation", "weight", "close", "quantity"),
    [
        ("1000", "1", "101", "9.900"),
        ("1000", "0.7", "70", "10.000"),
        ("1000", "0.00499999", "100", "0.050"),  # the weight counts as 0.005000
        ("1000", "0.004", "100", "0"),  # 4 is below the minimum notional of 5
        ("33.339", "1", "100", "0.333"),  # the third decimal of money does not count
    ],
)
def test_entry_quantity(allocation: str, weight: str, close: str, quantity: str) -> None:
    assert fill_rule.entry_quantity(COIN, Decimal(allocation), Decimal(weight), Decimal(close)) == Decimal(quantity)


@pytest.mark.parametrize(
    ("reference", "side", "low", "high", "price"),
    [
        ("100", Side.BUY, "90", "110", "100.1"),
        ("100", Side.SELL, "90", "110", "99.9"),
        ("100.1", Side.BUY, "90", "110", "100.3"),  # 100.2001 rounds up
        ("100.1", Side.SELL, "90", "110", "99.9"),  # 99.9999 rounds down
        ("100", Side.BUY, "90", "100", "100"),
        ("100", Side.SELL, "100", "110", "100"),
    ],
)
def test_market_prices_are_worse_by_the_cost_but_inside_the_bar(
    reference: str, side: Side, low: str, high: str, price: str
) -> None:
    assert fill_rule.market_price(COIN, Decimal(reference), side, Decimal(low), Decimal(high)) == Decimal(price)


@pytest.mark.parametrize(
    ("order_type", "side", "price", "reached"),
    [
        (OrderType.STOP_MARKET, Side.SELL, "100", True),
        (OrderType.STOP_MARKET, Side.SELL, "100.1", False),
        (OrderType.STOP_MARKET, Side.BUY, "100", True),
        (OrderType.STOP_MARKET, Side.BUY, "99.9", False),
        (OrderType.LIMIT, Side.SELL, "100", True),
        (OrderType.LIMIT, Side.SELL, "99.9", False),
        (OrderType.LIMIT, Side.BUY, "100", True),
        (OrderType.LIMIT, Side.BUY, "100.1", False),
    ],
)
def test_touching_a_level_of_100_is_enough(order_type: OrderType, side: Side, price: str, reached: bool) -> None:
    assert fill_rule.is_reached(order_type, side, Decimal(100), Decimal(price)) is reached


def test_a_bar_visits_its_low_first_when_it_does_not_fall() -> None:
    assert fill_rule.path(Decimal(5), Decimal(9), Decimal(1), Decimal(5)) == (5, 1, 9, 5)
    assert fill_rule.path(Decimal(5), Decimal(9), Decimal(1), Decimal(4)) == (5, 9, 1, 4)


def test_orders_met_on_one_leg_are_ordered_by_distance() -> None:
    waypoints = fill_rule.path(Decimal(100), Decimal(110), Decimal(90), Decimal(105))
    near = fill_rule.touch_point(OrderType.LIMIT, Side.BUY, Decimal(95), waypoints)
    far = fill_rule.touch_point(OrderType.STOP_MARKET, Side.SELL, Decimal(91), waypoints)
    later = fill_rule.touch_point(OrderType.LIMIT, Side.SELL, Decimal(101), waypoints)
    assert near is not None and far is not None and later is not None
    assert near < far < later
    assert fill_rule.touch_point(OrderType.LIMIT, Side.SELL, Decimal(111), waypoints) is None
