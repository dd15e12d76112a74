"""Ids are functions of their inputs: namespace plus canonical JSON plus SHA-256. No clock, no randomness."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal
from enum import Enum
from typing import Any

from include.domain.enums import OrderPurpose
from include.domain.times import iso, to_ms


def _plain(value: Any) -> Any:
    if isinstance(value, Decimal):
        return format(value, "f")
    if isinstance(value, datetime):
        return iso(value)
    if isinstance(value, Enum):
        return value.value
    raise TypeError(f"{type(value).__name__} has no canonical JSON form")


def canonical_json(document: Any) -> str:
    """One text per value: sorted keys, no spaces, decimals as text, UTC times; NaN and infinity are refused.

    Raises:
        TypeError: a value has no canonical form.
        ValueError: a float is not finite.
    """
    return json.dumps(
        document, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False, default=_plain
    )


def digest(document: Any) -> str:
    """SHA-256 of the canonical JSON, 64 lower-case hex digits."""
    return hashlib.sha256(canonical_json(document).encode()).hexdigest()


def chain_digest(previous: str, document: Mapping[str, Any]) -> str:
    """Digest of a row in a hash chain: covers the row and, through `previous`, everything before it."""
    return digest({"previous": previous, "row": document})


def client_order_id(deployment_id: str, symbol: str, bar_time: datetime, purpose: OrderPurpose, sequence: int) -> str:
    """The id an order carries at the venue: the same intent after a crash has the same id.

    That is why an order can neither be lost nor doubled: it is in the ledger under this id before it is
    sent, a restart derives the same id from the same decision, and the venue refuses a second order with it.

    Args:
        bar_time: open time of the bar whose close decided (aware UTC).
        sequence: 0 for the first order of that purpose on that bar; a deliberate new attempt counts up.

    Returns:
        `al-` and 26 characters of [a-z2-7]: 29 in all, inside the 36 Binance allows and the
        32 of other venues; 130 bits of SHA-256.
    """
    key = canonical_json([deployment_id, symbol, to_ms(bar_time), purpose.value, sequence])
    raw = hashlib.sha256(b"client-order-id:" + key.encode()).digest()
    return "al-" + base64.b32encode(raw).decode().lower()[:26]


LIQUIDATION_PREFIX = "autoclose-"
"""How the id of the exchange's own order that closes a position begins: Binance's word, in which others are told."""


def is_liquidation(client_order_id: str) -> bool:
    """Whether an order is the exchange's own, closing a position whose margin is used up."""
    return client_order_id.startswith(LIQUIDATION_PREFIX)


def liquidation_id(deployment_id: str, symbol: str, trade_id: str) -> str:
    """Under which id the ledger keeps a liquidation: the exchange's own need not differ between two exchanges."""
    raw = hashlib.sha256(b"liquidation:" + canonical_json([deployment_id, symbol, trade_id]).encode()).digest()
    return LIQUIDATION_PREFIX + base64.b32encode(raw).decode().lower()[:26]
