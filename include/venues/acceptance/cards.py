"""All acceptance cards, by number."""

from __future__ import annotations

from include.venues.acceptance import account, facts, trading
from include.venues.acceptance.card import Card

CARDS: tuple[Card, ...] = tuple(sorted((*facts.CARDS, *trading.CARDS, *account.CARDS), key=lambda card: card.number))


def render_cards() -> str:
    """The cards as a Markdown table, for the documentation."""
    lines = [
        "| Card | What | Before | Sequence | Expected | In `airlock venue check` |",
        "| --- | --- | --- | --- | --- | --- |",
    ]
    for card in CARDS:
        safe = "yes" if card.safe else ""
        lines.append(
            f"| {card.id} | {card.title} | {card.prerequisite} | {card.sequence} | {card.expectation} | {safe} |"
        )
    return "\n".join(lines)
