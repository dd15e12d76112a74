"""Exchanges that `CcxtVenue` speaks to, by the name that an account gives them."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from include.domain.errors import ConfigurationError
from include.venues.dialect import Dialect
from include.venues.dialects.binance import SPOT, USDM
from include.venues.dialects.bybit import LINEAR

DIALECTS: Mapping[str, Dialect] = MappingProxyType({dialect.name: dialect for dialect in (USDM, SPOT, LINEAR)})


def find_dialect(name: str) -> Dialect:
    """Raises ConfigurationError for an exchange that is not spoken here."""
    try:
        return DIALECTS[name]
    except KeyError:
        raise ConfigurationError(f"exchange {name!r} is not known; write one of {', '.join(DIALECTS)}") from None


__all__ = ["DIALECTS", "Dialect", "find_dialect"]
