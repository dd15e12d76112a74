"""What the sandbox answers when it refuses: the codes, texts and HTTP statuses of Binance USD-M."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from include.venues.matching import Refusal


@dataclass(frozen=True, slots=True)
class Denial:
    """One refusal in the exchange's words."""

    code: int
    msg: str
    status: int = 400


class ApiError(Exception):
    """A request is refused; the answer is `{"code": .., "msg": ..}`."""

    def __init__(self, denial: Denial) -> None:
        super().__init__(f"{denial.code} {denial.msg}")
        self.denial = denial


UNKNOWN_ROUTE = Denial(-5000, "Path is not served by the sandbox exchange.", 404)
INTERNAL = Denial(-1000, "An unknown error occurred while processing the request.", 500)
MALFORMED_KEY = Denial(-2014, "API-key format invalid.", 401)
UNKNOWN_KEY = Denial(-2015, "Invalid API-key, IP, or permissions for action.", 401)
BAD_SIGNATURE = Denial(-1022, "Signature for this request is not valid.")
OUTSIDE_RECV_WINDOW = Denial(-1021, "Timestamp for this request is outside of the recvWindow.")
INVALID_SYMBOL = Denial(-1121, "Invalid symbol.")
INVALID_INTERVAL = Denial(-1120, "Invalid interval.")
INVALID_SIDE = Denial(-1117, "Invalid side.")
INVALID_ORDER_TYPE = Denial(-1116, "Invalid orderType.")
INVALID_TIME_IN_FORCE = Denial(-1115, "Invalid timeInForce.")
INVALID_CLIENT_ID = Denial(-4015, "Client order id is not valid.")
QUANTITY_NOT_POSITIVE = Denial(-4003, "Quantity less than or equal to zero.")
QUANTITY_TOO_LARGE = Denial(-4005, "Quantity greater than max quantity.")
QUANTITY_STEP = Denial(-1111, "Precision is over the maximum defined for this asset.")
PRICE_NOT_POSITIVE = Denial(-4001, "Price less than 0.")
PRICE_TICK = Denial(-4014, "Price not increased by tick size.")
STOP_PRICE_NOT_POSITIVE = Denial(-4006, "Stop price less than zero.")
USE_ALGO_ENDPOINT = Denial(
    -4120, "Order type not supported for this endpoint. Please use the Algo Order API endpoints instead."
)
ORDER_NOT_FOUND = Denial(-2013, "Order does not exist.")
UNKNOWN_ORDER = Denial(-2011, "Unknown order sent.")
HEDGE_MODE = Denial(-4061, "Order's position side does not match user's setting.")
NO_MARGIN_TYPE_CHANGE = Denial(-4046, "No need to change margin type.")
NO_POSITION_SIDE_CHANGE = Denial(-4059, "No need to change position side.")
INVALID_LEVERAGE = Denial(-4028, "Leverage is not valid.")
NOT_IN_SANDBOX = Denial(-4067, "The sandbox exchange keeps cross margin and one-way positions only.")
NO_MARKET_YET = Denial(-4091, "No bar of this symbol has been replayed yet.")
WINDOW_TOO_LONG = Denial(-4165, "Invalid time interval, maximum time interval is 7 days.")
INVALID_LISTEN_KEY = Denial(-1125, "This listenKey does not exist.")

REFUSALS: Mapping[Refusal, Denial] = MappingProxyType(
    {
        Refusal.DUPLICATE_ID: Denial(-4116, "ClientOrderId is duplicated."),
        Refusal.UNKNOWN_ORDER: UNKNOWN_ORDER,
        Refusal.NOTHING_TO_REDUCE: Denial(-2022, "ReduceOnly Order is rejected."),
        Refusal.MARGIN_INSUFFICIENT: Denial(-2019, "Margin is insufficient."),
        Refusal.TIME_IN_FORCE: INVALID_TIME_IN_FORCE,
        Refusal.NO_PRICE: Denial(-4131, "The counterparty's best price does not meet the PERCENT_PRICE filter limit."),
    }
)


def missing(name: str) -> Denial:
    """A mandatory parameter was not sent."""
    return Denial(-1102, f"Mandatory parameter '{name}' was not sent, was empty/null, or malformed.")


def too_small(minimum: str) -> Denial:
    """Below the minimum notional."""
    return Denial(-4164, f"Order's notional must be no smaller than {minimum} (unless you choose reduce only).")
