"""Profiles: the shipped ones carry the required numbers; a bad one is refused with file, key and reason."""

from pathlib import Path

import pytest
import yaml

from include.config.files import find_profile, shipped
from include.domain.enums import Role, Stage
from include.domain.errors import ConfigurationError
from include.domain.times import Timeframe
from include.qualification.profile import load_profile

MINUTE = Timeframe.parse("1m")

REQUIRED = [  # requirement, profile, stage, metric, op, threshold
    ("B-2", "five-year", "BACKTEST", "win_rate", ">=", 0.93),
    ("B-2", "five-year", "BACKTEST", "max_drawdown", "<=", 0.10),
    ("B-2", "five-year", "DATA_GATE", "compatibility", ">=", 0.95),
    ("B-2", "five-year", "DATA_GATE", "quality", ">=", 0.90),
    ("B-2", "five-year", "BACKTEST", "sharpe", ">", 1.0),
    ("B-2", "five-year", "BACKTEST", "profit_factor", ">", 1.5),
    ("D-3", "five-year", "DATA_GATE", "completeness", ">=", 0.95),
    ("D-3", "five-year", "DATA_GATE", "max_gap_minutes", "<=", 5),
    ("D-3", "five-year", "DATA_GATE", "max_jump", "<=", 0.10),
    ("S-1", "five-year", "SIMULATION", "simulated_days", ">=", 7),
    ("S-1", "five-year", "SIMULATION", "trades", ">=", 1000),
    ("S-1", "five-year", "SIMULATION", "win_rate_throughout", ">=", 0.93),
    ("S-1", "five-year", "SIMULATION", "max_drawdown", "<=", 0.10),
    ("S-1", "five-year", "SIMULATION", "net_profit", ">", 0),
    ("S-1", "five-year", "SIMULATION", "profit_factor", ">", 1.5),
    ("S-3", "five-year", "SIMULATION", "sharpe_drift", "<=", 0.30),
    ("S-3", "five-year", "SIMULATION", "win_rate_drift", "<=", 0.10),
    ("B-3", "two-year", "WALK_FORWARD", "out_of_sample_sharpe", ">", 1.0),
    ("B-3", "two-year", "BACKTEST", "max_drawdown", "<", 0.20),
    ("B-4", "live-kpi", "BACKTEST", "sharpe", ">", 1.5),
    ("B-4", "live-kpi", "BACKTEST", "max_drawdown", "<", 0.20),
    ("B-4", "live-kpi", "BACKTEST", "win_rate", ">", 0.55),
    ("B-4", "live-kpi", "BACKTEST", "annual_return", ">", 0.15),
    ("B-5", "sign-off", "BACKTEST", "sharpe_30d", ">=", 1.8),
    ("B-5", "sign-off", "BACKTEST", "max_drawdown", "<=", 0.20),
    ("B-5", "sign-off", "BACKTEST", "win_rate_100", ">=", 0.52),
    ("B-5", "sign-off", "BACKTEST", "profit_factor_30d", ">=", 1.8),
    ("B-5", "sign-off", "SIMULATION", "daily_return_mean", ">=", 0.0025),
    ("B-5", "sign-off", "SIMULATION", "daily_return_mean", "<=", 0.005),
    ("B-5", "sign-off", "SIMULATION", "uptime", ">=", 0.995),
]


@pytest.mark.parametrize(("requirement", "profile", "stage", "metric", "op", "threshold"), REQUIRED)
def test_shipped_profiles_carry_the_required_numbers(
    requirement: str, profile: str, stage: str, metric: str, op: str, threshold: float
) -> None:
    criteria = find_profile(profile).stage_criteria(Stage(stage), MINUTE)
    assert (metric, op, threshold) in {(c.metric, c.op.value, c.threshold) for c in criteria}, requirement


def test_four_profiles_ship_and_every_one_asks_all_roles() -> None:
    assert set(shipped("profiles")) == {"five-year", "two-year", "live-kpi", "sign-off"}
    for name in shipped("profiles"):
        profile = find_profile(name)
        assert set(profile.promotion.roles) == set(Role)
        assert profile.promotion.capital_steps == [0.10, 0.25, 0.50, 1.0]
        metrics = {c.metric for c in profile.stage_criteria(Stage.BACKTEST, MINUTE)}
        assert {"lookahead_rows", "warmup_mismatches"} <= metrics, "no profile lets a look-ahead through"


@pytest.mark.parametrize(("timeframe", "days"), [("1m", 14), ("5m", 30), ("1h", 30), ("1d", 60), ("1w", 180)])
def test_two_year_paper_duration_follows_the_trading_frequency(timeframe: str, days: float) -> None:
    criteria = find_profile("two-year").stage_criteria(Stage.SIMULATION, Timeframe.parse(timeframe))
    assert [c.threshold for c in criteria if c.metric == "simulated_days"] == [days]


@pytest.mark.parametrize(
    ("key", "value", "expected"),
    [
        ("surprise", 1, "surprise: Extra inputs are not permitted"),
        ("initial_capital", "a lot", "initial_capital: Input should be a valid number"),
        ("initial_capital", -1.0, "initial_capital: Input should be greater than 0"),
        ("version", 1.5, "version: Input should be a valid integer"),
        ("criteria.BACKTEST.0.metric", "luck", "criteria.BACKTEST.0: unknown metric 'luck'"),
        ("criteria.BACKTEST.0.op", "==", "criteria.BACKTEST.0.op: Input should be"),
        ("criteria.BACKTEST.0.threshold", float("nan"), "criteria.BACKTEST.0.threshold: Input should be a finite"),
        ("criteria.BACKTEST", [], "criteria.BACKTEST: List should have at least 1 item"),
        ("criteria.SIMULATION", None, "criteria.SIMULATION: Input should be a valid list"),
        ("promotion.capital_steps", [0.5, 0.1], "capital_steps must be growing fractions"),
        ("risk.max_leverage", None, "risk.max_leverage: Input should be a valid number"),
    ],
)
def test_a_bad_profile_is_refused_with_file_key_and_reason(
    tmp_path: Path, key: str, value: object, expected: str
) -> None:
    document = find_profile("five-year").model_dump(mode="json")
    place: object = document
    *parents, last = key.split(".")
    for part in parents:
        place = place[int(part)] if isinstance(place, list) else place[part]  # type: ignore[index]
    place[last] = value  # type: ignore[index]
    path = tmp_path / "mine.yaml"
    path.write_text(yaml.safe_dump(document))
    with pytest.raises(ConfigurationError) as caught:
        load_profile(path)
    message = str(caught.value)
    assert message.startswith(f"{path}: ")
    assert expected in message
    assert "\n" not in message


@pytest.mark.parametrize("stage", ["DATA_GATE", "BACKTEST", "SIMULATION", "QUALIFICATION"])
def test_a_profile_that_leaves_out_a_stage_is_refused(tmp_path: Path, stage: str) -> None:
    document = find_profile("five-year").model_dump(mode="json")
    del document["criteria"][stage]
    path = tmp_path / "mine.yaml"
    path.write_text(yaml.safe_dump(document))
    with pytest.raises(ConfigurationError, match=f"stage {stage} is missing"):
        load_profile(path)


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (b"a: [1", "not valid YAML"),
        (b"- just\n- a list\n", "expected a mapping"),
        (b"\xff\xfe\x00", "not UTF-8"),
        (None, "cannot be read"),
    ],
)
def test_an_unreadable_profile_is_one_line_naming_the_file(
    tmp_path: Path, content: bytes | None, expected: str
) -> None:
    path = tmp_path / "broken.yaml"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(ConfigurationError) as caught:
        load_profile(path)
    assert str(path) in str(caught.value)
    assert expected in str(caught.value)
    assert "\n" not in str(caught.value)


def test_the_hash_names_the_exact_content(tmp_path: Path) -> None:
    profile = find_profile("five-year")
    document = profile.model_dump(mode="json")
    document["criteria"]["BACKTEST"][0]["threshold"] = 0.92
    path = tmp_path / "eased.yaml"
    path.write_text(yaml.safe_dump(document))
    assert load_profile(path).hash != profile.hash
    assert find_profile("five-year").hash == profile.hash
