"""What a repair may do, as the text it is recorded as: `sort`, `forward-fill:5`, `quarantine:RULE,...` and so on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from include.domain.errors import ConfigurationError
from include.domain.reason_codes import DataRule

QUARANTINABLE = (
    DataRule.NON_FINITE, DataRule.NON_POSITIVE_PRICE, DataRule.NEGATIVE_VOLUME, DataRule.OHLC_INCONSISTENT,
    DataRule.OFF_GRID, DataRule.UNFINISHED_BAR, DataRule.DUPLICATE_TIME,
)  # fmt: skip
"""Rules that rows break by themselves; of DUPLICATE_TIME only rows that contradict each other are taken out. A jump is
none of them: without the bar that jumped, the next one does."""


class PolicyKind(StrEnum):
    """What may be done, in the order in which it is done."""

    QUARANTINE = "quarantine"
    SORT = "sort"
    DROP_DUPLICATES = "drop-duplicates"
    FORWARD_FILL = "forward-fill"


@dataclass(frozen=True, slots=True)
class Policy:
    """One policy with its parameter; `str` gives the text it is recorded as."""

    kind: PolicyKind
    max_bars: int = 0
    """FORWARD_FILL: the longest hole that is filled, in bars."""
    rules: tuple[DataRule, ...] = ()
    """QUARANTINE: whose breach takes a row out, in the order of QUARANTINABLE."""

    def __str__(self) -> str:
        match self.kind:
            case PolicyKind.QUARANTINE:
                return f"{self.kind.value}:{','.join(rule.value for rule in self.rules)}"
            case PolicyKind.FORWARD_FILL:
                return f"{self.kind.value}:{self.max_bars}"
            case _:
                return self.kind.value


def parse_policies(texts: Sequence[str]) -> tuple[Policy, ...]:
    """Policies in their order of application.

    Raises:
        ConfigurationError: none at all, a text that is no policy, or one kind given twice.
    """
    policies = sorted(map(_parse, texts), key=lambda policy: list(PolicyKind).index(policy.kind))
    kinds = [policy.kind for policy in policies]
    if not kinds or len(set(kinds)) < len(kinds):
        raise ConfigurationError(f"policies {', '.join(texts) or 'none'}: give at least one, and each kind once")
    return tuple(policies)


def _parse(text: str) -> Policy:
    name, _, parameter = text.strip().partition(":")
    if name == PolicyKind.QUARANTINE:
        return Policy(PolicyKind.QUARANTINE, rules=_parse_rules(parameter))
    if name == PolicyKind.FORWARD_FILL and parameter.isdecimal() and int(parameter) > 0:
        return Policy(PolicyKind.FORWARD_FILL, max_bars=int(parameter))
    if name in (PolicyKind.SORT, PolicyKind.DROP_DUPLICATES) and not parameter:
        return Policy(PolicyKind(name))
    raise ConfigurationError(
        f"policy {text!r}: write drop-duplicates, sort, forward-fill:BARS, quarantine or quarantine:RULE,..."
    )


def _parse_rules(text: str) -> tuple[DataRule, ...]:
    wanted = [name.strip().upper() for name in text.split(",")] if text else [rule.value for rule in QUARANTINABLE]
    known = {rule.value for rule in QUARANTINABLE}
    if unknown := [name for name in wanted if name not in known]:
        raise ConfigurationError(
            f"quarantine: no rule {', '.join(unknown)} that a row breaks by itself (known: {', '.join(sorted(known))})"
        )
    return tuple(rule for rule in QUARANTINABLE if rule.value in wanted)
