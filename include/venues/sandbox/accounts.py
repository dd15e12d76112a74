"""Who may trade: API keys, request signatures and listen keys of the sandbox's accounts."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from decimal import Decimal

from pydantic import SecretStr

from include.domain.errors import ConfigurationError
from include.venues.sandbox import errors

DEFAULT_RECV_WINDOW_MS = 5_000
MAX_RECV_WINDOW_MS = 60_000
CLOCK_TOLERANCE_MS = 1_000
"""How far ahead of the server a request's timestamp may be, as on the real exchange."""


@dataclass(frozen=True, slots=True)
class AccountSpec:
    """An account to open: its name, its credentials (never printed) and its first deposit in quote currency."""

    name: str
    key: SecretStr
    secret: SecretStr
    balance: Decimal


class Credentials:
    """Checks keys and signatures, hands out listen keys."""

    def __init__(self, accounts: Iterable[AccountSpec]) -> None:
        self._by_key: dict[str, AccountSpec] = {}
        for account in accounts:
            if self._by_key.setdefault(account.key.get_secret_value(), account) is not account:
                raise ConfigurationError(f"account {account.name}: its API key belongs to another account too")
        self._listen_keys: dict[str, str] = {}

    def identify(self, key: str | None) -> AccountSpec:
        """The account of an API key. Raises ApiError for a missing or unknown one."""
        if not key:
            raise errors.ApiError(errors.MALFORMED_KEY)
        account = self._by_key.get(key)
        if account is None:
            raise errors.ApiError(errors.UNKNOWN_KEY)
        return account

    def verify(self, account: AccountSpec, payload: str, params: Mapping[str, str], now_ms: int) -> None:
        """Check signature and timestamp of a signed request.

        Args:
            payload: query string followed by body, as sent, without the signature parameter.
            now_ms: the server's wall clock; signed timestamps are wall time, not market time.

        Raises:
            ApiError: a parameter is missing, the signature differs, or the timestamp is outside the window.
        """
        signature = params.get("signature")
        if not signature:
            raise errors.ApiError(errors.missing("signature"))
        secret = account.secret.get_secret_value().encode()
        expected = hmac.new(secret, payload.encode(), hashlib.sha256).hexdigest()
        if not hmac.compare_digest(expected, signature):
            raise errors.ApiError(errors.BAD_SIGNATURE)
        try:
            timestamp = int(params["timestamp"])
            window = int(params.get("recvWindow", DEFAULT_RECV_WINDOW_MS))
        except (KeyError, ValueError):
            raise errors.ApiError(errors.missing("timestamp")) from None
        if not 0 < window <= MAX_RECV_WINDOW_MS or not -window <= timestamp - now_ms < CLOCK_TOLERANCE_MS:
            raise errors.ApiError(errors.OUTSIDE_RECV_WINDOW)

    def listen_key(self, account: AccountSpec) -> str:
        """The account's listen key: the same as long as the server runs, so a reconnect finds its stream again."""
        listen_key = hmac.new(account.secret.get_secret_value().encode(), b"listen-key", hashlib.sha256).hexdigest()
        self._listen_keys[listen_key] = account.name
        return listen_key

    def close_listen_key(self, account: AccountSpec) -> None:
        self._listen_keys = {key: name for key, name in self._listen_keys.items() if name != account.name}

    def account_of(self, listen_key: str) -> str | None:
        """Name of the account a listen key belongs to; None when it was never handed out or is closed."""
        return self._listen_keys.get(listen_key)


def signed_payload(query: str, body: str) -> str:
    """What a signature covers: query string, then body, without the signature itself."""
    parts = [part for part in (query, body) if part]
    return "".join("&".join(p for p in part.split("&") if not p.startswith("signature=")) for part in parts)
