"""Faults that happen in the market itself: flash crash, halt, delisting, and the fill that overtakes a cancel.

They change the tapes before a bar is played, so that matching, klines, tickers and depth agree about what happened, and
keep what they changed, so that a restart can change it again. `Exchange` offers two hooks: `Replay.before_bar`, which
calls `play`, and `Exchange.fill_part` (see `Hooks`).
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from decimal import Decimal
from typing import Any, Protocol

import numpy as np

from include.venues.sandbox import errors
from include.venues.sandbox.faults.injector import Injector
from include.venues.sandbox.faults.kinds import FaultKind
from include.venues.sandbox.faults.plan import FaultDocument
from include.venues.sandbox.tape import Tape

TRADING, HALT, CLOSED = "TRADING", "HALT", "CLOSE"
COLUMNS = ("open", "high", "low", "close", "volume")


class Hooks(Protocol):
    """What the exchange lets faults do to its accounts."""

    def fill_part(self, account: str, params: Mapping[str, str], fraction: Decimal) -> None:
        """Fill a part of the working order that `params` name, at its own price. Nothing when there is none."""
        ...


class MarketFaults:
    """What has been done to the market of one exchange."""

    def __init__(self, tapes: Mapping[str, Tape], injector: Injector, hooks: Hooks) -> None:
        """Nothing of the tapes may have been replayed yet."""
        self.digest = market_digest(tapes)
        self._tapes = tapes
        self._injector = injector
        self._hooks = hooks
        self._status: dict[str, str] = {tape.id: TRADING for tape in tapes.values()}
        self._changed: dict[str, dict[str, list[float]]] = {}

    # --- bars ----------------------------------------------------------------------------------------------

    def play(self, rows: Mapping[str, int], open_ms: int) -> dict[str, int]:
        """Change the bars that are about to be played; returns the rows of the symbols that trade."""
        return {symbol: row for symbol, row in rows.items() if self._trades(self._tapes[symbol], row, open_ms)}

    def _trades(self, tape: Tape, row: int, open_ms: int) -> bool:
        status = CLOSED if self._status[tape.id] == CLOSED else TRADING
        for fault in self._injector.on_bar(tape.id, open_ms):
            if fault.kind is FaultKind.FLASH_CRASH:
                self._crash(tape, row, fault)
            else:
                status = CLOSED if CLOSED in (status, _STATUS[fault.kind]) else _STATUS[fault.kind]
        self._status[tape.id] = status
        if status != TRADING:
            self._flatten(tape, row)
        return status == TRADING

    def _crash(self, tape: Tape, row: int, fault: FaultDocument) -> None:
        fraction, bars = float(fault.option("fraction")), tape.bars
        if fraction < 0:
            low = min(bars.open[row], bars.close[row]) * (1 + fraction)
            self._change(tape, row, {"low": min(bars.low[row], low)})
        else:
            high = max(bars.open[row], bars.close[row]) * (1 + fraction)
            self._change(tape, row, {"high": max(bars.high[row], high)})

    def _flatten(self, tape: Tape, row: int) -> None:
        """A bar in which nothing happened, at the last close (at its own open when it is the first)."""
        price = float(tape.bars.close[row - 1] if row else tape.bars.open[row])
        self._change(tape, row, {**dict.fromkeys(COLUMNS[:4], price), "volume": 0.0})

    def _change(self, tape: Tape, row: int, values: Mapping[str, float]) -> None:
        bars = {name: float(values.get(name, getattr(tape.bars, name)[row])) for name in COLUMNS}
        write_bar(tape, row, bars)
        self._changed.setdefault(tape.id, {})[str(row)] = [bars[name] for name in COLUMNS]

    # --- what clients see ----------------------------------------------------------------------------------

    def check(self, route: str, params: Mapping[str, str]) -> None:
        """Refuse a new order of a symbol that does not trade. Raises ApiError."""
        status = self._status.get(params.get("symbol", ""), TRADING)
        if status == TRADING or not (route.startswith("POST ") and route.lower().endswith("order")):
            return
        reduces = params.get("reduceOnly", "").lower() == "true"
        if status == CLOSED or not reduces:
            raise errors.ApiError(errors.SYMBOL_CLOSED if status == CLOSED else errors.SYMBOL_NOT_OPEN)

    def tell(self, path: str, document: Any, skew_ms: int) -> Any:
        """A public answer with the states of the symbols and the exchange's idea of the time."""
        if not isinstance(document, dict) or "serverTime" not in document:
            return document
        document = {**document, "serverTime": document["serverTime"] + skew_ms}
        if path.endswith("/exchangeInfo") and any(status != TRADING for status in self._status.values()):
            document["symbols"] = [
                row if (status := self._status.get(row["symbol"], TRADING)) == TRADING else {**row, "status": status}
                for row in document["symbols"]
            ]
        return document

    def fill_part(self, account: str, params: Mapping[str, str], fraction: Decimal) -> None:
        """Let a part of an order fill while its cancel is on the way."""
        self._hooks.fill_part(account, params, fraction)

    # --- state ---------------------------------------------------------------------------------------------

    def document(self) -> dict[str, Any]:
        """Everything that has to survive a restart."""
        return {"status": dict(self._status), "changed": {name: dict(rows) for name, rows in self._changed.items()}}

    def restore(self, document: Mapping[str, Any]) -> None:
        """Take over what `document` wrote, bars included."""
        self._status.update(document["status"])
        for tape in self._tapes.values():
            for row, values in document["changed"].get(tape.id, {}).items():
                self._change(tape, int(row), dict(zip(COLUMNS, values, strict=True)))


def market_digest(tapes: Mapping[str, Tape]) -> str:
    """Identity of a market: instruments, bars, and where the replay begins."""
    digest = hashlib.sha256()
    for symbol, tape in sorted(tapes.items()):
        digest.update(f"{symbol} {tape.instrument!r} {tape.bars.timeframe} {tape.start} {len(tape.bars)}".encode())
        for name in ("open_time", *COLUMNS):
            digest.update(np.ascontiguousarray(getattr(tape.bars, name)).data)
    return digest.hexdigest()


_STATUS = {FaultKind.TRADING_HALT: HALT, FaultKind.DELISTED: CLOSED}


def write_bar(tape: Tape, row: int, values: Mapping[str, float]) -> None:
    """Change one bar of a tape in place; a sandbox's tapes are its own copies of the lake's bars."""
    for name in COLUMNS:
        getattr(tape.bars, name)[row] = values[name]
    tape.bar_changed(row)
