"""The smallest order, placed far from the market and cancelled: proof that an account can trade before it has to.

The only use of `Venue.submit` besides order manager and kill switch. It goes around the risk gate because a new live
account is HALTED and has no engine yet, and it is safe without: minimum notional, a limit that the market would
have to fall to, cancelled at once, audited before it is sent. Were it ever left over, reconciliation would meet a
foreign order and halt.
"""

from __future__ import annotations

from decimal import ROUND_DOWN, ROUND_UP, Decimal

from include.domain.deployments import Deployment
from include.domain.enums import OrderPurpose, OrderStatus, OrderType, Side
from include.domain.errors import RejectedError
from include.domain.instruments import Instrument
from include.domain.orders import Intent, Order
from include.ports import Ledger, Venue
from include.trading.order_manager import new_order

DISTANCE = Decimal("0.03")
"""Below the market: far enough not to fill within a moment, near enough for the price bands of venues."""
_HEADROOM = Decimal("1.05")


def build_probe(deployment: Deployment, instrument: Instrument, last_close: Decimal, sequence: int) -> Intent:
    """Smallest buy limit that the venue accepts, `DISTANCE` below the last close."""
    raw = last_close * (1 - DISTANCE)
    price = (raw / instrument.tick_size).to_integral_value(rounding=ROUND_DOWN) * instrument.tick_size
    lots = (instrument.min_notional * _HEADROOM / price / instrument.lot_size).to_integral_value(rounding=ROUND_UP)
    return Intent(
        deployment_id=deployment.id,
        symbol=instrument.symbol,
        bar_time=deployment.created_at,
        purpose=OrderPurpose.ENTRY,
        side=Side.BUY,
        type=OrderType.LIMIT,
        quantity=max(lots, Decimal(1)) * instrument.lot_size,
        reference_price=last_close,
        price=price,
        sequence=sequence,
    )


async def place_and_cancel(ledger: Ledger, venue: Venue, deployment: Deployment, instrument: Instrument) -> Order:
    """Send the probe, see it working, cancel it, see it gone.

    Raises:
        RejectedError: the venue refused it, filled it, or kept it.
        RetryableError, OutcomeUnknownError: the venue did not answer; look for the order there before going on.
    """
    last = await venue.history(instrument.symbol, 1)
    if not last:
        raise RejectedError(f"{instrument.symbol}: the venue has no finished bar to measure the probe against")
    at = await venue.server_time()
    with ledger.begin() as work:
        earlier = len(work.audit.of_subject(deployment.id, "probe.sent"))
        # Far above any sequence an engine uses, so that the ids never meet.
        order = new_order(build_probe(deployment, instrument, last[-1].close, 1_000_000 + earlier), at)
        work.audit.record(
            "go-live", "probe.sent", deployment.id,
            {
                "client_order_id": order.client_order_id, "symbol": instrument.symbol,
                "quantity": order.intent.quantity, "price": order.intent.price,
            },
        )  # fmt: skip
        work.commit()
    accepted = await venue.submit(order)
    canceled = await venue.cancel(order)
    if canceled.status is not OrderStatus.CANCELED or canceled.filled_quantity:
        raise RejectedError(
            f"{instrument.symbol}: probe {order.client_order_id} ended {canceled.status.value} with "
            f"{canceled.filled_quantity} filled (accepted as {accepted.status.value}); look at the account"
        )
    return order
