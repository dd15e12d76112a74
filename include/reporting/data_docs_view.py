"""How Airlock's Data Docs pages look: Great Expectations' own documents in templates that need no network.

The library's templates load bootstrap, jQuery and more from five other hosts. Ours (`reports/templates/data_docs`)
are found first and carry their style with them. Great Expectations instantiates this class by its name.

This module imports Great Expectations when it is imported, which takes seconds: import it inside functions only.
"""

from __future__ import annotations

from typing import Any

from great_expectations.render.view import DefaultJinjaPageView  # noqa: TID253 - the class is derived from it
from jinja2 import ChoiceLoader, FileSystemLoader

from include.reporting.templates import FOLDER


class OfflinePageView(DefaultJinjaPageView):  # type: ignore[misc]  # the library ships no types here
    """Every page: validation results, suites and the index."""

    def __init__(self, **directories: Any) -> None:
        super().__init__(**directories)
        self.env.loader = ChoiceLoader([FileSystemLoader(FOLDER / "data_docs"), self.env.loader])
