"""What alerts say to people: one alert as a notice, and several notices as one. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from types import MappingProxyType

from include.domain.alerts import Alert, Occasion, Said
from include.domain.enums import Severity
from include.domain.times import iso
from include.ports import Notice

LISTED = 15
"""How many of the notices in one message are named; the others are counted."""
_TITLE = 120
"""Characters of the worst notice's title in the title of several: a phone shows little more."""
WORST_FIRST = (Severity.CRITICAL, Severity.WARNING, Severity.INFO)
_OPENING: Mapping[Occasion, str] = MappingProxyType(
    {
        Occasion.FIRED: "",
        Occasion.ESCALATED: "NOBODY HAS ANSWERED: ",
        Occasion.REPEATED: "STILL: ",
        Occasion.RESOLVED: "RESOLVED: ",
    }
)


def build_notice(alert: Alert, said: Said) -> Notice:
    """One alert on one occasion; the end of an alert is information, whatever it was."""
    over = said.occasion is Occasion.RESOLVED
    lines = [f"{alert.code.value} ({alert.code.description})"]
    if over:
        lines.append(f"from {iso(alert.fired_at or alert.since)} to {iso(alert.ended_at or alert.seen_at)}")
        if alert.acknowledged_by:
            lines.append(f"acknowledged by {alert.acknowledged_by}")
    else:
        lines += [f"since {iso(alert.since)}", f"Do: {alert.advice}", f"Take it: airlock alerts ack {alert.id}"]
    return Notice(
        Severity.INFO if over else alert.severity,
        f"{_OPENING[said.occasion]}#{alert.id} {alert.summary}",
        tuple(lines),
        group=f"{_OPENING[said.occasion]}{alert.code.value}",
    )


def merge_notices(notices: Sequence[Notice], *, repeated: bool = False) -> Notice:
    """One message for all of them: one as it is, several as a list under the worst severity.

    Args:
        repeated: an earlier message with some of them may have arrived after all; says so.

    Raises:
        ValueError: there are none.
    """
    if not notices:
        raise ValueError("nothing to say")
    note = ("This may repeat an earlier message whose delivery is not certain.",) if repeated else ()
    ordered = sorted(notices, key=lambda notice: WORST_FIRST.index(notice.severity))
    first = ordered[0]
    if len(ordered) == 1:
        return Notice(
            first.severity, first.title, (*first.lines, *note), first.link, first.verdict, first.table, first.buttons,
            first.group,
        )  # fmt: skip
    groups = Counter(notice.group or notice.severity.value for notice in ordered)
    counts = ", ".join(f"{count} x {group}" for group, count in groups.most_common(LISTED))
    lines = [f"{notice.severity.value} {notice.title}" for notice in ordered[:LISTED]]
    if len(ordered) > LISTED:
        lines.append(f"and {len(ordered) - LISTED} more: airlock alerts list")
    worst = sum(notice.severity is first.severity for notice in ordered)
    title = f"{first.title[:_TITLE]} (and {len(ordered) - 1} more)"
    total = f"{len(ordered)} messages, {worst} of them {first.severity.value}: {counts}"
    return Notice(first.severity, title, (total, *lines, *note), link=first.link)
