"""Fault plans: YAML or JSON in, frozen values out. Unknown keys and impossible combinations are refused in one line."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Annotated, Any

import yaml
from pydantic import Field, ValidationError, field_validator, model_validator

from include.domain.errors import ConfigurationError
from include.domain.times import parse_utc, to_ms
from include.qualification.profile import Document
from include.venues.sandbox.faults.kinds import FAULTS, FaultKind, Scope

MAX_FAULTS = 1_000
"""Of one plan; more is a mistake rather than a plan."""

Count = Annotated[int, Field(ge=1)]


class FaultDocument(Document):
    """One fault: what, when, how long. All conditions that are given must hold together."""

    kind: Annotated[FaultKind, Field(strict=False)]
    at: str | None = None
    """Market time from which on it holds (UTC); from the beginning when not given."""
    for_secs: Annotated[float, Field(gt=0)] | None = None
    """Market time for which it holds; for ever when not given."""
    nth: Count | None = None
    """Only the n-th occasion (request, event or bar that fits)."""
    every: Count | None = None
    """Every n-th occasion."""
    probability: Annotated[float, Field(gt=0, le=1)] | None = None
    """Chance of each occasion, drawn from the plan's seed."""
    times: Count | None = None
    """At most so often."""
    route: str | None = None
    """Requests it concerns: method and path with wildcards, `POST /fapi/v1/order`."""
    account: str | None = None
    symbol: str | None = None
    """As the exchange spells it: BTCUSDT."""
    stream: str | None = None
    """Market streams it concerns, with wildcards; `userData` is a user stream."""
    delay_ms: Annotated[int, Field(ge=0, le=600_000)] | None = None
    retry_after_secs: Annotated[int, Field(ge=1, le=86_400)] | None = None
    ban_secs: Annotated[int, Field(ge=1, le=259_200)] | None = None
    status: Annotated[int, Field(ge=400, le=599)] | None = None
    code: Annotated[int, Field(lt=0)] | None = None
    answer: Annotated[str, Field(pattern="^(HANG|CUT|TELL)$")] | None = None
    skew_ms: Annotated[int, Field(ge=-86_400_000, le=86_400_000)] | None = None
    fraction: Annotated[float, Field(gt=-1, le=10)] | None = None

    @model_validator(mode="after")
    def _fits_its_kind(self) -> FaultDocument:
        facts = FAULTS[self.kind]
        for name in ("delay_ms", "retry_after_secs", "ban_secs", "status", "code", "answer", "skew_ms", "fraction"):
            if getattr(self, name) is not None and name not in facts.options:
                raise ValueError(f"{self.kind} has no {name}; it has {', '.join(facts.options) or 'no options'}")
        if self.route is not None and facts.scope is not Scope.REQUEST:
            raise ValueError(f"{self.kind} concerns {facts.scope.value}s: it has no route")
        if self.stream is not None and "event" not in facts.scope.value:
            raise ValueError(f"{self.kind} concerns {facts.scope.value}s: it has no stream")
        if self.kind is FaultKind.PARTIAL_FILL_THEN_CANCEL and not 0 < float(self.option("fraction")) <= 1:
            raise ValueError("PARTIAL_FILL_THEN_CANCEL needs a fraction above 0 and up to 1")
        return self

    @field_validator("at", mode="before")
    @classmethod
    def _is_a_time(cls, value: Any) -> Any:
        """YAML reads an unquoted time as one; both spellings mean the same."""
        text = value.isoformat() if isinstance(value, date) else value
        if isinstance(text, str):
            try:
                parse_utc(text)
            except ConfigurationError as error:
                raise ValueError(str(error)) from None
        return text

    def option(self, name: str) -> Any:
        """A setting of the kind: the plan's, else the kind's default."""
        value = getattr(self, name)
        return value if value is not None else FAULTS[self.kind].options[name]

    @property
    def begins_ms(self) -> int | None:
        return to_ms(parse_utc(self.at)) if self.at is not None else None

    @property
    def most(self) -> int | None:
        """How often it strikes at most."""
        return self.times if self.times is not None else FAULTS[self.kind].times

    @property
    def is_unconditional(self) -> bool:
        """Whether it concerns everybody all the time that it lasts."""
        conditions = (self.nth, self.every, self.probability, self.times, self.route, self.account, self.symbol)
        return all(condition is None for condition in conditions)

    def concerns_route(self, route: str) -> bool:
        return fnmatchcase(route, self.route or FAULTS[self.kind].route)


class FaultPlan(Document):
    """A seed and its faults, in order: of several that strike one request, the first that refuses it answers."""

    seed: int = 0
    faults: Annotated[list[FaultDocument], Field(max_length=MAX_FAULTS)] = []


def read_plan(document: Any, where: str) -> FaultPlan:
    """Validate a plan.

    Raises:
        ConfigurationError: in one line, naming `where`, the place inside and what is wrong there.
    """
    try:
        return FaultPlan.model_validate(document)
    except ValidationError as error:
        problems = [
            f"{'.'.join(map(str, problem['loc'])) or 'document'}: {problem['msg']}" for problem in error.errors()
        ]
        raise ConfigurationError(f"{where}: {'; '.join(problems)}") from None


def check_names(plan: FaultPlan, symbols: Iterable[str], accounts: Iterable[str]) -> None:
    """Hold a plan to the exchange that it is for: a fault of somebody else's symbol or account would never happen, and
    nobody would notice.

    Raises:
        ConfigurationError: in one line, all that are not there.
    """
    known = {"symbol": sorted(symbols), "account": sorted(accounts)}
    strangers = [
        f"faults.{number}.{name}: {asked} is not here (known: {', '.join(there) or 'none'})"
        for number, fault in enumerate(plan.faults)
        for name, there in known.items()
        if (asked := getattr(fault, name)) is not None and asked not in there
    ]
    if strangers:
        raise ConfigurationError(f"fault plan: {'; '.join(strangers)}")


def load_plan(path: Path) -> FaultPlan:
    """Read a plan file. Raises ConfigurationError as `read_plan`, and when the file cannot be read."""
    try:
        document = yaml.safe_load(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigurationError(f"fault plan {path}: {error.strerror}") from None
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise ConfigurationError(f"fault plan {path}: not YAML: {' '.join(str(error).split())}") from None
    return read_plan(document if document is not None else {}, f"fault plan {path}")
