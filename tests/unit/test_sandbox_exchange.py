"""Parts of the sandbox exchange that need no socket: the replay's clock, gaps, signatures, what is told to whom."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import orjson
import pytest
from pydantic import SecretStr

from include.domain.bars import Bars
from include.domain.enums import OrderType, Side
from include.domain.errors import ConfigurationError
from include.domain.times import to_ms
from include.venues.matching import Request
from include.venues.sandbox.accounts import AccountSpec, Credentials, signed_payload
from include.venues.sandbox.clock import Clock
from include.venues.sandbox.exchange import Exchange
from include.venues.sandbox.hub import Connection, Hub
from include.venues.sandbox.replay import Phase, Replay
from include.venues.sandbox.tape import Tape
from tests.adapters.memory_market import MINUTE, make_instrument, random_bars

START = datetime(2024, 3, 1, tzinfo=UTC)
START_MS = to_ms(START)
ALICE = AccountSpec("alice", SecretStr("key"), SecretStr("secret"), Decimal(10_000))


def tape(symbol: str = "BTC/USDT", count: int = 10, start: int = 0, drop: tuple[int, ...] = ()) -> Tape:
    bars = random_bars(symbol, START, count, seed=1)
    keep = [i for i in range(count) if i not in drop]
    columns = (getattr(bars, name)[keep] for name in ("open_time", "open", "high", "low", "close", "volume"))
    return Tape(make_instrument(symbol), Bars(symbol, MINUTE, *columns), start)


class Listener(Connection):
    """A connection whose messages stay readable."""

    def __init__(self, account: str | None = None, streams: tuple[str, ...] = ()) -> None:
        super().__init__(self._never, combined=False, account=account)
        self.streams.update(streams)
        self.heard: list[dict[str, Any]] = []

    async def _never(self, payload: bytes) -> None:
        raise AssertionError("nothing is sent here")

    def put(self, payload: bytes) -> None:
        self.heard.append(orjson.loads(payload))


def exchange(*tapes: Tape) -> tuple[Exchange, Listener, Listener]:
    hub = Hub()
    market = Listener(streams=tuple(f"{t.id.lower()}@kline_1m" for t in tapes))
    user = Listener("alice")
    hub.add(market)
    hub.add(user)
    return Exchange({t.instrument.symbol: t for t in tapes}, [ALICE], hub), market, user


def market_order(name: str = "a") -> Request:
    return Request(name, "BTC/USDT", Side.BUY, OrderType.MARKET, Decimal(1))


def test_a_gap_in_one_symbol_stays_a_gap_and_does_not_hold_up_the_others() -> None:
    sandbox, market, _ = exchange(tape(drop=(3, 4)), tape("ETH/USDT"))
    while not sandbox.is_done:
        sandbox.advance()
    heard = {s: [m["k"]["t"] for m in market.heard if m["s"] == s] for s in ("BTCUSDT", "ETHUSDT")}
    assert heard["ETHUSDT"] == [START_MS + i * 60_000 for i in range(10)]
    assert heard["BTCUSDT"] == [START_MS + i * 60_000 for i in range(10) if i not in (3, 4)]


def test_a_market_order_of_a_symbol_without_a_bar_waits_for_its_next_one() -> None:
    sandbox, _, _ = exchange(tape(drop=(1, 2)), tape("ETH/USDT"))
    sandbox.advance()
    sandbox.submit("alice", market_order())
    for _ in range(2):
        sandbox.advance()
        assert sandbox.accounts["alice"].trades == []
    sandbox.advance()
    assert [trade.at for trade in sandbox.accounts["alice"].trades] == [START_MS + 3 * 60_000]


def test_lockstep_stops_at_an_open_only_when_an_order_moved_there() -> None:
    sandbox, _, _ = exchange(tape())
    sandbox.advance()
    assert (sandbox.replay.phase, sandbox.replay.step) == (Phase.BETWEEN, 1)
    sandbox.submit("alice", market_order())
    sandbox.advance()
    assert (sandbox.replay.phase, sandbox.replay.step) == (Phase.OPEN, 1)
    sandbox.advance()
    assert (sandbox.replay.phase, sandbox.replay.step) == (Phase.BETWEEN, 2)


def test_fills_of_a_bar_are_told_before_the_bar_itself_is_counted_as_closed() -> None:
    sandbox, market, user = exchange(tape())
    sandbox.advance()
    sandbox.submit("alice", market_order())
    sandbox.advance()
    assert [m["e"] for m in user.heard] == ["ORDER_TRADE_UPDATE", "ORDER_TRADE_UPDATE", "ACCOUNT_UPDATE"]
    assert len(market.heard) == 1
    assert sandbox.status()["sent"] == {"market": 1, "user": 3}


def test_a_stop_goes_from_the_algo_service_to_the_book_under_one_client_id() -> None:
    sandbox, _, user = exchange(tape())
    sandbox.advance()
    sandbox.submit("alice", market_order("entry"))
    sandbox.advance()
    user.heard.clear()
    stop = Request(
        "stop", "BTC/USDT", Side.SELL, OrderType.STOP_MARKET, Decimal(1), None, Decimal("200.0"), reduce_only=True
    )  # fmt: skip
    sandbox.submit("alice", stop)
    told = [
        (m["e"], m.get("o", {}).get("X"), m.get("o", {}).get("c") or m.get("o", {}).get("caid")) for m in user.heard
    ]
    assert told == [
        ("ALGO_UPDATE", "NEW", "stop"),
        ("ALGO_UPDATE", "TRIGGERING", "stop"),
        ("ORDER_TRADE_UPDATE", "NEW", "stop"),
        ("ALGO_UPDATE", "TRIGGERED", "stop"),
        ("ORDER_TRADE_UPDATE", "FILLED", "stop"),
        ("ACCOUNT_UPDATE", None, None),
        ("ALGO_UPDATE", "FINISHED", "stop"),
    ]


def test_a_replay_tells_the_same_bytes_every_time() -> None:
    def told() -> bytes:
        sandbox, market, user = exchange(tape(count=40), tape("ETH/USDT", count=40))
        number = 0
        while not sandbox.is_done:
            sandbox.advance()
            number += 1
            sandbox.submit("alice", market_order(f"a-{number}"))
        return orjson.dumps([market.heard, user.heard, sandbox.state()])

    assert told() == told()


def test_events_without_a_listener_are_not_counted_as_sent() -> None:
    sandbox = Exchange({"BTC/USDT": tape()}, [ALICE], Hub())
    sandbox.advance()
    assert sandbox.status()["sent"] == {"market": 0, "user": 0}


def test_history_before_the_window_is_known_and_the_future_is_not() -> None:
    replay = Replay({"BTC/USDT": tape(count=10, start=6)})
    assert (replay.known_rows("BTC/USDT"), replay.event_time) == (6, START_MS + 6 * 60_000 - 1)


def test_a_signature_covers_query_and_body_but_not_itself() -> None:
    assert signed_payload("a=1&b=2&signature=x", "") == "a=1&b=2"
    assert signed_payload("a=1", "b=2&signature=x") == "a=1b=2"


def test_two_accounts_cannot_share_a_key() -> None:
    with pytest.raises(ConfigurationError, match="bob"):
        Credentials([ALICE, AccountSpec("bob", ALICE.key, SecretStr("other"), Decimal(1))])


@pytest.mark.parametrize("text", ["", "0", "-1", "nan", "inf", "fast"])
def test_a_speed_that_makes_no_sense_is_refused(text: str) -> None:
    with pytest.raises(ConfigurationError, match="--speed"):
        Clock.parse(text)
