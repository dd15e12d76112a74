"""Turns a case of the fill-rule table into orders, for any executor that takes orders and reports fills.

It decides as `docs/fill-rule.md` says under "Decide" and places protective orders when an entry has filled; matching is
the executor's. Stops go out before take-profits.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from decimal import Decimal

from include.domain import fill_rule
from include.domain.enums import OrderPurpose, OrderType, Side
from tests.unit.fill_rule_cases import START, ExpectedFill, FillCase


@dataclass(frozen=True, slots=True)
class Wish:
    """An order to send; its name tells its purpose and the bar that decided it."""

    name: str
    purpose: OrderPurpose
    side: Side
    quantity: Decimal
    type: OrderType = OrderType.MARKET
    level: Decimal | None = None
    reduce_only: bool = False


@dataclass(slots=True)
class CaseTrader:
    """Position and plans of one case."""

    case: FillCase
    position: Decimal = Decimal(0)
    fills: list[ExpectedFill] = field(default_factory=list)
    _levels: dict[str, tuple[str, str]] = field(default_factory=dict)

    def on_close(self, bar: int) -> list[Wish]:
        """Orders decided on the close of a bar; nothing on the last one."""
        rows = self.case.rows()
        prices, (target, stop, take_profit, weight) = rows[bar]
        if bar == len(rows) - 1 or target == ".":
            return []
        wanted = int(float(target))
        held = 0 if not self.position else 1 if self.position > 0 else -1
        if wanted == held:
            return []
        wishes = []
        if held:
            side = Side.SELL if held > 0 else Side.BUY
            wishes.append(Wish(f"EXIT-{bar}", OrderPurpose.EXIT, side, abs(self.position), reduce_only=True))
        share = Decimal(1) if weight == "." else Decimal(weight)
        quantity = fill_rule.entry_quantity(self.case.instrument, self.case.allocation, share, Decimal(prices[3]))
        if wanted and quantity:
            self._levels[f"ENTRY-{bar}"] = (stop, take_profit)
            wishes.append(Wish(f"ENTRY-{bar}", OrderPurpose.ENTRY, Side.BUY if wanted > 0 else Side.SELL, quantity))
        return wishes

    def on_fill(self, name: str, at_ms: int, side: Side, quantity: Decimal, price: Decimal) -> list[Wish]:
        """Note a fill; an entry's protective orders come back."""
        self.position += side.sign * quantity
        bar = (at_ms - int(START.timestamp() * 1_000)) // 60_000
        self.fills.append(ExpectedFill(bar, side, quantity, price, OrderPurpose[name.partition("-")[0]]))
        wishes = []
        if name.startswith("ENTRY"):
            number = name.partition("-")[2]
            for purpose, kind, level in zip(
                (OrderPurpose.STOP, OrderPurpose.TAKE_PROFIT),
                (OrderType.STOP_MARKET, OrderType.LIMIT),
                self._levels[name],
                strict=True,
            ):
                if level != ".":
                    tick = fill_rule.nearest_tick(self.case.instrument, Decimal(level))
                    wishes.append(
                        Wish(
                            f"{purpose.value}-{number}", purpose, side.opposite, quantity, kind, tick, reduce_only=True
                        )
                    )
        return wishes
