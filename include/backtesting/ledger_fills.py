"""A ledger's fills as the kernel's fills, so that one code measures what an engine did and what a backtest would do."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from decimal import Decimal

import numpy as np

from include.backtesting.fills import PURPOSES, Fills
from include.domain.bars import Bars
from include.domain.conversion import to_decimal
from include.domain.enums import OrderPurpose
from include.domain.errors import DataError
from include.domain.instruments import Instrument
from include.domain.orders import Fill, FundingPayment, Order
from include.domain.times import iso, to_ms


def place_fills(
    fills: Sequence[Fill],
    orders: Sequence[Order],
    bars: Bars,
    instrument: Instrument,
    funding: Sequence[FundingPayment] = (),
) -> Fills:
    """Place one symbol's fills on the bars they happened in.

    Args:
        fills: of `instrument.symbol`, in venue order.
        orders: orders of the fills (more may be given).
        funding: payments of any symbols, those of the instrument's are placed too.

    Raises:
        DataError: a fill lies outside the bars, outside its bar's range, or belongs to no order; such a trade was not
            made on this data.
    """
    purposes = {order.client_order_id: order.intent.purpose for order in orders}
    rows = [_row(fill, purposes, bars, instrument) for fill in fills]
    own = sorted((paid for paid in funding if paid.symbol == instrument.symbol), key=lambda paid: paid.paid_at)
    bar_index = np.array([row[0] for row in rows], dtype=np.int64)
    lots = np.array([int(fill.quantity / instrument.lot_size) for fill in fills], dtype=np.int64)
    lot = instrument.lot_size.as_integer_ratio()
    return Fills(
        instrument=instrument,
        bar_index=bar_index,
        time_ms=bars.open_time[bar_index],
        side=np.array([fill.side.sign for fill in fills], dtype=np.int8),
        lots=lots,
        quantity=lots * lot[0] / lot[1],
        price=np.array([float(fill.price) for fill in fills]),
        fee=np.array([float(fill.fee) for fill in fills]),
        purpose=np.array([row[1] for row in rows], dtype=np.int8),
        funding_index=np.array(
            [_bar_of(payment.paid_at, bars, f"funding {payment.payment_id}") for payment in own], np.int64
        ),
        funding_paid=np.array([-float(payment.amount) for payment in own]),
    )


def _bar_of(at: datetime, bars: Bars, what: str) -> int:
    row = int(np.searchsorted(bars.open_time, to_ms(at), side="right")) - 1
    if row < 0 or to_ms(at) >= int(bars.open_time[row]) + bars.timeframe.ms:
        raise DataError(f"{bars.symbol}: {what} at {iso(at)} lies in no bar of the data")
    return row


def _row(fill: Fill, purposes: Mapping[str, OrderPurpose], bars: Bars, instrument: Instrument) -> tuple[int, int]:
    where = f"{instrument.symbol}: fill {fill.trade_id} at {iso(fill.filled_at)}"
    row = _bar_of(fill.filled_at, bars, f"fill {fill.trade_id}")
    low = to_decimal(float(bars.low[row]), instrument.tick_size)
    high = to_decimal(float(bars.high[row]), instrument.tick_size)
    purpose = purposes.get(fill.client_order_id)
    if purpose is not OrderPurpose.LIQUIDATION and not low <= fill.price <= high:  # beyond it the insurance fund pays
        raise DataError(f"{where} at {fill.price} is outside its bar's range {low} to {high}")
    if fill.quantity % instrument.lot_size != Decimal(0):
        raise DataError(f"{where}: {fill.quantity} is no whole number of lots of {instrument.lot_size}")
    if purpose is None:
        raise DataError(f"{where} belongs to no order of the deployment")
    # A flatten is an exit that a person asked for.
    return row, PURPOSES.index(purpose if purpose in PURPOSES else OrderPurpose.EXIT)
