"""A candidate is addressed by its content: change anything that trades and it is another candidate."""

import sys
from pathlib import Path

import pytest
import yaml

from include.domain.errors import ConfigurationError
from include.qualification.candidate import load_candidate, rebuild_candidate, source_digest

DOCUMENT = {
    "name": "mine",
    "strategy": "userpack.alpha:Alpha",
    "params": {"lookback": 20, "k": 1.5},
    "symbols": ["BTC/USDT", "ETH/USDT"],
    "timeframe": "1m",
    "venue": "synthetic",
    "owner": "olga",
}


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "userpack"
    folder.mkdir()
    (folder / "__init__.py").write_text("")
    (folder / "alpha.py").write_text("from userpack import tools\nfrom .deep import nested\nclass Alpha: ...\n")
    (folder / "tools.py").write_text("X = 1\n")
    (folder / "deep").mkdir()
    (folder / "deep" / "__init__.py").write_text("")
    (folder / "deep" / "nested.py").write_text("Y = 1\n")
    (folder / "unused.py").write_text("Z = 1\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    yield folder
    for name in [n for n in sys.modules if n.split(".")[0] == "userpack"]:
        del sys.modules[name]


def write(path: Path, **changes: object) -> Path:
    path.write_text(yaml.safe_dump({**DOCUMENT, **changes}))
    return path


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("params", {"lookback": 21, "k": 1.5}),
        ("symbols", ["BTC/USDT"]),
        ("timeframe", "5m"),
        ("model_digests", {"m": "ab"}),
        ("leverage", 2),
    ],
)
def test_changing_what_trades_changes_the_id(package: Path, tmp_path: Path, key: str, value: object) -> None:
    original = load_candidate(write(tmp_path / "a.yaml"))
    changed = load_candidate(write(tmp_path / "b.yaml", **{key: value}))
    assert changed.id != original.id


@pytest.mark.parametrize(("key", "value"), [("name", "renamed"), ("owner", "pat"), ("venue", "binance-usdm")])
def test_describing_it_otherwise_keeps_the_id(package: Path, tmp_path: Path, key: str, value: str) -> None:
    original = load_candidate(write(tmp_path / "a.yaml"))
    assert load_candidate(write(tmp_path / "b.yaml", **{key: value})).id == original.id


@pytest.mark.parametrize("module", ["alpha.py", "tools.py", "deep/nested.py"])
def test_editing_the_strategy_or_what_it_imports_changes_the_digest(package: Path, module: str) -> None:
    before = source_digest("userpack.alpha")
    path = package / module
    path.write_text(path.read_text() + "# edited\n")
    assert source_digest("userpack.alpha") != before


def test_editing_what_it_does_not_import_changes_nothing(package: Path) -> None:
    before = source_digest("userpack.alpha")
    (package / "unused.py").write_text("Z = 2\n")
    assert source_digest("userpack.alpha") == before


def test_leverage_one_is_no_part_of_the_identity_so_that_older_ids_stay(package: Path, tmp_path: Path) -> None:
    candidate = load_candidate(write(tmp_path / "a.yaml", leverage=1))
    assert "leverage" not in candidate.identity()
    levered = load_candidate(write(tmp_path / "b.yaml", leverage=3))
    assert rebuild_candidate(levered.document()).leverage == 3


def test_a_candidate_survives_the_ledger(package: Path, tmp_path: Path) -> None:
    candidate = load_candidate(write(tmp_path / "a.yaml"))
    assert rebuild_candidate(candidate.document()) == candidate
    with pytest.raises(ConfigurationError, match="is not its content's"):
        rebuild_candidate({**candidate.document(), "params": {"lookback": 1}})


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"strategy": "no_such_module:Alpha"}, "strategy: module 'no_such_module' is not found"),
        ({"strategy": "userpack.alpha"}, "strategy: String should match pattern"),
        ({"timeframe": "1 minute"}, "timeframe: timeframe '1 minute' is not understood"),
        ({"symbols": []}, "symbols: List should have at least 1 item"),
        ({"symbols": ["BTC/USDT", "BTCUSDT"]}, "symbols: symbols must not repeat"),
        ({"nme": "typo"}, "nme: Extra inputs are not permitted"),
        ({"params": {"x": [1]}}, "params.x"),
        ({"leverage": 126}, "leverage: Input should be less than or equal to 125"),
    ],
)
def test_a_bad_candidate_file_is_refused_in_one_line(
    package: Path, tmp_path: Path, changes: dict[str, object], expected: str
) -> None:
    path = write(tmp_path / "bad.yaml", **changes)
    with pytest.raises(ConfigurationError) as caught:
        load_candidate(path)
    assert str(path) in str(caught.value)
    assert expected in str(caught.value)
    assert "\n" not in str(caught.value)
