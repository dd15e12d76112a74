"""Is this account fit to trade? The safe acceptance cards and a few questions more, run against a configured account.

Everything that is placed carries the check's own tag; whatever happens, orders with that tag are cancelled at the end,
and what cannot be cancelled is the last line of the result.
"""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from include.domain.enums import Side
from include.domain.errors import AirlockError, FatalError, OutcomeUnknownError, RejectedError, RetryableError
from include.domain.times import Timeframe
from include.ports import Venue, VenueEvent
from include.qualification.verdict import EXIT_CODES, Verdict, worst
from include.venues.acceptance.card import Card, CardFailedError, Traits, build_order, expect
from include.venues.acceptance.cards import CARDS
from include.venues.ccxt_venue import CcxtVenue
from include.venues.feeds.sequence import is_crossed

SWEEPS = 3
LAST_CARD = 69


@dataclass(frozen=True, slots=True)
class CheckResult:
    """One line: PASS, FAIL (it is wrong), INCONCLUSIVE (it could not be measured)."""

    name: str
    verdict: Verdict
    detail: str
    secs: float


@dataclass(frozen=True, slots=True)
class AccountCheck:
    """What a check of an account found."""

    account: str
    exchange: str
    results: tuple[CheckResult, ...]

    @property
    def verdict(self) -> Verdict:
        return worst(result.verdict for result in self.results)

    @property
    def exit_code(self) -> int:
        return int(EXIT_CODES[self.verdict])

    def document(self) -> dict[str, object]:
        """Plain JSON."""
        checks = [
            {"name": r.name, "verdict": r.verdict.value, "detail": r.detail, "secs": round(r.secs, 3)}
            for r in self.results
        ]
        return {"account": self.account, "exchange": self.exchange, "verdict": self.verdict.value, "checks": checks}


@dataclass(slots=True)
class AccountRig:
    """What the safe cards run on: an account whose market moves by itself."""

    venue: Any
    symbols: Sequence[str]
    timeframe: Timeframe
    tag: str
    traits: Traits = field(default_factory=lambda: Traits(frozenset()))

    async def advance(self) -> None:
        raise FatalError("a real market cannot be moved; only safe cards run here")

    def told(self) -> list[VenueEvent]:
        raise FatalError("a real account is not steered; only safe cards run here")


async def check_account(
    venue: Venue, symbols: Sequence[str], timeframe: Timeframe, tag: str, *, can_withdraw_matters: bool
) -> tuple[CheckResult, ...]:
    """Run every check; the venue is connected here and closed at the end.

    Args:
        tag: start of the client ids of everything placed here; unique to this run.
        can_withdraw_matters: real money: a key whose rights cannot be told is not fit.
    """
    rig = AccountRig(venue, symbols, timeframe, tag)
    results = [await _measure("connection: credentials, clock, markets, streams", lambda: _connect(rig))]
    if results[0].verdict is not Verdict.PASS:
        return tuple(results)
    try:
        if isinstance(venue, CcxtVenue):
            results += await _questions(venue, rig, matters=can_withdraw_matters)
        for card in CARDS:
            if card.safe and card.number != LAST_CARD:
                results.append(await _run_card(card, rig))
    finally:
        results.append(await _measure("clean-up: everything placed is cancelled", lambda: _sweep(rig)))
        results += [await _run_card(card, rig) for card in CARDS if card.number == LAST_CARD]
        await venue.close()
    return tuple(results)


async def _questions(venue: CcxtVenue, rig: AccountRig, *, matters: bool) -> list[CheckResult]:
    return [
        await _measure("clock: offset of the exchange's clock", lambda: _clock(venue)),
        await _measure("permissions: may trade, may not withdraw", lambda: _permissions(venue, matters=matters)),
        await _measure("market data: the book is not crossed", lambda: _book(venue, rig)),
        await _measure("limits: what is left of them", lambda: _limits(venue)),
    ]


async def _connect(rig: AccountRig) -> str:
    await rig.venue.connect(rig.symbols, rig.timeframe)
    return f"{', '.join(rig.symbols)} {rig.timeframe}"


async def _clock(venue: CcxtVenue) -> str:
    found = venue.clock_offset
    if found is None:
        raise RetryableError("the clock was not measured")
    found.require("the exchange")
    return f"{found.offset.total_seconds() * 1000:+.0f} ms, within {found.uncertainty.total_seconds() * 1000:.0f} ms"


async def _permissions(venue: CcxtVenue, *, matters: bool) -> str:
    try:
        trades, withdraws = await venue.permissions()
    except FatalError:
        raise  # the key itself is refused
    except AirlockError as error:
        if matters:
            raise RetryableError(f"the key's rights could not be read ({error})") from None
        return "not told here; nothing can be withdrawn from a test account"
    expect(trades, "the key may not trade")
    expect(not withdraws, "the key may WITHDRAW: make one that may only trade, and delete this one")
    return "may trade, may not withdraw"


async def _book(venue: CcxtVenue, rig: AccountRig) -> str:
    bid, ask = await venue.top_of_book(rig.symbols[0])
    expect(not is_crossed(bid, ask), f"bid {bid} is not below ask {ask}")
    return f"{rig.symbols[0]} {bid} / {ask}"


async def _limits(venue: CcxtVenue) -> str:
    used = venue.governor.used
    expect(max(used.values(), default=0.0) < 0.9, f"nearly used up: {used}")
    return ", ".join(f"{name} {share:.1%}" for name, share in used.items()) or "not told"


async def _sweep(rig: AccountRig) -> str:
    """Cancel whatever of ours still works. Raises CardFailedError when something stays."""
    canceled = 0
    for _ in range(SWEEPS):
        left = [report for report in await rig.venue.open_orders() if report.client_order_id.startswith(rig.tag)]
        if not left:
            return f"{canceled} left over and cancelled" if canceled else "nothing was left over"
        for report in left:
            name = report.client_order_id.removeprefix(rig.tag)
            order = build_order(rig, name, Side.BUY, (await rig.venue.instruments())[report.symbol].lot_size,
                                symbol=report.symbol)  # fmt: skip
            try:
                await rig.venue.cancel(order)
                canceled += 1
            except (RejectedError, OutcomeUnknownError):
                continue  # it has ended meanwhile, or the next look tells
    raise CardFailedError(f"still working at the exchange: {[report.client_order_id for report in left]}")


async def _run_card(card: Card, rig: AccountRig) -> CheckResult:
    async def run() -> str:
        await card.run(rig)
        return card.expectation

    return await _measure(f"{card.id} {card.title}", run)


async def _measure(name: str, check: Callable[[], Awaitable[str]]) -> CheckResult:
    """Run one check and give it a verdict: a venue that does not answer is unmeasured, anything else is wrong."""
    begun = time.perf_counter()
    try:
        detail, verdict = await check(), Verdict.PASS
    except CardFailedError as error:
        detail, verdict = str(error), Verdict.FAIL
    except (RetryableError, OutcomeUnknownError) as error:
        detail, verdict = str(error), Verdict.INCONCLUSIVE
    except (RejectedError, FatalError) as error:
        detail, verdict = str(error), Verdict.FAIL
    return CheckResult(name, verdict, detail, time.perf_counter() - begun)
