"""Trading accounts: what is declared about them, and their credentials.

Declarations come from `accounts.yaml` here and in the home folder. Credentials come from the environment, or from a
private file that the local stack keeps: only the sandbox's own accounts, whose keys are worthless anywhere else, are
ever kept in a file.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from types import MappingProxyType
from typing import Annotated

from pydantic import Field, SecretStr, ValidationError, field_validator, model_validator

from include.config.files import CONFIG
from include.config.venues import DecimalText
from include.domain.accounts import credential_variables
from include.domain.errors import ConfigurationError
from include.domain.times import Timeframe
from include.qualification.profile import Document, load_yaml, one_line

ACCOUNTS_FILE = CONFIG / "accounts.yaml"


class PaperDocument(Document):
    deposit: DecimalText
    venue: str


class AccountDocument(Document):
    exchange: str
    sandbox: bool = False
    local: bool = False
    symbols: Annotated[list[str], Field(min_length=1)] = ["BTC/USDT"]
    timeframe: str = "1m"
    backup: str = ""
    paper: PaperDocument | None = None

    @model_validator(mode="after")
    def _one_place(self) -> AccountDocument:
        if self.sandbox and self.local:
            raise ValueError("sandbox and local exclude each other: the exchange's test environment, or ours")
        return self

    @field_validator("timeframe")
    @classmethod
    def _timeframe_parses(cls, value: str) -> str:
        try:
            Timeframe.parse(value)
        except ConfigurationError as error:
            raise ValueError(str(error)) from None
        return value


@dataclass(frozen=True, slots=True)
class PaperTerms:
    """First deposit in quote currency, and the declared venue whose instrument facts apply."""

    deposit: Decimal
    venue: str


@dataclass(frozen=True, slots=True)
class AccountFacts:
    """What is declared about an account; see `accounts.yaml`."""

    name: str
    exchange: str
    sandbox: bool
    local: bool
    symbols: tuple[str, ...]
    timeframe: Timeframe
    backup: str
    paper: PaperTerms | None

    @property
    def is_live(self) -> bool:
        """Whether orders of this account trade real money."""
        return not (self.sandbox or self.local or self.paper is not None)


def load_accounts(home: Path, shipped: Path = ACCOUNTS_FILE) -> Mapping[str, AccountFacts]:
    """Declared accounts by name.

    Raises:
        ConfigurationError: file, key and reason in one line.
    """
    found: dict[str, AccountFacts] = {}
    own = home / "accounts.yaml"
    for path in (shipped, *([own] if own.is_file() else [])):
        for name, raw in load_yaml(path).items():
            try:
                found[name] = _facts(name, AccountDocument.model_validate(raw))
            except ValidationError as error:
                raise ConfigurationError(one_line(error, f"{path}: {name}")) from None
    return MappingProxyType(found)


def find_account(home: Path, name: str) -> AccountFacts:
    """One declared account. Raises ConfigurationError when there is none of that name."""
    known = load_accounts(home)
    if name not in known:
        raise ConfigurationError(
            f"account {name!r} is not declared (known: {', '.join(known)}); add it to {home / 'accounts.yaml'}"
        )
    return known[name]


def _facts(name: str, document: AccountDocument) -> AccountFacts:
    paper = document.paper
    return AccountFacts(
        name, document.exchange, document.sandbox, document.local, tuple(document.symbols),
        Timeframe.parse(document.timeframe), document.backup,
        None if paper is None else PaperTerms(paper.deposit, paper.venue),
    )  # fmt: skip


def account_credentials(home: Path, account: str) -> tuple[SecretStr, SecretStr]:
    """Key and secret of an account.

    Raises:
        ConfigurationError: neither the environment nor the local stack has them; neither is ever printed.
    """
    key_name, secret_name = credential_variables(account)
    key, secret = os.environ.get(key_name, ""), os.environ.get(secret_name, "")
    if not key and not secret and (path := account_file(home, account)).is_file():
        document = json.loads(path.read_text(encoding="utf-8"))
        key, secret = document["key"], document["secret"]
    if not key or not secret:
        raise ConfigurationError(f"account {account!r}: set {key_name} and {secret_name} in the environment")
    return SecretStr(key), SecretStr(secret)


def account_file(home: Path, account: str) -> Path:
    """Where the local stack keeps the generated credentials of a sandbox account (mode 0600)."""
    return home / "accounts" / f"{account}.json"
