"""What the sandbox answers when it refuses: the codes, texts and HTTP statuses of Binance USD-M."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from include.venues.matching import Refusal


@dataclass(frozen=True, slots=True)
class Denial:
    """One refusal in the exchange's words."""

    code: int
    msg: str
    status: int = 400
    data: Any = None
    """What happened to the parts of a request that was carried out in part."""


class ApiError(Exception):
    """A request is refused; the answer is `{"code": .., "msg": ..}`. `retry_after_secs`: how long to keep away."""

    def __init__(self, denial: Denial, retry_after_secs: int | None = None) -> None:
        super().__init__(f"{denial.code} {denial.msg}")
        self.denial = denial
        self.retry_after_secs = retry_after_secs


UNKNOWN_ROUTE = Denial(-5000, "Path is not served by the sandbox exchange.", 404)
INTERNAL = Denial(-1000, "An unknown error occurred while processing the request.", 500)
MALFORMED_KEY = Denial(-2014, "API-key format invalid.", 401)
UNKNOWN_KEY = Denial(-2015, "Invalid API-key, IP, or permissions for action.", 401)
TIMEOUT = Denial(
    -1007, "Timeout waiting for response from backend server. Send status unknown; execution status unknown.", 408
)
SERVER_BUSY = Denial(
    -1008, "Server is currently overloaded with other requests. Please try again in a few minutes.", 503
)
DUPLICATE_PARAMETER = Denial(-1101, "Duplicate values for a parameter detected.")
ILLEGAL_REQUEST = Denial(-1100, "Illegal characters found in a parameter.")
TOO_LONG_REQUEST = Denial(-1101, "Too many parameters; the request is longer than the exchange reads.", 413)
RECV_WINDOW_TOO_LONG = Denial(-1131, "recvWindow must be less than 60000.")
TIMESTAMP_AHEAD = Denial(-1021, "Timestamp for this request was 1000ms ahead of the server's time.")
REDUCE_ONLY_ACCOUNT = Denial(-4087, "User can only place reduce only order.")
NO_ORDERS_ACCOUNT = Denial(-4088, "User can not place order currently.")
SYMBOL_NOT_OPEN = Denial(-4140, "Invalid symbol status for opening position.")
SYMBOL_CLOSED = Denial(-4141, "Symbol is closed.")
NEW_ORDER_REJECTED = Denial(-2010, "The order was rejected by the matching engine.")
INVALID_JSON = Denial(-1135, "Invalid JSON request; expected an object with 'id', 'method' and 'params'.")
UNKNOWN_METHOD = Denial(-5000, "Method is not served by the sandbox exchange.", 404)
TOO_MANY_MESSAGES = Denial(-1003, "Too many messages; the connection is closed.", 429)
NO_HMAC_SESSION = Denial(-4056, "HMAC_SHA256 API key is not supported.", 401)
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
POSITION_SIDE_MISMATCH = Denial(-4061, "Order's position side does not match user's setting.")
INVALID_POSITION_SIDE = Denial(-4060, "Invalid position side.")
REDUCE_ONLY_CONFLICT = Denial(-4062, "Invalid or improper reduceOnly value.")
QUANTITY_WITH_CLOSE_POSITION = Denial(-4137, "Quantity must be zero with closePosition equals true")
INVALID_ACTIVATION_PRICE = Denial(-4135, "Invalid activation price")
INVALID_WORKING_TYPE = Denial(-4031, "Invalid parameter working type.")
INVALID_GOOD_TILL = Denial(
    -5040,
    "The goodTillDate timestamp must be greater than the current time plus 600 seconds and smaller than "
    "253402300799000",
)
INVALID_BATCH_SIZE = Denial(-4082, "Invalid number of batch place orders.")
TOO_MANY_OPEN_ORDERS = Denial(-2025, "Reach max open order limit.")
TOO_MANY_STOP_ORDERS = Denial(-4045, "Reach max stop order limit.")
PRICE_TOO_LARGE = Denial(-4002, "Price greater than max price.")
AMOUNT_NOT_POSITIVE = Denial(-4055, "Amount must be positive.")
NO_MULTI_ASSETS_CHANGE = Denial(
    -4171, "Adjusted asset mode is currently set and does not need to be adjusted repeatedly"
)
MULTI_ASSETS_ISOLATED = Denial(
    -4167, "Unable to adjust to Multi-Assets mode with symbols of USDT-M Futures under isolated-margin mode."
)
INVALID_LEVERAGE = Denial(-4028, "Leverage is not valid.")
TOO_MANY_PARAMETERS = Denial(-1128, "Combination of optional parameters invalid.")
NOT_IN_SANDBOX = Denial(-4084, "Method is not allowed currently. The sandbox exchange keeps one margin asset.")
NO_MARKET_YET = Denial(-4091, "No bar of this symbol has been replayed yet.")
WINDOW_TOO_LONG = Denial(-4165, "Invalid time interval, maximum time interval is 7 days.")
INVALID_LISTEN_KEY = Denial(-1125, "This listenKey does not exist.")

REFUSALS: Mapping[Refusal, Denial] = MappingProxyType(
    {
        Refusal.DUPLICATE_ID: Denial(-4116, "ClientOrderId is duplicated."),
        Refusal.UNKNOWN_ORDER: UNKNOWN_ORDER,
        Refusal.NOTHING_TO_REDUCE: Denial(-2022, "ReduceOnly Order is rejected."),
        Refusal.MARGIN_INSUFFICIENT: Denial(-2019, "Margin is insufficient."),
        Refusal.NO_PRICE: Denial(-4131, "The counterparty's best price does not meet the PERCENT_PRICE filter limit."),
        Refusal.WOULD_TAKE: Denial(
            -5022,
            "Due to the order could not be executed as maker, the Post Only order will be rejected. "
            "The order will not be recorded in the order history",
        ),
        Refusal.CANNOT_FILL_ALL: Denial(
            -5021,
            "Due to the order could not be filled immediately, the FOK order has been rejected. "
            "The order will not be recorded in the order history",
        ),
        Refusal.NOT_MODIFIABLE: Denial(-5025, "Only limit order is supported."),
        Refusal.NOTHING_TO_MODIFY: Denial(-5027, "No need to modify the order."),
        Refusal.POSITION_SIDE: POSITION_SIDE_MISMATCH,
        Refusal.POSITION_SIDE_UNCHANGED: Denial(-4059, "No need to change position side."),
        Refusal.POSITION_SIDE_ORDERS: Denial(-4067, "Position side cannot be changed if there exists open orders."),
        Refusal.POSITION_SIDE_BUSY: Denial(-4068, "Position side cannot be changed if there exists position."),
        Refusal.MARGIN_TYPE_UNCHANGED: Denial(-4046, "No need to change margin type."),
        Refusal.MARGIN_TYPE_ORDERS: Denial(-4047, "Margin type cannot be changed if there exists open orders."),
        Refusal.MARGIN_TYPE_BUSY: Denial(-4048, "Margin type cannot be changed if there exists position."),
        Refusal.LEVERAGE: INVALID_LEVERAGE,
        Refusal.LEVERAGE_REDUCTION: Denial(
            -4161, "Leverage reduction is not supported in Isolated Margin Mode with open positions"
        ),
        Refusal.LEVERAGE_NOTIONAL: Denial(-2027, "Exceeded the maximum allowable position at current leverage."),
        Refusal.LEVERAGE_MARGIN: Denial(-2028, "Leverage is smaller than permitted: insufficient margin balance"),
        Refusal.NO_ISOLATED_MARGIN: Denial(-4049, "Add margin only support for isolated position."),
        Refusal.NO_ISOLATED_POSITION: Denial(-4054, "Cannot add position margin: position is 0."),
        Refusal.CROSSED_WALLET: Denial(-4050, "Cross balance insufficient."),
        Refusal.ISOLATED_MARGIN: Denial(-4051, "Isolated balance insufficient."),
    }
)


def missing(name: str) -> Denial:
    """A mandatory parameter was not sent."""
    return Denial(-1102, f"Mandatory parameter '{name}' was not sent, was empty/null, or malformed.")


def too_small(minimum: str) -> Denial:
    """Below the minimum notional."""
    return Denial(-4164, f"Order's notional must be no smaller than {minimum} (unless you choose reduce only).")


def above_band(price: str) -> Denial:
    """A buy too far above the mark."""
    return Denial(-4016, f"Limit price can't be higher than {price}.")


def below_band(price: str) -> Denial:
    """A sale too far below the mark."""
    return Denial(-4024, f"Limit price can't be lower than {price}.")


def no_close_position(order_type: str) -> Denial:
    """Only orders that become market orders can close whatever there is."""
    return Denial(-4136, f"Target strategy invalid for orderType {order_type},closePosition true")


def invalid_callback(lowest: str, highest: str) -> Denial:
    """A trailing stop's distance."""
    return Denial(-2007, f"Invalid callBack rate; it is from {lowest} to {highest} percent in steps of 0.1.")


def empty(name: str) -> Denial:
    """A parameter was sent without a value."""
    return Denial(-1105, f"Parameter '{name}' was empty.")


def illegal(name: str, pattern: str) -> Denial:
    """A parameter has characters that it cannot have."""
    return Denial(-1100, f"Illegal characters found in parameter '{name}'; legal range is '{pattern}'.")


def too_many_requests(ip: str, limit: int, interval: str) -> Denial:
    """The weight of an address is used up."""
    return Denial(
        -1003,
        f"Too many requests; current limit of IP({ip}) is {limit} requests per {interval}. "
        "Please use the websocket for live updates to avoid bans.",
        429,
    )


def banned(ip: str, until_ms: int) -> Denial:
    """The address went on after 429."""
    return Denial(
        -1003,
        f"Way too many requests; IP({ip}) banned until {until_ms}. "
        "Please use the websocket for live updates to avoid bans.",
        418,
    )


def too_many_orders(limit: int, interval: str) -> Denial:
    """The order count of an account is used up."""
    return Denial(-1015, f"Too many new orders; current limit is {limit} orders per {interval}.", 429)


def by_code(code: int) -> Denial:
    """The refusal with that code; one without a known text is told as a plain rejection."""
    known = (d for d in (*globals().values(), *REFUSALS.values()) if isinstance(d, Denial) and d.code == code)
    return next(known, None) or Denial(code, "The request is rejected.")
