"""What the qualification page says about each stage, as texts: criteria, metrics, why it does not pass."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any

from include.domain.enums import Stage
from include.domain.times import iso
from include.qualification.criterion import Comparison, CriterionResult, Measurement
from include.qualification.evidence import Evidence
from include.qualification.metrics import METRICS
from include.qualification.profile import Profile
from include.qualification.verdict import Verdict
from include.qualification.wording import format_interval, format_metric, format_threshold, wanted_text

TITLES: Mapping[Stage, tuple[str, str]] = MappingProxyType(
    {
        Stage.DATA_GATE: ("Data gate", "Are the bars complete and clean enough to measure on?"),
        Stage.BACKTEST: ("Backtest", "What would it have earned, after costs, trading by the fill rule?"),
        Stage.WALK_FORWARD: ("Walk-forward", "Do parameters chosen on the past earn money on what comes after?"),
        Stage.SENSITIVITY: ("Parameter sensitivity", "Does the result survive slightly different parameters?"),
        Stage.MONTE_CARLO: ("Monte Carlo", "How bad could it have been in another order, or badly executed?"),
        Stage.REGIMES: ("Market regimes", "Does it earn in calm and volatile, falling and rising markets?"),
        Stage.COSTS: ("Costs", "How much more could trading cost before the profit is gone?"),
        Stage.OVERFITTING: (
            "Overfitting",
            "How likely is it that the result is luck, given everything that was tried?",
        ),
        Stage.STRESS: ("Stress", "What would historical shocks have done to it?"),
        Stage.BENCHMARK: ("Benchmark", "Is it better than simply holding the same symbols?"),
        Stage.CAPACITY: ("Capacity", "How much money can it trade before it moves the market against itself?"),
        Stage.SIMULATION: ("Simulation", "Does it trade in simulated time as it did in the backtest?"),
        Stage.QUALIFICATION: ("Qualification check", "Has every stage that the profile demands passed?"),
        Stage.SIGN_OFF: ("Sign-off", "Have all roles approved?"),
        Stage.PROMOTION: ("Promotion", "Was it promoted?"),
        Stage.LIVE: ("Live trading", "Does it trade as it was qualified to?"),
    }
)
"""Title of each stage and the question that it answers."""
KEY_METRICS = (
    "total_return", "annual_return", "sharpe", "max_drawdown", "win_rate", "profit_factor", "trades", "net_profit",
)  # fmt: skip
SIGNS: Mapping[Comparison, str] = MappingProxyType(
    {Comparison.GE: "≥", Comparison.GT: ">", Comparison.LE: "≤", Comparison.LT: "<"}
)
NOT_DEMANDED = "measured, not demanded by this profile"


def interval_text(name: str, measurement: Measurement | None) -> str:
    """The 95 % interval of a metric; empty where it has none."""
    return "" if measurement is None else format_interval(name, measurement.low, measurement.high)


def reasons(item: Evidence) -> list[str]:
    """Why a stage does not pass, one line each; empty when it passes or is not demanded."""
    if not item.is_demanded:
        return []
    if item.details.get("error"):
        return [str(item.details["error"])]  # that nothing could be measured then goes without saying
    return [r.reason for r in item.results if r.verdict is not Verdict.PASS]


def unmeasured(evidence: Sequence[Evidence], profile: Profile) -> list[Stage]:
    """Stages that the profile demands and that have no evidence here, in the order of the ladder."""
    found = {item.stage for item in evidence}
    return [stage for stage in profile.measured_stages if stage not in found]


def ladder_rows(evidence: Sequence[Evidence], profile: Profile) -> list[dict[str, Any]]:
    """Every stage that was measured or is demanded, in the order of the ladder; `verdict` is empty without evidence."""
    found = {item.stage: item for item in evidence}
    wanted = set(profile.measured_stages) | set(found)
    return [_ladder_row(stage, found.get(stage)) for stage in Stage if stage in wanted]


def stage_view(item: Evidence) -> dict[str, Any]:
    """Texts of one stage's section."""
    title, question = TITLES[item.stage]
    wanted = {r.criterion.metric: r for r in item.results}
    names = [*(name for name in METRICS if name in item.metrics), *(n for n in item.metrics if n not in METRICS)]
    return {
        "id": item.stage.value, "title": title, "question": question, "demanded": item.is_demanded,
        "verdict": item.verdict.value, "error": item.details.get("error", ""),
        "criteria": [_criterion_row(result) for result in item.results],
        "metrics": [_metric_row(name, item.metrics[name], wanted.get(name)) for name in names],
        "fingerprint": item.fingerprint, "digest": item.digest,
        "artefacts": dict(item.artefacts), "measured_at": iso(item.measured_at), "synthetic": item.synthetic,
    }  # fmt: skip


def key_figures(evidence: Sequence[Evidence]) -> list[dict[str, str]]:
    """The numbers that people ask for first, from the backtest."""
    metrics = next((item.metrics for item in evidence if item.stage is Stage.BACKTEST), {})
    return [
        {
            "name": name.replace("_", " "), "meaning": METRICS[name].meaning,
            "value": format_metric(name, metrics[name].value), "interval": interval_text(name, metrics[name]),
        }
        for name in KEY_METRICS
        if name in metrics
    ]  # fmt: skip


def symbol_rows(item: Evidence) -> list[dict[str, str]]:
    """The backtest's results symbol by symbol; funding and liquidations are empty where no symbol had any."""
    found = item.details.get("symbols", {})
    charged = any(row.get("funding") or row.get("liquidations") for row in found.values())
    return [
        {
            "symbol": symbol, "trades": f"{row['trades']:,}", "win_rate": format_metric("win_rate", row["win_rate"]),
            "profit": format_metric("net_profit", row["net_profit_closed"]), "fees": format_metric("fees", row["fees"]),
            "funding": format_metric("funding", row.get("funding")) if charged else "",
            "liquidations": format_metric("liquidations", row.get("liquidations")) if charged else "",
        }
        for symbol, row in found.items()
    ]  # fmt: skip


def data_rows(evidence: Sequence[Evidence]) -> list[dict[str, Any]]:
    """Every window and fingerprint once, with the stages that measured on it."""
    found: dict[tuple[str, str, bool], list[str]] = {}
    for item in evidence:
        window = item.details.get("window")
        where = f"{window['venue']}, {window['from']} to {window['to']}" if window else ""
        found.setdefault((where, item.fingerprint, item.synthetic), []).append(TITLES[item.stage][0])
    return [
        {"window": where, "fingerprint": fingerprint, "synthetic": synthetic, "stages": stages}
        for (where, fingerprint, synthetic), stages in found.items()
    ]


def _ladder_row(stage: Stage, item: Evidence | None) -> dict[str, Any]:
    title, _ = TITLES[stage]
    if item is None:
        return {"id": stage.value, "title": title, "verdict": "", "note": "not measured yet", "reasons": []}
    note = "" if item.is_demanded else "measured, not demanded"
    return {
        "id": stage.value, "title": title, "verdict": item.verdict.value if item.is_demanded or "error" in item.details
        else "", "note": note, "reasons": reasons(item),
    }  # fmt: skip


def _criterion_row(result: CriterionResult) -> dict[str, str]:
    c, m = result.criterion, result.measurement
    return {
        "metric": c.metric, "meaning": _meaning(c.metric), "window": "" if c.window == "all" else c.window,
        "wanted": _wanted(result), "value": format_metric(c.metric, m.value if m is not None else None),
        "interval": interval_text(c.metric, m), "verdict": result.verdict.value, "reason": _why(result),
    }  # fmt: skip


def _metric_row(name: str, measurement: Measurement, result: CriterionResult | None) -> dict[str, str]:
    return {
        "metric": name, "meaning": _meaning(name), "value": format_metric(name, measurement.value),
        "interval": interval_text(name, measurement), "wanted": _wanted(result) if result else "",
        "verdict": result.verdict.value if result else "",
    }  # fmt: skip


def _wanted(result: CriterionResult) -> str:
    c = result.criterion
    bound = "" if c.on.value == "point" else f", {c.on.value.replace('_', ' ')}"
    samples = f", {c.min_samples:,} samples" if c.min_samples else ""
    return f"{SIGNS[c.op]} {format_threshold(c.metric, c.threshold)}{bound}{samples}"


def _why(result: CriterionResult) -> str:
    """The reason without what stands in the other columns, and without what the stage's section lists."""
    c = result.criterion
    return result.reason.removeprefix(f"{wanted_text(c.metric, c.op.value, c.threshold)}: ").split("; worst: ", 1)[0]


def _meaning(name: str) -> str:
    return METRICS[name].meaning if name in METRICS else ""
