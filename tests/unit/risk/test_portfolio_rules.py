"""Limits of an account over all its deployments."""

from __future__ import annotations

import statistics
from dataclasses import replace
from datetime import date, timedelta
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from include.domain.reason_codes import AccountCode
from include.risk.portfolio_rules import AccountLimits, AccountSnapshot, DeploymentView, correlation, judge_account

A = AccountCode
FIRST = date(2024, 3, 1)


def returns(*values: float) -> dict[date, float]:
    return {FIRST + timedelta(days=number): value for number, value in enumerate(values)}


def deployment(name: str, **changes: Any) -> DeploymentView:
    values: dict[str, Any] = {
        "name": name, "equity": Decimal(50_000), "positions": {"BTC/USDT": Decimal(1)},
        "marks": {"BTC/USDT": Decimal(40_000)}, "daily_returns": returns(0.01, -0.02, 0.03),
    }  # fmt: skip
    return DeploymentView(**{**values, **changes})


ONE = deployment("one")
SHORT = deployment("short", positions={"ETH/USDT": Decimal(-10)}, marks={"ETH/USDT": Decimal(3_000)})
OPPOSITE = deployment("opposite", daily_returns=returns(-0.01, 0.02, -0.03))
BOTH = AccountSnapshot((ONE, SHORT), Decimal(100_000))
SECTORS = {"BTC": "one", "ETH": "two"}

CASES: list[tuple[str, AccountSnapshot, AccountLimits, tuple[AccountCode, ...]]] = [
    ("nothing asked", BOTH, AccountLimits(), ()),
    ("gross at its limit", BOTH, AccountLimits(max_gross_fraction=Decimal("0.7")), ()),
    ("gross beyond it", BOTH, AccountLimits(max_gross_fraction=Decimal("0.69")), (A.ACCOUNT_GROSS,)),
    ("net at its limit", BOTH, AccountLimits(max_net_fraction=Decimal("0.1")), ()),
    ("net beyond it", BOTH, AccountLimits(max_net_fraction=Decimal("0.09")), (A.ACCOUNT_NET,)),
    (
        "two strategies against each other are not flat",
        AccountSnapshot((ONE, replace(ONE, name="two", positions={"BTC/USDT": Decimal(-1)})), Decimal(100_000)),
        AccountLimits(max_gross_fraction=Decimal("0.79")),
        (A.ACCOUNT_GROSS,),
    ),
    ("sector at its limit", BOTH, AccountLimits(max_sector_fraction=Decimal("0.4"), sectors=SECTORS), ()),
    ("sector beyond it", BOTH, AccountLimits(max_sector_fraction=Decimal("0.39"), sectors=SECTORS),
     (A.ACCOUNT_SECTOR,)),
    ("sector unknown", BOTH, AccountLimits(max_sector_fraction=Decimal(9), sectors={"BTC": "x"}), (A.ACCOUNT_SECTOR,)),
    ("drawdown", replace(BOTH, high_water=Decimal(112_000)), AccountLimits(max_drawdown_fraction=Decimal("0.1")),
     (A.ACCOUNT_DRAWDOWN,)),
    ("less than it", replace(BOTH, high_water=Decimal(111_000)), AccountLimits(max_drawdown_fraction=Decimal("0.1")),
     ()),
    ("high-water mark unknown", replace(BOTH, high_water=None), AccountLimits(max_drawdown_fraction=Decimal("0.1")),
     (A.ACCOUNT_DRAWDOWN,)),
    ("together up, together down", BOTH, AccountLimits(max_correlation=0.8, min_days=3), (A.RETURNS_CORRELATED,)),
    ("opposite", AccountSnapshot((ONE, OPPOSITE), Decimal(1)), AccountLimits(max_correlation=0.0, min_days=3), ()),
    ("too few days to say", BOTH, AccountLimits(max_correlation=0.8, min_days=4), (A.RETURNS_CORRELATED,)),
    ("a return that is no number",
     AccountSnapshot((ONE, replace(OPPOSITE, daily_returns=returns(0.1, float("nan"), 0.2))), Decimal(1)),
     AccountLimits(max_correlation=0.8, min_days=3), (A.RETURNS_CORRELATED,)),
    ("alone", AccountSnapshot((ONE,), Decimal(1)), AccountLimits(max_correlation=0.1), ()),
    ("equity unknown", AccountSnapshot((ONE, replace(SHORT, equity=None)), Decimal(1)), AccountLimits(),
     (A.SNAPSHOT_INCOMPLETE,)),
    ("a position without a mark", AccountSnapshot((replace(ONE, marks={}),), Decimal(1)), AccountLimits(),
     (A.SNAPSHOT_INCOMPLETE,)),
    ("equity used up", AccountSnapshot((replace(ONE, equity=Decimal(0)),), Decimal(1)), AccountLimits(),
     (A.SNAPSHOT_INCOMPLETE,)),
    ("nobody", AccountSnapshot((), Decimal(1)), AccountLimits(), (A.SNAPSHOT_INCOMPLETE,)),
]  # fmt: skip


@pytest.mark.parametrize(("snapshot", "limits", "codes"), [r[1:] for r in CASES], ids=[r[0] for r in CASES])
def test_an_account_is_judged_over_all_its_deployments(
    snapshot: AccountSnapshot, limits: AccountLimits, codes: tuple[AccountCode, ...]
) -> None:
    assert tuple(reason.code for reason in judge_account(snapshot, limits)) == codes


def test_every_code_has_a_row() -> None:
    assert {code for row in CASES for code in row[3]} == set(AccountCode)


series = st.lists(st.floats(-0.1, 0.1).map(lambda value: round(value, 4)), min_size=3, max_size=30)


@given(series, st.randoms())
def test_correlation_is_the_textbook_one_and_symmetric(values: list[float], random: Any) -> None:
    first, second = returns(*values), returns(*random.sample(values, len(values)))
    found = correlation(first, second, 3)
    assert found == correlation(second, first, 3)
    if len(set(values)) == 1:
        assert found is None or abs(found) <= 1.000001
    else:
        expected = statistics.correlation(list(first.values()), list(second.values()))
        assert found == pytest.approx(expected, abs=1e-6)
