"""Renders the Jinja templates of `reports/templates`: undefined names are errors, everything is escaped."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from jinja2 import Environment

FOLDER = Path(__file__).resolve().parents[2] / "reports" / "templates"


def render_template(name: str, /, **values: Any) -> str:
    """Text of a template filled with `values`."""
    return _environment().get_template(name).render(**values)


@cache
def _environment() -> Environment:
    """Kept, because compiling the templates takes longer than filling them."""
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    return Environment(
        loader=FileSystemLoader(FOLDER),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )  # fmt: skip
