"""The rules of the risk gate, one a reason code, in the order in which reasons are listed."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from include.domain.reason_codes import RiskCode as C
from include.risk import account_rules, order_rules, price_rules, size_rules
from include.risk.exposure import Exposure
from include.risk.question import Question, Reason


@dataclass(frozen=True, slots=True)
class Rule:
    """A rule that looks at the question alone, and whether it also holds for orders that shrink a position."""

    code: C
    check: Callable[[Question], Reason | None]
    also_when_reducing: bool = False


@dataclass(frozen=True, slots=True)
class SizeRule:
    """A rule that measures what the order may lead to; orders that shrink a position are never asked."""

    code: C
    check: Callable[[Question, Exposure], Reason | None]


CHECKS: tuple[Rule | SizeRule, ...] = (
    Rule(C.STATE_HALTED, order_rules.state_halted, also_when_reducing=True),
    Rule(C.STATE_REDUCE_ONLY, order_rules.state_reduce_only),
    Rule(C.STATE_UNKNOWN, order_rules.state_unknown, also_when_reducing=True),
    Rule(C.RECONCILIATION_PENDING, order_rules.reconciliation_pending, also_when_reducing=True),
    Rule(C.INSTRUMENT_NOT_ALLOWED, order_rules.instrument_not_allowed, also_when_reducing=True),
    Rule(C.MODEL_CHECKSUM, order_rules.model_checksum),
    Rule(C.PRICE_MISSING, price_rules.price_missing),
    Rule(C.PRICE_STALE, price_rules.price_stale),
    Rule(C.PRICE_COLLAR, price_rules.price_collar),
    Rule(C.PRICE_MOVE, price_rules.price_move),
    Rule(C.QUANTITY_STEP, order_rules.quantity_step, also_when_reducing=True),
    Rule(C.NOTIONAL_MINIMUM, order_rules.notional_minimum),
    SizeRule(C.ORDER_VALUE, size_rules.order_value),
    SizeRule(C.LEVERAGE_SET, size_rules.leverage_set),
    SizeRule(C.POSITION_SIZE, size_rules.position_size),
    SizeRule(C.POSITIONS_OPEN, size_rules.positions_open),
    SizeRule(C.EXPOSURE_ASSET, size_rules.exposure_asset),
    SizeRule(C.EXPOSURE_SECTOR, size_rules.exposure_sector),
    SizeRule(C.EXPOSURE_NET, size_rules.exposure_net),
    SizeRule(C.EXPOSURE_GROSS, size_rules.exposure_gross),
    SizeRule(C.MARGIN_USED, size_rules.margin_used),
    SizeRule(C.BALANCE, size_rules.balance),
    SizeRule(C.LIQUIDATION_DISTANCE, size_rules.liquidation_distance),
    SizeRule(C.STOP_BEYOND_LIQUIDATION, size_rules.stop_beyond_liquidation),
    Rule(C.EQUITY_UNKNOWN, account_rules.equity_unknown),
    Rule(C.LOSS_DAILY, account_rules.loss_daily),
    Rule(C.LOSS_ROLLING, account_rules.loss_rolling),
    Rule(C.DRAWDOWN_LIMIT, account_rules.drawdown_limit),
    Rule(C.LOSSES_CONSECUTIVE, account_rules.losses_consecutive),
    Rule(C.TRADES_DAILY, account_rules.trades_daily),
    Rule(C.REPEATED_EXECUTION, account_rules.repeated_execution),
    Rule(C.RATE_ORDERS, order_rules.rate_orders),
    Rule(C.RATE_MESSAGES, order_rules.rate_messages),
    Rule(C.DUPLICATE_ORDER, order_rules.duplicate_order, also_when_reducing=True),
    Rule(C.ORDER_REPEATED, order_rules.order_repeated),
    Rule(C.ORDER_UNRESOLVED, order_rules.order_unresolved),
)
WHEN_REDUCING: tuple[Rule, ...] = tuple(rule for rule in CHECKS if isinstance(rule, Rule) and rule.also_when_reducing)
