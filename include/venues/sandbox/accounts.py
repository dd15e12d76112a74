"""Who may do what: API keys, permissions, request signatures and listen keys of the sandbox's accounts."""

from __future__ import annotations

import base64
import hashlib
import hmac
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum
from typing import Any

from pydantic import SecretStr

from include.domain.errors import ConfigurationError
from include.venues.sandbox import errors
from include.venues.sandbox.user_streams import ListenKeys
from include.venues.sandbox.weights import Segment

DEFAULT_RECV_WINDOW_MS = 5_000
MAX_RECV_WINDOW_MS = 60_000
CLOCK_TOLERANCE_MS = 1_000
"""How far ahead of the server a request's timestamp may be, as on the real exchange."""

_KEY = re.compile(r"[\x21-\x7e]{1,256}")
_NUMBER = re.compile(r"[0-9]{1,20}")
_HMAC = re.compile(r"[A-Fa-f0-9]{64}")
_BASE64 = re.compile(r"[A-Za-z0-9+/]{86}==")


class Permission(StrEnum):
    """What an API key allows; a key without it is refused with -2015."""

    READ = "READ"
    TRADE = "TRADE"


@dataclass(frozen=True, slots=True)
class AccountSpec:
    """An account to open: its name, its credentials (never printed) and its first deposit in quote currency."""

    name: str
    key: SecretStr
    secret: SecretStr
    balance: Decimal
    permissions: frozenset[Permission] = frozenset(Permission)
    public_key: bytes | None = None
    """Ed25519 key, 32 bytes: requests are then signed with its private half and the secret only names listen keys."""
    made_up: bool = False
    """The exchange made the keys up: they are kept in its state, and worth nothing anywhere else."""


class Credentials:
    """Checks keys and signatures, hands out listen keys. Time (wall, epoch milliseconds) comes in with every call."""

    def __init__(self, accounts: Iterable[AccountSpec]) -> None:
        self._by_key: dict[str, AccountSpec] = {}
        for account in accounts:
            if self._by_key.setdefault(account.key.get_secret_value(), account) is not account:
                raise ConfigurationError(f"account {account.name}: its API key belongs to another account too")
        self.listen_keys = {segment: ListenKeys(segment) for segment in Segment}

    # --- requests ------------------------------------------------------------------------------------------

    def identify(self, key: str | None) -> AccountSpec:
        """The account of an API key. Raises ApiError for a missing, malformed or unknown one."""
        if not key or not _KEY.fullmatch(key):
            raise errors.ApiError(errors.MALFORMED_KEY)
        account = self._by_key.get(key)
        if account is None:
            raise errors.ApiError(errors.UNKNOWN_KEY)
        return account

    def spec(self, name: str) -> AccountSpec:
        """The account of that name."""
        return next(account for account in self._by_key.values() if account.name == name)

    def name_of(self, key: str | None) -> str | None:
        """Name of the account of an API key; None when there is none."""
        account = self._by_key.get(key) if key else None
        return account.name if account else None

    def verify(self, account: AccountSpec, payload: str, params: Mapping[str, str], now_ms: int) -> None:
        """Check timestamp and signature of a signed request.

        Args:
            payload: query string followed by body, as sent, without the signature parameter.
            now_ms: the server's wall clock; signed timestamps are wall time, not market time.

        Raises:
            ApiError: a parameter is missing or malformed, the timestamp is outside the window, the signature differs.
        """
        verify_time(params, now_ms)
        if account.public_key is not None:
            verify_ed25519(account.public_key, _matching(params, "signature", _BASE64), payload)
            return
        signature = _matching(params, "signature", _HMAC)
        secret = account.secret.get_secret_value().encode()
        expected = hmac.digest(secret, payload.encode(), hashlib.sha256).hex()
        if not hmac.compare_digest(expected, signature.lower()):
            raise errors.ApiError(errors.BAD_SIGNATURE)

    def authorise(
        self, account: AccountSpec, payload: str, params: Mapping[str, str], now_ms: int, *, signed: bool
    ) -> None:
        """`verify`, or only the time where a logged-on connection need not sign. Raises ApiError."""
        if signed:
            self.verify(account, payload, params, now_ms)
        else:
            verify_time(params, now_ms)

    # --- listen keys ---------------------------------------------------------------------------------------

    def owner_of(self, listen_key: str) -> tuple[str, Segment] | None:
        """Account and segment of a listen key; None when it is not one, or not any more."""
        for segment, keys in self.listen_keys.items():
            if (name := keys.owner(listen_key)) is not None:
                return name, segment
        return None

    # --- state ---------------------------------------------------------------------------------------------

    def made_up_keys(self) -> dict[str, dict[str, str]]:
        """Keys that only the state file keeps."""
        return {
            spec.name: {"key": spec.key.get_secret_value(), "secret": spec.secret.get_secret_value()}
            for spec in self._by_key.values()
            if spec.made_up
        }

    def document(self) -> dict[str, Any]:
        """Listen keys, for a restart. Keys and secrets are not part of it: they come with the accounts."""
        return {segment.value: keys.document() for segment, keys in self.listen_keys.items()}

    def restore(self, document: Mapping[str, Any]) -> None:
        """Take over what `document` wrote, for the accounts that are there."""
        for segment, keys in self.listen_keys.items():
            keys.restore(document[segment.value], self._by_key.values())


def verify_time(params: Mapping[str, str], now_ms: int) -> None:
    """Hold a signed request to its window. Raises ApiError."""
    timestamp = int(_matching(params, "timestamp", _NUMBER))
    window = int(_matching(params, "recvWindow", _NUMBER)) if "recvWindow" in params else DEFAULT_RECV_WINDOW_MS
    if window > MAX_RECV_WINDOW_MS:
        raise errors.ApiError(errors.RECV_WINDOW_TOO_LONG)
    if timestamp - now_ms >= CLOCK_TOLERANCE_MS:
        raise errors.ApiError(errors.TIMESTAMP_AHEAD)
    if now_ms - timestamp > window:
        raise errors.ApiError(errors.OUTSIDE_RECV_WINDOW)


def verify_ed25519(public_key: bytes, signature: str, payload: str) -> None:
    """Check a base64 signature. Raises ApiError when it differs."""
    from cryptography.exceptions import InvalidSignature
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

    try:
        Ed25519PublicKey.from_public_bytes(public_key).verify(base64.b64decode(signature), payload.encode())
    except InvalidSignature:
        raise errors.ApiError(errors.BAD_SIGNATURE) from None


def _matching(params: Mapping[str, str], name: str, pattern: re.Pattern[str]) -> str:
    value = params.get(name)
    if value is None:
        raise errors.ApiError(errors.missing(name))
    if not value:
        raise errors.ApiError(errors.empty(name))
    if not pattern.fullmatch(value):
        raise errors.ApiError(errors.illegal(name, f"^{pattern.pattern}$"))
    return value


def signed_payload(query: str, body: str) -> str:
    """What a signature covers: query string, then body, without the signature itself."""
    return "".join(_unsigned(part) for part in (query, body) if part)


def _unsigned(text: str) -> str:
    if "signature=" not in text:
        return text
    return "&".join(part for part in text.split("&") if not part.startswith("signature="))
