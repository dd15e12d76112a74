"""What limits look back on while an engine runs: equity of 24 hours, closes of a few bars, cancels of a minute."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from decimal import Decimal

from include.domain.deployments import EquityPoint
from include.risk.limits import RATE_WINDOW
from include.trading.bar_window import BarWindow

DAY = timedelta(hours=24)


class EquityTrack:
    """Equity at closes of the last 24 hours, and the last one before them."""

    def __init__(self, capital: Decimal, points: Iterable[EquityPoint]) -> None:
        """
        Args:
            points: oldest first; where they reach back less than 24 hours, the deployment began with `capital`.
        """
        self._capital = capital
        self._points = deque((point.at, point.equity) for point in points)

    def add(self, at: datetime, equity: Decimal) -> None:
        """Take the equity of a close; one that is not later than the last is known already."""
        if self._points and at <= self._points[-1][0]:
            return
        self._points.append((at, equity))

    def day_ago(self, now: datetime) -> Decimal:
        """Equity 24 hours before `now`."""
        while len(self._points) > 1 and self._points[1][0] <= now - DAY:
            self._points.popleft()
        if self._points and self._points[0][0] <= now - DAY:
            return self._points[0][1]
        return self._capital


class CloseTrack:
    """The last closes of each symbol, as many as a limit asks for."""

    def __init__(self, count: int) -> None:
        self._count = count
        self._closes: dict[str, deque[Decimal]] = {}
        self._newest: dict[str, datetime] = {}

    def look(self, windows: Iterable[BarWindow]) -> None:
        """Take the newest bar of each window; at first sight, all closes that the window holds."""
        if not self._count:
            return
        for window in windows:
            last = window.last
            if last is None or self._newest.get(window.symbol) == last.open_time:
                continue
            closes = self._closes.get(window.symbol)
            if closes is None:
                held = (Decimal(repr(float(value))) for value in window.bars().close)
                self._closes[window.symbol] = deque(held, maxlen=self._count)
            else:
                closes.append(last.close)
            self._newest[window.symbol] = last.open_time

    def of(self, symbol: str) -> Sequence[Decimal]:
        """Oldest first; fewer than asked for where they are not known."""
        return tuple(self._closes.get(symbol, ()))


class CancelTrack:
    """How many cancels were sent within the last minute. One counts from when it is first seen, which is no earlier
    than when it was sent: it may count too long, never too short."""

    def __init__(self, sent: int) -> None:
        self._sent = sent
        self._seen: deque[tuple[datetime, int]] = deque()

    def look(self, sent: int, now: datetime) -> int:
        """Take the number sent so far; returns those of the last minute."""
        if sent > self._sent:
            self._seen.append((now, sent - self._sent))
            self._sent = sent
        while self._seen and self._seen[0][0] <= now - RATE_WINDOW:
            self._seen.popleft()
        return sum(count for _, count in self._seen)
