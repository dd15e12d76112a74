"""What the qualification report shows of a data gate, from its evidence alone: the worst violations and the links."""

from __future__ import annotations

from collections import Counter
from typing import Any

from include.domain.enums import Stage
from include.domain.reason_codes import DataRule
from include.qualification.evidence import Evidence
from include.reporting.data_docs import DATA_DOCS
from include.reporting.data_gate import JSON_FILE, PAGE_FILE
from include.reporting.gate_findings import sample_text
from include.validators.violations import EVERY_SYMBOL

SHOWN = 5
"""Violations of each rule on the qualification page; the gate's own page has more."""


def gate_links(evidence: Evidence) -> list[tuple[str, str]]:
    """Name and place of the gate's report files, relative to the folder of the evidence's artefacts."""
    if PAGE_FILE not in evidence.artefacts:
        return []
    return [
        ("Timeline and all scores", PAGE_FILE),
        ("Data Docs", f"{DATA_DOCS}/index.html"),
        ("Every violation", JSON_FILE),
    ]


def evidence_findings(evidence: Evidence) -> list[dict[str, Any]]:
    """Rows of `violations.html.j2`, in the order of the evidence, which is the worst first."""
    if evidence.stage is not Stage.DATA_GATE:
        return []
    listed = evidence.details.get("violations", [])
    events: Counter[str] = Counter()
    for symbol in evidence.details.get("symbols", {}).values():
        events.update({rule: count["events"] for rule, count in symbol["violation_counts"].items()})
    rules = dict.fromkeys(violation["rule"] for violation in listed)
    return [_finding(rule, [v for v in listed if v["rule"] == rule], events[rule]) for rule in rules]


def _finding(rule: str, listed: list[dict[str, Any]], events: int) -> dict[str, Any]:
    return {
        "rule": rule, "meaning": DataRule[rule].description if rule in DataRule.__members__ else "",
        "total": f"{events:,} event{'' if events == 1 else 's'} in all symbols together",
        "more": f"{len(listed) - SHOWN:,} or" if len(listed) > SHOWN else "",
        "rows": [
            {
                "symbol": "all symbols" if v["symbol"] == EVERY_SYMBOL else v["symbol"], "scope": v["scope"],
                "first": v["first"], "last": "" if v["last"] == v["first"] else v["last"], "bars": f"{v['count']:,}",
                "sample": sample_text(v["sample"]),
            }
            for v in listed[:SHOWN]
        ],
    }  # fmt: skip
