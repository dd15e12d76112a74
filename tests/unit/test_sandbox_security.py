"""Who may do what on the sandbox exchange: keys, permissions, signatures, windows, listen keys."""

from __future__ import annotations

import base64
from dataclasses import replace
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from pydantic import SecretStr

from include.venues.sandbox import listen_keys
from include.venues.sandbox.accounts import Permission
from include.venues.sandbox.gateway import Call
from include.venues.sandbox.user_streams import LISTEN_KEY_VALID_MS, ListenKeys
from include.venues.sandbox.weights import Segment
from tests.adapters.gateways import ALICE, BOB, IP, WALL_MS, Listener, make_desk

ROUTE = "GET /fapi/v1/openOrders"


def spoilt(call: Call, **changes: str | None) -> Call:
    """The call with parameters changed after it was signed; None takes one away."""
    params = {k: v for k, v in {**call.params, **changes}.items() if v is not None}
    return replace(call, params=params)


@pytest.mark.parametrize(
    ("make", "status", "code", "words"),
    [
        (lambda d: d.call(ROUTE, ALICE), 200, None, ""),
        (lambda d: d.call(ROUTE, ALICE, recvWindow="60000", at_ms=WALL_MS - 59_000), 200, None, ""),
        (lambda d: replace(d.call(ROUTE, ALICE), key=None), 401, -2014, "format"),
        (lambda d: replace(d.call(ROUTE, ALICE), key=""), 401, -2014, "format"),
        (lambda d: replace(d.call(ROUTE, ALICE), key="k\u00e9y"), 401, -2014, "format"),
        (lambda d: replace(d.call(ROUTE, ALICE), key="x" * 300), 401, -2014, "format"),
        (lambda d: replace(d.call(ROUTE, ALICE), key="unknown"), 401, -2015, "permissions"),
        (lambda d: replace(d.call(ROUTE, ALICE), key="key-b"), 400, -1022, "Signature"),
        (lambda d: spoilt(d.call(ROUTE, ALICE), signature=None), 400, -1102, "'signature'"),
        (lambda d: spoilt(d.call(ROUTE, ALICE), signature=""), 400, -1105, "'signature'"),
        (lambda d: spoilt(d.call(ROUTE, ALICE), signature="zz"), 400, -1100, "'signature'"),
        (lambda d: spoilt(d.call(ROUTE, ALICE), signature="\u0660" * 64), 400, -1100, "'signature'"),
        (lambda d: spoilt(d.call(ROUTE, ALICE), signature="0" * 64), 400, -1022, "Signature"),
        (lambda d: replace(d.call(ROUTE, ALICE), payload="timestamp=1"), 400, -1022, "Signature"),
        (lambda d: spoilt(d.call(ROUTE, ALICE), timestamp=None), 400, -1102, "'timestamp'"),
        (lambda d: spoilt(d.call(ROUTE, ALICE), timestamp=""), 400, -1105, "'timestamp'"),
        (lambda d: spoilt(d.call(ROUTE, ALICE), timestamp="-5"), 400, -1100, "'timestamp'"),
        (lambda d: spoilt(d.call(ROUTE, ALICE), timestamp="9" * 21), 400, -1100, "'timestamp'"),
        (lambda d: d.call(ROUTE, ALICE, at_ms=WALL_MS - 5_001), 400, -1021, "outside"),
        (lambda d: d.call(ROUTE, ALICE, at_ms=WALL_MS + 1_000), 400, -1021, "ahead"),
        (lambda d: d.call(ROUTE, ALICE, at_ms=WALL_MS + 999), 200, None, ""),
        (lambda d: d.call(ROUTE, ALICE, recvWindow="60001"), 400, -1131, "recvWindow"),
        (lambda d: d.call(ROUTE, ALICE, recvWindow="soon"), 400, -1100, "'recvWindow'"),
        (lambda d: d.call("GET /fapi/v1/nowhere", ALICE), 404, -5000, "Path"),
    ],
)  # fmt: skip
def test_a_signed_request_is_believed_only_when_everything_about_it_fits(
    make: Any, status: int, code: int | None, words: str
) -> None:
    desk = make_desk()
    reply, _ = desk.serve(make(desk))
    assert reply.status == status
    if code is not None:
        assert reply.document["code"] == code
        assert words in reply.document["msg"]


@pytest.mark.parametrize(
    ("permissions", "may_read", "may_trade"),
    [
        (frozenset(Permission), True, True),
        (frozenset({Permission.READ}), True, False),
        (frozenset({Permission.TRADE}), False, True),
        (frozenset(), False, False),
    ],
)
def test_a_key_does_no_more_than_it_is_allowed(
    permissions: frozenset[Permission], may_read: bool, may_trade: bool
) -> None:
    desk = make_desk(accounts=(replace(ALICE, permissions=permissions),))
    desk.play()
    for reply, allowed in ((desk.ask(ROUTE, ALICE), may_read), (desk.order("a"), may_trade)):
        assert reply.status == (200 if allowed else 401)
        assert allowed or reply.document["code"] == -2015
    assert len(desk.exchange.accounts["alice"].orders) == may_trade


def test_an_ed25519_key_signs_instead_of_a_secret() -> None:
    private = Ed25519PrivateKey.generate()
    account = replace(ALICE, public_key=private.public_key().public_bytes_raw())
    desk = make_desk(accounts=(account,))
    payload = f"timestamp={WALL_MS}"
    for signer, status in ((private, 200), (Ed25519PrivateKey.generate(), 400)):
        signature = base64.b64encode(signer.sign(payload.encode())).decode()
        params = {"timestamp": str(WALL_MS), "signature": signature}
        call = Call("GET", "/fapi/v1/openOrders", params, IP, "key", payload)
        assert desk.serve(call)[0].status == status
    assert desk.ask(ROUTE, ALICE).document["code"] == -1100


def test_secrets_are_not_in_what_is_printed_of_an_account() -> None:
    assert "secret'" not in repr(replace(ALICE, secret=SecretStr("very-secret'")))


# --- listen keys -------------------------------------------------------------------------------------------


def test_a_listen_key_lives_an_hour_from_its_last_use_and_the_next_one_is_another() -> None:
    keys, hour = ListenKeys(Segment.USDM), LISTEN_KEY_VALID_MS
    first = keys.issue(ALICE, 0)
    assert keys.issue(ALICE, hour - 1) == first
    assert keys.keep(ALICE, 2 * hour - 2) == first
    assert keys.expire(3 * hour - 3) == []
    assert keys.expire(3 * hour - 2) == [("alice", first)]
    assert keys.owner(first) is None
    others = {keys.issue(ALICE, 4 * hour), keys.issue(BOB, 4 * hour), ListenKeys(Segment.SPOT).issue(ALICE, 0)}
    assert len(others | {first}) == 4


def test_an_expired_listen_key_is_told_and_its_streams_hear_nothing_more() -> None:
    desk = make_desk()
    other = Listener("bob")
    desk.exchange.hub.add(other)
    key = desk.serve(replace(desk.call("POST /fapi/v1/listenKey"), key="key"))[0].document["listenKey"]
    assert listen_keys.expire(desk.exchange, WALL_MS + LISTEN_KEY_VALID_MS) == 1
    assert [(m["e"], m["listenKey"]) for m in desk.user.heard] == [("listenKeyExpired", key)]
    desk.play()
    desk.order("a")
    assert len(desk.user.heard) == 1
    assert other.heard == []
    kept = desk.serve(replace(desk.call("PUT /fapi/v1/listenKey"), key="key"))[0]
    assert (kept.status, kept.document["code"]) == (400, -1125)


def test_a_closed_listen_key_ends_its_stream_and_a_new_one_starts_another() -> None:
    desk = make_desk()
    ask = {m: replace(desk.call(f"{m} /fapi/v1/listenKey"), key="key") for m in ("POST", "PUT", "DELETE")}
    first = desk.serve(ask["POST"])[0].document["listenKey"]
    assert desk.serve(ask["PUT"])[0].document == {"listenKey": first}
    assert desk.serve(ask["DELETE"])[0].document == {}
    assert desk.user.account is None
    assert desk.serve(ask["PUT"])[0].document["code"] == -1125
    assert desk.serve(ask["POST"])[0].document["listenKey"] != first


def test_listen_keys_survive_a_restart_without_being_written_down() -> None:
    before, after = ListenKeys(Segment.USDM), ListenKeys(Segment.USDM)
    key, closed = before.issue(ALICE, 5), before.issue(BOB, 5)
    before.close(BOB)
    document = before.document()
    after.restore(document, [ALICE, BOB])
    assert (after.owner(key), after.owner(closed)) == ("alice", None)
    assert key not in repr(document)
    assert after.expire(5 + LISTEN_KEY_VALID_MS) == [("alice", key)]
    assert after.issue(BOB, 6) not in {key, closed}


def test_spot_and_futures_have_listen_keys_of_their_own() -> None:
    desk = make_desk()
    futures = desk.serve(replace(desk.call("POST /fapi/v1/listenKey"), key="key"))[0].document["listenKey"]
    spot = desk.serve(replace(desk.call("POST /api/v3/userDataStream"), key="key"))[0].document["listenKey"]
    assert desk.exchange.credentials.owner_of(futures) == ("alice", Segment.USDM)
    assert desk.exchange.credentials.owner_of(spot) == ("alice", Segment.SPOT)
    kept = desk.serve(replace(desk.call("PUT /api/v3/userDataStream", listenKey=spot), key="key"))[0]
    assert (kept.status, kept.document) == (200, {})
    stranger = desk.serve(replace(desk.call("PUT /api/v3/userDataStream", listenKey=futures), key="key"))[0]
    assert stranger.document["code"] == -1125
    desk.serve(replace(desk.call("DELETE /api/v3/userDataStream"), key="key"))
    assert desk.exchange.credentials.owner_of(spot) is None
    assert desk.user.account == "alice"
