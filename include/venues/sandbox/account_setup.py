"""Accounts to open, as a user writes them: on the command line, in a file, or with keys that the exchange makes up.

NAME                       keys from the environment (AIRLOCK_ACCOUNT_<NAME>_KEY and _SECRET)
NAME:KEY:SECRET[:BALANCE]  keys as written
NAME:new[:BALANCE]         keys made up; told once, kept in the state file
"""

from __future__ import annotations

import base64
import binascii
import secrets
from collections.abc import Callable, Iterable, Mapping, Sequence
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Annotated

import orjson
import yaml
from pydantic import Field, SecretStr, ValidationError, model_validator

from include.domain.errors import ConfigurationError
from include.qualification.profile import Document
from include.venues.sandbox.accounts import AccountSpec, Permission

Keys = tuple[SecretStr, SecretStr]
NEW = "new"
KEY_BYTES = 32
ED25519_BYTES = 32


class AccountDocument(Document):
    """One account of an accounts file."""

    name: Annotated[str, Field(pattern=r"^[A-Za-z0-9_-]{1,64}$")]
    balance: Annotated[Decimal, Field(gt=0, strict=False)] | None = None
    """First deposit in quote currency."""
    key: SecretStr | None = None
    """Both made up when neither is given."""
    secret: SecretStr | None = None
    public_key: str | None = None
    """Ed25519 key, base64 of its 32 bytes: requests are signed with its private half."""
    permissions: list[Annotated[Permission, Field(strict=False)]] = list(Permission)

    @model_validator(mode="after")
    def _keys_belong_together(self) -> AccountDocument:
        if (self.key is None) != (self.secret is None):
            raise ValueError("give both key and secret, or neither")
        if self.public_key is not None and len(_decoded(self.public_key)) != ED25519_BYTES:
            raise ValueError("public_key is not the base64 of an Ed25519 key's 32 bytes")
        return self


class AccountsFile(Document):
    accounts: list[AccountDocument]


class AccountSetup:
    """Turns what a user wrote into accounts. `known` finds the keys of a name; `kept` are those of the state file."""

    def __init__(self, default_balance: Decimal, known: Callable[[str], Keys], kept: Mapping[str, Keys]) -> None:
        self._default_balance, self._known, self._kept = default_balance, known, kept

    def specs(self, texts: Sequence[str], balances: Sequence[str], file: Path | None) -> tuple[AccountSpec, ...]:
        """Raises ConfigurationError for what can not be read, double names, keys that are not there."""
        if len(balances) > 1 and len(balances) != len(texts):
            raise ConfigurationError(
                f"{len(balances)} --balance for {len(texts)} --account: give one for all or one for each"
            )
        deposits = balances if len(balances) == len(texts) else list(balances) * len(texts)
        specs = [self._spec(text, deposits[i] if deposits else "") for i, text in enumerate(texts)]
        specs += [self._of(document) for document in _read(file)] if file is not None else []
        names = [spec.name for spec in specs]
        if double := sorted({name for name in names if names.count(name) > 1}):
            raise ConfigurationError(f"account {', '.join(double)}: name each account once")
        return tuple(specs)

    def _spec(self, text: str, deposit: str) -> AccountSpec:
        name, *rest = text.split(":")
        if not rest:
            return AccountSpec(name, *self._known(name), self._balance(deposit))
        if rest[0] == NEW and len(rest) <= 2:
            return self._made_up(name, self._balance(deposit or "".join(rest[1:])))
        if len(rest) not in {2, 3} or not all(rest):
            raise ConfigurationError(
                f"--account {name}:...: write NAME, NAME:KEY:SECRET[:BALANCE] or NAME:new[:BALANCE]"
            )
        return AccountSpec(name, SecretStr(rest[0]), SecretStr(rest[1]), self._balance(deposit or "".join(rest[2:])))

    def _of(self, document: AccountDocument) -> AccountSpec:
        balance = document.balance or self._default_balance
        made = self._made_up(document.name, balance)
        key, secret = document.key or made.key, document.secret or made.secret
        return AccountSpec(
            document.name, key, secret, balance, permissions=frozenset(document.permissions),
            public_key=_decoded(document.public_key) if document.public_key else None,
            made_up=document.key is None,
        )  # fmt: skip

    def _made_up(self, name: str, balance: Decimal) -> AccountSpec:
        kept = self._kept.get(name)
        key, secret = kept or (SecretStr(secrets.token_hex(KEY_BYTES)), SecretStr(secrets.token_hex(KEY_BYTES)))
        return AccountSpec(name, key, secret, balance, made_up=True)

    def _balance(self, text: str) -> Decimal:
        try:
            value = Decimal(text) if text else self._default_balance
        except InvalidOperation:
            value = Decimal("NaN")
        if not (value.is_finite() and value > 0):
            raise ConfigurationError(f"--balance {text!r} is not a positive amount of money")
        return value


def kept_keys(state: Path | None) -> dict[str, Keys]:
    """Made-up keys in a state file. Raises ConfigurationError when there is one and it can not be read."""
    if state is None or not state.exists():
        return {}
    try:
        kept = orjson.loads(state.read_bytes())["keys"]
        return {name: (SecretStr(pair["key"]), SecretStr(pair["secret"])) for name, pair in kept.items()}
    except (OSError, orjson.JSONDecodeError, KeyError, TypeError, AttributeError):
        raise ConfigurationError(f"state file {state}: can not be read; start without it, or remove it") from None


def told_once(specs: Iterable[AccountSpec], kept: Mapping[str, Keys]) -> list[dict[str, str]]:
    """Keys that a user has to be told now, because nobody can tell them later."""
    return [
        {"name": spec.name, "key": spec.key.get_secret_value(), "secret": spec.secret.get_secret_value()}
        for spec in specs
        if spec.made_up and spec.name not in kept
    ]


def _read(path: Path) -> list[AccountDocument]:
    try:
        document = yaml.safe_load(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigurationError(f"accounts file {path}: {error.strerror}") from None
    except (yaml.YAMLError, UnicodeDecodeError):
        raise ConfigurationError(f"accounts file {path}: not YAML") from None
    try:
        return AccountsFile.model_validate(document).accounts
    except ValidationError as error:
        # Never the input itself: it holds secrets.
        problems = [f"{'.'.join(map(str, p['loc']))}: {p['msg']}" for p in error.errors(include_input=False)]
        raise ConfigurationError(f"accounts file {path}: {'; '.join(problems)}") from None


def _decoded(text: str) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except binascii.Error:
        return b""
