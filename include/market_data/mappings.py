"""Column mappings: how columns and times of a foreign file become those of the lake. Declared in small YAML files."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Literal
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import Field, ValidationError, field_validator, model_validator

from include.domain.bars import BAR_COLUMNS
from include.domain.errors import ConfigurationError
from include.qualification.profile import Document, load_yaml, one_line

Names = Annotated[list[str], Field(min_length=1)]
"""Names a column may carry in the file, first match wins; upper and lower case are the same."""


class TimeMapping(Document):
    """Where open times stand and what they mean."""

    names: Names
    unit: Literal["auto", "s", "ms", "us", "ns", "iso"]
    """Unit of epoch numbers. `auto`: told by their size, which is unambiguous from 2001 to 2286. `iso`: text only."""
    zone: str
    """Zone of times that carry none themselves, for example UTC or Asia/Shanghai."""

    @field_validator("zone")
    @classmethod
    def _zone_exists(cls, value: str) -> str:
        try:
            ZoneInfo(value)
        except (ZoneInfoNotFoundError, ValueError):
            raise ValueError(f"{value!r} is not a known time zone") from None
        return value


class PriceMapping(Document):
    """Names of the five numeric columns."""

    open: Names
    high: Names
    low: Names
    close: Names
    volume: Names


class Mapping(Document):
    """A column mapping."""

    name: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9-]*$")]
    description: str
    time: TimeMapping
    prices: PriceMapping
    extras: dict[str, Names] = {}
    """Further columns to keep when the file has them, by the name they get in the lake."""
    order: list[str] = []
    """Column names of files without a header row; such files are refused when empty."""

    @model_validator(mode="after")
    def _columns_are_distinct(self) -> Mapping:
        if taken := sorted(set(self.extras) & set(BAR_COLUMNS)):
            raise ValueError(f"extras: {', '.join(taken)} are standard columns")
        names = [name.lower() for alternatives in self.names().values() for name in alternatives]
        for place, given in (("names", names), ("order", [name.lower() for name in self.order])):
            if twice := sorted({name for name in given if given.count(name) > 1}):
                raise ValueError(f"{place}: {', '.join(twice)} given twice; a column of the file is one column here")
        if self.order and (missing := self.find(self.order)[1]):
            raise ValueError(f"order: no column for {', '.join(missing)}")
        return self

    def names(self) -> dict[str, list[str]]:
        """Names that each column of the lake may carry in a file, in order of preference."""
        return {"open_time": self.time.names, **self.prices.model_dump(), **self.extras}

    def find(self, found: Sequence[str]) -> tuple[dict[str, str], list[str]]:
        """Match the columns of a file.

        Returns:
            Lake column name to the file's column name, and the standard columns that are missing.
        """
        by_key = {name.strip().lower(): name for name in found}
        matched = {
            ours: by_key[name.lower()]
            for ours, names in self.names().items()
            for name in reversed(names)
            if name.lower() in by_key
        }
        return matched, [name for name in BAR_COLUMNS if name not in matched]


def load_mapping(path: Path) -> Mapping:
    """Read a mapping file.

    Raises:
        ConfigurationError: file, key and reason in one line.
    """
    try:
        return Mapping.model_validate(load_yaml(path))
    except ValidationError as error:
        raise ConfigurationError(one_line(error, str(path))) from None
