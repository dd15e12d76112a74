"""Enums with stable codes: name equals value, retired rather than renamed, never compared by ordinal."""

from __future__ import annotations

from enum import StrEnum


class Stage(StrEnum):
    """Rungs of the ladder, in the order a candidate climbs them."""

    DATA_GATE = "DATA_GATE"
    BACKTEST = "BACKTEST"
    # The robustness battery: each check is a stage of its own, so each has evidence, criteria and a verdict.
    WALK_FORWARD = "WALK_FORWARD"
    SENSITIVITY = "SENSITIVITY"
    MONTE_CARLO = "MONTE_CARLO"
    REGIMES = "REGIMES"
    COSTS = "COSTS"
    OVERFITTING = "OVERFITTING"
    STRESS = "STRESS"
    BENCHMARK = "BENCHMARK"
    CAPACITY = "CAPACITY"
    SIMULATION = "SIMULATION"
    QUALIFICATION = "QUALIFICATION"
    SIGN_OFF = "SIGN_OFF"
    PROMOTION = "PROMOTION"
    LIVE = "LIVE"


BATTERY: tuple[Stage, ...] = (
    Stage.WALK_FORWARD,
    Stage.SENSITIVITY,
    Stage.MONTE_CARLO,
    Stage.REGIMES,
    Stage.COSTS,
    Stage.OVERFITTING,
    Stage.STRESS,
    Stage.BENCHMARK,
    Stage.CAPACITY,
)
"""The robustness checks. A profile demands one by giving it criteria; the others are measured only on request."""


class Role(StrEnum):
    """Who signs off (requirement P-3)."""

    PROJECT_LEAD = "PROJECT_LEAD"
    RISK_MANAGER = "RISK_MANAGER"
    MLOPS_ENGINEER = "MLOPS_ENGINEER"
    TRADING_OPERATIONS = "TRADING_OPERATIONS"


class Mode(StrEnum):
    """How a deployment trades (requirement P-6). SIMULATION is the default everywhere."""

    SIMULATION = "SIMULATION"
    LIVE = "LIVE"


class DesiredState(StrEnum):
    """What the ledger asks of a deployment; the trader makes it so."""

    RUNNING = "RUNNING"
    STOPPED = "STOPPED"


class DeploymentStatus(StrEnum):
    """What a deployment is doing; its moves are `lifecycle.DEPLOYMENT_TRANSITIONS`."""

    PENDING = "PENDING"
    RUNNING = "RUNNING"
    STOPPED = "STOPPED"
    COMPLETED = "COMPLETED"
    FAILED = "FAILED"


class TradingState(StrEnum):
    """What the risk gate lets through. HALTED survives restarts; only `airlock resume` lifts it."""

    ACTIVE = "ACTIVE"
    REDUCE_ONLY = "REDUCE_ONLY"
    HALTED = "HALTED"


class Side(StrEnum):
    BUY = "BUY"
    SELL = "SELL"

    @property
    def sign(self) -> int:
        return 1 if self is Side.BUY else -1

    @property
    def opposite(self) -> Side:
        return Side.SELL if self is Side.BUY else Side.BUY


class PositionSide(StrEnum):
    """Which position an order belongs to: the one of one-way mode, or the long or short one of hedge mode."""

    BOTH = "BOTH"
    LONG = "LONG"
    SHORT = "SHORT"


class MarginType(StrEnum):
    """What stands behind a position: its own margin, or all that the account has."""

    ISOLATED = "ISOLATED"
    CROSSED = "CROSSED"


class OrderType(StrEnum):
    """`STOP_*` wait for the price to move against the trader, `TAKE_PROFIT_*` for it to move his way; once triggered,
    `*_MARKET` takes what there is and `*_LIMIT` rests at its limit price."""

    MARKET = "MARKET"
    LIMIT = "LIMIT"
    STOP_MARKET = "STOP_MARKET"
    STOP_LIMIT = "STOP_LIMIT"
    TAKE_PROFIT_MARKET = "TAKE_PROFIT_MARKET"
    TAKE_PROFIT_LIMIT = "TAKE_PROFIT_LIMIT"
    TRAILING_STOP_MARKET = "TRAILING_STOP_MARKET"


class TimeInForce(StrEnum):
    GTC = "GTC"
    IOC = "IOC"
    FOK = "FOK"
    GTX = "GTX"
    """Good till crossing: post-only, refused or expired where it would take."""


class OrderPurpose(StrEnum):
    """Why an order exists; part of its client order id."""

    ENTRY = "ENTRY"
    EXIT = "EXIT"
    TAKE_PROFIT = "TAKE_PROFIT"
    STOP = "STOP"
    FLATTEN = "FLATTEN"
    SCALE_IN = "SCALE_IN"
    TIME_EXIT = "TIME_EXIT"
    TRAILING_STOP = "TRAILING_STOP"
    LIQUIDATION = "LIQUIDATION"
    """The exchange's own order; ours never have this purpose."""


class OrderStatus(StrEnum):
    """Life of an order; its moves are `lifecycle.ORDER_TRANSITIONS`."""

    INITIALIZED = "INITIALIZED"
    DENIED = "DENIED"
    SUBMITTED = "SUBMITTED"
    SUBMISSION_UNKNOWN = "SUBMISSION_UNKNOWN"
    ACCEPTED = "ACCEPTED"
    TRIGGERED = "TRIGGERED"
    """A stop that the market has reached: a market order in work from here on."""
    PARTIALLY_FILLED = "PARTIALLY_FILLED"
    PENDING_CANCEL = "PENDING_CANCEL"
    FILLED = "FILLED"
    CANCELED = "CANCELED"
    EXPIRED = "EXPIRED"
    REJECTED = "REJECTED"


class Liquidity(StrEnum):
    MAKER = "MAKER"
    TAKER = "TAKER"


class Severity(StrEnum):
    INFO = "INFO"
    WARNING = "WARNING"
    CRITICAL = "CRITICAL"
