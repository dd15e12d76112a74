"""Every ccxt exception and exchange code, by what the caller must do about it. One table each; a test holds the first
to ccxt's whole tree.

A code of the exchange says more than ccxt's class, which was chosen for people, so `CODES` goes first. An error that
neither table knows leaves the outcome open: after something was sent, it is never read as a refusal. Two facts are in
no table: whether the request can have been sent at all (a connection that was never made), and whether it could have
changed anything (a read cannot, so trying again is safe).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from types import MappingProxyType

from include.domain.errors import AirlockError, FatalError, OutcomeUnknownError, RejectedError, RetryableError

REACTIONS: Mapping[str, type[AirlockError]] = MappingProxyType(
    {
        # Nothing is known: ask by client id before anything else.
        "BaseError": OutcomeUnknownError,
        "OperationFailed": OutcomeUnknownError,
        "NetworkError": OutcomeUnknownError,
        "ExchangeNotAvailable": OutcomeUnknownError,
        "RequestTimeout": OutcomeUnknownError,
        "BadResponse": OutcomeUnknownError,
        "NullResponse": OutcomeUnknownError,
        "CancelPending": OutcomeUnknownError,
        "ExchangeClosedByUser": OutcomeUnknownError,
        # What ccxt says of a code it does not know, of a broken transfer and of an answer that nobody understood.
        "ExchangeError": OutcomeUnknownError,
        # Turned away at the door, untouched.
        "DDoSProtection": RetryableError,
        "RateLimitExceeded": RetryableError,
        "OnMaintenance": RetryableError,
        "InvalidNonce": RetryableError,
        "ChecksumError": RetryableError,
        "UnsubscribeError": RetryableError,
        # Understood and refused.
        "ArgumentsRequired": RejectedError,
        "BadRequest": RejectedError,
        "BadSymbol": RejectedError,
        "OperationRejected": RejectedError,
        "NoChange": RejectedError,
        "MarginModeAlreadySet": RejectedError,
        "MarketClosed": RejectedError,
        "InsufficientFunds": RejectedError,
        "InvalidAddress": RejectedError,
        "AddressPending": RejectedError,
        "InvalidOrder": RejectedError,
        "OrderNotFound": RejectedError,
        "OrderNotCached": RejectedError,
        "OrderImmediatelyFillable": RejectedError,
        "OrderNotFillable": RejectedError,
        "DuplicateOrderId": RejectedError,
        "ContractUnavailable": RejectedError,
        "NotSupported": RejectedError,
        # A person has to look at the account or the set-up.
        "AuthenticationError": FatalError,
        "PermissionDenied": FatalError,
        "AccountNotEnabled": FatalError,
        "AccountSuspended": FatalError,
        "ManualInteractionNeeded": FatalError,
        "RestrictedLocation": FatalError,
        "InvalidProxySettings": FatalError,
    }
)
CODES: Mapping[str, type[AirlockError]] = MappingProxyType(
    {
        # Binance. The back end did not answer the front: it may have done it.
        "-1000": OutcomeUnknownError,
        "-1001": OutcomeUnknownError,
        "-1006": OutcomeUnknownError,
        "-1007": OutcomeUnknownError,
        # Turned away before anything looked at it.
        "-1003": RetryableError,
        "-1008": RetryableError,
        "-1015": RetryableError,
        "-1021": RetryableError,
        "-1016": FatalError,
        "-1002": FatalError,
        "-1022": FatalError,
        "-2014": FatalError,
        "-2015": FatalError,
        "-4400": FatalError,
        # Understood and refused.
        "-1013": RejectedError,
        "-1111": RejectedError,
        "-1116": RejectedError,
        "-1121": RejectedError,
        "-2010": RejectedError,
        "-2011": RejectedError,
        "-2013": RejectedError,
        "-2018": RejectedError,
        "-2019": RejectedError,
        "-2020": RejectedError,
        "-2021": RejectedError,
        "-2022": RejectedError,
        "-2027": RejectedError,
        "-2028": RejectedError,
        "-4003": RejectedError,
        "-4014": RejectedError,
        "-4023": RejectedError,
        "-4028": RejectedError,
        "-4046": RejectedError,
        "-4047": RejectedError,
        "-4048": RejectedError,
        "-4059": RejectedError,
        "-4061": RejectedError,
        "-4067": RejectedError,
        "-4068": RejectedError,
        "-4116": RejectedError,
        "-4118": RejectedError,
        "-4131": RejectedError,
        "-4164": RejectedError,
        "-4192": RejectedError,
        "-5021": RejectedError,
        "-5022": RejectedError,
        # Bybit. Its own time-outs; ccxt calls the two of orders invalid, which would end them while they live.
        "10000": OutcomeUnknownError,
        "10016": OutcomeUnknownError,
        "170007": OutcomeUnknownError,
        "170032": OutcomeUnknownError,
        "170146": OutcomeUnknownError,
        "170147": OutcomeUnknownError,
        "10002": RetryableError,
        "10006": RetryableError,
        "10018": RetryableError,
        "10429": RetryableError,
        "170222": RetryableError,
        "10003": FatalError,
        "10004": FatalError,
        "10005": FatalError,
        "10007": FatalError,
        "10008": FatalError,
        "10009": FatalError,
        "10010": FatalError,
        "10024": FatalError,
        "10027": FatalError,
        "10028": FatalError,
        "10001": RejectedError,
        "110001": RejectedError,
        "110003": RejectedError,
        "110004": RejectedError,
        "110007": RejectedError,
        "110012": RejectedError,
        "110013": RejectedError,
        "110017": RejectedError,
        "110025": RejectedError,
        "110026": RejectedError,
        "110043": RejectedError,
        "110072": RejectedError,
        "110094": RejectedError,
    }
)
"""What the exchanges' own codes mean; no code is used by both with another meaning."""
_CODE = re.compile(r'"(?:code|retCode|ret_code)"\s*:\s*"?(-?\d+)')
_QUERY = re.compile(r"\?\S+")
MAX_TEXT = 300


def exchange_code(error: BaseException) -> str:
    """The exchange's own error code inside ccxt's text; empty when there is none."""
    match = _CODE.search(str(error))
    return match[1] if match else ""


def translate(error: Exception, action: str, *, changes: bool) -> AirlockError:
    """Our exception for anything that came out of a ccxt call.

    Args:
        action: what was tried, for the message.
        changes: whether the request could have changed something at the exchange.
    """
    if isinstance(error, AirlockError):
        return error
    # Query strings carry signatures; an error text never does.
    text = _QUERY.sub("", " ".join(str(error).split()))[:MAX_TEXT]
    message = f"{action}: {type(error).__name__}: {text}"
    reaction = _reaction(error)
    if reaction is OutcomeUnknownError and (not changes or _never_sent(error)):
        reaction = RetryableError
    if reaction is RejectedError:
        return RejectedError(message, code=exchange_code(error))
    return reaction(message)


def _reaction(error: Exception) -> type[AirlockError]:
    by_code = CODES.get(exchange_code(error))
    if by_code is not None:
        return by_code
    name = next((cls.__name__ for cls in type(error).__mro__ if cls.__name__ in REACTIONS), None)
    # Not ccxt's own: an answer it could not read, after the request had been sent.
    return OutcomeUnknownError if name is None else REACTIONS[name]


def _never_sent(error: Exception) -> bool:
    from aiohttp import ClientConnectorError

    return isinstance(error.__cause__, ClientConnectorError)


def render_errors() -> str:
    """Both tables as one, for the documentation."""
    rows: dict[str, list[str]] = {}
    for name, reaction in [*CODES.items(), *REACTIONS.items()]:
        rows.setdefault(reaction.__name__, []).append(name)
    order = (OutcomeUnknownError, RetryableError, RejectedError, FatalError)
    lines = ["| Error | Codes of the exchanges | Exceptions of ccxt |", "| --- | --- | --- |"]
    for reaction in order:
        names = rows[reaction.__name__]
        codes = ", ".join(name for name in names if name in CODES)
        classes = ", ".join(name for name in names if name in REACTIONS)
        lines.append(f"| `{reaction.__name__}` | {codes} | {classes} |")
    return "\n".join(lines)
