"""`airlock report daily` and `airlock audit verify` as a user runs them."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path

import pytest

from include import cli
from include.ledger.unit_of_work import PostgresLedger
from tests.postgres import run_sql
from tests.samples import put_deployment
from tests.trading_day import put_trades


class Shell:
    """Runs the command line in this process."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
        self._monkeypatch, self._capsys = monkeypatch, capsys

    def __call__(self, *arguments: str) -> tuple[int, str, str]:
        self._monkeypatch.setattr("sys.argv", ["airlock", *arguments])
        with pytest.raises(SystemExit) as left:
            cli.main()
        said = self._capsys.readouterr()
        return int(left.value.code or 0), said.out, said.err


@pytest.fixture
def airlock(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path, database_url: str
) -> Shell:
    monkeypatch.setenv("AIRLOCK_HOME", str(tmp_path))
    monkeypatch.setenv("AIRLOCK_DATABASE_URL", database_url)
    return Shell(monkeypatch, capsys)


def test_the_report_of_today_is_one_json_document_and_a_file(
    airlock: Shell, ledger: PostgresLedger, tmp_path: Path
) -> None:
    put_trades(ledger, put_deployment(ledger, created_at=datetime.now(UTC)), [("100", "110")])
    code, out, _ = airlock("report", "daily", "--json")
    document = json.loads(out)
    assert code == 0
    assert [d["trades"] for d in document["deployments"]] == [1]
    assert Path(document["report"]).parent == tmp_path / "reports"
    assert "1 trade closed" in Path(document["report"]).read_text()


def test_the_report_names_its_file(airlock: Shell, tmp_path: Path) -> None:
    code, out, _ = airlock("report", "daily", "--date", "2024-06-10")
    assert (code, out) == (0, f"2024-06-10: nothing traded\nreport: {tmp_path}/reports/daily-2024-06-10.html\n")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("report", "daily", "--date", "10.6.2024"), "--date 10.6.2024"),
        (("report", "daily", "--date", "2999-01-01"), "has not begun"),
        (("audit", "verify", "--known", "audit:1:short"), "--known audit:1:short"),
        (("audit", "verify", "--known", f"users:1:{'0' * 64}"), "CHAIN:ROW:VALUE"),
    ],
)
def test_wrong_arguments_are_one_line_and_exit_2(airlock: Shell, arguments: tuple[str, ...], words: str) -> None:
    code, out, err = airlock(*arguments)
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert words in err


def test_a_ledger_that_is_down_is_one_line_and_exit_3(airlock: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AIRLOCK_DATABASE_URL", "postgresql://u:not-to-be-seen@127.0.0.1:1/airlock")
    for arguments in (("report", "daily"), ("audit", "verify")):
        code, out, err = airlock(*arguments)
        assert (code, out, err.count("\n")) == (3, "", 1)
        assert "127.0.0.1:1" in err
        assert "not-to-be-seen" not in err


def test_verify_says_intact_or_what_is_broken(airlock: Shell, ledger: PostgresLedger, database_url: str) -> None:
    with ledger.begin() as uow:
        row = uow.audit.record("ada", "test.act", "thing", {})
        uow.commit()
    code, out, _ = airlock("audit", "verify", "--json")
    assert (code, json.loads(out)) == (
        0, {"intact": True, "broken": [], "chains": {"audit": {"sequence": 1, "chain": row.chain}}},
    )  # fmt: skip
    assert airlock("audit", "verify", "--known", f"audit:1:{row.chain}")[0] == 0
    run_sql(database_url, "SET session_replication_role = replica; UPDATE audit SET actor = 'mallory'")
    code, out, _ = airlock("audit", "verify")
    assert code == 1
    assert "BROKEN audit row 1" in out
    code, out, _ = airlock("audit", "verify", "--json")
    assert (code, json.loads(out)["intact"]) == (1, False)
