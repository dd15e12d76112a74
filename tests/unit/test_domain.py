"""Ids, lifecycles, times, instruments: small laws everything else relies on."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest

from include.domain.bars import Bar
from include.domain.conversion import to_decimal
from include.domain.deployments import most_cautious
from include.domain.enums import DeploymentStatus, OrderPurpose, OrderStatus, OrderType, Side, TradingState
from include.domain.errors import ConfigurationError, DataError, TransitionError
from include.domain.ids import canonical_json, chain_digest, client_order_id, digest
from include.domain.instruments import Instrument, symbol_id
from include.domain.lifecycle import DEPLOYMENT_TRANSITIONS, ORDER_TRANSITIONS, is_terminal, move
from include.domain.orders import Intent
from include.domain.reason_codes import DataRule, RiskCode, SignOffCode
from include.domain.times import Timeframe, from_ms, iso, parse_utc, to_ms

BAR_TIME = datetime(2024, 1, 1, tzinfo=UTC)
INSTRUMENT = Instrument("BTC/USDT", *map(Decimal, ("0.1", "0.001", "5", "0.0002", "0.0004", "0.5", "0.5")))


def test_the_same_intent_has_the_same_client_order_id_and_any_other_has_not() -> None:
    ids = [
        client_order_id("d", "BTC/USDT", BAR_TIME, OrderPurpose.ENTRY, 0),
        client_order_id("e", "BTC/USDT", BAR_TIME, OrderPurpose.ENTRY, 0),
        client_order_id("d", "ETH/USDT", BAR_TIME, OrderPurpose.ENTRY, 0),
        client_order_id("d", "BTC/USDT", BAR_TIME + timedelta(minutes=1), OrderPurpose.ENTRY, 0),
        client_order_id("d", "BTC/USDT", BAR_TIME, OrderPurpose.EXIT, 0),
        client_order_id("d", "BTC/USDT", BAR_TIME, OrderPurpose.ENTRY, 1),
    ]
    assert len(set(ids)) == len(ids)
    assert ids[0] == client_order_id("d", "BTC/USDT", BAR_TIME, OrderPurpose.ENTRY, 0)
    assert all(len(i) == 29 and i.startswith("al-") for i in ids), "Binance allows 36 characters, others 32"


def test_canonical_json_has_one_text_per_value_and_refuses_what_has_none() -> None:
    assert canonical_json({"b": Decimal("1.50"), "a": BAR_TIME}) == '{"a":"2024-01-01T00:00:00Z","b":"1.50"}'
    assert digest({"a": 1, "b": 2}) == digest({"b": 2, "a": 1})
    for bad in (float("nan"), float("inf")):
        with pytest.raises(ValueError, match="not JSON compliant"):
            canonical_json(bad)
    with pytest.raises(TypeError):
        canonical_json({1, 2})


def test_a_chain_digest_depends_on_everything_before_it() -> None:
    assert chain_digest("", {"a": 1}) != chain_digest("x", {"a": 1})


@pytest.mark.parametrize("table", [ORDER_TRANSITIONS, DEPLOYMENT_TRANSITIONS])
def test_every_state_has_a_row_and_every_target_is_a_state(table: dict) -> None:  # type: ignore[type-arg]
    states = set(type(next(iter(table))))
    assert set(table) == states
    assert set().union(*table.values()) <= states


@pytest.mark.parametrize("current", OrderStatus)
@pytest.mark.parametrize("target", OrderStatus)
def test_orders_move_along_the_table_and_nowhere_else(current: OrderStatus, target: OrderStatus) -> None:
    if target == current or target in ORDER_TRANSITIONS[current]:
        assert move(ORDER_TRANSITIONS, current, target, subject="order") is target
    else:
        with pytest.raises(TransitionError, match=f"{current} -> {target}"):
            move(ORDER_TRANSITIONS, current, target, subject="order")


def test_terminal_states_are_exactly_the_finished_ones() -> None:
    finished = {OrderStatus.DENIED, OrderStatus.FILLED, OrderStatus.CANCELED, OrderStatus.EXPIRED, OrderStatus.REJECTED}
    assert {s for s in OrderStatus if is_terminal(ORDER_TRANSITIONS, s)} == finished
    assert {s for s in DeploymentStatus if is_terminal(DEPLOYMENT_TRANSITIONS, s)} == {DeploymentStatus.COMPLETED}


def test_an_order_of_unknown_outcome_never_goes_back_to_being_sent() -> None:
    assert OrderStatus.SUBMITTED not in ORDER_TRANSITIONS[OrderStatus.SUBMISSION_UNKNOWN]
    assert OrderStatus.INITIALIZED not in set().union(*ORDER_TRANSITIONS.values())


@pytest.mark.parametrize(
    ("text", "seconds", "back"),
    [("1s", 1, "1s"), ("1m", 60, "1m"), ("90m", 5400, "90m"), ("2h", 7200, "2h"), ("7d", 604800, "1w")],
)
def test_timeframes_read_and_write_ccxt_notation(text: str, seconds: int, back: str) -> None:
    assert Timeframe.parse(text).seconds == seconds
    assert str(Timeframe.parse(text)) == back


@pytest.mark.parametrize("text", ["", "m", "0m", "-1m", "1.5h", "1M", "1 minute"])
def test_other_timeframes_are_refused(text: str) -> None:
    with pytest.raises(ConfigurationError, match="not understood"):
        Timeframe.parse(text)


def test_times_are_aware_utc_and_survive_the_round_trip() -> None:
    assert from_ms(to_ms(BAR_TIME)) == BAR_TIME
    assert iso(BAR_TIME) == "2024-01-01T00:00:00Z"
    assert parse_utc("2024-01-01") == BAR_TIME == parse_utc("2024-01-01T02:00:00+02:00")
    with pytest.raises(ValueError, match="no time zone"):
        to_ms(datetime(2024, 1, 1))  # noqa: DTZ001
    with pytest.raises(ConfigurationError, match="not a date"):
        parse_utc("yesterday")


def test_rounding_never_favours_ourselves() -> None:
    assert INSTRUMENT.worse_price(Decimal("100.01"), Side.BUY) == Decimal("100.1")
    assert INSTRUMENT.worse_price(Decimal("100.09"), Side.SELL) == Decimal("100.0")
    assert INSTRUMENT.floor_quantity(Decimal("0.0019")) == Decimal("0.001")


@pytest.mark.parametrize("spelling", ["BTC/USDT", "BTC-USDT", "BTCUSDT", "btc/usdt", "BTC/USDT:USDT"])
def test_a_market_has_one_key_however_it_is_spelled(spelling: str) -> None:
    assert symbol_id(spelling) == "BTCUSDT"


@pytest.mark.parametrize("value", [float("nan"), float("inf"), float("-inf")])
def test_a_number_that_is_not_there_never_becomes_a_price(value: float) -> None:
    with pytest.raises(DataError, match="not a finite number"):
        to_decimal(value, Decimal("0.1"))


@pytest.mark.parametrize(("value", "expected"), [(0.1 + 0.2, "0.3"), (29999.999999999996, "30000.0"), (1e-7, "0.0")])
def test_floats_return_to_the_tick_they_came_from(value: float, expected: str) -> None:
    assert to_decimal(value, Decimal("0.1")) == Decimal(expected)


@pytest.mark.parametrize(
    ("states", "expected"),
    [
        ([TradingState.ACTIVE], TradingState.ACTIVE),
        ([TradingState.ACTIVE, TradingState.REDUCE_ONLY], TradingState.REDUCE_ONLY),
        ([TradingState.HALTED, TradingState.ACTIVE], TradingState.HALTED),
        ([], TradingState.HALTED),
    ],
)
def test_the_most_cautious_state_applies_and_an_unknown_one_halts(
    states: list[TradingState], expected: TradingState
) -> None:
    assert most_cautious(states) is expected


def test_impossible_bars_and_intents_cannot_be_built() -> None:
    one, two, three = Decimal(1), Decimal(2), Decimal(3)
    with pytest.raises(ValueError, match="not a possible bar"):
        Bar("X", BAR_TIME, open=three, high=two, low=one, close=one, volume=one)
    with pytest.raises(ValueError, match="price belongs to LIMIT"):
        Intent("d", "X", BAR_TIME, OrderPurpose.ENTRY, Side.BUY, OrderType.LIMIT, one, one)
    with pytest.raises(ValueError, match="not positive"):
        Intent("d", "X", BAR_TIME, OrderPurpose.ENTRY, Side.BUY, OrderType.MARKET, Decimal(0), one)


@pytest.mark.parametrize("codes", [RiskCode, DataRule, SignOffCode])
def test_reason_codes_are_their_own_value_and_are_described(codes: type) -> None:
    for code in codes:  # type: ignore[attr-defined]
        assert code.name == code.value == str(code.value)
        assert code.description
        assert code.description[0].islower()
        assert not code.description.endswith(".")
