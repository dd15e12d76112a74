"""Everything that a page with Plotly pictures runs: the installed script, our own, and the figures as JSON.

The page's content policy names the two scripts by their digests and allows nothing else, so text from outside can never
become code, and nothing can be fetched.
"""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from include.reporting.figures import Figure
from include.reporting.templates import FOLDER

DRAWING_SCRIPT = FOLDER / "figures.js"


@dataclass(slots=True)
class Album:
    """The figures of one page, numbered in the order in which they were added."""

    figures: list[Figure] = field(default_factory=list)

    def add(self, figure: Figure) -> dict[str, Any]:
        """What the template needs to leave a place for a figure."""
        self.figures.append(figure)
        return {
            "number": len(self.figures) - 1, "label": figure.label, "caption": figure.caption,
            "height": int(figure.layout["height"]),
        }  # fmt: skip


@dataclass(frozen=True, slots=True)
class PageScripts:
    """Parts of the page that are not escaped; `runs` are the scripts, in order."""

    policy: str
    data: str
    runs: tuple[str, ...]


def page_scripts(figures: Sequence[Figure]) -> PageScripts:
    """Scripts and content policy of a page; without figures it runs nothing."""
    runs: tuple[str, ...] = ()
    if figures:
        from plotly.offline import get_plotlyjs

        runs = get_plotlyjs(), DRAWING_SCRIPT.read_text(encoding="utf-8")
    allowed = " ".join(f"'sha256-{_digest(script)}'" for script in runs) or "'none'"
    document = [{"data": list(figure.data), "layout": figure.layout} for figure in figures]
    return PageScripts(
        f"default-src 'none'; style-src 'unsafe-inline'; script-src {allowed}; img-src data: blob:; "
        "base-uri 'none'; form-action 'none'",
        # "<" would end the script element; in JSON its escape means the same.
        json.dumps(document, allow_nan=False, separators=(",", ":")).replace("<", "\\u003c"),
        runs,
    )


def _digest(script: str) -> str:
    return base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
