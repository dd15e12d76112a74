"""Leverage brackets: how much leverage and how much maintenance margin a position of a size has."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal

from include.domain.instruments import MAX_LEVERAGE, Instrument

DEFAULT_LEVERAGE = 20
"""What Binance gives a fresh USD-M account."""
DEFAULT_CAP = Decimal(1_000_000_000)


@dataclass(frozen=True, slots=True)
class Bracket:
    """One row of a symbol's table, notional above `floor` up to `cap` in quote currency.

    `rate` is the maintenance margin rate; `amount` is what the rate of the whole notional counts too much because lower
    brackets have lower rates ("cum" on the wire).
    """

    number: int
    floor: Decimal
    cap: Decimal
    max_leverage: int
    rate: Decimal
    amount: Decimal


def brackets_of(instrument: Instrument) -> tuple[Bracket, ...]:
    """The one bracket of an instrument that states only a maintenance margin rate."""
    rate = instrument.maintenance_margin_rate
    return build_brackets([(DEFAULT_CAP, most_leverage(rate), rate)])


def most_leverage(rate: Decimal) -> int:
    """Largest leverage at which a position is not under its maintenance margin from the start."""
    return MAX_LEVERAGE if not rate else max(1, min(MAX_LEVERAGE, int((1 - Decimal("1e-9")) / rate)))


def build_brackets(rows: Sequence[tuple[Decimal, int, Decimal]]) -> tuple[Bracket, ...]:
    """Brackets from (cap, highest leverage, maintenance margin rate), smallest first.

    Raises:
        ValueError: the table is empty, or caps do not rise, leverages rise, or rates fall from row to row, or a
            position would be under its maintenance margin from the start.
    """
    table: list[Bracket] = []
    for number, (cap, leverage, rate) in enumerate(rows, start=1):
        last = table[-1] if table else Bracket(0, Decimal(0), Decimal(0), MAX_LEVERAGE, Decimal(0), Decimal(0))
        if cap <= last.cap or not 1 <= leverage <= last.max_leverage or rate < last.rate or rate * leverage >= 1:
            raise ValueError(f"leverage bracket {number} (cap {cap}, leverage {leverage}, rate {rate}) does not follow")
        amount = last.amount + last.cap * (rate - last.rate)
        table.append(Bracket(number, last.cap, cap, leverage, rate, amount))
    if not table:
        raise ValueError("a symbol needs at least one leverage bracket")
    return tuple(table)


def bracket_at(table: Sequence[Bracket], notional: Decimal) -> Bracket:
    """Bracket of a position of this size; the last one has no end."""
    return next((bracket for bracket in table if notional <= bracket.cap), table[-1])


def most_notional(table: Sequence[Bracket], leverage: int) -> Decimal:
    """Largest position that a leverage allows; zero when no bracket allows that leverage."""
    return max((bracket.cap for bracket in table if leverage <= bracket.max_leverage), default=Decimal(0))
