"""Lists in the docs are the code's lists."""

from pathlib import Path

import pytest

from include.operations.docs import GENERATED, pages, render

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.parametrize("path", pages(), ids=lambda p: p.name)
def test_generated_lists_are_up_to_date(path: Path) -> None:
    assert render(path.read_text()) == path.read_text(), "run `make docs`"


def test_every_generated_list_is_shown_somewhere() -> None:
    text = "".join(path.read_text() for path in pages())
    assert [name for name in GENERATED if f"<!-- generated: {name} -->" not in text] == []


def test_links_between_pages_lead_somewhere() -> None:
    import re

    broken = []
    for page in [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *(ROOT / "docs").glob("*.md")]:
        for target in re.findall(r"\]\(([^)#]+)", page.read_text()):
            if "://" not in target and not (page.parent / target).exists():
                broken.append(f"{page.name} -> {target}")
    assert broken == []
