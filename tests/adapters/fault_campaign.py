"""Engines on an exchange that misbehaves by a seeded plan: ledger and exchange end up equal all the same.

A scenario is a replay in lockstep under a few faults that end at some point, so that the engine can finish. Where a
fault makes the engine give up, a new one takes over the same deployment, as the trader's supervisor does.
"""

from __future__ import annotations

import random
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Any

from include.domain.errors import AirlockError
from include.domain.holding import Holding
from include.domain.lifecycle import ORDER_TRANSITIONS, is_terminal
from include.domain.orders import Order
from include.ports import Ledger
from include.strategies.protocol import load_strategy
from include.trading.engine import Engine, Outcome
from include.venues.ccxt_venue import CcxtVenue
from include.venues.matching import Account
from include.venues.pacer import SandboxPacer
from include.venues.sandbox.faults.injector import Injector
from include.venues.sandbox.faults.plan import read_plan
from tests.adapters.engines import WIDE, churn_candidate, put, replay_deployment
from tests.integration.venues.sandbox import ALICE, SYMBOLS, market, plan, running

MINUTES = 25
ATTEMPTS = 40
TIMEOUT_MS = 400
POOL: tuple[dict[str, Any], ...] = (
    {"kind": "TIMEOUT_AFTER_ACCEPT", "answer": "CUT"},
    {"kind": "TIMEOUT_AFTER_ACCEPT", "answer": "TELL"},
    {"kind": "TIMEOUT_AFTER_ACCEPT", "route": "DELETE */*rder", "answer": "CUT"},
    {"kind": "TIMEOUT_BEFORE_ACCEPT", "answer": "CUT"},
    {"kind": "TIMEOUT_BEFORE_ACCEPT", "answer": "TELL"},
    {"kind": "TIMEOUT_BEFORE_ACCEPT", "route": "GET *", "answer": "CUT"},
    {"kind": "SERVER_ERROR", "status": 503, "code": -1000},
    {"kind": "SERVER_ERROR", "route": "POST */*rder"},
    {"kind": "SLOW_ANSWER", "delay_ms": 20},
    {"kind": "REJECT_ORDER"},
    {"kind": "DUPLICATE_REPORT"},
    {"kind": "OUT_OF_ORDER_REPORT"},
    {"kind": "MISSING_REPORT"},
    {"kind": "DISCONNECT"},
    {"kind": "PARTIAL_FILL_THEN_CANCEL"},
    {"kind": "FLASH_CRASH", "fraction": -0.1},
    {"kind": "FLASH_CRASH", "fraction": 0.1},
)


@dataclass(frozen=True, slots=True)
class Result:
    """What came of a scenario."""

    seed: int
    faults: tuple[str, ...]
    strikes: int
    starts: int
    orders: int
    differences: tuple[str, ...]


def faults_of(seed: int) -> dict[str, Any]:
    """A plan of two to five faults, each a few times."""
    chance = random.Random(seed)
    chosen = chance.sample(POOL, chance.randrange(2, 6))
    faults = [
        {**fault, "probability": round(chance.uniform(0.02, 0.4), 3), "times": chance.randrange(1, 4)}
        for fault in chosen
    ]
    return {"seed": seed, "faults": faults}


async def run_scenario(ledger: Ledger, seed: int) -> Result:
    """Play one seed to its end and compare. The ledger gets a deployment of its own."""
    described, candidate = faults_of(seed), churn_candidate()
    deployment = put(ledger, candidate, replay_deployment(candidate, MINUTES, key=f"campaign-{seed}"))
    replay = replace(plan(MINUTES), faults=read_plan(described, f"seed {seed}"))
    async with running(replay, market(MINUTES)) as sandbox:
        starts = await _run_to_the_end(ledger, candidate, deployment, sandbox.url)
        account = sandbox.exchange.accounts[ALICE.name]
        differences = compare(ledger, deployment.id, account)
        injector = sandbox.exchange.hub.disturbance
        assert isinstance(injector, Injector)
        strikes = sum(fault["hits"] for fault in injector.report())
    kinds = tuple(sorted({fault["kind"] for fault in described["faults"]}))
    return Result(seed, kinds, strikes, starts, len(account.orders), tuple(differences))


async def _run_to_the_end(ledger: Ledger, candidate: Any, deployment: Any, url: str) -> int:
    for attempt in range(1, ATTEMPTS + 1):
        venue = CcxtVenue(url, ALICE.key, ALICE.secret, timeout_ms=TIMEOUT_MS)
        engine = Engine(
            ledger=ledger, venue=venue, pacer=SandboxPacer(venue), deployment=deployment, candidate=candidate,
            strategy=load_strategy(candidate.strategy, candidate.params), limits=WIDE, holder=f"test:{attempt}",
        )  # fmt: skip
        try:
            if await engine.run() is Outcome.COMPLETED:
                return attempt
        except AirlockError:
            continue  # the supervisor starts another one
    raise AssertionError(f"{deployment.id}: not done after {ATTEMPTS} engines")


def is_working(order: Order) -> bool:
    return not is_terminal(ORDER_TRANSITIONS, order.status)


def compare(ledger: Ledger, deployment: str, account: Account) -> list[str]:
    """Every difference between ledger and exchange: orders, fills, positions, money; to the last digit."""
    with ledger.begin() as work:
        orders = {order.client_order_id: order for order in work.orders.all(deployment)}
        fills = work.orders.fills(deployment)
    found = []
    ours = sorted((f.client_order_id, f.quantity, f.price, f.fee, f.trade_id) for f in fills)
    theirs = sorted((t.client_order_id, t.quantity, t.price, t.fee, str(t.id)) for t in account.trades)
    if ours != theirs:
        found.append(
            f"fills: only ours {sorted(set(ours) - set(theirs))}, only theirs {sorted(set(theirs) - set(ours))}"
        )
    accepted = {order.request.client_order_id: order for order in account.orders.values()}
    for name in sorted(accepted.keys() - orders.keys()):
        found.append(f"order {name}: at the exchange only")
    for name, order in orders.items():
        if name in accepted and order.filled_quantity != accepted[name].filled:
            found.append(f"order {name}: filled {order.filled_quantity}, at the exchange {accepted[name].filled}")
        if name in accepted and is_working(order) != accepted[name].is_open:
            found.append(f"order {name}: open {is_working(order)}, at the exchange {accepted[name].is_open}")
    holdings, wallet = {symbol: Holding() for symbol in SYMBOLS}, account.initial_wallet
    for fill in fills:
        holdings[fill.symbol], realised = holdings[fill.symbol].after(fill.side, fill.quantity, fill.price)
        wallet += realised - fill.fee
    for symbol, holding in holdings.items():
        if holding.quantity != account.holding(symbol).quantity:
            found.append(f"{symbol}: holds {holding.quantity}, at the exchange {account.holding(symbol).quantity}")
    if abs(wallet - account.wallet) > Decimal("1e-18"):
        found.append(f"wallet: {wallet}, at the exchange {account.wallet}")
    return found
