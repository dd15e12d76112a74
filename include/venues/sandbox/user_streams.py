"""Listen keys: who may listen to which account's stream, and for how long. Pure: wall time comes in with every call."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from pydantic import SecretStr

from include.venues.sandbox import errors
from include.venues.sandbox.weights import Segment

LISTEN_KEY_VALID_MS = 60 * 60_000
"""A listen key ends an hour after it was created or last kept alive."""


class Owner(Protocol):
    """What of an account is needed here."""

    @property
    def name(self) -> str: ...

    @property
    def secret(self) -> SecretStr: ...


@dataclass(frozen=True, slots=True)
class ListenKey:
    """An account's latest key. `number` counts the keys that it has had."""

    value: str
    number: int
    expires_ms: int
    is_open: bool = True


class ListenKeys:
    """The listen keys of one segment: spot and USD-M have their own."""

    def __init__(self, segment: Segment) -> None:
        self._segment = segment
        self._held: dict[str, ListenKey] = {}

    def issue(self, account: Owner, now_ms: int) -> str:
        """The account's listen key, valid for an hour from now: the one it has, or a new one."""
        held = self._held.get(account.name)
        is_valid = held is not None and held.is_open and held.expires_ms > now_ms
        number = (held.number if held else 0) + (not is_valid)
        key = ListenKey(self._value(account, number), number, now_ms + LISTEN_KEY_VALID_MS)
        self._held[account.name] = key
        return key.value

    def keep(self, account: Owner, now_ms: int) -> str:
        """Another hour for the account's listen key. Raises ApiError (-1125) when it has none."""
        held = self._held.get(account.name)
        if held is None or not held.is_open or held.expires_ms <= now_ms:
            raise errors.ApiError(errors.INVALID_LISTEN_KEY)
        return self.issue(account, now_ms)

    def close(self, account: Owner) -> None:
        """End the account's listen key, if it has one."""
        self._end(account.name)

    def expire(self, now_ms: int) -> list[tuple[str, str]]:
        """End what has not been kept alive; returns (account, listen key) of each."""
        ended = [(name, key.value) for name, key in self._held.items() if key.is_open and key.expires_ms <= now_ms]
        for name, _ in ended:
            self._end(name)
        return ended

    def owner(self, value: str) -> str | None:
        """Name of the account a listen key belongs to; None when it was never handed out, is closed or has expired."""
        return next((name for name, key in self._held.items() if key.is_open and key.value == value), None)

    def _end(self, name: str) -> None:
        key = self._held.get(name)
        if key is not None:
            self._held[name] = ListenKey(key.value, key.number, key.expires_ms, is_open=False)

    def _value(self, account: Owner, number: int) -> str:
        """A function of the secret, so that a restart finds the same key without having it written down."""
        text = f"listen-key-{self._segment.value}-{number}".encode()
        return hmac.digest(account.secret.get_secret_value().encode(), text, hashlib.sha256).hex()

    # --- state ---------------------------------------------------------------------------------------------

    def document(self) -> dict[str, Any]:
        """For a restart; the keys themselves are not part of it."""
        return {
            name: {"number": key.number, "expires_ms": key.expires_ms, "open": key.is_open}
            for name, key in self._held.items()
        }

    def restore(self, document: Mapping[str, Any], accounts: Iterable[Owner]) -> None:
        """Take over what `document` wrote, for the accounts that are there."""
        for account in accounts:
            if (kept := document.get(account.name)) is not None:
                value = self._value(account, kept["number"])
                self._held[account.name] = ListenKey(value, kept["number"], kept["expires_ms"], kept["open"])
