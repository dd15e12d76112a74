"""Every ccxt exception, by what the caller must do about it. One table; a test holds it to ccxt's whole tree.

Two facts are not in an exception's class and are looked up here: whether the request can have been sent at all (a
connection that was never made), and whether it could have changed anything (a read cannot, so trying again is safe).
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
        # Turned away at the door, untouched.
        "DDoSProtection": RetryableError,
        "RateLimitExceeded": RetryableError,
        "OnMaintenance": RetryableError,
        "InvalidNonce": RetryableError,
        "ChecksumError": RetryableError,
        "UnsubscribeError": RetryableError,
        # Understood and refused.
        "ExchangeError": RejectedError,
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
_CODE = re.compile(r'"code"\s*:\s*"?(-?\d+)')
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
    name = next((cls.__name__ for cls in type(error).__mro__ if cls.__name__ in REACTIONS), None)
    if name is None:
        # Not ccxt's own: an answer it could not read, after the request had been sent.
        return OutcomeUnknownError
    if name == "ExchangeError" and not exchange_code(error):
        # ccxt's bare ExchangeError without an exchange code is a broken transfer or an answer that nobody understood.
        return OutcomeUnknownError
    return REACTIONS[name]


def _never_sent(error: Exception) -> bool:
    from aiohttp import ClientConnectorError

    return isinstance(error.__cause__, ClientConnectorError)
