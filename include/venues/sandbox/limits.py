"""Counting what addresses and accounts have used, and refusing what is too much. Pure: time comes in with every call.

Enforced limits count wall time, as the exchange does; where the market moves faster than life, so do the windows.
Limits that are only told (lockstep and unpaced replays) count market time: the headers then say what the same client
would use in life, and nobody is refused.
"""

from __future__ import annotations

import math
from collections import Counter
from typing import Any

from include.venues.sandbox import errors
from include.venues.sandbox.weights import LIMITS, MESSAGES_A_SEC, Limit, LimitType, Segment

VIOLATIONS_BEFORE_BAN = 10
"""Requests sent on after a 429, within its window, that turn it into a ban (the exchange says only "repeatedly")."""
FIRST_BAN_MS = 120_000
LONGEST_BAN_MS = 3 * 86_400_000
"""Bans double from two minutes to three days, as documented."""

MOST_MESSAGES_A_SEC = 1_000
"""Where nobody is held to the limits, and on connections of order entry, which are limited by weights: a safeguard."""


class Window:
    """Use by name in the current window; windows begin at whole multiples of their length."""

    def __init__(self, length_ms: int) -> None:
        self.length_ms = length_ms
        self.start = 0
        self.used: Counter[str] = Counter()

    def at(self, now_ms: int) -> Counter[str]:
        """What has been used in the window of `now_ms`; what was used before is forgotten."""
        start = now_ms - now_ms % self.length_ms
        if start != self.start:
            self.start = start
            self.used.clear()
        return self.used

    def rest_ms(self, now_ms: int) -> int:
        """Time until the next window."""
        return self.length_ms - now_ms % self.length_ms


class Limiter:
    """Use of all limits by all addresses and accounts."""

    def __init__(self, *, enforced: bool, pace: float = 1.0) -> None:
        """`pace`: how much faster than life the market moves; its minutes allow what a minute allows."""
        self.enforced = enforced
        self._pace = max(1.0, pace)
        self._windows = {
            segment: [(limit, Window(limit.window_ms)) for limit in limits] for segment, limits in LIMITS.items()
        }
        self._violations = Window(60_000)
        self._bans: Counter[str] = Counter()
        self._banned_until: dict[str, int] = {}

    def messages_a_sec(self, segment: Segment) -> int:
        """How many messages a second a client may send on a connection of streams."""
        return int(MESSAGES_A_SEC[segment] * self._pace) if self.enforced else MOST_MESSAGES_A_SEC

    def charge(self, segment: Segment, ip: str, weight: int, now_ms: int) -> None:
        """Count a request of an address.

        Raises:
            ApiError: the request is too much (429, or 418 after many of them); then it is not counted.
        """
        for limit, window in self._windows[segment]:
            if limit.type is LimitType.ORDERS:
                continue
            used = window.at(self._paced(now_ms))
            amount = weight if limit.type is LimitType.REQUEST_WEIGHT else 1
            if self.enforced and used[ip] + amount > limit.limit:
                raise self._violation(ip, limit, window, now_ms)
            used[ip] += amount

    def charge_orders(self, segment: Segment, account: str, orders: int, now_ms: int) -> None:
        """Count orders of an account. Raises ApiError (-1015) when they are too many; then none is counted."""
        windows = [
            (limit, w.at(self._paced(now_ms))) for limit, w in self._windows[segment] if limit.type is LimitType.ORDERS
        ]
        for limit, used in windows:
            if self.enforced and used[account] + orders > limit.limit:
                raise errors.ApiError(errors.too_many_orders(limit.limit, limit.words))
        for _, used in windows:
            used[account] += orders

    def ban(self, ip: str, now_ms: int, duration_ms: int | None = None) -> errors.ApiError:
        """Keep an address out, each time twice as long unless told how long; returns the refusal."""
        doubled = FIRST_BAN_MS * 2 ** min(self._bans[ip], 20)
        self._bans[ip] += 1
        self._banned_until[ip] = now_ms + (duration_ms if duration_ms is not None else min(doubled, LONGEST_BAN_MS))
        return self._ban_error(ip, now_ms)

    def check_ban(self, ip: str, now_ms: int) -> None:
        """Raises ApiError (418) while the address is banned. Bans are wall time, whatever limits are counted on."""
        until = self._banned_until.get(ip)
        if until is None:
            return
        if until > now_ms:
            raise self._ban_error(ip, now_ms)
        del self._banned_until[ip]

    def headers(self, segment: Segment, ip: str, account: str | None) -> dict[str, str]:
        """Usage headers of an answer; order counts only where the answer is about orders (`account` is given)."""
        headers = {}
        for limit, window in self._windows[segment]:
            if limit.type is LimitType.REQUEST_WEIGHT:
                headers[f"X-MBX-USED-WEIGHT-{limit.suffix}"] = str(window.used[ip])
            elif limit.type is LimitType.ORDERS and account is not None:
                headers[f"X-MBX-ORDER-COUNT-{limit.suffix}"] = str(window.used[account])
        return headers

    def usage(self, segment: Segment, ip: str, account: str | None) -> list[dict[str, Any]]:
        """`rateLimits` of a websocket answer: what `headers` says, as documents."""
        rows = []
        for limit, window in self._windows[segment]:
            if limit.type is LimitType.REQUEST_WEIGHT:
                rows.append(limit.document(window.used[ip]))
            elif limit.type is LimitType.ORDERS and account is not None:
                rows.append(limit.document(window.used[account]))
        return rows

    def orders(self, segment: Segment, account: str, now_ms: int) -> list[dict[str, Any]]:
        """Order limits of an account and what it has used of them."""
        return [
            limit.document(window.at(self._paced(now_ms))[account])
            for limit, window in self._windows[segment]
            if limit.type is LimitType.ORDERS
        ]

    # --- state ---------------------------------------------------------------------------------------------

    def document(self) -> dict[str, Any]:
        """Everything that has to survive a restart."""
        return {
            "windows": {name: {"start": w.start, "used": dict(w.used)} for name, w in self._named_windows().items()},
            "bans": dict(self._bans),
            "banned_until": dict(self._banned_until),
        }

    def restore(self, document: dict[str, Any]) -> None:
        """Take over what `document` wrote. Raises KeyError when something is missing."""
        for name, window in self._named_windows().items():
            window.start = document["windows"][name]["start"]
            window.used = Counter(document["windows"][name]["used"])
        self._bans = Counter(document["bans"])
        self._banned_until = dict(document["banned_until"])

    # --- internals -----------------------------------------------------------------------------------------

    def _named_windows(self) -> dict[str, Window]:
        windows = {
            f"{segment.value} {limit.type.value} {limit.suffix}": window
            for segment, rows in self._windows.items()
            for limit, window in rows
        }
        return {**windows, "violations": self._violations}

    def _violation(self, ip: str, limit: Limit, window: Window, now_ms: int) -> errors.ApiError:
        violations = self._violations.at(self._paced(now_ms))
        violations[ip] += 1
        if violations[ip] > VIOLATIONS_BEFORE_BAN:
            return self.ban(ip, now_ms)
        wait_secs = window.rest_ms(self._paced(now_ms)) / self._pace / 1_000
        return errors.ApiError(errors.too_many_requests(ip, limit.limit, limit.words), math.ceil(wait_secs))

    def _paced(self, now_ms: int) -> int:
        return int(now_ms * self._pace)

    def _ban_error(self, ip: str, now_ms: int) -> errors.ApiError:
        until = self._banned_until[ip]
        return errors.ApiError(errors.banned(ip, until), -(-(until - now_ms) // 1_000))
