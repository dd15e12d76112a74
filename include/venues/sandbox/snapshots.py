"""The whole exchange as one file, and back: accounts with orders, positions, ids; clock, limits, listen keys, faults.

The file is written beside its place and moved there, so it is always a whole one. It is readable by its owner
only, and holds no keys but those that the exchange made up itself. A restart needs the same market: symbols, window and
every bar are part of the file's identity.
"""

from __future__ import annotations

import hashlib
import os
from pathlib import Path
from typing import Any

import orjson

from include.domain.errors import ConfigurationError, DataError
from include.venues.matching import spot_state, state
from include.venues.sandbox.gateway import Gateway

FORMAT = 1


def document(gateway: Gateway) -> dict[str, Any]:
    """Everything that has to survive a restart."""
    exchange = gateway.exchange
    return {
        "format": FORMAT,
        "market": gateway.market.digest,
        "replay": exchange.replay.document(),
        "accounts": {name: state.document(account) for name, account in exchange.accounts.items()},
        "spot": {name: spot_state.document(account) for name, account in exchange.spot.accounts.items()},
        "keys": exchange.credentials.made_up_keys(),
        "listen_keys": exchange.credentials.document(),
        "limits": gateway.limiter.document(),
        "faults": gateway.injector.document(),
        "changed_market": gateway.market.document(),
    }


def save(gateway: Gateway, path: Path) -> dict[str, Any]:
    """Write the state to `path`, atomically; returns what and how much was written.

    Raises:
        ConfigurationError: the file can not be written; one that was there before is still whole.
    """
    raw = orjson.dumps(document(gateway), option=orjson.OPT_INDENT_2)
    beside = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        descriptor = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            file.write(raw)
            file.flush()
            os.fsync(file.fileno())
        beside.replace(path)
    except OSError as error:
        beside.unlink(missing_ok=True)
        raise ConfigurationError(f"state file {path}: {error.strerror}; choose another with --state") from None
    return {"path": str(path), "bytes": len(raw), "digest": hashlib.sha256(raw).hexdigest()}


def load(gateway: Gateway, path: Path) -> None:
    """Take over the state in `path`, before anything is served. An exchange whose state was refused is not to be used.

    Raises:
        ConfigurationError: the file is of another format, another market or other accounts, or can not be read.
        DataError: its content is not a state.
    """
    try:
        kept = orjson.loads(path.read_bytes())
    except OSError as error:
        raise ConfigurationError(f"state file {path}: {error.strerror}") from None
    except orjson.JSONDecodeError as error:
        raise DataError(f"state file {path}: not JSON: {error}") from None
    exchange = gateway.exchange
    if not isinstance(kept, dict) or kept.get("format") != FORMAT:
        raise ConfigurationError(f"state file {path}: not a state of format {FORMAT}; start without it")
    if kept.get("market") != gateway.market.digest:
        raise ConfigurationError(f"state file {path}: written over another market (data set, symbols or window)")
    if set(kept.get("accounts", ())) != set(exchange.accounts):
        held = ", ".join(sorted(kept.get("accounts", ()))) or "(none)"
        raise ConfigurationError(f"state file {path}: holds accounts {held}; name the same ones")
    instruments = {symbol: tape.instrument for symbol, tape in exchange.tapes.items()}
    try:
        accounts = {name: state.from_document(instruments, one) for name, one in kept["accounts"].items()}
        if any(one.margin.brackets != exchange.accounts[name].margin.brackets for name, one in accounts.items()):
            raise ConfigurationError(f"state file {path}: written with other leverage brackets; name the same ones")
        spot = {name: spot_state.from_document(instruments, one) for name, one in kept["spot"].items()}
        gateway.market.restore(kept["changed_market"])
        gateway.injector.restore(kept["faults"])
        gateway.limiter.restore(kept["limits"])
        exchange.credentials.restore(kept["listen_keys"])
        exchange.replay.restore(kept["replay"])
    except (KeyError, TypeError, ValueError) as error:
        raise DataError(f"state file {path}: {type(error).__name__}: {error}") from None
    exchange.spot.accounts.update(spot)
    exchange.restore(accounts)
