"""Profiles: versioned YAML that turns evidence into verdicts. Unknown keys and wrong types are refused."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from include.domain.enums import BATTERY, Role, Stage
from include.domain.errors import ConfigurationError
from include.domain.ids import digest
from include.domain.times import Timeframe
from include.qualification.criterion import Comparison, Criterion, DecideOn
from include.qualification.metrics import METRICS

Fraction = Annotated[float, Field(ge=0, le=1)]
Positive = Annotated[float, Field(gt=0)]


class Document(BaseModel):
    """Base of every document of ours that is read from a file: unknown keys refused, frozen, strictly typed."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, allow_inf_nan=False)


class CriterionDocument(Document):
    metric: str
    op: Annotated[Comparison, Field(strict=False)]
    threshold: float
    threshold_by_timeframe: dict[str, float] = {}
    """Thresholds for candidates of that timeframe or longer (`{1m: 14, 5m: 30}`); below the first, `threshold`."""
    min_samples: Annotated[int, Field(ge=0)] = 0
    on: Annotated[DecideOn, Field(strict=False)] = DecideOn.POINT
    window: str = "all"

    @model_validator(mode="after")
    def _metric_is_known(self) -> CriterionDocument:
        if self.metric not in METRICS:
            raise ValueError(f"unknown metric {self.metric!r}; known: {', '.join(sorted(METRICS))}")
        return self

    @field_validator("threshold_by_timeframe")
    @classmethod
    def _timeframes_parse(cls, value: dict[str, float]) -> dict[str, float]:
        for text in value:
            try:
                Timeframe.parse(text)
            except ConfigurationError as error:
                raise ValueError(str(error)) from None
        return value

    def build(self, timeframe: Timeframe) -> Criterion:
        """The criterion as it applies to candidates of one timeframe."""
        threshold = self.threshold
        for text, value in sorted(self.threshold_by_timeframe.items(), key=lambda item: Timeframe.parse(item[0])):
            if timeframe >= Timeframe.parse(text):
                threshold = value
        return Criterion(self.metric, self.op, threshold, self.min_samples, self.on, self.window)


class DataRules(Document):
    """Limits of the data-quality gate (D-3, D-4); times in the unit their name says."""

    min_history_days: Annotated[int, Field(ge=0)]
    max_gap_minutes: Positive
    """Longest tolerated distance between consecutive bars beyond one timeframe."""
    max_jump_fraction: Positive
    max_stale_bars: Annotated[int, Field(gt=0)]
    max_zero_volume_bars: Annotated[int, Field(gt=0)]


class SimulationRules(Document):
    """How a candidate is simulated; what it must show there are criteria of the stage."""

    days: Positive
    """Length of a simulation unless a run asks for another."""


Count = Annotated[int, Field(gt=0)]


class OptionalLimits(Document):
    """Limits that hold only where they are given; fractions of the deployment's equity."""

    max_open_positions: Count | None = None
    max_asset_fraction: Positive | None = None
    max_sector_fraction: Positive | None = None
    sectors: dict[str, str] | None = None
    """Sector of each asset (`{BTC: store-of-value}`); an asset without one has no room under `max_sector_fraction`."""
    max_net_fraction: Positive | None = None
    max_order_notional: Positive | None = None
    """Quote currency."""
    max_order_fraction: Positive | None = None
    max_set_leverage: Count | None = None
    """What the account may be set to, whatever is used of it."""
    max_margin_fraction: Positive | None = None
    check_balance: Literal[True] | None = None
    """The venue's wallet must hold the margin of everything that may be open, and the order's fee."""
    min_liquidation_distance_fraction: Fraction | None = None
    """Of the price, from the price to where the exchange would close the position."""
    stop_before_liquidation: Literal[True] | None = None
    max_price_move_fraction: Positive | None = None
    price_move_bars: Annotated[int, Field(gt=0, le=1_440)] | None = None
    """How far back `max_price_move_fraction` looks; 5 unless given."""
    max_messages_per_minute: Count | None = None
    """Orders and cancels together."""
    duplicate_window_secs: Annotated[int, Field(gt=0, le=86_400)] | None = None
    """An order like one that is working and younger than this is refused."""
    max_rolling_loss_fraction: Fraction | None = None
    """Of the equity 24 hours ago."""
    max_consecutive_losses: Annotated[int, Field(gt=0, le=100)] | None = None
    max_trades_per_day: Count | None = None
    max_repeated_trades: Annotated[int, Field(gt=0, le=100)] | None = None
    """So many losing, or identical, round trips of one symbol and side disable the strategy."""
    repeat_window_minutes: Annotated[int, Field(gt=0, le=1_440)] | None = None
    """How far back `max_repeated_trades` looks; 60 unless given."""
    breaker_marks: Count | None = None
    """So many closes in a row beyond a loss limit trip the breaker: one bad price does not."""
    check_models: Literal[True] | None = None
    """The files of a candidate's models must have the digests that were measured."""


class RiskOverrides(OptionalLimits):
    """Limits that apply on top of a profile's where they are stricter; none of them ever loosens one."""

    max_position_fraction: Fraction | None = None
    max_leverage: Positive | None = None
    max_daily_loss_fraction: Fraction | None = None
    max_drawdown_fraction: Fraction | None = None
    max_orders_per_minute: Count | None = None
    price_collar_fraction: Fraction | None = None
    max_bar_age_bars: Count | None = None


class RiskLimits(OptionalLimits):
    """What the risk gate enforces for deployments under this profile; fractions of the deployment's equity."""

    max_position_fraction: Fraction
    max_leverage: Positive
    max_daily_loss_fraction: Fraction
    max_drawdown_fraction: Fraction
    max_orders_per_minute: Count
    price_collar_fraction: Fraction
    max_bar_age_bars: Count
    """A decision older than this many bars is stale and denied."""
    live: RiskOverrides | None = None
    """Applied on top for LIVE deployments, where the backtest need not be matched to the order."""


class PromotionRules(Document):
    """Who signs and with how much capital a promoted candidate starts (P-3, P-5)."""

    roles: Annotated[list[Annotated[Role, Field(strict=False)]], Field(min_length=1)]
    capital_steps: Annotated[list[Fraction], Field(min_length=1)]
    response_timeout_hours: Positive

    @model_validator(mode="after")
    def _steps_grow(self) -> PromotionRules:
        if self.capital_steps != sorted(set(self.capital_steps)) or self.capital_steps[0] <= 0:
            raise ValueError("capital_steps must be growing fractions above 0")
        if len(set(self.roles)) != len(self.roles):
            raise ValueError("roles must not repeat")
        return self


class Profile(Document):
    """A profile as the ladder uses it; `hash` names its exact content."""

    name: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9-]*$")]
    version: Annotated[int, Field(ge=1)]
    description: str
    initial_capital: Positive
    """Quote currency, shared equally by the candidate's symbols."""
    data: DataRules
    simulation: SimulationRules
    risk: RiskLimits
    promotion: PromotionRules
    criteria: dict[Annotated[Stage, Field(strict=False)], Annotated[list[CriterionDocument], Field(min_length=1)]]

    @model_validator(mode="after")
    def _no_empty_ladder(self) -> Profile:
        for stage in (Stage.DATA_GATE, Stage.BACKTEST, Stage.SIMULATION, Stage.QUALIFICATION):
            if stage not in self.criteria:
                raise ValueError(f"criteria: stage {stage.value} is missing; a stage without criteria cannot pass")
        return self

    @property
    def hash(self) -> str:
        """SHA-256 of everything that is given; stored with every piece of evidence. A limit that a profile does not
        use is not part of it, so evidence stays valid when another limit becomes possible."""
        return digest(self.model_dump(mode="json", exclude_none=True))

    @property
    def battery(self) -> tuple[Stage, ...]:
        """Robustness checks that this profile demands."""
        return tuple(stage for stage in BATTERY if stage in self.criteria)

    @property
    def measured_stages(self) -> tuple[Stage, ...]:
        """Every stage that measures a candidate under this profile, in the order of the ladder."""
        return (Stage.DATA_GATE, Stage.BACKTEST, *self.battery, Stage.SIMULATION)

    def stage_criteria(self, stage: Stage, timeframe: Timeframe) -> tuple[Criterion, ...]:
        """Criteria of a stage for candidates of a timeframe, in the order of the file."""
        return tuple(document.build(timeframe) for document in self.criteria.get(stage, []))


def one_line(error: ValidationError, source: str) -> str:
    """Every mistake of a pydantic report in one line: file, key, reason."""
    parts = [
        f"{'.'.join(str(p) for p in item['loc']) or 'document'}: {item['msg'].removeprefix('Value error, ')}"
        for item in error.errors()
    ]
    return f"{source}: " + "; ".join(parts)


def load_yaml(path: Path) -> Mapping[str, Any]:
    """Read one YAML mapping.

    Raises:
        ConfigurationError: missing or unreadable file, bad YAML, or not a mapping; names file and place.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "not UTF-8 text"
        raise ConfigurationError(f"{path}: cannot be read ({reason})") from None
    try:
        document = yaml.safe_load(text)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        place = f" line {mark.line + 1}, column {mark.column + 1}" if mark else ""
        raise ConfigurationError(f"{path}:{place} not valid YAML ({getattr(error, 'problem', 'syntax')})") from None
    if not isinstance(document, dict):
        raise ConfigurationError(f"{path}: expected a mapping of keys to values at the top level")
    return document


def load_profile(path: Path) -> Profile:
    """Read and validate a profile.

    Raises:
        ConfigurationError: file, key and reason in one line.
    """
    try:
        return Profile.model_validate(load_yaml(path))
    except ValidationError as error:
        raise ConfigurationError(one_line(error, str(path))) from None
