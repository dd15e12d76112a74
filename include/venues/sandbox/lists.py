"""Lists of the sandbox as Markdown, for its page in the docs: written from the tables that the code runs on."""

from __future__ import annotations

from collections.abc import Iterable

from include.venues.sandbox.faults.kinds import FAULTS
from include.venues.sandbox.weights import LIMITS, WEIGHTS, Weight

_BY = {"ORDERS": "account"}


def render_faults() -> str:
    """Every kind of fault: what counts as an occasion, what it does, its own settings and how often it strikes."""
    rows = (
        (
            f"`{kind.value}`",
            facts.scope.value,
            facts.meaning,
            ", ".join(f"`{name}: {value}`" for name, value in facts.options.items()) or "-",
            str(facts.times) if facts.times else "always",
        )
        for kind, facts in FAULTS.items()
    )
    return _table(("Kind", "Occasion", "What happens", "Settings and defaults", "Times unless told"), rows)


def render_limits() -> str:
    """Limits of both segments."""
    rows = (
        (segment.value, limit.type.value, f"{limit.limit:,} per {limit.words}", _BY.get(limit.type.value, "address"))
        for segment, limits in LIMITS.items()
        for limit in limits
    )
    return _table(("Segment", "Limit", "Allowed", "Counted by"), rows)


def render_weights() -> str:
    """Routes that weigh other than 1."""
    return _table(("Route", "Weight"), ((f"`{route}`", _words(weight)) for route, weight in sorted(WEIGHTS.items())))


def _words(weight: Weight) -> str:
    words = [f"{cost} up to {rows:,} rows" for rows, cost in weight.by_rows] or [str(weight.cost)]
    words += [f"{weight.every} without a symbol"] if weight.every is not None else []
    words += [f"and {weight.orders} order{'s' if weight.orders > 1 else ''}"] if weight.orders else []
    return ", ".join(words)


def _table(header: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> str:
    lines = [header, tuple("---" for _ in header), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)
