"""Reason codes: stable API, CATEGORY_CONDITION, one line each. Retired, never renamed.

The tables in `docs/reason-codes.md` are generated from these enums; a test fails when they are stale.
"""

from __future__ import annotations

from enum import StrEnum


class _Code(StrEnum):
    """A code whose description travels with it."""

    description: str

    def __new__(cls, value: str, description: str) -> _Code:
        member = str.__new__(cls, value)
        member._value_ = value
        member.description = description
        return member


class RiskCode(_Code):
    """Why the risk gate denied an order."""

    STATE_HALTED = "STATE_HALTED", "trading is halted for the deployment, its account or everything"
    STATE_REDUCE_ONLY = "STATE_REDUCE_ONLY", "only orders that shrink a position are allowed"
    STATE_UNKNOWN = "STATE_UNKNOWN", "the trading state could not be read"
    RECONCILIATION_PENDING = "RECONCILIATION_PENDING", "ledger and venue have not been reconciled yet"
    INSTRUMENT_NOT_ALLOWED = "INSTRUMENT_NOT_ALLOWED", "the symbol is not on the deployment's allow-list"
    MODEL_CHECKSUM = "MODEL_CHECKSUM", "a model differs from what was measured, or was not checked"
    PRICE_MISSING = "PRICE_MISSING", "no reference price is known for the symbol"
    PRICE_STALE = "PRICE_STALE", "the last bar is older than the limit"
    PRICE_COLLAR = "PRICE_COLLAR", "the order price is too far from the reference price"
    PRICE_MOVE = "PRICE_MOVE", "the price has moved too far within the last bars, or they are not known"
    QUANTITY_STEP = "QUANTITY_STEP", "the quantity is not a multiple of the lot size"
    NOTIONAL_MINIMUM = "NOTIONAL_MINIMUM", "the order is smaller than the venue's minimum notional"
    ORDER_VALUE = "ORDER_VALUE", "the order is worth more than one order may be"
    LEVERAGE_SET = "LEVERAGE_SET", "the account is set to more leverage than allowed"
    POSITION_SIZE = "POSITION_SIZE", "the position would exceed its share of equity"
    POSITIONS_OPEN = "POSITIONS_OPEN", "more positions would be open than allowed"
    EXPOSURE_ASSET = "EXPOSURE_ASSET", "exposure to the asset would exceed its share of equity"
    EXPOSURE_SECTOR = "EXPOSURE_SECTOR", "the sector would exceed its share of equity, or is not known"
    EXPOSURE_NET = "EXPOSURE_NET", "longs less shorts would exceed their share of equity"
    EXPOSURE_GROSS = "EXPOSURE_GROSS", "gross exposure would exceed the leverage limit"
    MARGIN_USED = "MARGIN_USED", "positions would use more margin than allowed"
    BALANCE = "BALANCE", "the wallet does not hold the margin and fee, or is not known"
    LIQUIDATION_DISTANCE = "LIQUIDATION_DISTANCE", "the position would stand too near its liquidation"
    STOP_BEYOND_LIQUIDATION = "STOP_BEYOND_LIQUIDATION", "the exchange would close the position before its stop"
    EQUITY_UNKNOWN = "EQUITY_UNKNOWN", "equity is not known or not positive"
    LOSS_DAILY = "LOSS_DAILY", "the loss since 00:00 UTC reached the daily limit"
    LOSS_ROLLING = "LOSS_ROLLING", "the loss of the last 24 hours reached the limit"
    DRAWDOWN_LIMIT = "DRAWDOWN_LIMIT", "drawdown from the high-water mark reached the limit"
    LOSSES_CONSECUTIVE = "LOSSES_CONSECUTIVE", "too many losing trades in a row"
    TRADES_DAILY = "TRADES_DAILY", "as many trades were opened since 00:00 UTC as a day may have"
    REPEATED_EXECUTION = "REPEATED_EXECUTION", "a losing or identical round trip was repeated too often"
    RATE_ORDERS = "RATE_ORDERS", "too many orders in the rolling window"
    RATE_MESSAGES = "RATE_MESSAGES", "too many orders and cancels in the rolling window"
    DUPLICATE_ORDER = "DUPLICATE_ORDER", "an order with the same client order id exists"
    ORDER_REPEATED = "ORDER_REPEATED", "an order like it was sent a moment ago and is still working"
    ORDER_UNRESOLVED = "ORDER_UNRESOLVED", "an order of this symbol has an unknown outcome"


class AccountCode(_Code):
    """What is wrong with an account as a whole, over all deployments on it."""

    SNAPSHOT_INCOMPLETE = "SNAPSHOT_INCOMPLETE", "a deployment's equity, price or return is not known"
    ACCOUNT_GROSS = "ACCOUNT_GROSS", "positions of all deployments together exceed their share of equity"
    ACCOUNT_NET = "ACCOUNT_NET", "longs less shorts of all deployments exceed their share of equity"
    ACCOUNT_SECTOR = "ACCOUNT_SECTOR", "a sector over all deployments exceeds its share of equity, or is not known"
    ACCOUNT_DRAWDOWN = "ACCOUNT_DRAWDOWN", "equity of all deployments has fallen too far from its highest mark"
    RETURNS_CORRELATED = "RETURNS_CORRELATED", "two deployments earn and lose together more than allowed"


class DataRule(_Code):
    """Rules of the data-quality gate (requirements D-3 and D-4)."""

    HISTORY_LENGTH = "HISTORY_LENGTH", "the data spans less time than the profile asks for"
    COMPLETENESS = "COMPLETENESS", "fewer bars present than the window should hold"
    GAP = "GAP", "consecutive bars further apart than allowed"
    JUMP = "JUMP", "close-to-close move larger than allowed that stays"
    BAD_TICK = "BAD_TICK", "suspected bad print: a move larger than allowed that reverts at once"
    UNIT_CHANGE = "UNIT_CHANGE", "prices or volumes change by a power of ten and stay there"
    DUPLICATE_TIME = "DUPLICATE_TIME", "two rows for the same open time"
    OUT_OF_ORDER = "OUT_OF_ORDER", "open time goes backwards"
    OFF_GRID = "OFF_GRID", "open time is not a multiple of the timeframe"
    OHLC_INCONSISTENT = "OHLC_INCONSISTENT", "high below or low above another price of the bar"
    COLUMNS_SWAPPED = "COLUMNS_SWAPPED", "the four prices look as if read in another order of columns"
    NON_FINITE = "NON_FINITE", "a price or volume is NaN or infinite"
    NON_POSITIVE_PRICE = "NON_POSITIVE_PRICE", "a price is zero or negative"
    NEGATIVE_VOLUME = "NEGATIVE_VOLUME", "a volume is negative"
    STALE_PRICE = "STALE_PRICE", "the same four prices repeat for too long while something trades"
    ZERO_VOLUME_HALT = "ZERO_VOLUME_HALT", "no volume for several bars in a row"
    UNFINISHED_BAR = "UNFINISHED_BAR", "the last bar had not closed when it was ingested"
    STALE_END = "STALE_END", "the last bar lies further before the end of the window than a gap may be long"
    UNEVEN_END = "UNEVEN_END", "the symbols of one gate begin or end at different bars"
    WRONG_ZONE = "WRONG_ZONE", "returns match another series hours earlier or later, not at the same time"
    TIMEFRAME_MISMATCH = "TIMEFRAME_MISMATCH", "bars do not add up to the stored coarser timeframe"
    EMPTY = "EMPTY", "no rows at all in the window"


class FeedCode(_Code):
    """What is wrong with the feed of a running engine (requirement D-6); codes of incidents."""

    FEED_SILENT = "FEED_SILENT", "nothing has come for longer than a timeframe and its grace"
    FEED_GAP = "FEED_GAP", "bars are missing between two that came"
    FEED_STALE = "FEED_STALE", "bars come, but the price has been the same for too long"
    FEED_DELAYED = "FEED_DELAYED", "data came later than the latency limit"
    FEED_UPTIME = "FEED_UPTIME", "the share of time in which the feed was live fell below its minimum"


class SignOffCode(_Code):
    """Why promotion refused a candidate's sign-offs."""

    RESPONSE_MISSING = "RESPONSE_MISSING", "no recorded human response for a required role"
    RESPONSE_REJECTED = "RESPONSE_REJECTED", "a person rejected the candidate"
    RESPONDER_UNKNOWN = "RESPONDER_UNKNOWN", "the response names no person"
    RESPONDER_NOT_ASSIGNED = "RESPONDER_NOT_ASSIGNED", "the person who answered does not hold the role"
    RESPONDER_REPEATED = "RESPONDER_REPEATED", "one person answered for two roles"
    RESPONDER_IS_OWNER = "RESPONDER_IS_OWNER", "the candidate's owner signed off his own work"
    RESPONSE_LATE = "RESPONSE_LATE", "the answer came after its time limit"
    RESPONSE_STALE = "RESPONSE_STALE", "the answer is older than the evidence it should cover"
    EVIDENCE_MISSING = "EVIDENCE_MISSING", "a required stage has no evidence for this candidate and profile"
    EVIDENCE_NOT_PASS = "EVIDENCE_NOT_PASS", "the latest evidence of a required stage is not PASS"
    EVIDENCE_CHANGED = "EVIDENCE_CHANGED", "the evidence differs from what was shown to the people who signed"
    CANDIDATE_CHANGED = "CANDIDATE_CHANGED", "code, parameters or models differ from what was measured"
    PROFILE_CHANGED = "PROFILE_CHANGED", "the profile's content differs from what was measured against"
    CHAIN_BROKEN = "CHAIN_BROKEN", "the hash chain of evidence or approvals does not verify"


class SampleCode(_Code):
    """Why a statistic has no value on a sample; a criterion on it is INCONCLUSIVE."""

    OBSERVATIONS_TOO_FEW = "OBSERVATIONS_TOO_FEW", "fewer observations than the statistic needs"
    OBSERVATIONS_NOT_FINITE = "OBSERVATIONS_NOT_FINITE", "an observation is NaN or infinite"
    VARIANCE_ZERO = "VARIANCE_ZERO", "the observations do not vary"
    TRIALS_TOO_FEW = "TRIALS_TOO_FEW", "fewer trials than the statistic needs"
    TRIALS_NOT_FINITE = "TRIALS_NOT_FINITE", "a trial's Sharpe ratio is NaN or infinite"
    SHARPE_NOT_ABOVE = "SHARPE_NOT_ABOVE", "the Sharpe ratio is not above the benchmark, so no length is enough"
    EQUITY_NOT_POSITIVE = "EQUITY_NOT_POSITIVE", "equity fell to zero or below, so daily returns are not defined"


class AlertCode(_Code):
    """What an alert is about (requirement M-3); rules in `include/config/alerts.yaml` name one each."""

    WIN_RATE_LOW = "WIN_RATE_LOW", "fewer trades were won than the rule asks for"
    DRAWDOWN_HIGH = "DRAWDOWN_HIGH", "equity has fallen too far from its highest mark"
    LOSS_DAILY_HIGH = "LOSS_DAILY_HIGH", "the loss since 00:00 UTC of the venue's day is too large"
    CAPITAL_LOW = "CAPITAL_LOW", "equity has fallen below a share of the capital"
    LEVERAGE_HIGH = "LEVERAGE_HIGH", "positions are too large for the equity behind them"
    LIQUIDATION = "LIQUIDATION", "the exchange has closed a position because its margin was used up"
    TRADE_ABNORMAL = "TRADE_ABNORMAL", "a market order filled too far from the price it was decided on"
    REJECTS_MANY = "REJECTS_MANY", "too large a share of the orders was refused by the venue"
    API_ERRORS = "API_ERRORS", "calls to the venue ended without an answer that can be trusted"
    DISCONNECTS = "DISCONNECTS", "streams of the venue had to be opened again too often"
    HEARTBEAT_MISSING = "HEARTBEAT_MISSING", "an engine that should run gives no sign of life"
    FEED_DEGRADED = "FEED_DEGRADED", "the market data of a running engine is silent, stale, late or has gaps"
    TRADING_HALTED = "TRADING_HALTED", "a deployment that should trade is halted"
    INCIDENT_OPENED = "INCIDENT_OPENED", "the ledger has a new incident"
    DELIVERY_FAILING = "DELIVERY_FAILING", "alerts cannot be delivered on a channel"
    DATA_MISSING = "DATA_MISSING", "a rule cannot be judged because what it needs is not known"
