"""Faults on purpose: each kind does what its table says, when its plan says, the same way every time."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from include.domain.errors import ConfigurationError
from include.domain.times import iso
from include.venues.sandbox.errors import ApiError
from include.venues.sandbox.faults.injector import Injector, Loss
from include.venues.sandbox.faults.kinds import FAULTS, FaultKind
from include.venues.sandbox.faults.plan import FaultPlan, check_names, load_plan, read_plan
from include.venues.sandbox.faults.spikes import spiked
from include.venues.sandbox.snapshots import save as write_state
from tests.adapters.gateways import ALICE, BOB, START, WALL_MS, Desk, Listener, make_desk
from tests.adapters.memory_market import MINUTE

K = FaultKind
ORDER = "POST /fapi/v1/order"


def plan(kind: FaultKind, **settings: Any) -> dict[str, Any]:
    return {"seed": 7, "faults": [{"kind": kind.value, **settings}]}


def desk(kind: FaultKind, **settings: Any) -> Desk:
    made = make_desk(plan(kind, **settings))
    made.play()
    made.market.heard.clear()
    made.user.heard.clear()
    return made


def minute(number: int) -> str:
    """Open time of the replay's n-th bar."""
    return iso(START + (5 + number) * MINUTE.delta)


def reports(listener: Listener) -> list[str]:
    return [m["o"]["X"] for m in listener.heard if m["e"] == "ORDER_TRADE_UPDATE"]


# --- plans -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("document", "words"),
    [
        ({"fault": []}, "fault: Extra inputs"),
        ({"faults": [{"kind": "EARTHQUAKE"}]}, "faults.0.kind"),
        ({"faults": [{"kind": "STALL", "duration": 3}]}, "faults.0.duration"),
        ({"faults": [{"kind": "STALL", "delay_ms": 3}]}, "STALL has no delay_ms"),
        ({"faults": [{"kind": "STALL", "route": "GET *"}]}, "no route"),
        ({"faults": [{"kind": "BAN", "stream": "*"}]}, "no stream"),
        ({"faults": [{"kind": "BAN", "probability": 1.5}]}, "probability"),
        ({"faults": [{"kind": "BAN", "nth": 0}]}, "nth"),
        ({"faults": [{"kind": "BAN", "at": "tomorrow"}]}, "tomorrow"),
        ({"faults": [{"kind": "SERVER_ERROR", "status": 200}]}, "status"),
        ({"faults": [{"kind": "TIMEOUT_AFTER_ACCEPT", "answer": "SHRUG"}]}, "answer"),
        ({"faults": [{"kind": "PARTIAL_FILL_THEN_CANCEL", "fraction": -0.5}]}, "fraction"),
        ({"seed": "seven"}, "seed"),
        ([], "document"),
        ({"faults": [{"kind": "BAN"}] * 1_001}, "1000"),
    ],
)  # fmt: skip
def test_a_plan_that_cannot_be_meant_is_refused_in_one_line(document: Any, words: str) -> None:
    with pytest.raises(ConfigurationError) as refused:
        read_plan(document, "plan.yaml")
    assert words in str(refused.value)
    assert str(refused.value).startswith("plan.yaml: ")
    assert "\n" not in str(refused.value)


def test_a_plan_file_is_yaml_and_its_times_need_no_quotes(tmp_path: Path) -> None:
    path = tmp_path / "faults.yaml"
    path.write_text("seed: 3\nfaults:\n- {kind: STALL, at: 2024-03-01T00:10:00Z, for_secs: 60}\n- {kind: BAN}\n")
    read = load_plan(path)
    assert [fault.kind for fault in read.faults] == [K.STALL, K.BAN]
    assert read.faults[0].begins_ms == read_plan(plan(K.STALL, at="2024-03-01T00:10:00+00:00"), "").faults[0].begins_ms
    path.write_text("seed: [")
    with pytest.raises(ConfigurationError, match="not YAML"):
        load_plan(path)
    with pytest.raises(ConfigurationError, match="No such file"):
        load_plan(tmp_path / "nowhere.yaml")


def test_every_kind_has_its_facts() -> None:
    assert set(FAULTS) == set(FaultKind)
    for kind in FaultKind:
        read_plan(plan(kind), "defaults")


# --- when --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("when", "struck"),
    [
        ({}, [1, 2, 3, 4, 5, 6, 7, 8, 9]),
        ({"nth": 3}, [3]),
        ({"every": 4}, [4, 8]),
        ({"times": 2}, [1, 2]),
        ({"every": 2, "times": 3}, [2, 4, 6]),
        ({"probability": 1.0}, [1, 2, 3, 4, 5, 6, 7, 8, 9]),
        ({"at": "1970-01-01T00:00:00.004"}, [4, 5, 6, 7, 8, 9]),
        ({"at": "1970-01-01T00:00:00.004", "for_secs": 0.003}, [4, 5, 6]),
        ({"for_secs": 0.002}, [1, 2]),
    ],
)
def test_a_fault_strikes_exactly_when_its_plan_says(when: dict[str, Any], struck: list[int]) -> None:
    now = [0]
    injector = Injector(read_plan(plan(K.SERVER_ERROR, **when), "plan"), lambda: now[0])
    found = []
    for now[0] in range(1, 10):
        if injector.on_request("GET /fapi/v1/time", None, {}).refusal:
            found.append(now[0])
    assert found == struck
    assert injector.report()[0]["hits"] == len(struck)


def test_chance_follows_the_seed_and_nothing_else() -> None:
    def struck(seed: int, other: bool) -> list[int]:
        faults = [{"kind": "SERVER_ERROR", "probability": 0.3}]
        faults += [{"kind": "SLOW_ANSWER", "probability": 0.5}] if other else []
        injector = Injector(read_plan({"seed": seed, "faults": faults}, "plan"), lambda: 0)
        return [n for n in range(400) if injector.on_request("GET /x", None, {}).refusal]

    assert struck(1, False) == struck(1, True) != struck(2, False)
    assert 80 < len(struck(1, False)) < 160


@pytest.mark.parametrize(
    ("filters", "struck"),
    [
        ({"route": "GET /fapi/v1/openOrders"}, {"alice BTC", "alice ETH", "bob BTC"}),
        ({"route": "GET *", "account": "alice"}, {"alice BTC", "alice ETH"}),
        ({"symbol": "ETHUSDT"}, {"alice ETH"}),
        ({"account": "bob", "symbol": "ETHUSDT"}, set()),
        ({"route": "POST *"}, set()),
    ],
)
def test_a_fault_concerns_only_the_requests_that_it_names(filters: dict[str, Any], struck: set[str]) -> None:
    made = desk(K.SERVER_ERROR, **filters)
    asked = {"alice BTC": (ALICE, "BTCUSDT"), "alice ETH": (ALICE, "ETHUSDT"), "bob BTC": (BOB, "BTCUSDT")}
    replies = {n: made.ask("GET /fapi/v1/openOrders", a, symbol=s) for n, (a, s) in asked.items()}
    assert {name for name, reply in replies.items() if reply.status == 500} == struck


# --- requests ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("kind", "settings", "status", "code", "headers"),
    [
        (K.TOO_MANY_REQUESTS, {"retry_after_secs": 7}, 429, -1003, {"Retry-After": "7"}),
        (K.BAN, {"ban_secs": 30}, 418, -1003, {"Retry-After": "30"}),
        (K.SERVER_ERROR, {}, 500, -1000, {}),
        (K.SERVER_ERROR, {"status": 503, "code": -1008}, 503, -1008, {}),
        (K.MAINTENANCE, {}, 503, -1008, {}),
        (K.REJECT_ORDER, {}, 400, -2010, {}),
        (K.REJECT_ORDER, {"code": -2019}, 400, -2019, {}),
        (K.REJECT_ORDER, {"code": -4242}, 400, -4242, {}),
        (K.ACCOUNT_RESTRICTED, {}, 400, -4087, {}),
        (K.ACCOUNT_RESTRICTED, {"code": -4088}, 400, -4088, {}),
        (K.ACCOUNT_RESTRICTED, {"code": -2015}, 401, -2015, {}),
    ],
)  # fmt: skip
def test_a_request_that_is_refused_by_a_fault_is_not_served(
    kind: FaultKind, settings: dict[str, Any], status: int, code: int, headers: dict[str, str]
) -> None:
    made = desk(kind, **settings)
    reply = made.order("a")
    assert (reply.status, reply.document["code"]) == (status, code)
    assert headers.items() <= reply.headers.items()
    assert not made.exchange.accounts["alice"].orders


def test_a_ban_lasts_for_every_request_of_the_address_until_it_is_over() -> None:
    made = desk(K.BAN, ban_secs=30, route=ORDER)
    made.order("a")
    made.wall[0] = WALL_MS + 29_999
    assert made.ask("GET /fapi/v1/ping").status == 418
    assert made.ask("GET /fapi/v1/ping", ip="10.1.1.1").status == 200
    made.wall[0] = WALL_MS + 30_000
    assert made.order("a").status == 200


def test_a_restricted_account_may_still_reduce_and_read() -> None:
    made = make_desk(plan(K.ACCOUNT_RESTRICTED, at=minute(2), account="alice"))
    made.play()
    made.order("in")
    made.play(2)
    assert made.order("more").document["code"] == -4087
    assert made.ask("GET /fapi/v1/openOrders", ALICE).status == 200
    assert made.order("out", side="SELL", reduceOnly="true").status == 200
    assert made.ask(ORDER, BOB, symbol="BTCUSDT", side="BUY", type="MARKET", quantity="1").status == 200


@pytest.mark.parametrize(
    ("kind", "loss"), [(K.TIMEOUT_AFTER_ACCEPT, Loss.AFTER), (K.TIMEOUT_BEFORE_ACCEPT, Loss.BEFORE)]
)
def test_a_lost_order_says_where_it_is_lost_and_how_it_looks(kind: FaultKind, loss: Loss) -> None:
    made = desk(kind, answer="CUT")
    effects = made.gateway.effects(made.call(ORDER, ALICE))
    assert (effects.loss, effects.answer) == (loss, "CUT")
    assert made.gateway.effects(made.call("GET /fapi/v1/order", ALICE)).loss is None


def test_slow_answers_add_up() -> None:
    made = make_desk({"faults": [{"kind": "SLOW_ANSWER", "delay_ms": n} for n in (30, 12)]})
    assert made.gateway.effects(made.call("GET /fapi/v1/time")).delay_ms == 42


def test_a_skewed_clock_is_told_and_believed_by_the_exchange() -> None:
    made = make_desk(plan(K.CLOCK_SKEW, skew_ms=8_000, at=minute(1)))
    true = made.ask("GET /fapi/v1/time").document["serverTime"]
    assert made.ask("GET /fapi/v1/openOrders", ALICE).status == 200
    made.play(2)
    assert made.ask("GET /fapi/v1/time").document["serverTime"] - true > 7_000
    assert made.ask("GET /fapi/v1/openOrders", ALICE).document["code"] == -1021
    assert made.ask("GET /fapi/v1/openOrders", ALICE, at_ms=WALL_MS + 8_000).status == 200


# --- streams -----------------------------------------------------------------------------------------------


def test_a_missing_report_is_never_sent_and_asking_still_tells_the_truth() -> None:
    made = desk(K.MISSING_REPORT, nth=2)
    made.order("a")
    made.play()
    assert reports(made.user) == ["NEW"]
    asked = made.ask("GET /fapi/v1/order", ALICE, symbol="BTCUSDT", origClientOrderId="a")
    assert asked.document["status"] == "FILLED"


def test_a_duplicate_report_comes_twice_and_is_counted_twice() -> None:
    made = desk(K.DUPLICATE_REPORT, nth=2)
    made.order("a")
    made.play()
    assert reports(made.user) == ["NEW", "FILLED", "FILLED"]
    assert made.exchange.hub.sent_to(None, "alice")["user"] == len(made.user.heard)


def test_an_out_of_order_report_comes_after_its_successor_or_with_the_next_bar() -> None:
    made = desk(K.OUT_OF_ORDER_REPORT, nth=1)
    made.order("a")
    assert made.user.heard == []
    made.play()
    assert [m["o"]["X"] if "o" in m else m["e"] for m in made.user.heard] == ["NEW", "FILLED", "ACCOUNT_UPDATE"]
    swapped = desk(K.OUT_OF_ORDER_REPORT, nth=2)
    swapped.order("a")
    swapped.play()
    assert [m["o"]["X"] if "o" in m else m["e"] for m in swapped.user.heard] == ["NEW", "ACCOUNT_UPDATE", "FILLED"]


def test_a_stalled_stream_says_nothing_and_is_not_waited_for() -> None:
    made = make_desk(plan(K.STALL, at=minute(2), for_secs=120, symbol="BTCUSDT"))
    made.play(6)
    opens = {s: [m["k"]["t"] for m in made.market.heard if m["s"] == s] for s in ("BTCUSDT", "ETHUSDT")}
    assert len(opens["ETHUSDT"]) == 6
    assert [t for t in opens["ETHUSDT"] if t not in opens["BTCUSDT"]] == opens["ETHUSDT"][2:4]
    assert made.exchange.hub.sent["market"] == len(made.market.heard)


@pytest.mark.parametrize(
    ("settings", "market", "user"),
    [
        ({"stream": "btcusdt@*"}, True, False),
        ({"account": "alice"}, False, True),
        ({"stream": "userData"}, False, True),
        ({"account": "bob"}, False, False),
    ],
)
def test_a_cut_line_is_cut_for_those_it_names(settings: dict[str, Any], market: bool, user: bool) -> None:
    made = desk(K.DISCONNECT, **settings)
    made.order("a")
    made.play()
    assert (made.market.was_cut or made.market.closed, made.user.was_cut) == (
        market or ("account" not in settings and settings["stream"] != "userData"), user,
    )  # fmt: skip


def test_maintenance_closes_what_is_open() -> None:
    made = make_desk(plan(K.MAINTENANCE, at=minute(1)))
    made.play(2)
    assert made.market.was_cut
    assert made.ask("GET /fapi/v1/ping").status == 503


def test_a_sequence_gap_leaves_out_depth_updates_only() -> None:
    injector = Injector(read_plan(plan(K.SEQUENCE_GAP, nth=2), "plan"), lambda: 0)
    told = [
        injector.on_market_event("btcusdt@depth", {"e": kind, "s": "BTCUSDT", "u": n})
        for n, kind in enumerate(["depthUpdate", "kline", "depthUpdate", "depthUpdate"])
    ]
    assert [bool(events) for events in told] == [True, True, False, True]


def test_a_spike_is_one_bad_tick_and_nothing_trades_there() -> None:
    made = desk(K.PRICE_SPIKE, fraction=0.5, symbol="BTCUSDT", at=minute(1))
    made.order("far", type="LIMIT", side="SELL", price="140.0", timeInForce="GTC")
    made.play(2)
    spike, after = [m["k"] for m in made.market.heard if m["s"] == "BTCUSDT"]
    true = made.ask("GET /fapi/v1/klines", symbol="BTCUSDT", interval="1m", limit="2").document
    assert abs(Decimal(spike["c"]) / Decimal(true[0][4]) - Decimal("1.5")) < Decimal("0.01")
    assert Decimal(spike["h"]) >= Decimal(spike["c"])
    assert after["c"] == true[1][4]
    assert len(made.ask("GET /fapi/v1/openOrders", ALICE, symbol="BTCUSDT").document) == 1


@pytest.mark.parametrize(
    "event",
    [
        {"e": "aggTrade", "p": "10.00", "q": "1"},
        {"u": 1, "s": "BTCUSDT", "b": "10.0", "B": "1", "a": "11.0", "A": "2"},
        {"e": "bookTicker", "b": "10.0", "a": "11.0"},
        [{"e": "24hrMiniTicker", "c": "10.0", "h": "11.0", "l": "9.0", "o": "9.5"}],
    ],
)
def test_a_spiked_event_keeps_its_shape(event: Any) -> None:
    changed = spiked(event, -0.5)
    before, after = (e[0] if isinstance(e, list) else e for e in (event, changed))
    assert after.keys() == before.keys()
    moved = {name for name in before if before[name] != after[name]}
    assert moved
    assert all(Decimal(after[name]) * 2 == Decimal(before[name]) for name in moved)
    assert all(len(after[n].partition(".")[2]) == len(before[n].partition(".")[2]) for n in moved)


# --- the market --------------------------------------------------------------------------------------------


def test_a_flash_crash_is_real_orders_fill_there_and_the_bar_recovers() -> None:
    calm, crashed = make_desk(), make_desk(plan(K.FLASH_CRASH, at=minute(2), symbol="BTCUSDT", fraction=-0.5))
    for made in (calm, crashed):
        made.play()
        made.order("deep", type="LIMIT", price="70.0", timeInForce="GTC")
        made.play(2)
    rows = {n: d.ask("GET /fapi/v1/klines", symbol="BTCUSDT", interval="1m", limit="1").document[0]
            for n, d in (("calm", calm), ("crashed", crashed))}  # fmt: skip
    assert Decimal(rows["crashed"][3]) < Decimal("70") < Decimal(rows["calm"][3])
    assert rows["crashed"][4] == rows["calm"][4]
    assert len(calm.exchange.accounts["alice"].trades) == 0
    assert [t.price for t in crashed.exchange.accounts["alice"].trades] == [Decimal("70.0")]


def test_in_a_halt_nothing_trades_only_reducing_is_taken_and_bars_are_flat() -> None:
    made = make_desk(plan(K.TRADING_HALT, at=minute(2), for_secs=180, symbol="BTCUSDT"))
    made.play()
    made.order("in")
    made.play()
    made.play()
    made.market.heard.clear()
    assert made.order("more").document["code"] == -4140
    assert made.order("out", side="SELL", reduceOnly="true").status == 200
    states = {s["symbol"]: s["status"] for s in made.ask("GET /fapi/v1/exchangeInfo").document["symbols"]}
    assert states == {"BTCUSDT": "HALT", "ETHUSDT": "TRADING"}
    made.play(2)
    assert {m["s"] for m in made.market.heard} == {"ETHUSDT"}
    assert len(made.exchange.accounts["alice"].trades) == 1
    rows = made.ask("GET /fapi/v1/klines", symbol="BTCUSDT", interval="1m", limit="3").document
    assert all(row[1] == row[2] == row[3] == row[4] == rows[0][4] and Decimal(row[5]) == 0 for row in rows)
    made.play()
    assert len(made.exchange.accounts["alice"].trades) == 2
    assert made.order("again").status == 200


def test_a_delisted_symbol_is_closed_for_good() -> None:
    made = make_desk(plan(K.DELISTED, at=minute(2), for_secs=60, symbol="ETHUSDT"))
    made.play(6)
    refused = made.ask(ORDER, ALICE, symbol="ETHUSDT", side="BUY", type="MARKET", quantity="1")
    assert refused.document["code"] == -4141
    states = {s["symbol"]: s["status"] for s in made.ask("GET /fapi/v1/exchangeInfo").document["symbols"]}
    assert states["ETHUSDT"] == "CLOSE"
    assert len([m for m in made.market.heard if m["s"] == "ETHUSDT"]) == 2


@pytest.mark.parametrize(("fraction", "statuses"), [(0.5, ["PARTIALLY_FILLED", "CANCELED"]), (1.0, ["FILLED"])])
def test_a_fill_that_overtakes_its_cancel_is_told_before_it(fraction: float, statuses: list[str]) -> None:
    made = desk(K.PARTIAL_FILL_THEN_CANCEL, fraction=fraction)
    made.order("resting", type="LIMIT", price="50.0", quantity="2", timeInForce="GTC")
    made.user.heard.clear()
    reply = made.ask("DELETE /fapi/v1/order", ALICE, symbol="BTCUSDT", origClientOrderId="resting")
    assert reports(made.user) == statuses
    filled = sum(t.quantity for t in made.exchange.accounts["alice"].trades)
    assert filled == Decimal(2) * Decimal(str(fraction))
    if fraction == 1.0:
        assert reply.document["code"] == -2011
    else:
        assert (reply.document["status"], Decimal(reply.document["executedQty"])) == ("CANCELED", filled)


# --- determinism -------------------------------------------------------------------------------------------

STORM = {
    "seed": 11,
    "faults": [
        {"kind": "SERVER_ERROR", "probability": 0.2, "route": ORDER},
        {"kind": "MISSING_REPORT", "probability": 0.2},
        {"kind": "DUPLICATE_REPORT", "probability": 0.2},
        {"kind": "OUT_OF_ORDER_REPORT", "probability": 0.2},
        {"kind": "STALL", "probability": 0.1, "stream": "*kline*"},
        {"kind": "PRICE_SPIKE", "probability": 0.1, "times": 5},
        {"kind": "FLASH_CRASH", "probability": 0.1, "times": 3, "fraction": -0.2},
        {"kind": "TRADING_HALT", "symbol": "ETHUSDT", "probability": 0.2},
    ],
}


def storm(made: Desk, first: int, last: int) -> list[Any]:
    told = []
    for number in range(first, last):
        told.append(made.order(f"a-{number}", side="BUY" if number % 2 else "SELL").document)
        resting = {"symbol": "BTCUSDT", "side": "BUY", "type": "LIMIT", "quantity": "1", "timeInForce": "GTC"}
        resting |= {"price": f"{99 - number % 7}.0", "newClientOrderId": f"s-{number}"}
        told.append(made.ask("POST /api/v3/order", ALICE, **resting).document)
        made.play()
    return told


def test_the_same_plan_and_the_same_calls_give_the_same_faults() -> None:
    runs = []
    for _ in range(2):
        made = make_desk(STORM)
        told = storm(made, 0, 30)
        runs.append((told, made.market.heard, made.user.heard, made.exchange.state(), made.gateway.injector.report()))
    assert runs[0] == runs[1]
    assert all(fault["hits"] for fault in runs[0][4])


def test_a_restart_in_the_middle_changes_nothing(tmp_path: Path) -> None:
    path = tmp_path / "state.json"
    whole = make_desk(STORM)
    expected = storm(whole, 0, 30)
    first = make_desk(STORM, state=path)
    told = storm(first, 0, 12)
    write_state(first.gateway, path)
    second = make_desk(STORM, state=path)
    second.user.heard[:] = first.user.heard
    second.market.heard[:] = first.market.heard
    told += storm(second, 12, 30)
    assert told == expected
    assert second.user.heard == whole.user.heard
    assert second.market.heard == whole.market.heard
    after, wanted = second.exchange.state(), whole.exchange.state()
    assert {**after, "sent": None} == {**wanted, "sent": None}


def test_faults_can_be_added_listed_and_cleared_while_the_exchange_runs() -> None:
    made = make_desk()
    made.gateway.injector.add(read_plan(plan(K.SERVER_ERROR), "plan"))
    assert made.ask("GET /fapi/v1/ping").status == 500
    assert made.gateway.injector.report() == [{"kind": "SERVER_ERROR", "occasions": 1, "hits": 1}]
    made.gateway.injector.clear()
    assert made.ask("GET /fapi/v1/ping").status == 200
    assert Injector(FaultPlan(), lambda: 0).report() == []


def test_a_refusal_carries_what_the_exchange_says_of_that_code() -> None:
    made = desk(K.REJECT_ORDER, code=-2019)
    refusal = made.gateway.effects(made.call(ORDER, ALICE)).refusal
    assert isinstance(refusal, ApiError)
    assert refusal.denial.msg == "Margin is insufficient."


def test_a_plan_that_names_what_the_exchange_does_not_have_is_refused_rather_than_never_happening() -> None:
    described = [
        {"kind": "REJECT_ORDER", "account": "alise"},
        {"kind": "DELISTED", "symbol": "BTC/USDT"},
        {"kind": "STALL", "symbol": "BTCUSDT", "account": "alice"},
    ]
    with pytest.raises(ConfigurationError) as refused:
        check_names(read_plan({"faults": described}, "plan"), ["BTCUSDT"], ["alice"])
    assert str(refused.value) == (
        "fault plan: faults.0.account: alise is not here (known: alice); "
        "faults.1.symbol: BTC/USDT is not here (known: BTCUSDT)"
    )
