"""How metrics, thresholds and verdicts read: the one wording of command line, report, notes and sign-off requests.

Documents keep fractions and plain numbers; only people get per cent, money and units.
"""

from __future__ import annotations

from include.qualification.metrics import METRICS

DIGITS = 2
_MOST_DIGITS = 9
_SUFFIX = {"fraction": " %", "bps": " bps", "days": " days", "ms": " ms"}
_DISTANCE_SUFFIX = {**_SUFFIX, "fraction": " points"}
_SHORTENED = ("days", "ms", "bps", "count")
"""Units whose numbers are shown without zeros at the end."""


def format_metric(name: str, value: float | None, digits: int = DIGITS) -> str:
    """A metric as people read it, in its unit; a dash when the sample gave no value.

    Args:
        digits: after the decimal point of what is shown (a fraction of 0.12345 is 12.35 %).
    """
    return "–" if value is None else _number(name, value, digits) + _SUFFIX.get(_unit(name), "")


def format_interval(name: str, low: float | None, high: float | None) -> str:
    """The 95 % interval of a metric; empty where it has none."""
    return "" if low is None or high is None else f"{format_metric(name, low)} to {format_metric(name, high)}"


def format_threshold(name: str, threshold: float) -> str:
    """A threshold without needless digits, but with all that it has: 93 %, 0.125 %, 1.5, 800,000."""
    text = _number(name, threshold, _MOST_DIGITS)
    return (text.rstrip("0").rstrip(".") if "." in text else text) + _SUFFIX.get(_unit(name), "")


def wanted_text(name: str, op: str, threshold: float) -> str:
    """What a criterion asks for: `win_rate >= 93 %`."""
    return f"{name} {op} {format_threshold(name, threshold)}"


def measured_text(name: str, value: float, threshold: float, on: str = "point") -> str:
    """What was measured, with enough digits to tell it from a threshold that it does not equal: `measured 92.996 %`."""
    what = "measured" if on == "point" else f"{on.replace('_', ' ')} measured"
    return f"{what} {format_metric(name, value, _telling_digits(name, value, threshold))}"


def missed_text(name: str, value: float, threshold: float) -> str:
    """How far a value is on the wrong side of a threshold: `3.5 points short`, `1,200.00 too much`."""
    if value == threshold:
        return "exactly the threshold, which is not enough"
    digits = _telling_digits(name, value, threshold)
    distance = _number(name, abs(value - threshold), digits) + _DISTANCE_SUFFIX.get(_unit(name), "")
    return f"{distance} {'short' if value < threshold else 'too much'}"


def _telling_digits(name: str, value: float, threshold: float) -> int:
    for digits in range(DIGITS, _MOST_DIGITS):
        if value == threshold or _number(name, value, digits) != _number(name, threshold, digits):
            return digits
    return _MOST_DIGITS


def _number(name: str, value: float, digits: int) -> str:
    unit = _unit(name)
    text = f"{value * 100 if unit == 'fraction' else value:z,.{digits}f}"
    return text.rstrip("0").rstrip(".") if unit in _SHORTENED and "." in text else text


def _unit(name: str) -> str:
    return METRICS[name].unit if name in METRICS else "ratio"
