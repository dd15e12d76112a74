"""Plays the engine's part in a case of the fill-rule table, for any executor that takes orders and reports fills.

It decides as `docs/fill-rule.md` says under "Decide" and protects each part of an entry as soon as it has filled, with
reduce-only orders of that part's quantity; matching is the executor's.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from decimal import Decimal

from include.domain import fill_rule
from include.domain.enums import OrderPurpose, OrderType, Side
from include.domain.ids import is_liquidation
from include.domain.times import to_ms
from tests.unit.fill_rule_cases import ExpectedFill, FillCase, Row

ZERO = Decimal(0)
Purpose = OrderPurpose
STOPS = (Purpose.STOP, Purpose.TRAILING_STOP)
LEAVING = (Purpose.EXIT, Purpose.TIME_EXIT)


@dataclass(frozen=True, slots=True)
class Wish:
    """An order to send; its name tells its purpose."""

    name: str
    purpose: OrderPurpose
    side: Side
    quantity: Decimal
    type: OrderType = OrderType.MARKET
    level: Decimal | None = None
    """Limit price of a LIMIT, trigger of a STOP_MARKET."""
    callback: Decimal | None = None
    reduce_only: bool = False


@dataclass(frozen=True, slots=True)
class Withdrawal:
    """An order to cancel."""

    name: str


Action = Wish | Withdrawal


@dataclass(slots=True)
class _Entry:
    name: str
    side: Side
    left: Decimal


@dataclass(slots=True)
class CaseTrader:
    """Position and plans of one case."""

    case: FillCase
    fills: list[ExpectedFill] = field(default_factory=list)
    position: Decimal = ZERO
    cash: Decimal = ZERO
    """What fills, fees and funding have brought."""
    _rows: list[Row] = field(default_factory=list)
    _plans: dict[str, Row] = field(default_factory=dict)
    _plan: Row | None = None
    """What protects the position."""
    _entry: _Entry | None = None
    _is_leaving: bool = False
    _has_shrunk: bool = False
    _is_liquidated: bool = False
    _since: int = 0
    _sent: int = 0

    def __post_init__(self) -> None:
        self._rows = self.case.rows()

    # --- decisions -----------------------------------------------------------------------------------------

    def on_close(self, bar: int) -> list[Action]:
        """What is decided on the close of a bar; nothing on the last one."""
        row = self._rows[bar]
        if bar == len(self._rows) - 1 or self._is_leaving or self._is_liquidated:
            return []
        actions: list[Action] = []
        wanted = {1: Side.BUY, -1: Side.SELL}.get(row.target or 0)
        if self._entry is not None and row.target in (0, -self._entry.side.sign):
            actions += self._withdraw()
        reason = self._reason_to_leave(row, wanted)
        if reason is not None:
            actions += [*self._withdraw(), self._leave(reason)]
        if self._entry is not None or wanted is None:
            return actions
        if not self.position or reason is Purpose.EXIT:
            return actions + self._enter(row, wanted)
        return actions + (self._scale_in(row, wanted) if reason is None else [])

    def _reason_to_leave(self, row: Row, wanted: Side | None) -> OrderPurpose | None:
        if not self.position or self._plan is None:
            return None
        if row.target is not None and wanted is not self._held_side:
            return Purpose.EXIT
        ended = to_ms(row.bar.open_time) + self.case.timeframe.ms
        hold = self._plan.hold
        return Purpose.TIME_EXIT if hold and ended - self._since >= hold * self.case.timeframe.ms else None

    @property
    def _held_side(self) -> Side:
        return Side.BUY if self.position > 0 else Side.SELL

    def _equity(self, row: Row) -> Decimal:
        return self.case.allocation + self.cash + self.position * row.bar.close

    def _leave(self, purpose: OrderPurpose) -> Wish:
        self._is_leaving = True
        return self._wish(purpose, self._held_side.opposite, abs(self.position), reduce_only=True)

    def _withdraw(self) -> list[Action]:
        entry, self._entry = self._entry, None
        return [] if entry is None else [Withdrawal(entry.name)]

    def _enter(self, row: Row, side: Side) -> list[Action]:
        quantity = fill_rule.entry_quantity(
            self.case.instrument, self.case.allocation, row.weight, row.bar.close, self._equity(row)
        )
        return self._ask(Purpose.ENTRY, side, quantity, row)

    def _scale_in(self, row: Row, side: Side) -> list[Action]:
        if row.add is None or self._has_shrunk or self._plan is None:
            return []
        quantity = fill_rule.scale_in_quantity(
            self.case.instrument, self.case.allocation, row.add, row.bar.close, self._equity(row), abs(self.position)
        )
        return self._ask(Purpose.SCALE_IN, side, quantity, self._plan)

    def _ask(self, purpose: OrderPurpose, side: Side, quantity: Decimal, plan: Row) -> list[Action]:
        if not quantity:
            return []
        wish = self._wish(purpose, side, quantity)
        self._entry, self._plans[wish.name] = _Entry(wish.name, side, quantity), plan
        return [wish]

    def _wish(self, purpose: OrderPurpose, side: Side, quantity: Decimal, *, reduce_only: bool = False) -> Wish:
        self._sent += 1
        return Wish(f"{purpose.value}-{self._sent}", purpose, side, quantity, reduce_only=reduce_only)

    # --- what the executor tells ---------------------------------------------------------------------------

    def on_trigger(self, name: str) -> list[Action]:
        """A stop has been met: it is in work until the position is gone."""
        if purpose_of(name) not in STOPS or not self.position:
            return []
        self._is_leaving = True
        is_its_own = self._entry is not None and self._entry.side is self._held_side
        return self._withdraw() if is_its_own else []

    def on_funding(self, amount: Decimal) -> None:
        """Positive is received."""
        self.cash += amount

    def on_fill(
        self, name: str, at_ms: int, side: Side, quantity: Decimal, price: Decimal, fee: Decimal
    ) -> list[Action]:
        """Note a fill; an entry's part is protected, and what reduces withdraws the rest of an entry."""
        purpose, before = purpose_of(name), self.position
        self.position += side.sign * quantity
        self.cash -= side.sign * quantity * price + fee
        bar = max(i for i, row in enumerate(self._rows) if to_ms(row.bar.open_time) <= at_ms)
        self._note(ExpectedFill(bar, side, quantity, price, purpose))
        if purpose in (Purpose.ENTRY, Purpose.SCALE_IN):
            return self._on_entry_fill(name, bar, side, quantity, was_flat=not before)
        return self._on_reducing_fill(purpose, side)

    def _on_entry_fill(self, name: str, bar: int, side: Side, quantity: Decimal, *, was_flat: bool) -> list[Action]:
        self._plan = self._plans[name]
        if was_flat:
            self._since, self._has_shrunk = to_ms(self._rows[bar].bar.open_time), False
        if self._entry is not None and self._entry.name == name:
            self._entry.left -= quantity
            if not self._entry.left:
                self._entry = None
        return list(self._protection(self._plan, side.opposite, quantity))

    def _on_reducing_fill(self, purpose: OrderPurpose, side: Side) -> list[Action]:
        self._has_shrunk = True
        self._is_liquidated = self._is_liquidated or purpose is Purpose.LIQUIDATION
        if not self.position:
            self._is_leaving = False
        if self._is_liquidated:
            self._entry = None  # the exchange has cancelled it
        if self._entry is not None and self._entry.side is side.opposite:
            return self._withdraw()
        return []

    def _protection(self, plan: Row, side: Side, quantity: Decimal) -> list[Wish]:
        instrument, wishes = self.case.instrument, []
        if plan.stop is not None:
            wish = self._wish(Purpose.STOP, side, quantity, reduce_only=True)
            level = fill_rule.nearest_tick(instrument, plan.stop)
            wishes.append(replace(wish, type=OrderType.STOP_MARKET, level=level))
        if plan.trailing is not None:
            wish = self._wish(Purpose.TRAILING_STOP, side, quantity, reduce_only=True)
            callback = plan.trailing.quantize(fill_rule.TRAILING_STEP)
            wishes.append(replace(wish, type=OrderType.TRAILING_STOP_MARKET, callback=callback))
        if plan.take_profit is not None:
            wish = self._wish(Purpose.TAKE_PROFIT, side, quantity, reduce_only=True)
            level = fill_rule.nearest_tick(instrument, plan.take_profit)
            wishes.append(replace(wish, type=OrderType.LIMIT, level=level))
        return wishes

    def _note(self, fill: ExpectedFill) -> None:
        """Fills of one purpose at one price of one bar count as one: how protection is split over orders is ours."""
        last = self.fills[-1] if self.fills else None
        if last is not None and replace(last, quantity=fill.quantity) == fill:
            self.fills[-1] = replace(fill, quantity=last.quantity + fill.quantity)
        else:
            self.fills.append(fill)


def purpose_of(name: str) -> OrderPurpose:
    return Purpose.LIQUIDATION if is_liquidation(name) else OrderPurpose[name.rpartition("-")[0]]
