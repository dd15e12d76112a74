"""Leverage brackets as a user writes them: YAML in, tables of the matching core out."""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Decimal
from pathlib import Path
from typing import Annotated

import yaml
from pydantic import BeforeValidator, Field, ValidationError

from include.domain.errors import ConfigurationError
from include.domain.instruments import symbol_id
from include.qualification.profile import Document, one_line
from include.venues.matching import Bracket
from include.venues.matching.brackets import build_brackets

Number = Annotated[Decimal, BeforeValidator(str), Field(strict=False)]
"""Read from its text, so that 0.004 in YAML is 0.004 exactly."""


class BracketDocument(Document):
    """One row: positions up to `cap` (quote currency), their highest leverage and maintenance margin rate."""

    cap: Annotated[Number, Field(gt=0)]
    leverage: Annotated[int, Field(ge=1)]
    rate: Annotated[Number, Field(ge=0, lt=1)]


class BracketFile(Document):
    brackets: dict[str, list[BracketDocument]]


def load_brackets(path: Path, symbols: Iterable[str]) -> dict[str, tuple[Bracket, ...]]:
    """Tables of a file by the lake's symbol.

    Raises:
        ConfigurationError: the file can not be read, rows do not follow on each other, or a symbol is not in `symbols`.
    """
    where, known = f"leverage brackets {path}", {symbol_id(symbol): symbol for symbol in symbols}
    try:
        read = BracketFile.model_validate(yaml.safe_load(path.read_text(encoding="utf-8")))
    except OSError as error:
        raise ConfigurationError(f"{where}: {error.strerror}") from None
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise ConfigurationError(f"{where}: not YAML: {' '.join(str(error).split())}") from None
    except ValidationError as error:
        raise ConfigurationError(one_line(error, where)) from None
    tables: dict[str, tuple[Bracket, ...]] = {}
    for name, rows in read.brackets.items():
        if symbol_id(name) not in known:
            raise ConfigurationError(f"{where}: {name} is not replayed; --symbol names {', '.join(known.values())}")
        try:
            tables[known[symbol_id(name)]] = build_brackets([(row.cap, row.leverage, row.rate) for row in rows])
        except ValueError as error:
            raise ConfigurationError(f"{where}: {name}: {error}") from None
    return tables
