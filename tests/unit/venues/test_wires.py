"""Messages of the exchanges, in the shapes that their documentation shows, read into our values."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from include.domain.enums import Liquidity, OrderStatus, Side
from include.domain.ids import is_liquidation
from include.domain.orders import FundingPayment, OrderReport
from include.venues import binance_wire, bybit_wire, spot_wire
from include.venues.ccxt_streams import Streams
from include.venues.dialect import Market
from include.venues.dialects import DIALECTS

BTC = Market("BTCUSDT", "BTC/USDT", "BTC/USDT:USDT", "BTC", "USDT", {})
MARKETS = {"BTCUSDT": BTC}

SPOT_TRADE: dict[str, Any] = {
    "e": "executionReport", "E": 1499405658658, "s": "BTCUSDT", "c": "ours", "S": "BUY", "o": "LIMIT", "f": "GTC",
    "q": "1.00000000", "p": "0.10264410", "P": "0.00000000", "F": "0.00000000", "g": -1, "C": "", "x": "TRADE",
    "X": "PARTIALLY_FILLED", "r": "NONE", "i": 4293153, "l": "0.40000000", "z": "0.40000000", "L": "20000.00",
    "n": "0.00040000", "N": "BTC", "T": 1499405658657, "t": 77, "I": 8641984, "w": True, "m": False, "M": False,
    "O": 1499405658657, "Z": "8000.0", "Y": "8000.0", "Q": "0.00000000",
}  # fmt: skip
BYBIT_EXECUTION: dict[str, Any] = {
    "category": "linear", "symbol": "BTCUSDT", "execFee": "0.5", "execId": "7e2ae69c", "execPrice": "20000",
    "execQty": "0.1", "execType": "Trade", "execValue": "2000", "isMaker": True, "feeRate": "0.0001",
    "orderId": "a1", "orderLinkId": "ours", "leavesQty": "0.3", "orderQty": "0.4", "orderType": "Limit",
    "side": "Sell", "execTime": "1672364174443",
}  # fmt: skip
BYBIT_ORDER: dict[str, Any] = {
    "symbol": "BTCUSDT", "orderId": "a1", "orderLinkId": "ours", "side": "Sell", "orderStatus": "Cancelled",
    "cancelType": "UNKNOWN", "rejectReason": "EC_PerCancelRequest", "cumExecQty": "0", "updatedTime": "1672364262457",
}  # fmt: skip


def bybit(topic: str, *rows: Any) -> dict[str, Any]:
    return {"id": "x", "topic": topic, "creationTime": 1672364262474, "data": list(rows)}


@pytest.mark.parametrize("envelope", [False, True], ids=["bare", "websocket API"])
def test_a_spot_fill_has_its_fee_in_quote_currency(envelope: bool) -> None:
    message = {"subscriptionId": 0, "event": SPOT_TRADE} if envelope else SPOT_TRADE
    found = spot_wire.user_message(message, MARKETS)
    assert found is not None
    (report,) = found.events
    assert isinstance(report, OrderReport)
    assert (report.client_order_id, report.status) == ("ours", OrderStatus.PARTIALLY_FILLED)
    assert report.fill is not None
    assert (report.fill.fee, report.fill.liquidity) == (Decimal("0.0004") * 20_000, Liquidity.TAKER)


def test_a_fee_in_a_third_currency_is_unreadable() -> None:
    with pytest.raises(ValueError, match="BNB"):
        spot_wire.user_message(SPOT_TRADE | {"N": "BNB"}, MARKETS)


def test_a_spot_cancel_keeps_our_id_although_it_has_one_of_its_own() -> None:
    canceled = SPOT_TRADE | {"x": "CANCELED", "X": "CANCELED", "c": "theirs", "C": "ours"}
    found = spot_wire.user_message(canceled, MARKETS)
    assert found is not None
    assert [event.client_order_id for event in found.events if isinstance(event, OrderReport)] == ["ours"]


def test_a_spot_holding_is_what_there_is_free_or_bound() -> None:
    rows = [{"asset": "BTC", "free": "0.5", "locked": "0.25"}, {"asset": "USDT", "free": "1", "locked": "0"}]
    assert [p.quantity for p in spot_wire.positions_answer(rows, MARKETS)] == [Decimal("0.75")]
    assert [b.wallet for b in spot_wire.balances_answer(rows)] == [Decimal("0.75"), 1]


def test_bybit_tells_fills_by_executions_alone() -> None:
    found = bybit_wire.user_message(bybit("execution", BYBIT_EXECUTION), MARKETS)
    assert found is not None
    (report,) = found.events
    assert isinstance(report, OrderReport)
    assert (report.status, report.filled_quantity) == (OrderStatus.PARTIALLY_FILLED, Decimal("0.1"))
    assert report.fill is not None
    assert (report.fill.side, report.fill.trade_id) == (Side.SELL, "7e2ae69c")
    for status in ("Filled", "PartiallyFilled"):
        told = bybit_wire.user_message(bybit("order", BYBIT_ORDER | {"orderStatus": status}), MARKETS)
        assert told is not None
        assert told.events == ()


@pytest.mark.parametrize(
    ("raw", "more", "status"),
    [
        ("New", {}, OrderStatus.ACCEPTED),
        ("Untriggered", {}, OrderStatus.ACCEPTED),
        ("Triggered", {}, OrderStatus.TRIGGERED),
        ("Cancelled", {}, OrderStatus.CANCELED),
        ("Deactivated", {}, OrderStatus.CANCELED),
        ("PartiallyFilledCanceled", {}, OrderStatus.CANCELED),
        ("Cancelled", {"cancelType": "CancelByReduceOnly"}, OrderStatus.EXPIRED),
        ("Cancelled", {"rejectReason": "EC_NoImmediateQtyToFill"}, OrderStatus.EXPIRED),
        ("Rejected", {}, OrderStatus.REJECTED),
    ],
)
def test_every_status_of_bybit_has_one_of_ours(raw: str, more: dict[str, str], status: OrderStatus) -> None:
    assert bybit_wire.order_answer(BYBIT_ORDER | {"orderStatus": raw} | more, BTC).status is status


def test_an_unknown_status_is_unreadable() -> None:
    with pytest.raises(KeyError):
        bybit_wire.order_answer(BYBIT_ORDER | {"orderStatus": "Dreaming"}, BTC)


def test_funding_is_the_same_payment_whether_told_or_asked_for() -> None:
    at = 1_700_006_400_000
    account = {
        "e": "ACCOUNT_UPDATE", "E": at + 40, "T": at + 37,
        "a": {"m": "FUNDING_FEE", "B": [{"a": "USDT", "wb": "100", "cw": "0", "bc": "-0.5"}],
              "P": [{"s": "BTCUSDT", "pa": "1"}]},
    }  # fmt: skip
    told = binance_wire.user_message(account, MARKETS)
    assert told is not None
    asked = binance_wire.funding_answer({"income": "-0.5", "time": at, "tranId": 7}, BTC)
    (payment,) = told.events
    assert isinstance(payment, FundingPayment)
    assert (payment.payment_id, payment.amount) == (asked.payment_id, asked.amount)


def test_funding_that_does_not_say_whose_it_is_is_left_to_reconciliation() -> None:
    account = {"e": "ACCOUNT_UPDATE", "E": 1, "T": 1, "a": {"m": "FUNDING_FEE", "B": [{"bc": "1"}], "P": []}}
    told = binance_wire.user_message(account, MARKETS)
    assert told is not None
    assert told.events == ()


def test_bybits_funding_is_paid_where_its_fee_is_positive() -> None:
    row = BYBIT_EXECUTION | {"execType": "Funding", "execFee": "0.5"}
    found = bybit_wire.user_message(bybit("execution", row), MARKETS)
    assert found is not None
    assert [e.amount for e in found.events if isinstance(e, FundingPayment)] == [Decimal("-0.5")]


def test_the_exchanges_own_order_is_known_as_such_at_both() -> None:
    assert is_liquidation(bybit_wire.client_id(BYBIT_EXECUTION | {"execType": "BustTrade", "orderLinkId": ""}))
    assert not is_liquidation(bybit_wire.client_id(BYBIT_EXECUTION))


@pytest.mark.parametrize("dialect", DIALECTS.values(), ids=DIALECTS)
@pytest.mark.parametrize("message", [None, 5, "pong", [], {}, {"e": "depthUpdate"}, {"topic": "tickers.BTCUSDT"}])
def test_what_is_not_ours_is_left_to_ccxt(dialect: Any, message: Any) -> None:
    assert Streams(dialect, MARKETS).take(message) is False


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("binance-usdm", {"e": "kline", "E": 1, "k": {"s": "BTCUSDT", "x": True}}),
        ("binance-usdm", {"e": "ORDER_TRADE_UPDATE", "E": 1, "o": {"s": "BTCUSDT"}}),
        ("binance-spot", {"e": "executionReport", "E": 1, "s": "BTCUSDT", "x": "TRADE"}),
        ("bybit", bybit("order", {"symbol": "BTCUSDT", "orderStatus": "New"})),
        ("bybit", {"topic": "kline.1.BTCUSDT", "ts": 1, "data": [{"confirm": True}]}),
        ("binance-usdm", {"e": "kline", "E": 1, "k": {
            "s": "BTCUSDT", "x": True, "t": 0, "o": "2", "h": "1", "l": "1", "c": "1", "v": "0"}}),
    ],
    ids=["kline", "order", "spot", "bybit order", "bybit kline", "a bar that cannot be"],
)  # fmt: skip
def test_a_message_of_ours_that_cannot_be_read_is_counted_and_hurts_nobody(name: str, message: Any) -> None:
    streams = Streams(DIALECTS[name], MARKETS)
    assert streams.take(message) is True
    assert (streams.unreadable, streams.received) == (1, {"market": 0, "user": 0})
