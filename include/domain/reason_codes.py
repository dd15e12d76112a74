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
    PRICE_MISSING = "PRICE_MISSING", "no reference price is known for the symbol"
    PRICE_STALE = "PRICE_STALE", "the last bar is older than the limit"
    PRICE_COLLAR = "PRICE_COLLAR", "the order price is too far from the reference price"
    QUANTITY_STEP = "QUANTITY_STEP", "the quantity is not a multiple of the lot size"
    NOTIONAL_MINIMUM = "NOTIONAL_MINIMUM", "the order is smaller than the venue's minimum notional"
    POSITION_SIZE = "POSITION_SIZE", "the position would exceed its share of equity"
    EXPOSURE_GROSS = "EXPOSURE_GROSS", "gross exposure would exceed the leverage limit"
    EQUITY_UNKNOWN = "EQUITY_UNKNOWN", "equity is not known or not positive"
    LOSS_DAILY = "LOSS_DAILY", "the loss since 00:00 UTC reached the daily limit"
    DRAWDOWN_LIMIT = "DRAWDOWN_LIMIT", "drawdown from the high-water mark reached the limit"
    RATE_ORDERS = "RATE_ORDERS", "too many orders in the rolling window"
    DUPLICATE_ORDER = "DUPLICATE_ORDER", "an order with the same client order id exists"
    ORDER_UNRESOLVED = "ORDER_UNRESOLVED", "an order of this symbol has an unknown outcome"


class DataRule(_Code):
    """Rules of the data-quality gate (requirements D-3 and D-4)."""

    HISTORY_LENGTH = "HISTORY_LENGTH", "the data spans less time than the profile asks for"
    COMPLETENESS = "COMPLETENESS", "fewer bars present than the window should hold"
    GAP = "GAP", "consecutive bars further apart than allowed"
    JUMP = "JUMP", "close-to-close move larger than allowed"
    DUPLICATE_TIME = "DUPLICATE_TIME", "two rows for the same open time"
    OUT_OF_ORDER = "OUT_OF_ORDER", "open time goes backwards"
    OFF_GRID = "OFF_GRID", "open time is not a multiple of the timeframe"
    OHLC_INCONSISTENT = "OHLC_INCONSISTENT", "high below or low above another price of the bar"
    NON_FINITE = "NON_FINITE", "a price or volume is NaN or infinite"
    NON_POSITIVE_PRICE = "NON_POSITIVE_PRICE", "a price is zero or negative"
    NEGATIVE_VOLUME = "NEGATIVE_VOLUME", "a volume is negative"
    STALE_PRICE = "STALE_PRICE", "the same four prices repeat for too long"
    ZERO_VOLUME_HALT = "ZERO_VOLUME_HALT", "no volume for several bars in a row"
    UNFINISHED_BAR = "UNFINISHED_BAR", "the last bar had not closed when it was ingested"
    EMPTY = "EMPTY", "no rows at all in the window"


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
