"""Every venue passes every acceptance card that applies to it."""

from __future__ import annotations

from pathlib import Path

import pytest

from include.venues.acceptance.card import Card
from include.venues.acceptance.cards import CARDS
from tests.adapters.rigs import RIGS, applicable


@pytest.mark.parametrize(
    ("name", "card"),
    applicable(),
    ids=[f"{name}-{card.id}-{card.title.replace(' ', '-')}" for name, card in applicable()],
)
async def test_the_venue_does_what_the_card_expects(name: str, card: Card, tmp_path: Path) -> None:
    async with RIGS[name][0](tmp_path) as rig:
        await card.run(rig)


def test_card_numbers_are_unique_and_in_order() -> None:
    numbers = [card.number for card in CARDS]
    assert numbers == sorted(set(numbers))


def test_every_card_runs_somewhere_and_safe_ones_run_everywhere() -> None:
    run = applicable()
    assert {card.number for _, card in run} == {card.number for card in CARDS}
    for card in CARDS:
        if card.safe:
            assert not card.needs, f"card {card.id} runs against accounts of every kind"
