"""Instrument facts by lake venue, read from `venues.yaml`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from pathlib import Path
from types import MappingProxyType
from typing import Annotated, Any

from pydantic import BeforeValidator, Field, ValidationError

from include.domain.errors import ConfigurationError
from include.domain.instruments import Instrument, symbol_id
from include.qualification.profile import Document, load_yaml, one_line


def _decimal_text(value: Any) -> Decimal:
    if not isinstance(value, str):
        raise ValueError(f"write {value!r} in quotes; a bare number would pass through binary floating point")
    try:
        return Decimal(value)
    except InvalidOperation:
        raise ValueError(f"{value!r} is not a decimal number") from None


DecimalText = Annotated[Decimal, BeforeValidator(_decimal_text), Field(ge=0, allow_inf_nan=False)]
Rate = Annotated[Decimal, BeforeValidator(_decimal_text), Field(ge=-1, le=1, allow_inf_nan=False)]


class InstrumentDocument(Document):
    """What `domain.instruments.Instrument` knows of a market; what is left out here is that class's default."""

    tick_size: DecimalText | None = None
    lot_size: DecimalText | None = None
    min_notional: DecimalText | None = None
    maker_fee_rate: DecimalText | None = None
    taker_fee_rate: DecimalText | None = None
    half_spread_bps: DecimalText | None = None
    slippage_bps: DecimalText | None = None
    participation: DecimalText | None = None
    funding_rate: Rate | None = None
    maintenance_margin_rate: DecimalText | None = None
    liquidation_fee_rate: DecimalText | None = None


class VenueDocument(Document):
    synthetic: bool
    """True when every bar of the venue was generated; nothing says so more than once."""
    exchange: str = ""
    """ccxt's id of the exchange whose public REST bars fill this venue; empty when nothing can be asked."""
    defaults: InstrumentDocument = InstrumentDocument()
    symbols: dict[str, InstrumentDocument]


@dataclass(frozen=True, slots=True)
class VenueFacts:
    """What is declared about a lake venue; instruments by `symbol_id`."""

    name: str
    synthetic: bool
    instruments: Mapping[str, Instrument]
    exchange: str = ""

    def instrument(self, symbol: str) -> Instrument:
        """Raises ConfigurationError when the symbol is not declared for this venue."""
        try:
            return self.instruments[symbol_id(symbol)]
        except KeyError:
            known = ", ".join(i.symbol for i in self.instruments.values())
            raise ConfigurationError(
                f"symbol {symbol!r} is not declared for venue {self.name!r} (known: {known}); add it to venues.yaml"
            ) from None


def load_venues(path: Path) -> Mapping[str, VenueFacts]:
    """Read venue facts.

    Raises:
        ConfigurationError: file, key and reason in one line.
    """
    facts: dict[str, VenueFacts] = {}
    for name, raw in load_yaml(path).items():
        try:
            document = VenueDocument.model_validate(raw)
        except ValidationError as error:
            raise ConfigurationError(one_line(error, f"{path}: {name}")) from None
        facts[name] = VenueFacts(name, document.synthetic, _instruments(document, f"{path}: {name}"), document.exchange)
    return MappingProxyType(facts)


def _instruments(document: VenueDocument, source: str) -> Mapping[str, Instrument]:
    instruments: dict[str, Instrument] = {}
    defaults = document.defaults.model_dump(exclude_none=True)
    for symbol, own in document.symbols.items():
        fields = {**defaults, **own.model_dump(exclude_none=True)}
        try:
            instruments[symbol_id(symbol)] = Instrument(symbol=symbol, **fields)
        except (TypeError, ValueError) as error:
            raise ConfigurationError(f"{source}.symbols.{symbol}: {error}") from None
    return MappingProxyType(instruments)
