"""An answer that does not come is never a refusal: the order may be there, and mostly it is."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass
from decimal import Decimal

import pytest

from include.domain.enums import OrderStatus, Side
from include.domain.errors import OutcomeUnknownError, RejectedError, RetryableError
from include.venues.ccxt_venue import CcxtVenue
from tests.adapters.memory_market import MINUTE
from tests.adapters.relay import Fault, Relay, relay_to
from tests.integration.venues.sandbox import ALICE, SYMBOLS, Running, order, running

LOSSES = [Fault.SWALLOW, Fault.CUT, Fault.GARBLE]


@dataclass(frozen=True, slots=True)
class Line:
    """A venue that talks to a sandbox over a network that can be spoilt."""

    sandbox: Running
    relay: Relay
    venue: CcxtVenue


@pytest.fixture
async def line() -> AsyncIterator[Line]:
    async with running() as sandbox, relay_to(sandbox.url) as relay:
        venue = CcxtVenue(relay.url, ALICE.key, ALICE.secret, timeout_ms=500)
        await venue.connect(SYMBOLS, MINUTE)
        yield Line(sandbox, relay, venue)
        await venue.close()


@pytest.mark.parametrize("fault", LOSSES)
async def test_a_submission_whose_answer_is_lost_is_unknown_and_found_by_its_id(line: Line, fault: Fault) -> None:
    line.relay.fault = fault
    with pytest.raises(OutcomeUnknownError):
        await line.venue.submit(order("entry", Side.BUY, "1"))
    line.relay.fault = Fault.NONE
    found = await line.venue.find_order("BTC/USDT", "entry")
    assert found is not None
    assert found.status is OrderStatus.ACCEPTED


@pytest.mark.parametrize("fault", LOSSES)
async def test_sending_again_under_the_same_id_never_doubles_an_order(line: Line, fault: Fault) -> None:
    line.relay.fault = fault
    with pytest.raises(OutcomeUnknownError):
        await line.venue.submit(order("entry", Side.BUY, "1"))
    line.relay.fault = Fault.NONE
    with pytest.raises(RejectedError) as refused:
        await line.venue.submit(order("entry", Side.BUY, "1"))
    assert refused.value.code == "-4116"
    await line.sandbox.advance()
    assert [position.quantity for position in await line.venue.positions()] == [Decimal(1)]


@pytest.mark.parametrize("fault", LOSSES)
async def test_a_cancel_whose_answer_is_lost_is_unknown(line: Line, fault: Fault) -> None:
    limit = order("limit", Side.BUY, "1", limit="50.0")
    await line.venue.submit(limit)
    line.relay.fault = fault
    with pytest.raises(OutcomeUnknownError):
        await line.venue.cancel(limit)
    line.relay.fault = Fault.NONE
    found = await line.venue.find_order("BTC/USDT", "limit")
    assert found is not None
    assert found.status is OrderStatus.CANCELED


@pytest.mark.parametrize("fault", LOSSES)
async def test_a_question_whose_answer_is_lost_may_be_asked_again(line: Line, fault: Fault) -> None:
    line.relay.fault = fault
    with pytest.raises(RetryableError):
        await line.venue.positions()
    with pytest.raises(RetryableError):
        await line.venue.find_order("BTC/USDT", "entry")
    line.relay.fault = Fault.NONE
    assert await line.venue.positions() == []


async def test_an_exchange_that_has_gone_away_received_nothing(line: Line) -> None:
    await line.relay.close()
    lost = CcxtVenue("http://127.0.0.1:9", ALICE.key, ALICE.secret)
    with pytest.raises(RetryableError):
        await lost.connect(SYMBOLS, MINUTE)
