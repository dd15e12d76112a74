"""Writes the lists in `docs/` that mirror code, between markers; a test fails when they are stale.

Run as `python -m include.operations.docs` (`make docs`).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from decimal import Decimal
from pathlib import Path
from types import MappingProxyType

from include import bootstrap
from include.alerting import load_policy
from include.alerting.metrics import ALERT_METRICS
from include.config.files import ALERTS_FILE, find_profile, shipped
from include.config.settings import PROJECT_ROOT, SECRET_FIELDS, Settings
from include.domain.lifecycle import ALERT_TRANSITIONS, DEPLOYMENT_TRANSITIONS, ORDER_TRANSITIONS
from include.domain.reason_codes import AccountCode, AlertCode, DataRule, FeedCode, RiskCode, SampleCode, SignOffCode
from include.qualification.metrics import METRICS
from include.qualification.profile import RiskOverrides
from include.qualification.verdict import EFFECTS, EXIT_CODES, WORSENING


def _table(header: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> str:
    lines = [header, tuple("---" for _ in header), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def _codes(
    enum: type[AccountCode | AlertCode | RiskCode | DataRule | SignOffCode | SampleCode | FeedCode],
) -> str:
    return _table(("Code", "Meaning"), ((f"`{code.value}`", code.description) for code in enum))


def _risk_limits() -> str:
    """Limits that one of the shipped profiles sets, and what each says: always, and on top for LIVE deployments."""
    rules = {name: find_profile(name).risk for name in shipped("profiles")}
    header = ("Limit", *(f"`{name}`" for name in rules), *(f"`{name}` live" for name in rules))
    rows = []
    for name in sorted(RiskOverrides.model_fields):
        values = [getattr(risk, name) for risk in rules.values()] + [
            getattr(risk.live, name, None) for risk in rules.values()
        ]
        if any(value is not None for value in values):
            rows.append((f"`{name}`", *("" if value is None else str(value) for value in values)))
    return _table(header, rows)


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


def _alert_metrics() -> str:
    rows = ((f"`{name}`", m.scope.value, m.unit, m.meaning) for name, m in ALERT_METRICS.items())
    return _table(("Metric", "About", "Unit", "Meaning"), rows)


def _alert_rules() -> str:
    rows = (
        (f"`{r.name}`", r.severity.value, f"`{r.metric}` {r.op.value} {r.threshold:g}",
         "" if r.clear is None else f"{r.clear:g}", f"{r.hold_secs} s", r.code.value)
        for r in load_policy(ALERTS_FILE).rules
    )  # fmt: skip
    return _table(("Rule", "Severity", "Fires when", "Over at", "Held for", "Code"), rows)


def _venue_terms() -> str:
    """Terms of trading of each lake venue in per cent and basis points; a range where its symbols differ."""
    rows = []
    for venue in bootstrap.venue_facts().values():
        terms = [
            (
                100 * i.maker_fee_rate, 100 * i.taker_fee_rate, i.half_spread_bps + i.slippage_bps,
                None if i.participation is None else 100 * i.participation, 100 * i.funding_rate,
                100 * i.maintenance_margin_rate, 100 * i.liquidation_fee_rate,
            )
            for i in venue.instruments.values()
        ]  # fmt: skip
        rows.append((f"`{venue.name}`", *(_range(column) for column in zip(*terms, strict=True))))
    header = ("Venue", "Maker fee, %", "Taker fee, %", "Half spread and slippage, bps", "Participation, %",
              "Funding, % every 8 h", "Maintenance margin, %", "Liquidation fee, %")  # fmt: skip
    return _table(header, rows)


def _range(values: Iterable[Decimal | None]) -> str:
    found = sorted({value for value in values if value is not None and value != 0})
    return " to ".join(f"{value.normalize():f}" for value in dict.fromkeys((found[0], found[-1]))) if found else "none"


GENERATED: Mapping[str, Callable[[], str]] = MappingProxyType(
    {
        "metrics": lambda: _table(
            ("Metric", "Unit", "Meaning"), ((f"`{name}`", m.unit, m.meaning) for name, m in METRICS.items())
        ),
        "risk-codes": lambda: _codes(RiskCode),
        "account-codes": lambda: _codes(AccountCode),
        "risk-limits": _risk_limits,
        "data-rules": lambda: _codes(DataRule),
        "feed-codes": lambda: _codes(FeedCode),
        "sign-off-codes": lambda: _codes(SignOffCode),
        "sample-codes": lambda: _codes(SampleCode),
        "order-transitions": lambda: _transitions(ORDER_TRANSITIONS),  # type: ignore[arg-type]
        "deployment-transitions": lambda: _transitions(DEPLOYMENT_TRANSITIONS),  # type: ignore[arg-type]
        "settings": _settings,
        "venue-terms": _venue_terms,
        "verdicts": _verdicts,
        "alert-codes": lambda: _codes(AlertCode),
        "alert-metrics": _alert_metrics,
        "alert-rules": _alert_rules,
        "alert-transitions": lambda: _transitions(ALERT_TRANSITIONS),  # type: ignore[arg-type]
        **bootstrap.exchange_lists(),
        "venue-cards": bootstrap.render_venue_cards,
        "exchange-errors": bootstrap.render_exchange_errors,
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
