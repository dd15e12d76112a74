"""The data node's routes, asked in process: what it serves, in which forms, and how it refuses."""

from __future__ import annotations

import io
import itertools
import json
import logging
from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.csv
import pytest
from fastapi.testclient import TestClient
from pydantic import SecretStr

from include.domain.errors import ConfigurationError
from include.domain.times import iso, parse_utc, to_ms
from include.market_data.node_process import AccessLog, require_safe_address
from include.market_data.node_protocol import Form, calendar_months, month_fingerprint
from include.market_data.node_server import build_app, negotiated_form
from include.market_data.partitions import to_columns
from include.ports import UNFINISHED_BARS
from tests.market import MINUTE, START, Filled, bars, filled_lake, minutes, table

COUNT = 4_000
WINDOW = {"symbol": "BTC/USDT", "timeframe": "1m", "from": iso(START), "to": iso(START + minutes(COUNT))}


@pytest.fixture(scope="module")
def filled(tmp_path_factory: pytest.TempPathFactory) -> Filled:
    return filled_lake(tmp_path_factory.mktemp("served"), COUNT)


@pytest.fixture(scope="module")
def node(filled: Filled) -> TestClient:
    return TestClient(build_app(filled.lake), raise_server_exceptions=False)


def arrow(body: bytes) -> pa.Table:
    return pa.ipc.open_stream(io.BytesIO(body)).read_all()


def test_it_lists_what_the_lake_holds(node: TestClient) -> None:
    assert node.get("/v1/symbols").json() == {
        "series": [
            {
                "venue": "synthetic", "symbol": "BTCUSDT", "timeframe": "1m", "rows": COUNT,
                "first": iso(START), "last": iso(START + minutes(COUNT - 1)),
            }
        ]
    }  # fmt: skip


def test_a_window_comes_with_its_number_of_rows_and_the_fingerprint_of_the_lake(
    node: TestClient, filled: Filled
) -> None:
    answer = node.get("/v1/ohlcv", params=WINDOW)
    assert answer.headers["content-type"] == Form.ARROW.media_type
    assert answer.headers["airlock-rows"] == str(COUNT)
    whole = filled.lake.fingerprint("synthetic", ["BTC/USDT"], MINUTE, START, filled.end)
    assert answer.headers["airlock-fingerprint"] == whole
    found = to_columns(arrow(answer.content))
    for name, values in filled.columns.items():
        np.testing.assert_array_equal(found[name], values)


def test_both_forms_carry_the_same_bits(node: TestClient) -> None:
    text = node.get("/v1/ohlcv", params=WINDOW | {"format": "csv"})
    assert text.headers["content-type"].startswith("text/csv")
    assert text.text.splitlines()[0] == "open_time,open,high,low,close,volume,finished"
    read = pyarrow.csv.read_csv(io.BytesIO(text.content))
    binary = arrow(node.get("/v1/ohlcv", params=WINDOW).content)
    assert read.column("open_time").to_pylist() == binary.column("open_time").cast(pa.int64()).to_pylist()
    for name in ("open", "high", "low", "close", "volume"):
        assert read.column(name).cast(pa.float64()).to_pylist() == binary.column(name).to_pylist()
    assert set(read.column("finished").to_pylist()) == {1}


@pytest.mark.parametrize(
    ("accept", "form"),
    [
        ("", Form.ARROW),
        ("*/*", Form.ARROW),
        ("text/csv", Form.CSV),
        ("text/*;q=0.3, application/*;q=0.2", Form.CSV),
        (f"text/csv;q=0.5, {Form.ARROW.media_type}", Form.ARROW),
        (f"text/csv, {Form.ARROW.media_type};q=0.1", Form.CSV),
    ],
)
def test_the_accept_header_is_honoured(accept: str, form: Form) -> None:
    assert negotiated_form(accept) is form


def test_a_known_fingerprint_is_answered_without_the_bars(node: TestClient) -> None:
    tag = node.get("/v1/ohlcv", params=WINDOW).headers["etag"]
    again = node.get("/v1/ohlcv", params=WINDOW, headers={"If-None-Match": f'"other", {tag}'})
    assert (again.status_code, again.content) == (304, b"")
    assert node.get("/v1/ohlcv", params=WINDOW, headers={"If-None-Match": '"other"'}).status_code == 200


@pytest.mark.parametrize(("since", "until"), [("1000-01-01", "2023-01-01"), ("2030-01-01", "9999-01-01")])
def test_a_window_beside_the_history_is_empty_and_says_so(node: TestClient, since: str, until: str) -> None:
    answer = node.get("/v1/ohlcv", params=WINDOW | {"from": since, "to": until})
    assert (answer.status_code, answer.headers["airlock-rows"]) == (200, "0")
    assert len(arrow(answer.content)) == 0


def test_a_window_of_centuries_costs_what_there_is(node: TestClient) -> None:
    answer = node.get("/v1/ohlcv", params=WINDOW | {"from": "0002-01-01", "to": "9999-12-31"})
    assert answer.headers["airlock-rows"] == str(COUNT)


@pytest.mark.parametrize(
    ("changes", "status", "line"),
    [
        ({"symbol": "XRP/USDT"}, 404, "no 1m bars of 'XRP/USDT' here; /v1/symbols lists what is"),
        ({"timeframe": "1h"}, 404, "no 1h bars of 'BTC/USDT' here"),
        ({"venue": "bitfinex"}, 404, "no 1m bars of 'BTC/USDT' of bitfinex here"),
        ({"timeframe": "minute"}, 400, "timeframe 'minute' is not understood"),
        ({"from": "yesterday"}, 400, "'yesterday' is not a date"),
        ({"to": WINDOW["from"]}, 400, "is not before"),
        ({"format": "xml"}, 400, "format: input should be 'arrow' or 'csv'"),
        ({"limit": "5"}, 400, "limit: extra inputs are not permitted"),
        ({"symbol": None}, 400, "symbol: field required"),
        ({"symbol": "../../etc"}, 404, "no 1m bars of '../../etc' here"),
    ],
)
def test_bad_input_is_refused_in_one_line(node: TestClient, changes: dict[str, Any], status: int, line: str) -> None:
    asked = {name: value for name, value in (WINDOW | changes).items() if value is not None}
    answer = node.get("/v1/ohlcv", params=asked)
    assert answer.status_code == status
    assert list(answer.json()) == ["error"]
    assert line in answer.json()["error"]
    assert "\n" not in answer.json()["error"]


def test_a_form_it_does_not_have_is_not_acceptable(node: TestClient) -> None:
    answer = node.get("/v1/ohlcv", params=WINDOW, headers={"Accept": "application/pdf"})
    assert (answer.status_code, list(answer.json())) == (406, ["error"])


def test_an_unknown_path_is_refused_in_the_same_shape(node: TestClient) -> None:
    assert node.get("/v2/ohlcv").json() == {"error": "Not Found"}


def test_a_series_on_two_venues_has_to_be_named(tmp_path: Path) -> None:
    lake = filled_lake(tmp_path, 10).lake
    lake.ingest("bitfinex", "BTC/USDT", MINUTE, table(bars(5)), source="test", now=START + timedelta(days=1))
    node = TestClient(build_app(lake))
    refused = node.get("/v1/ohlcv", params=WINDOW)
    assert refused.status_code == 400
    assert "is here of bitfinex, synthetic; name one with venue=" in refused.json()["error"]
    assert node.get("/v1/ohlcv", params=WINDOW | {"venue": "bitfinex"}).headers["airlock-rows"] == "5"


def test_a_node_of_one_venue_shows_no_other(tmp_path: Path) -> None:
    lake = filled_lake(tmp_path, 10).lake
    lake.ingest("bitfinex", "BTC/USDT", MINUTE, table(bars(5)), source="test", now=START + timedelta(days=1))
    node = TestClient(build_app(lake, venue="bitfinex"))
    assert [entry["venue"] for entry in node.get("/v1/symbols").json()["series"]] == ["bitfinex"]
    assert node.get("/v1/ohlcv", params=WINDOW).headers["airlock-rows"] == "5"
    assert node.get("/v1/ohlcv", params=WINDOW | {"venue": "synthetic"}).status_code == 404


def test_a_series_that_is_imported_later_is_served_without_a_restart(tmp_path: Path) -> None:
    lake = filled_lake(tmp_path, 10).lake
    node = TestClient(build_app(lake))
    assert node.get("/v1/ohlcv", params=WINDOW | {"symbol": "ETH/USDT"}).status_code == 404
    lake.ingest("synthetic", "ETH/USDT", MINUTE, table(bars(7)), source="test", now=START + timedelta(days=1))
    assert node.get("/v1/ohlcv", params=WINDOW | {"symbol": "ETH/USDT"}).headers["airlock-rows"] == "7"


def test_extras_of_some_months_only_are_no_numbers_in_the_others(tmp_path: Path) -> None:
    lake = filled_lake(tmp_path, 10).lake
    later = bars(20, parse_utc("2024-02-05")) | {"count": np.arange(20.0)}
    lake.ingest("synthetic", "BTC/USDT", MINUTE, table(later), source="test", now=START + timedelta(days=30))
    asked = WINDOW | {"to": "2024-03-01"}
    found = to_columns(arrow(TestClient(build_app(lake)).get("/v1/ohlcv", params=asked).content))
    assert np.isnan(found["count"][:10]).all()
    np.testing.assert_array_equal(found["count"][10:], np.arange(20.0))


def test_bars_recorded_before_they_had_closed_are_reported_in_both_forms(tmp_path: Path) -> None:
    lake = filled_lake(tmp_path, 10).lake
    late = bars(3, START + minutes(10))
    lake.ingest("synthetic", "BTC/USDT", MINUTE, table(late), source="test", now=START + minutes(11))
    node = TestClient(build_app(lake))
    unfinished = [to_ms(START + minutes(m)) for m in (11, 12)]
    metadata = arrow(node.get("/v1/ohlcv", params=WINDOW).content).schema.metadata
    assert json.loads(metadata[UNFINISHED_BARS]) == unfinished
    lines = node.get("/v1/ohlcv", params=WINDOW | {"format": "csv"}).text.splitlines()[1:]
    assert [int(line.split(",")[0]) for line in lines if line.endswith(",0")] == unfinished


def test_damage_in_the_lake_is_a_refusal_that_shows_no_path_of_the_machine(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    filled = filled_lake(tmp_path, 10)
    node = TestClient(build_app(filled.lake), raise_server_exceptions=False)
    assert node.get("/v1/ohlcv", params=WINDOW).status_code == 200
    for part in tmp_path.rglob("*.parquet"):
        part.write_bytes(b"no parquet")
    answer = node.get("/v1/ohlcv", params=WINDOW)
    assert (answer.status_code, answer.json()) == (
        500,
        {"error": "the node cannot read its lake; its own log says why"},
    )
    assert str(tmp_path) in caplog.text


# --- token and address -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("header", "status"),
    [
        (None, 401),
        ("Bearer wrong", 401),
        ("Bearer \u00fc", 401),
        ("Basic dG9rZW4=", 401),
        ("Bearer the-token", 200),
    ],
)
def test_with_a_token_only_those_who_send_it_are_served(filled: Filled, header: str | None, status: int) -> None:
    node = TestClient(build_app(filled.lake, token=SecretStr("the-token")))
    headers = {"Authorization": header.encode()} if header else {}
    for path, params in (("/v1/symbols", {}), ("/v1/ohlcv", WINDOW)):
        answer = node.get(path, params=params, headers=headers)
        assert answer.status_code == status
        assert "the-token" not in answer.text
    assert node.get("/healthz").json() == {"status": "ok"}


@pytest.mark.parametrize("host", ["0.0.0.0", "192.168.1.5", "::", "example.org"])
def test_without_a_token_it_does_not_listen_where_others_reach_it(host: str) -> None:
    with pytest.raises(ConfigurationError, match=r"reachable from other machines: set AIRLOCK_NODE_TOKEN"):
        require_safe_address(host, token=False)
    require_safe_address(host, token=True)


@pytest.mark.parametrize("host", ["127.0.0.1", "127.0.0.7", "::1", "localhost"])
def test_on_loopback_it_needs_no_token(host: str) -> None:
    require_safe_address(host, token=False)


def test_the_access_log_holds_what_was_asked_and_no_secret(filled: Filled, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "include.market_data.node_process")
    node = TestClient(AccessLog(build_app(filled.lake, token=SecretStr("the-token"))))
    node.get("/v1/ohlcv", params=WINDOW, headers={"Authorization": "Bearer the-token"})
    node.get("/v1/ohlcv", params=WINDOW | {"token": "the-token"})
    lines = [record.getMessage() for record in caplog.records if record.name.endswith("node_process")]
    assert len(lines) == 2
    assert "GET /v1/ohlcv?symbol=BTC%2FUSDT&timeframe=1m&from=2024-01-30T22%3A00%3A00Z" in lines[0]
    assert " 200 " in lines[0]
    assert " 401 " in lines[1]
    assert "the-token" not in "".join(lines)
    assert "cut short" not in "".join(lines)


def test_the_document_describes_every_route_its_parameters_and_its_refusals(filled: Filled) -> None:
    document = TestClient(build_app(filled.lake, token=SecretStr("x"))).get("/openapi.json").json()
    assert document["info"]["title"] == "Airlock historical data node"
    assert set(document["paths"]) == {"/healthz", "/v1/symbols", "/v1/ohlcv"}
    ohlcv = document["paths"]["/v1/ohlcv"]["get"]
    asked = {p["name"]: p for p in ohlcv["parameters"] if p["in"] == "query"}
    assert set(asked) == {"symbol", "timeframe", "from", "to", "venue", "format"}
    assert {name for name, p in asked.items() if p["required"]} == {"symbol", "timeframe", "from", "to"}
    assert set(ohlcv["responses"]) == {"200", "304", "4XX", "5XX"}
    assert set(ohlcv["responses"]["200"]["content"]) == {form.media_type for form in Form}
    assert {"Airlock-Rows", "Airlock-Fingerprint"} <= set(ohlcv["responses"]["200"]["headers"])
    assert ohlcv["security"]


# --- what both sides share ---------------------------------------------------------------------------------


def test_months_partition_a_window() -> None:
    cuts = list(calendar_months(parse_utc("2023-11-15T12:00:00"), parse_utc("2024-03-01")))
    assert [iso(first)[:10] for first, _ in cuts] == ["2023-11-15", "2023-12-01", "2024-01-01", "2024-02-01"]
    assert all(a[1] == b[0] for a, b in itertools.pairwise(cuts))
    assert cuts[-1][1] == parse_utc("2024-03-01")
    assert list(calendar_months(START, START)) == []


def test_a_reader_computes_the_fingerprint_that_the_lake_has(filled: Filled) -> None:
    for first, last in calendar_months(START + minutes(7), filled.end):
        rows = to_columns(filled.lake.rows("synthetic", "BTC/USDT", MINUTE, first, last))
        expected = filled.lake.fingerprint("synthetic", ["BTC/USDT"], MINUTE, first, last)
        assert month_fingerprint("BTC/USDT", MINUTE, first, rows) == expected
