"""Seeded storms of faults: the engine's ledger ends up equal to the exchange. The long form is in benchmarks."""

from __future__ import annotations

import pytest

from include.ledger.unit_of_work import PostgresLedger
from tests.adapters.fault_campaign import compare, run_scenario
from tests.adapters.gateways import make_desk


@pytest.mark.parametrize("seed", [1, 2, 3])
async def test_whatever_goes_wrong_on_the_way_ledger_and_exchange_end_up_equal(
    ledger: PostgresLedger, seed: int
) -> None:
    result = await run_scenario(ledger, seed)
    assert result.differences == ()
    assert result.orders > 10
    assert result.strikes > 0


def test_the_comparison_can_say_no(ledger: PostgresLedger) -> None:
    desk = make_desk()
    desk.play()
    desk.order("unknown-to-us")
    desk.play()
    found = " ".join(compare(ledger, "nobody", desk.exchange.accounts["alice"]))
    for word in ("fills", "order unknown-to-us", "BTC/USDT: holds 0", "wallet"):
        assert word in found
