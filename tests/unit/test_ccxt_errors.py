"""Every ccxt exception means exactly one thing to a caller, and silence never means "refused"."""

from __future__ import annotations

from importlib import import_module
from typing import Any

import aiohttp
import pytest
from aiohttp.client_reqrep import ConnectionKey

from include.domain.errors import FatalError, OutcomeUnknownError, RejectedError, RetryableError
from include.venues.ccxt_errors import CODES, MAX_TEXT, REACTIONS, exchange_code, render_errors, translate


@pytest.fixture(scope="module")
def ccxt() -> Any:
    """ccxt's error module; importing it imports all of ccxt, so only when a test runs."""
    return import_module("ccxt.base.errors")


def names_in(tree: dict[str, Any]) -> set[str]:
    return set(tree) | {name for branch in tree.values() for name in names_in(branch)}


def classes_below(cls: type[BaseException]) -> set[str]:
    return {cls.__name__} | {name for child in cls.__subclasses__() for name in classes_below(child)}


def test_the_table_names_every_exception_of_ccxt_and_no_other(ccxt: Any) -> None:
    assert set(REACTIONS) == names_in(ccxt.error_hierarchy) == classes_below(ccxt.BaseError)


@pytest.mark.parametrize("name", sorted(REACTIONS))
def test_each_exception_becomes_exactly_the_one_of_the_table(ccxt: Any, name: str) -> None:
    error = getattr(ccxt, name)('binanceusdm {"code":-4242,"msg":"x"}')
    assert type(translate(error, "send", changes=True)) is REACTIONS[name]


@pytest.mark.parametrize("name", sorted(n for n, r in REACTIONS.items() if r is OutcomeUnknownError))
def test_a_question_without_an_answer_may_be_asked_again(ccxt: Any, name: str) -> None:
    assert type(translate(getattr(ccxt, name)("x"), "ask", changes=False)) is RetryableError


@pytest.mark.parametrize("name", sorted(REACTIONS))
@pytest.mark.parametrize("shape", ['binance {"code":CODE,"msg":"x"}', 'bybit {"retCode":CODE,"retMsg":"x"}'])
def test_a_code_of_the_exchange_says_more_than_ccxts_class(ccxt: Any, name: str, shape: str) -> None:
    for code, reaction in CODES.items():
        error = getattr(ccxt, name)(shape.replace("CODE", code))
        assert exchange_code(error) == code
        assert type(translate(error, "send", changes=True)) is reaction


def test_orders_that_bybit_timed_out_on_are_not_refused_although_ccxt_calls_them_invalid(ccxt: Any) -> None:
    error = ccxt.InvalidOrder('bybit {"retCode":170146,"retMsg":"Order creation timeout"}')
    assert type(translate(error, "send", changes=True)) is OutcomeUnknownError


def test_a_code_that_nobody_knows_leaves_the_outcome_open(ccxt: Any) -> None:
    error = ccxt.ExchangeError('binanceusdm {"code":-9876,"msg":"something new"}')
    assert "-9876" not in CODES
    assert type(translate(error, "send", changes=True)) is OutcomeUnknownError
    assert type(translate(error, "ask", changes=False)) is RetryableError


def test_every_code_and_class_is_in_the_table_of_the_docs() -> None:
    text = render_errors()
    assert [name for name in (*CODES, *REACTIONS) if name not in text] == []


def test_an_error_that_ccxt_does_not_know_leaves_the_outcome_open() -> None:
    assert type(translate(AttributeError("'str' has no attribute 'get'"), "send", changes=True)) is OutcomeUnknownError


def test_a_broken_transfer_that_ccxt_calls_an_exchange_error_leaves_the_outcome_open(ccxt: Any) -> None:
    assert type(translate(ccxt.ExchangeError("binanceusdm POST http://x/order"), "send", changes=True)) is (
        OutcomeUnknownError
    )


def test_a_connection_that_was_never_made_sent_nothing(ccxt: Any) -> None:
    key = ConnectionKey("127.0.0.1", 1, False, True, None, None, None)
    error = ccxt.ExchangeNotAvailable("binanceusdm POST http://127.0.0.1:1/fapi/v1/order")
    error.__cause__ = aiohttp.ClientConnectorError(key, OSError(111, "refused"))
    assert type(translate(error, "send", changes=True)) is RetryableError


def test_a_refusal_keeps_the_exchanges_code(ccxt: Any) -> None:
    refused = translate(ccxt.InvalidOrder('x {"code":-2022,"msg":"ReduceOnly Order is rejected."}'), "a", changes=True)
    assert isinstance(refused, RejectedError)
    assert refused.code == "-2022"


def test_no_signature_and_no_second_line_gets_into_a_message(ccxt: Any) -> None:
    url = "http://x/fapi/v1/order?symbol=BTCUSDT&signature=5ec2e7"
    text = str(translate(ccxt.RequestTimeout(f"binanceusdm GET {url}\n{'x' * 999}"), "find", changes=False))
    assert "signature" not in text
    assert "\n" not in text
    assert len(text) < MAX_TEXT + 100


def test_wrong_credentials_stop_everything(ccxt: Any) -> None:
    assert type(translate(ccxt.AuthenticationError("x"), "ask", changes=False)) is FatalError
