"""How long the risk gate takes for one order with every rule in force.

    python -m benchmarks.bench_risk [--symbols N] [--working N] [--rounds N]

An account with positions in every symbol, working orders and round trips of a day, and limits that nothing breaks, so
that every rule is walked to its end. The budget is 50 microseconds for an order that enlarges a position, in time of
the processor, since other programs are not the gate's doing. The naive way, in which every size rule measures the
exposure anew, is measured in the same run, turn by turn; so is an order that shrinks a position.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from typing import Any

from include.domain.enums import OrderPurpose, Side
from include.domain.round_trips import RoundTrip
from include.risk.checks import CHECKS, Rule
from include.risk.exposure import measure_exposure
from include.risk.gate import Approval, evaluate_intent
from include.risk.question import Question
from tests.adapters.questions import ALL_LIMITS, BTC, NOW, SYMBOL, account, intent, order, question

BUDGET_US = 50.0


def full_question(symbols: int, working: int) -> Question:
    """Everything in order, and as much of it as an account has."""
    names = [SYMBOL, *(f"C{number:02d}/USDT" for number in range(1, symbols))]
    held = dict.fromkeys(names, Decimal("0.001"))
    resting = tuple(
        order(
            name=f"al-{number}", symbol=names[number % symbols], quantity=Decimal("0.001"), side=Side.SELL,
            reduce_only=number % 2 == 0, purpose=OrderPurpose.EXIT if number % 2 == 0 else OrderPurpose.ENTRY,
        )
        for number in range(working)
    )  # fmt: skip
    trips = tuple(
        RoundTrip(SYMBOL, Side.BUY, Decimal("0.1"), Decimal(5_000), Decimal(5_010 + n), Decimal(5 + n), NOW)
        for n in range(15)
    )
    asked = question(
        intent=intent(quantity=Decimal("0.01"), protective_stop=Decimal(49_000)),
        account=account(
            positions=held, entry_prices=dict.fromkeys(names, Decimal(50_000)),
            marks=dict.fromkeys(names, Decimal(50_000)), working=resting,
        ),
        instrument=replace(BTC, leverage=3, maintenance_margin_rate=Decimal("0.004")),
        limits=replace(ALL_LIMITS, max_open_positions=symbols, sectors={n.partition("/")[0]: "one" for n in names}),
        recent_order_times=(NOW - timedelta(seconds=90),) * 30, round_trips=trips, models_match=True,
    )  # fmt: skip
    decision = evaluate_intent(asked)
    if not isinstance(decision, Approval):
        raise SystemExit(f"the question must pass every rule: {decision}")
    return asked


def ask_naively(asked: Question) -> list[Any]:
    """The same rules, each measuring for itself."""
    return [
        rule.check(asked) if isinstance(rule, Rule) else rule.check(asked, measure_exposure(asked)) for rule in CHECKS
    ]


def measure(acts: Mapping[str, Callable[[], object]], rounds: int) -> dict[str, dict[str, float]]:
    """Microseconds a call, in blocks of 100 after a warm-up: a single call is near the clock's own step."""
    blocks: dict[str, list[float]] = {name: [] for name in acts}
    for _ in range(rounds // 100 + 5):
        for name, act in acts.items():
            begun = time.thread_time()
            for _ in range(100):
                act()
            blocks[name].append((time.thread_time() - begun) * 1e4)
    return {
        name: {"p50_us": round(statistics.median(taken[5:]), 1), "best_us": round(min(taken[5:]), 1)}
        for name, taken in blocks.items()
    }


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--symbols", type=int, default=5)
    parser.add_argument("--working", type=int, default=10)
    parser.add_argument("--rounds", type=int, default=20_000)
    arguments = parser.parse_args()
    asked = full_question(arguments.symbols, arguments.working)
    leaving = replace(asked, intent=intent(side=Side.SELL, purpose=OrderPurpose.EXIT, reduce_only=True))
    figures = measure(
        {
            "all_rules": lambda: evaluate_intent(asked),
            "way_out": lambda: evaluate_intent(leaving),
            "naive": lambda: ask_naively(asked),
        },
        arguments.rounds,
    )
    print(json.dumps({"rules": len(CHECKS), "budget_us": BUDGET_US, **vars(arguments), **figures}, indent=2))
    return 0 if figures["all_rules"]["p50_us"] <= BUDGET_US else 1


if __name__ == "__main__":
    raise SystemExit(main())
