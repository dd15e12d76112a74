"""Bars by ccxt from a real server on loopback: pages, holes, limits, faults, and what is asked for in each case."""

from __future__ import annotations

import decimal
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from email.utils import format_datetime
from http.server import BaseHTTPRequestHandler
from typing import Any

import numpy as np
import pytest
from pytest_httpserver import HTTPServer

from include.domain.errors import ConfigurationError, RetryableError
from include.domain.times import Timeframe, from_ms, to_ms
from include.market_data.sources.exchange import ExchangeSource
from include.market_data.sources.patience import MAX_BACKOFF_SECS
from include.market_data.sources.protocol import Chunk, Request
from tests.adapters import scripted_klines as script
from tests.adapters.scripted_klines import Fault, ScriptedKlines
from tests.market import MINUTE, START, Columns, bars, minutes, take

PAGE = 10
COUNT = 35
END = START + minutes(COUNT)


@dataclass
class Bench:
    """A scripted exchange and what it takes to ask it."""

    klines: ScriptedKlines
    url: str
    waits: list[float] = field(default_factory=list)

    def source(self, exchange: str = "binanceusdm", now: datetime = END, **options: Any) -> ExchangeSource:
        chosen = {"page_bars": PAGE, **options}
        source = ExchangeSource(exchange, url=self.url, now=now, sleep=self.waits.append, **chosen)
        # Loopback bears more than the exchange: a millisecond between requests instead of fifty.
        source.client._client.rateLimit = source.client._usual_interval = 1.0
        return source


@pytest.fixture(scope="module")
def server() -> Iterator[HTTPServer]:
    """One thread a request, so that one that hangs holds up no other."""
    with HTTPServer(host="127.0.0.1", threaded=True) as running:
        yield running


@pytest.fixture
def bench(server: HTTPServer) -> Iterator[Bench]:
    server.clear()
    klines = ScriptedKlines(server, bars(COUNT))
    yield Bench(klines, klines.start())
    klines.released.set()


def asked(start: datetime | None = START, end: datetime | None = None, symbol: str = "BTC/USDT") -> Request:
    return Request(symbol, MINUTE, start, end)


def joined(chunks: list[Chunk]) -> Columns:
    return {name: np.concatenate([c.columns[name] for c in chunks]) for name in chunks[0].columns}


def assert_same(found: Columns, expected: Columns) -> None:
    assert list(found) == list(expected)
    for name, values in expected.items():
        np.testing.assert_array_equal(found[name], values, err_msg=name)


# --- paging ------------------------------------------------------------------------------------------------


def test_pages_meet_in_a_known_bar_and_every_bar_is_handed_out_once(bench: Bench) -> None:
    source = bench.source()
    chunks = list(source.chunks(asked()))
    assert source.name == "ccxt:binanceusdm"
    assert_same(joined(chunks), bench.klines.columns)
    assert [len(c.columns["open_time"]) for c in chunks] == [10, 9, 9, 7]
    assert [chunk.done for chunk in chunks] == sorted(chunk.done for chunk in chunks)
    assert chunks[-1].done == 1.0
    offsets = [(since - to_ms(START)) // MINUTE.ms for since in bench.klines.since]
    assert offsets == [0, 9, 18, 27], "each page after the first begins with the last bar of the one before"
    assert bench.waits == []


def test_the_request_may_be_cut_at_every_chunk(bench: Bench) -> None:
    source = bench.source()
    chunks = list(source.chunks(asked()))
    for index, chunk in enumerate(chunks):
        rest = list(source.chunks(asked(chunk.resume_at)))
        later = [len(c.columns["open_time"]) for c in chunks[index + 1 :]]
        assert sum(len(c.columns["open_time"]) for c in rest) == sum(later)
    assert chunks[-1].resume_at == END


def test_the_end_is_exclusive_and_nothing_beyond_it_is_handed_out(bench: Bench) -> None:
    found = joined(list(bench.source().chunks(asked(START + minutes(5), START + minutes(17)))))
    assert_same(found, take(bench.klines.columns, slice(5, 17)))


@pytest.mark.parametrize(
    ("now", "handed_out"),
    [(END, 35), (END - timedelta(milliseconds=1), 34), (END - minutes(1), 34), (START, 0), (START - minutes(9), 0)],
)
def test_a_bar_that_is_not_over_is_never_handed_out(bench: Bench, now: datetime, handed_out: int) -> None:
    chunks = list(bench.source(now=now).chunks(asked()))
    assert sum(len(c.columns["open_time"]) for c in chunks) == handed_out


def test_a_bar_must_be_over_by_the_clock_of_the_exchange_as_well(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    late = format_datetime(END - minutes(2), usegmt=True)
    monkeypatch.setattr(BaseHTTPRequestHandler, "date_time_string", lambda *_: late)
    assert len(joined(list(bench.source().chunks(asked())))["open_time"]) == COUNT - 2


def test_without_a_start_it_begins_with_the_earliest_bar_there_is(bench: Bench) -> None:
    assert_same(joined(list(bench.source().chunks(asked(None)))), bench.klines.columns)


def test_without_a_start_an_exchange_that_answers_by_window_is_searched_by_days(bench: Bench) -> None:
    bench.klines.by_window = True
    assert_same(joined(list(bench.source(page_bars=400).chunks(asked(None)))), bench.klines.columns)
    assert len(bench.klines.asked) < 25


@pytest.mark.parametrize("by_window", [False, True], ids=["answers by count", "answers by window"])
@pytest.mark.parametrize(
    "kept",
    [
        [*range(12), *range(25, 35)],
        [0, 34],
        [*range(9), 9, 34],
        list(range(20)),
        list(range(20, 35)),
    ],
    ids=["an outage", "two bars only", "a hole after a whole page", "delisted", "listed later"],
)
def test_a_hole_is_passed_over_and_nothing_beside_it_is_lost(bench: Bench, kept: list[int], by_window: bool) -> None:
    bench.klines.columns = take(bars(COUNT), np.array(kept))
    bench.klines.by_window = by_window
    chunks = list(bench.source().chunks(asked()))
    assert_same(joined(chunks), bench.klines.columns)
    assert len(bench.klines.asked) <= 15
    last = from_ms(int(bench.klines.columns["open_time"][-1]))
    assert chunks[-1].resume_at == last + minutes(1), "bars that come late are asked for again"


def test_a_hole_is_paged_through_where_daily_bars_are_refused(bench: Bench) -> None:
    bench.klines.columns = take(bars(COUNT), np.array([0, 1, 2, COUNT - 1]))
    bench.klines.by_window, bench.klines.has_days = True, False
    assert_same(joined(list(bench.source().chunks(asked()))), bench.klines.columns)
    assert [asked["interval"] for asked in bench.klines.asked].count("1d") == 1


def test_a_hole_of_years_costs_a_handful_of_requests(bench: Bench) -> None:
    columns, far = bars(6), 2 * 365 * 1_440
    columns["open_time"][3:] += far * MINUTE.ms
    bench.klines.columns, bench.klines.by_window = columns, True
    now = START + minutes(far + 60)
    assert_same(joined(list(bench.source(now=now, page_bars=200).chunks(asked()))), columns)
    assert len(bench.klines.asked) < 30


def test_disorder_and_repeats_within_a_page_are_put_right(bench: Bench) -> None:
    bench.klines.faults = [script.shuffles_and_repeats, script.shuffles_and_repeats]
    assert_same(joined(list(bench.source().chunks(asked()))), bench.klines.columns)


def test_two_versions_of_one_bar_are_both_handed_out_for_the_gate_to_judge(bench: Bench) -> None:
    def contradicts(klines: ScriptedKlines, request: Any) -> Any:
        page = klines.page(request)
        return script.answer([*page, [page[4][0], "1", "1", "1", "1", "1", *page[4][6:]]])

    bench.klines.faults = [contradicts]
    found = joined(list(bench.source().chunks(asked())))
    assert len(found["open_time"]) == COUNT + 1
    assert int((np.diff(found["open_time"]) == 0).sum()) == 1


def test_a_price_that_is_missing_becomes_no_number_and_is_not_dropped(bench: Bench) -> None:
    def holed(klines: ScriptedKlines, request: Any) -> Any:
        page = klines.page(request)
        page[2][4] = None
        return script.answer(page)

    bench.klines.faults = [holed]
    assert np.isnan(joined(list(bench.source().chunks(asked())))["close"]).tolist() == [i == 2 for i in range(COUNT)]


# --- faults ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "fault",
    [
        script.status(500),
        script.status(502),
        script.status(503),
        script.status(529),
        script.breaks_off,
        script.does_not_answer,
        script.shows_a_page_for_people,
        script.status(400, {"code": -1001, "msg": "Internal error; unable to process your request."}),
    ],
    ids=["500", "502", "503", "529", "broken off", "no answer", "html", "-1001"],
)
def test_after_a_set_back_the_page_is_asked_for_again_and_nothing_is_lost(bench: Bench, fault: Fault) -> None:
    bench.klines.faults = [None, fault, fault]
    assert_same(joined(list(bench.source(timeout_ms=300).chunks(asked()))), bench.klines.columns)
    assert bench.klines.since[1] == bench.klines.since[2] == bench.klines.since[3]
    assert len(bench.waits) == 2
    assert all(0 < wait <= MAX_BACKOFF_SECS + 1 for wait in bench.waits)


def test_the_page_before_once_more_is_no_hole(bench: Bench) -> None:
    bench.klines.faults = [None, script.repeats_the_last_page]
    assert_same(joined(list(bench.source().chunks(asked()))), bench.klines.columns)
    assert bench.waits == []


def test_a_page_without_the_bar_that_the_last_one_ended_with_is_asked_for_again(bench: Bench) -> None:
    bench.klines.faults = [None, lambda klines, request: script.answer(klines.page(request)[1:])]
    assert_same(joined(list(bench.source().chunks(asked()))), bench.klines.columns)
    assert len(bench.waits) == 1


def test_it_gives_up_after_its_attempts_and_what_was_handed_out_stands(bench: Bench) -> None:
    bench.klines.faults = [None, *[script.status(500)] * 3]
    chunks = bench.source(max_attempts=3).chunks(asked())
    assert len(next(chunks).columns["open_time"]) == PAGE
    with pytest.raises(RetryableError, match=r"binanceusdm: ask for BTC/USDT:USDT 1m.*gave up after 3 of 3 attempts"):
        next(chunks)
    assert len(bench.klines.asked) == 4
    assert len(bench.waits) == 2


def test_nobody_listens_is_a_reason_to_come_back_later() -> None:
    source = ExchangeSource("binanceusdm", url="http://127.0.0.1:9", now=END, max_attempts=2, sleep=lambda _: None)
    with pytest.raises(RetryableError, match=r"ask for its markets: NetworkError.*try again later"):
        list(source.chunks(asked()))


def test_told_to_wait_it_waits_that_long_goes_slower_and_recovers_slowly(bench: Bench) -> None:
    bench.klines.faults = [script.status(429, Retry_After="7")]
    source = bench.source()
    chunks = source.chunks(asked())
    next(chunks)
    slower = source.client.slowdown
    assert bench.waits == [7.0]
    assert 1.9 < slower <= 2.0
    next(chunks)
    assert 1.9 < source.client.slowdown < slower


def test_told_to_wait_until_a_date_it_counts_from_the_clock_of_the_exchange(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    at = datetime(2030, 1, 1, tzinfo=START.tzinfo)
    monkeypatch.setattr(BaseHTTPRequestHandler, "date_time_string", lambda *_: format_datetime(at, usegmt=True))
    bench.klines.faults = [script.status(429, Retry_After=format_datetime(at + timedelta(seconds=42), usegmt=True))]
    list(bench.source().chunks(asked()))
    assert bench.waits == [42.0]


@pytest.mark.parametrize(
    ("code", "message", "wait"),
    [
        (429, "Too many requests.", 60.0),
        (418, "You are gone.", 120.0),
        (418, f"Way too many requests; IP banned until {to_ms(END) + 90_000}.", 90.0),
    ],
)
def test_not_told_how_long_it_waits_a_cautious_time(bench: Bench, code: int, message: str, wait: float) -> None:
    bench.klines.faults = [script.status(code, {"code": -1003, "msg": message})]
    list(bench.source().chunks(asked()))
    assert bench.waits == [wait]


def test_banned_for_long_it_gives_up_at_once_and_does_not_ask_again_meanwhile(bench: Bench) -> None:
    bench.klines.faults = [None, script.status(418, Retry_After="3600")]
    source = bench.source()
    chunks = source.chunks(asked())
    next(chunks)
    with pytest.raises(RetryableError, match=r"418.*gave up after 1 of 6 attempts, try again in 3600 s"):
        next(chunks)
    with pytest.raises(RetryableError, match=r"asked us to stay away; try again at 2024-"):
        list(source.chunks(asked(symbol="ETH/USDT")))
    assert len(bench.klines.asked) == 2
    assert bench.waits == []


@pytest.mark.parametrize(
    "fault",
    [
        script.status(400, {"code": -1121, "msg": "Invalid symbol."}),
        script.status(401, {"code": -2015, "msg": "Invalid API-key, IP, or permissions for action."}),
        script.status(403),
        script.status(451, {"code": 0, "msg": "Service unavailable from a restricted location."}),
        script.status(404),
    ],
    ids=["-1121", "-2015", "403", "451", "404"],
)
def test_a_refusal_is_not_asked_for_again(bench: Bench, fault: Fault) -> None:
    bench.klines.faults = [fault]
    with pytest.raises(ConfigurationError, match=r"^binanceusdm: ask for BTC/USDT:USDT 1m .*refused"):
        list(bench.source().chunks(asked()))
    assert len(bench.klines.asked) == 1
    assert bench.waits == []


# --- markets -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("symbol", ["BTC/USDT", "BTCUSDT", "BTC-USDT", "BTC/USDT:USDT"])
def test_every_spelling_of_a_symbol_finds_its_market(bench: Bench, symbol: str) -> None:
    list(bench.source().chunks(asked(symbol=symbol)))
    assert {a["symbol"] for a in bench.klines.asked} == {"BTCUSDT"}
    assert bench.klines.paths == ["/fapi/v1/exchangeInfo"]


def test_the_spot_exchange_is_asked_for_spot_alone(bench: Bench) -> None:
    assert_same(joined(list(bench.source("binance").chunks(asked()))), bench.klines.columns)
    assert bench.klines.paths == ["/api/v3/exchangeInfo"]


def test_an_unknown_symbol_timeframe_or_exchange_is_named_with_what_comes_near(bench: Bench) -> None:
    with pytest.raises(ConfigurationError, match=r"does not trade 'BTX/USDT' \(near: .*BTC/USDT:USDT"):
        list(bench.source().chunks(asked(symbol="BTX/USDT")))
    with pytest.raises(ConfigurationError, match=r"has no 7m bars \(known: 1s, 1m, 3m"):
        list(bench.source().chunks(Request("BTC/USDT", Timeframe(420), START)))
    with pytest.raises(ConfigurationError, match=r"'binanceusdmm': ccxt knows no such exchange \(near: binanceusdm"):
        bench.source("binanceusdmm")


def test_the_rounding_of_decimals_stays_what_it_was(bench: Bench) -> None:
    before = decimal.getcontext().copy()
    list(bench.source().chunks(asked()))
    after = decimal.getcontext()
    assert (after.rounding, after.prec, after.traps) == (before.rounding, before.prec, before.traps)
