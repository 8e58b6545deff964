"""What `analysis.compare_records` found, in words."""

from collections.abc import Mapping
from typing import Any

from lstm_attn.report.tables import NONE

Compared = Mapping[str, Any]  # of `analysis.compare_records`
NOISE_RULE = (
    "Within noise: the 95 % interval of the difference contains zero. Of twenty comparisons of "
    "equals about one falls outside by chance."
)
STEPS_RULE = (
    "Steps are compared by the median of their paired differences, with the interval of the sign "
    "test; a trial that does not solve has spent its whole budget."
)


def verdict(difference: Mapping[str, Any]) -> str:
    return "within noise" if difference["within_noise"] else "differs"


def rate(compared: Compared | None) -> str:
    """The difference of two solve rates, its interval and its verdict."""
    return NONE if compared is None else _in_words(compared["solve_rate"], ".2f")


def steps(compared: Compared | None) -> str:
    """The difference of steps spent, its interval and its verdict."""
    if compared is None or compared["steps"] is None:
        return NONE
    return _in_words(compared["steps"], ",.0f")


def _in_words(difference: Mapping[str, Any], form: str) -> str:
    value, low, high = (difference[name] for name in ("value", "low", "high"))
    interval = "too few pairs" if low is None else f"{_signed(low, form)}, {_signed(high, form)}"
    return f"{_signed(value, form)} ({interval})\n{verdict(difference)}"


def _signed(value: float, form: str) -> str:
    """With a sign of its own, but for what rounds to zero."""
    shown = format(value, f"+{form}")
    if not any(digit in shown for digit in "123456789"):
        return shown[1:]
    return shown.replace("-", "−")
