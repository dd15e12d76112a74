"""Fixtures of tests that kill real processes."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.adapters.worlds import World, build_world


@pytest.fixture
def world(tmp_path: Path, database_url: str) -> Iterator[Callable[[int], World]]:
    """Builds a home whose lake holds so many minutes; ends its processes afterwards."""
    built: list[World] = []

    def build(minutes: int) -> World:
        built.append(build_world(tmp_path, database_url, minutes))
        return built[-1]

    yield build
    for one in built:
        one.close()
        one.ledger.close()
