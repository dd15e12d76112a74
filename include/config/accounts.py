"""Credentials of trading accounts: from the environment, or from a private file that the local stack keeps.

Only the sandbox's own accounts, whose keys are worthless anywhere else, are ever kept in a file.
"""

from __future__ import annotations

import json
import os
from pathlib import Path

from pydantic import SecretStr

from include.domain.accounts import credential_variables
from include.domain.errors import ConfigurationError


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
