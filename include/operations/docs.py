"""Writes the lists in `docs/` that mirror code, between markers; a test fails when they are stale.

Run as `python -m include.operations.docs` (`make docs`).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from types import MappingProxyType

from include.config.settings import PROJECT_ROOT, SECRET_FIELDS, Settings
from include.domain.lifecycle import DEPLOYMENT_TRANSITIONS, ORDER_TRANSITIONS
from include.domain.reason_codes import DataRule, FeedCode, RiskCode, SampleCode, SignOffCode
from include.qualification.metrics import METRICS
from include.qualification.verdict import EFFECTS, EXIT_CODES, WORSENING


def _table(header: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> str:
    lines = [header, tuple("---" for _ in header), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def _codes(enum: type[RiskCode] | type[DataRule] | type[SignOffCode] | type[SampleCode] | type[FeedCode]) -> str:
    return _table(("Code", "Meaning"), ((f"`{code.value}`", code.description) for code in enum))


def _transitions(table: Mapping[object, frozenset[object]]) -> str:
    return _table(
        ("From", "May become"),
        ((str(state), ", ".join(sorted(map(str, targets))) or "(final)") for state, targets in table.items()),
    )


def _settings() -> str:
    rows = []
    for name, field in Settings.model_fields.items():
        default = field.default
        shown = "not set" if default is None else str(default).replace(str(PROJECT_ROOT) + "/", "")
        secret = " Secret: environment only." if name in SECRET_FIELDS else ""
        rows.append((f"`AIRLOCK_{name.upper()}`", f"`{shown}`", (field.description or "") + secret))
    return _table(("Variable", "Default", "Meaning"), rows)


def _verdicts() -> str:
    return _table(
        ("Verdict (best to worst)", "Effect", "Exit code"),
        ((v.value, EFFECTS[v].value, str(int(EXIT_CODES[v]))) for v in WORSENING),
    )


GENERATED: Mapping[str, Callable[[], str]] = MappingProxyType(
    {
        "metrics": lambda: _table(
            ("Metric", "Unit", "Meaning"), ((f"`{name}`", m.unit, m.meaning) for name, m in METRICS.items())
        ),
        "risk-codes": lambda: _codes(RiskCode),
        "data-rules": lambda: _codes(DataRule),
        "feed-codes": lambda: _codes(FeedCode),
        "sign-off-codes": lambda: _codes(SignOffCode),
        "sample-codes": lambda: _codes(SampleCode),
        "order-transitions": lambda: _transitions(ORDER_TRANSITIONS),  # type: ignore[arg-type]
        "deployment-transitions": lambda: _transitions(DEPLOYMENT_TRANSITIONS),  # type: ignore[arg-type]
        "settings": _settings,
        "verdicts": _verdicts,
    }
)

_BLOCK = re.compile(r"(<!-- generated: ([a-z-]+) -->\n).*?(<!-- end -->)", re.DOTALL)


def render(text: str) -> str:
    """The page with every generated block filled from the code.

    Raises:
        KeyError: a block names a list that does not exist.
    """
    return _BLOCK.sub(lambda match: f"{match[1]}{GENERATED[match[2]]()}\n{match[3]}", text)


def pages(root: Path = PROJECT_ROOT) -> list[Path]:
    """Pages that hold generated blocks."""
    return [path for path in sorted((root / "docs").glob("*.md")) if _BLOCK.search(path.read_text())]


def main() -> None:
    """Rewrite the pages in place."""
    for path in pages():
        path.write_text(render(path.read_text()))


if __name__ == "__main__":
    main()
