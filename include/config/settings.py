"""Settings: one file per environment, every value overridable by `AIRLOCK_*`, unknown keys refused at start.

`docs/settings.md` is generated from the fields below.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AliasChoices, Field, SecretStr, ValidationError, field_validator
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

from include.domain.errors import ConfigurationError
from include.qualification.profile import load_yaml, one_line

PROJECT_ROOT = Path(__file__).resolve().parents[2]
Port = Annotated[int, Field(ge=0, le=65535)]

# Read by other parts of Airlock from the environment; not settings of this class, so not unknown keys either.
_OTHER_VARIABLES = ("AIRLOCK_ACCOUNT_", "AIRLOCK_SHARED_DATA", "AIRLOCK_RUN_")


class Settings(BaseSettings):
    """What differs between machines and environments. Secrets come from the environment alone."""

    model_config = SettingsConfigDict(env_prefix="AIRLOCK_", extra="forbid", frozen=True)

    environment: Literal["dev", "staging", "production"] = Field("dev", description="Which settings file applies.")
    home: Path = Field(
        PROJECT_ROOT / ".airlock", description="Where state lives: embedded database, lake, logs, reports."
    )
    database_url: SecretStr | None = Field(
        None, description="SQLAlchemy URL of any PostgreSQL for the ledger; the embedded server when not set."
    )
    lake: str = Field(
        "", description="Where market data lies: a folder or any fsspec URL (s3://bucket/lake); HOME/lake when not set."
    )
    historical_node_url: str = Field(
        "",
        validation_alias=AliasChoices("HISTORICAL_NODE_URL", "AIRLOCK_HISTORICAL_NODE_URL", "historical_node_url"),
        description="Address of a historical data node, for example another Airlock's (`airlock node`); "
        "HISTORICAL_NODE_URL is read too.",
    )
    node_token: SecretStr | None = Field(
        None, description="Bearer token of the data node, asked for by `airlock node` and sent by its readers."
    )
    ingest_venue: str = Field(
        "synthetic", description="Venue that the scheduled runs of `market_data` fill, one of venues.yaml."
    )
    slack_token: SecretStr | None = Field(
        None, description="Bot token for Slack notices; notices go to a local log when not set."
    )
    slack_channel: str = Field("#airlock", description="Channel that receives the notices.")
    slack_url: str = Field("https://slack.com/api/", description="Base address of the Slack Web API.")
    telegram_url: SecretStr | None = Field(
        None, description="Where alerts go by Telegram: an apprise URL, tgram://BOT_TOKEN/CHAT_ID."
    )
    email_url: SecretStr | None = Field(
        None, description="Where alerts go by e-mail: an apprise URL, mailtos://USER:PASSWORD@HOST?from=A&to=B."
    )
    sms_url: SecretStr | None = Field(
        None, description="Where alerts go as text messages: an apprise URL, for example twilio://SID:TOKEN@FROM/TO."
    )
    webhook_url: SecretStr | None = Field(
        None, description="Where alerts are posted as JSON: an apprise URL, jsons://HOST/PATH."
    )
    alerts: str = Field("", description="File of the alert rules; the shipped include/config/alerts.yaml when not set.")
    airflow_port: Port = Field(8080, description="Port of the Airflow UI on loopback; a free one when it is busy.")
    exchange_port: Port = Field(0, description="Port of the sandbox exchange on loopback; 0 takes a free one.")
    exchange_url: str = Field(
        "", description="Address of the sandbox exchange that promoted candidates trade on; the local stack sets it."
    )
    exchange_speed: Annotated[float, Field(gt=0)] = Field(
        60.0, description="Market seconds per wall second of the sandbox exchange for live trading."
    )
    strategies: str = Field(
        "",
        description="Folder of your own strategies, put on Python's path (`airlock new` writes there); "
        "HOME/strategies when not set.",
    )
    report_time_zone: str = Field("UTC", description="Time zone of the daily report's day and of its 18:00.")
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = Field("INFO", description="Least severe line logged.")

    @field_validator("home")
    @classmethod
    def _absolute(cls, value: Path) -> Path:
        return value.expanduser().resolve()

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Environment first, then the environment's file (passed as init arguments); no dotenv, no secret files."""
        return env_settings, init_settings

    @property
    def lake_root(self) -> Path | str:
        """Folder of the lake (a relative one lies under the home folder), or the URL of the store that holds it."""
        if "://" in self.lake:
            return self.lake
        return self.home / Path(self.lake or "lake").expanduser()

    @property
    def lake_state(self) -> Path:
        """Where remote lakes keep their local folders (write lock, staging, import journal)."""
        return self.home / "lake-state"

    @property
    def strategies_root(self) -> Path:
        """Folder that holds the user's own strategy packages."""
        return Path(self.strategies).expanduser().resolve() if self.strategies else self.home / "strategies"

    @property
    def reports(self) -> Path:
        return self.home / "reports"

    def report_folder(self, candidate: str, candidate_id: str, profile: str) -> Path:
        """Where a candidate's reports under a profile lie, whoever writes or looks for them."""
        return self.reports / f"{candidate}-{candidate_id[:12]}" / profile

    @property
    def logs(self) -> Path:
        return self.home / "logs"

    @property
    def run(self) -> Path:
        """Pid files and addresses of running processes."""
        return self.home / "run"


SECRET_FIELDS = frozenset(
    {"database_url", "slack_token", "node_token", "telegram_url", "email_url", "sms_url", "webhook_url"}
)


def load_settings(directory: Path | None = None) -> Settings:
    """Settings of the environment named by AIRLOCK_ENVIRONMENT (default dev).

    Raises:
        ConfigurationError: unknown key, bad value, or a secret written into a file; says where.
    """
    environment = os.environ.get("AIRLOCK_ENVIRONMENT", "dev")
    path = (directory or PROJECT_ROOT / "include" / "config" / "environments") / f"{environment}.yaml"
    if not path.is_file():
        raise ConfigurationError(
            f"AIRLOCK_ENVIRONMENT={environment}: {path} does not exist; use dev, staging or production"
        )
    values: dict[str, Any] = dict(load_yaml(path))
    if leaked := SECRET_FIELDS & values.keys():
        raise ConfigurationError(
            f"{path}: {', '.join(sorted(leaked))}: secrets belong in the environment, not in a file"
        )
    known = {f"AIRLOCK_{name.upper()}" for name in Settings.model_fields}
    for name in sorted(os.environ):
        if name.startswith("AIRLOCK_") and name not in known and not name.startswith(_OTHER_VARIABLES):
            raise ConfigurationError(f"{name}: not a setting; see docs/settings.md for the known ones")
    try:
        return Settings(**values, environment=environment)
    except ValidationError as error:
        raise ConfigurationError(one_line(error, f"settings ({path} and AIRLOCK_*)")) from None
