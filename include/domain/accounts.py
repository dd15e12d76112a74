"""Names that go with a trading account."""

from __future__ import annotations


def credential_variables(account: str) -> tuple[str, str]:
    """Environment variables that hold an account's key and secret."""
    stem = "AIRLOCK_ACCOUNT_" + account.upper().replace("-", "_")
    return f"{stem}_KEY", f"{stem}_SECRET"
