"""Wallet, positions and settings of a margin account, and what they allow. Pure and exact; knows no orders.

Isolated positions are backed by |cost| / leverage plus what was added, crossed ones by everything else the account has.
What a position has lost beyond its margin the exchange's insurance fund pays, through the price of the liquidation;
fees stay the account's, so a wallet can end below zero.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from decimal import Decimal

from include.domain import fill_rule
from include.domain.enums import MarginType, OrderType, PositionSide, Side
from include.domain.holding import ZERO, Holding
from include.domain.instruments import Instrument
from include.venues.matching.brackets import (
    DEFAULT_LEVERAGE,
    Bracket,
    bracket_at,
    brackets_of,
    most_notional,
)
from include.venues.matching.changes import Held
from include.venues.matching.orders import Refusal, RefusedError
from include.venues.matching.positions import (
    CrossedPosition,
    Position,
    Terms,
    after_fill,
    crossed_bankruptcy,
    crossed_level,
    with_levels,
)

ONE_WAY = (PositionSide.BOTH,)
HEDGED = (PositionSide.LONG, PositionSide.SHORT)
FLAT = Holding()
Key = tuple[str, PositionSide]


class Margin:
    """The money of one account."""

    def __init__(
        self,
        instruments: Mapping[str, Instrument],
        wallet: Decimal,
        mark: Callable[[str], Decimal | None],
        brackets: Mapping[str, Sequence[Bracket]] | None = None,
    ) -> None:
        """`mark` tells where a symbol's market stands; symbols without brackets get the one of their instrument."""
        given = brackets or {}
        self.instruments = instruments
        self.brackets = {symbol: tuple(given.get(symbol) or brackets_of(i)) for symbol, i in instruments.items()}
        self.wallet = wallet
        self.hedged = False
        self.positions: dict[Key, Position] = {}
        """Positions that are not flat."""
        self.terms = {
            symbol: Terms(min(DEFAULT_LEVERAGE, table[0].max_leverage), MarginType.CROSSED)
            for symbol, table in self.brackets.items()
        }
        self.order_notional: dict[str, Decimal] = {}
        """What working orders may add to positions, valued at their prices; symbols without any are absent."""
        self.realised: dict[Key, Decimal] = {}
        """Profit realised by each position so far, before fees."""
        self._mark = mark

    # --- views ---------------------------------------------------------------------------------------------

    @property
    def sides(self) -> tuple[PositionSide, ...]:
        return HEDGED if self.hedged else ONE_WAY

    def holding(self, symbol: str, side: PositionSide = PositionSide.BOTH) -> Holding:
        position = self.positions.get((symbol, side))
        return position.holding if position is not None else FLAT

    def of(self, symbol: str) -> list[tuple[PositionSide, Position]]:
        """Positions of a symbol that are not flat."""
        found = ((side, self.positions.get((symbol, side))) for side in self.sides)
        return [(side, position) for side, position in found if position is not None]

    def is_isolated(self, symbol: str) -> bool:
        return self.terms[symbol].margin_type is MarginType.ISOLATED

    def bracket(self, symbol: str, notional: Decimal) -> Bracket:
        return bracket_at(self.brackets[symbol], notional)

    def unrealised(self, symbol: str) -> Decimal:
        mark = self._mark(symbol)
        return ZERO if mark is None else sum((p.holding.unrealised(mark) for _, p in self.of(symbol)), ZERO)

    @property
    def equity(self) -> Decimal:
        return self.wallet + sum((self.unrealised(symbol) for symbol in {s for s, _ in self.positions}), ZERO)

    @property
    def cross_wallet(self) -> Decimal:
        """The wallet less what isolated positions have put aside."""
        return self.wallet - sum((self.isolated_margin(symbol, side) for symbol, side in self.positions), ZERO)

    @property
    def crossed_unrealised(self) -> Decimal:
        return sum((p.unrealised for p in self._crossed()), ZERO)

    def isolated_margin(self, symbol: str, side: PositionSide) -> Decimal:
        """What one isolated position has put aside; zero under crossed margin."""
        position = self.positions.get((symbol, side))
        if position is None or not self.is_isolated(symbol):
            return ZERO
        return position.margin(self.terms[symbol].leverage)

    def position_margin(self, symbol: str, side: PositionSide | None = None) -> Decimal:
        """Initial margin of the open positions of a symbol (or of one of them) at the mark."""
        size = sum((p.size for s, p in self.of(symbol) if side in (None, s)), ZERO)
        return size * (self._mark(symbol) or ZERO) / self.terms[symbol].leverage

    def order_margin(self, symbol: str) -> Decimal:
        """Initial margin that working orders which may enlarge a position bind."""
        return self.order_notional.get(symbol, ZERO) / self.terms[symbol].leverage

    def maintenance(self, symbol: str, side: PositionSide) -> Decimal:
        position, mark = self.positions.get((symbol, side)), self._mark(symbol)
        if position is None or mark is None:
            return ZERO
        notional = position.size * mark
        bracket = self.bracket(symbol, notional)
        return notional * bracket.rate - bracket.amount

    @property
    def available(self) -> Decimal:
        """What backs no position and no order."""
        crossed = sum(
            (p.unrealised - p.position.size * p.mark / self.terms[p.symbol].leverage for p in self._crossed()), ZERO
        )
        orders = sum((self.order_margin(symbol) for symbol in self.order_notional), ZERO)
        return self.cross_wallet + crossed - orders

    def liquidation_price(self, symbol: str, side: PositionSide) -> Decimal:
        """Where a position is liquidated if only its symbol moves; zero for nowhere."""
        position = self.positions.get((symbol, side))
        if position is None:
            return ZERO
        if self.is_isolated(symbol):
            return position.liquidation or ZERO
        level = crossed_level(self.cross_wallet, self._crossed(), symbol, self.instruments[symbol])
        return level[1] if level is not None and level[0] is position.closing_side else ZERO

    def held(self, symbol: str, side: PositionSide) -> Held:
        mark = self._mark(symbol) or ZERO
        return Held(
            symbol, side, self.positions.get((symbol, side)), mark, self.is_isolated(symbol),
            self.isolated_margin(symbol, side), self.maintenance(symbol, side), self.realised.get((symbol, side), ZERO),
        )  # fmt: skip

    @property
    def risk(self) -> Decimal:
        """Highest ratio of maintenance margin to what backs it, over the crossed account and each isolated position;
        from 1 on there is a liquidation."""
        crossed = list(self._crossed())
        ratios = [_ratio(sum((p.maintenance for p in crossed), ZERO), self.cross_wallet + self.crossed_unrealised)]
        for (symbol, side), position in self.positions.items():
            if self.is_isolated(symbol):
                open_profit = position.holding.unrealised(self._mark(symbol) or ZERO)
                own = self.isolated_margin(symbol, side) + open_profit
                ratios.append(_ratio(self.maintenance(symbol, side), own))
        return max(ratios)

    # --- what may be ---------------------------------------------------------------------------------------

    def check_order(self, symbol: str, notional: Decimal) -> None:
        """Hold what an order may add to a position, valued at its price, to margin and bracket. Raises RefusedError."""
        leverage = self.terms[symbol].leverage
        if notional / leverage > self.available:
            raise RefusedError(Refusal.MARGIN_INSUFFICIENT)
        if self._notional(symbol) + notional > most_notional(self.brackets[symbol], leverage):
            raise RefusedError(Refusal.LEVERAGE_NOTIONAL)

    def barrier(self, symbol: str, end: Decimal) -> Decimal | None:
        """Price on the way from the mark to `end` at which a position of the symbol is liquidated."""
        mark = self._mark(symbol)
        if mark is None or not self.positions:
            return None
        levels = [
            mark if fill_rule.is_reached(OrderType.STOP_MARKET, side, level, mark) else level
            for side, level in self._levels(symbol)
            if fill_rule.is_reached(OrderType.STOP_MARKET, side, level, mark)
            or fill_rule.is_reached(OrderType.STOP_MARKET, side, level, end)
        ]
        return min(levels, key=lambda level: abs(level - mark), default=None)

    def victim(self, symbol: str, price: Decimal) -> tuple[PositionSide, Decimal]:
        """Which position of a symbol the barrier at `price` takes, and the price beyond which it is not made to pay."""
        positions = self.of(symbol)
        for side, position in positions:
            if position.bankruptcy is not None and position.is_liquidated_at(price):
                return side, position.bankruptcy
        instrument, crossed = self.instruments[symbol], list(self._crossed())
        level = crossed_level(self.cross_wallet, crossed, symbol, instrument)
        loses = level[0] if level is not None else positions[0][1].closing_side
        side, position = next((found for found in positions if found[1].closing_side is loses), positions[0])
        chosen = next(p for p in crossed if p.position is position)
        return side, crossed_bankruptcy(self.cross_wallet, crossed, chosen, instrument)

    # --- changes -------------------------------------------------------------------------------------------

    def fill(
        self, key: Key, side: Side, quantity: Decimal, price: Decimal, fee: Decimal, at: int
    ) -> tuple[Decimal, bool]:
        """Book a fill; returns the profit realised before fees, and whether the position is larger or turned."""
        position, realised, grew = after_fill(self.positions.get(key), side, quantity, price, at)
        self.wallet += realised - fee
        self.realised[key] = self.realised.get(key, ZERO) + realised
        if position is None:
            self.positions.pop(key, None)
        else:
            self.positions[key] = self._levelled(key[0], position) if grew else position
        return realised, grew

    def set_leverage(self, symbol: str, leverage: int) -> None:
        """Raises RefusedError: out of the brackets, too small for the margin, or lowered under an isolated position."""
        table, terms = self.brackets[symbol], self.terms[symbol]
        if not 1 <= leverage <= table[0].max_leverage:
            raise RefusedError(Refusal.LEVERAGE)
        if self._notional(symbol) > most_notional(table, leverage):
            raise RefusedError(Refusal.LEVERAGE_NOTIONAL)
        if self.of(symbol) and self.is_isolated(symbol) and leverage < terms.leverage:
            raise RefusedError(Refusal.LEVERAGE_REDUCTION)
        self.terms[symbol] = Terms(leverage, terms.margin_type)
        if leverage < terms.leverage and self.available < 0:
            self.terms[symbol] = terms
            raise RefusedError(Refusal.LEVERAGE_MARGIN)
        self._relevel(symbol)

    def set_margin_type(self, symbol: str, margin_type: MarginType) -> None:
        """Raises RefusedError: nothing to change, or a position is open. Open orders are the caller's to look at."""
        if self.terms[symbol].margin_type is margin_type:
            raise RefusedError(Refusal.MARGIN_TYPE_UNCHANGED)
        if self.of(symbol):
            raise RefusedError(Refusal.MARGIN_TYPE_BUSY)
        self.terms[symbol] = Terms(self.terms[symbol].leverage, margin_type)

    def set_hedged(self, hedged: bool) -> None:
        """Raises RefusedError: nothing to change, or a position is open. Open orders are the caller's to look at."""
        if hedged is self.hedged:
            raise RefusedError(Refusal.POSITION_SIDE_UNCHANGED)
        if self.positions:
            raise RefusedError(Refusal.POSITION_SIDE_BUSY)
        self.hedged = hedged

    def add_margin(self, symbol: str, side: PositionSide, amount: Decimal) -> None:
        """Put margin behind an isolated position, or take added margin back (negative).

        Raises:
            RefusedError: there is no such position, the wallet has no such amount, or more is taken than was added.
        """
        position = self.positions.get((symbol, side))
        if not self.is_isolated(symbol):
            raise RefusedError(Refusal.NO_ISOLATED_MARGIN)
        if position is None:
            raise RefusedError(Refusal.NO_ISOLATED_POSITION)
        if amount > self.available:
            raise RefusedError(Refusal.CROSSED_WALLET)
        if position.added + amount < 0:
            raise RefusedError(Refusal.ISOLATED_MARGIN)
        self.positions[symbol, side] = self._levelled(symbol, replace(position, added=position.added + amount))

    # --- internals -----------------------------------------------------------------------------------------

    def _notional(self, symbol: str) -> Decimal:
        """What a symbol's positions are worth and what its working orders may add."""
        held = sum((p.size for _, p in self.of(symbol)), ZERO) * (self._mark(symbol) or ZERO)
        return held + self.order_notional.get(symbol, ZERO)

    def _crossed(self) -> Iterator[CrossedPosition]:
        for (symbol, _), position in self.positions.items():
            mark = self._mark(symbol)
            if mark is not None and not self.is_isolated(symbol):
                yield CrossedPosition(symbol, position, mark, self.bracket(symbol, position.size * mark))

    def _levels(self, symbol: str) -> Iterator[tuple[Side, Decimal]]:
        positions = self.of(symbol)
        if positions and not self.is_isolated(symbol):
            level = crossed_level(self.cross_wallet, self._crossed(), symbol, self.instruments[symbol])
            if level is not None:
                yield level
        for _, position in positions:
            if position.liquidation is not None:
                yield position.closing_side, position.liquidation

    def _levelled(self, symbol: str, position: Position) -> Position:
        # A gap may carry a position beyond what its leverage allows: it keeps the last bracket that does.
        allowed = most_notional(self.brackets[symbol], self.terms[symbol].leverage)
        bracket = self.bracket(symbol, min(abs(position.holding.cost), allowed))
        return with_levels(position, self.instruments[symbol], self.terms[symbol], bracket)

    def _relevel(self, symbol: str) -> None:
        for side, position in self.of(symbol):
            self.positions[symbol, side] = self._levelled(symbol, position)


def _ratio(maintenance: Decimal, balance: Decimal) -> Decimal:
    if not maintenance:
        return ZERO
    return maintenance / balance if balance > maintenance else Decimal(1)
