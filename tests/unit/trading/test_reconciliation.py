"""The comparator: each kind of difference, from one disagreement each."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest

from include.domain.enums import Liquidity, OrderPurpose, OrderStatus, OrderType, Side
from include.domain.orders import Fill, FundingPayment, Order, OrderReport
from include.trading.reconciliation import (
    REMEDIES,
    Difference,
    DifferenceKind,
    LedgerSnapshot,
    Remedy,
    VenueSnapshot,
    compare_snapshots,
    may_resend,
    must_halt,
)
from tests.adapters.questions import BAR, NOW, SYMBOL, order

K, S = DifferenceKind, OrderStatus
RESTING = order(purpose=OrderPurpose.STOP, type=OrderType.STOP_MARKET, stop_price=Decimal(1), side=Side.SELL,
                reduce_only=True, name="al-stop")  # fmt: skip


def report(status: OrderStatus = S.ACCEPTED, filled: str = "0", key: str = "al-stop") -> OrderReport:
    return OrderReport(key, "v1", SYMBOL, status, Decimal(filled), NOW)


def fill(trade: str = "7", key: str = "al-entry") -> Fill:
    return Fill(trade, key, SYMBOL, Side.BUY, Decimal("0.1"), Decimal(50_000), Decimal(2), Liquidity.TAKER, NOW)


PAID = FundingPayment("f1", SYMBOL, Decimal("-1.5"), NOW)
LEDGER = LedgerSnapshot(
    working=(RESTING,), known_order_ids=frozenset({"al-stop", "al-entry"}), trades=frozenset({(SYMBOL, "7")}),
    payments=frozenset({(SYMBOL, "f1")}), positions={SYMBOL: Decimal("0.1")}, wallet=Decimal("99998.00"),
)  # fmt: skip
VENUE = VenueSnapshot(
    open_orders=(report(),), fills=(fill(),), funding=(PAID,), positions={SYMBOL: Decimal("0.1")},
    wallet=Decimal("99998.00"), taken_at=NOW,
)  # fmt: skip

CASES: list[tuple[str, dict[str, Any], dict[str, Any], list[DifferenceKind]]] = [
    ("nothing differs", {}, {}, []),
    ("an order ended at the venue", {}, {"open_orders": ()}, [K.ORDER_NOT_OPEN]),
    ("an order filled in part", {}, {"open_orders": (report(S.PARTIALLY_FILLED, "0.05"),)}, [K.ORDER_BEHIND]),
    ("an unknown order", {}, {"open_orders": (report(), report(key="somebody"))}, [K.ORDER_FOREIGN]),
    ("an order that we think is finished", {"working": ()}, {}, [K.ORDER_FOREIGN]),
    ("a fill we missed", {"trades": frozenset()}, {}, [K.FILL_MISSING]),
    ("a fill of another program", {}, {"fills": (fill(), fill("8", "other"))}, [K.FILL_FOREIGN]),
    ("funding we missed", {"payments": frozenset()}, {}, [K.FUNDING_MISSING]),
    ("a position we do not have", {"positions": {}}, {}, [K.POSITION]),
    ("a position the venue does not have", {}, {"positions": {}}, [K.POSITION]),
    ("a position smaller by one lot", {}, {"positions": {SYMBOL: Decimal("0.099")}}, [K.POSITION]),
    ("a wallet off by one cent", {}, {"wallet": Decimal("99998.01")}, []),
    ("a wallet off by more", {}, {"wallet": Decimal("99998.02")}, [K.WALLET]),
    ("a wallet we cannot expect", {"wallet": None}, {}, [K.WALLET]),
    ("a wallet we cannot read", {}, {"wallet": None}, [K.WALLET]),
    ("a cancel that never arrived", {"working": (replace(RESTING, status=S.PENDING_CANCEL),)}, {}, [K.ORDER_BEHIND]),
]


@pytest.mark.parametrize(("ours", "theirs", "kinds"), [c[1:] for c in CASES], ids=[c[0] for c in CASES])
def test_each_disagreement_gives_its_kind(
    ours: dict[str, Any], theirs: dict[str, Any], kinds: list[DifferenceKind]
) -> None:
    found = compare_snapshots(replace(LEDGER, **ours), replace(VENUE, **theirs))
    assert [difference.kind for difference in found] == kinds


def test_every_kind_has_a_remedy_and_a_row() -> None:
    assert set(REMEDIES) == set(K) == {kind for case in CASES for kind in case[3]}


def test_differences_are_sorted_whatever_the_order_of_the_snapshots() -> None:
    theirs = replace(VENUE, open_orders=(report(key="b"), report(key="a")), wallet=Decimal(0))
    found = compare_snapshots(LEDGER, theirs)
    assert list(found) == sorted(found)


@pytest.mark.parametrize("kind", list(K))
def test_only_what_has_no_other_remedy_halts(kind: DifferenceKind) -> None:
    assert must_halt([Difference(kind, "x", "a", "b")]) is (REMEDIES[kind] is Remedy.HALT)


RESENDS: list[tuple[str, Order, Decimal, bool]] = [
    ("an entry of the last bar", order(), Decimal(0), True),
    ("an entry of an earlier bar", order(bar_time=BAR - timedelta(minutes=1)), Decimal(0), False),
    ("an exit of the last bar", order(purpose=OrderPurpose.EXIT, side=Side.SELL, reduce_only=True), Decimal(1), True),
    ("a stop whose position is there", RESTING, Decimal("0.1"), True),
    ("a stop whose position is gone", RESTING, Decimal(0), False),
    ("a stop whose position turned round", RESTING, Decimal("-0.1"), False),
]


@pytest.mark.parametrize(("lost", "position", "resend"), [c[1:] for c in RESENDS], ids=[c[0] for c in RESENDS])
def test_an_order_that_never_arrived_is_sent_again_only_while_it_means_something(
    lost: Order, position: Decimal, resend: bool
) -> None:
    assert may_resend(lost, last_bar_time=BAR, position=position) is resend
