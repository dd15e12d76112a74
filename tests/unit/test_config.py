"""Configuration is refused at start with file, key and reason; secrets never show."""

from decimal import Decimal
from pathlib import Path

import pytest

from include.config.files import VENUES_FILE, find_candidate, find_profile, load_roles
from include.config.settings import load_settings
from include.config.venues import load_venues
from include.domain.enums import Role
from include.domain.errors import ConfigurationError


@pytest.fixture(autouse=True)
def clean_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    import os

    for name in [n for n in os.environ if n.startswith("AIRLOCK_")]:
        monkeypatch.delenv(name)


def test_defaults_are_loopback_friendly_and_hold_no_secret() -> None:
    settings = load_settings()
    assert settings.environment == "dev"
    assert settings.database_url is None
    assert settings.slack_token is None


def test_the_environment_overrides_the_file(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("AIRLOCK_HOME", str(tmp_path))
    monkeypatch.setenv("AIRLOCK_LOG_LEVEL", "DEBUG")
    settings = load_settings()
    assert settings.home == tmp_path
    assert settings.log_level == "DEBUG"


def test_secrets_are_not_printable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AIRLOCK_DATABASE_URL", "postgresql+psycopg2://u:hunter2@db/airlock")
    monkeypatch.setenv("AIRLOCK_SLACK_TOKEN", "xoxb-hunter2")
    settings = load_settings()
    assert "hunter2" not in repr(settings) + str(settings) + settings.model_dump_json()


@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [
        ("AIRLOCK_HOEM", "/tmp", "AIRLOCK_HOEM: not a setting"),
        ("AIRLOCK_AIRFLOW_PORT", "ninety", "airflow_port"),
        ("AIRLOCK_AIRFLOW_PORT", "70000", "airflow_port"),
        ("AIRLOCK_EXCHANGE_SPEED", "0", "exchange_speed"),
        ("AIRLOCK_ENVIRONMENT", "moon", "moon.yaml does not exist"),
        ("AIRLOCK_LOG_LEVEL", "LOUD", "log_level"),
    ],
)
def test_a_bad_variable_is_refused_in_one_line(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str, expected: str
) -> None:
    monkeypatch.setenv(name, value)
    with pytest.raises(ConfigurationError) as caught:
        load_settings()
    assert expected in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("line", "expected"),
    [("slack_token: xoxb-1", "secrets belong in the environment"), ("colour: red", "colour: Extra inputs")],
)
def test_a_settings_file_with_a_secret_or_an_unknown_key_is_refused(tmp_path: Path, line: str, expected: str) -> None:
    (tmp_path / "dev.yaml").write_text(line)
    with pytest.raises(ConfigurationError, match=expected):
        load_settings(tmp_path)


def test_every_declared_instrument_validates_and_synthetic_is_marked() -> None:
    venues = load_venues(VENUES_FILE)
    assert [name for name, facts in venues.items() if facts.synthetic] == ["synthetic"]
    bitcoin = venues["binance-usdm"].instrument("BTCUSDT")
    assert bitcoin.symbol == "BTC/USDT"
    assert bitcoin.min_notional == Decimal(100)
    assert (bitcoin.participation, bitcoin.funding_rate) == (Decimal("0.1"), Decimal("0.0001"))
    assert (bitcoin.maintenance_margin_rate, bitcoin.liquidation_fee_rate) == (Decimal("0.004"), Decimal("0.0125"))
    spot = venues["binance-spot"].instrument("BTCUSDT")
    assert (spot.participation, spot.funding_rate, spot.maintenance_margin_rate) == (Decimal("0.1"), 0, 0)
    assert venues["synthetic"].instrument("BTCUSDT").participation is None


def test_an_undeclared_symbol_names_the_venue_and_the_remedy() -> None:
    with pytest.raises(ConfigurationError, match=r"'DOGE/USDT' is not declared for venue 'synthetic'.*venues.yaml"):
        load_venues(VENUES_FILE)["synthetic"].instrument("DOGE/USDT")


@pytest.mark.parametrize(
    ("document", "expected"),
    [
        ("v: {synthetic: true, symbols: {A/B: {tick_size: 0.1}}}", "tick_size: write 0.1 in quotes"),
        ("v: {synthetic: true, symbols: {A/B: {tick_size: '0.1', lot_size: 'NaN'}}}", "lot_size"),
        ("v: {synthetic: true, symbols: {A/B: {tick_size: '0.1'}}}", "symbols.A/B"),
        ("v: {symbols: {}}", "v: synthetic: Field required"),
        ("v: {synthetic: true, defaults: {funding_rate: '1.5'}, symbols: {}}", "funding_rate"),
        ("v: {synthetic: true, defaults: {funding_rate: 0.0001}, symbols: {}}", "write 0.0001 in quotes"),
        (
            "v: {synthetic: true, symbols: {A/B: {tick_size: '1', lot_size: '1', min_notional: '1', "
            "maker_fee_rate: '0', taker_fee_rate: '0', half_spread_bps: '0', slippage_bps: '0', "
            "participation: '1.5'}}}",
            "participation must be above 0",
        ),
    ],
)
def test_bad_instrument_facts_are_refused(tmp_path: Path, document: str, expected: str) -> None:
    path = tmp_path / "venues.yaml"
    path.write_text(document)
    with pytest.raises(ConfigurationError) as caught:
        load_venues(path)
    assert expected in str(caught.value)
    assert str(path) in str(caught.value)


def test_every_role_has_a_holder_and_nobody_holds_two() -> None:
    holders = load_roles()
    assert set(holders) == set(Role)
    people = [person for persons in holders.values() for person in persons]
    assert len(people) == len(set(people))


def test_a_role_nobody_holds_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "roles.yaml"
    path.write_text("PROJECT_LEAD: [paula]")
    with pytest.raises(ConfigurationError, match="nobody holds RISK_MANAGER"):
        load_roles(path)


def test_an_unknown_profile_or_candidate_names_the_known_ones() -> None:
    with pytest.raises(ConfigurationError, match="five-year"):
        find_profile("six-year")
    with pytest.raises(ConfigurationError, match="candidate 'nobody'"):
        find_candidate("nobody")
