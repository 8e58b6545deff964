"""Numbers as JSON can hold them."""

import numpy as np

from lstm_attn.analysis.means import Interval


def or_null(value: float | np.floating) -> float | None:
    """The number; null where it is infinite or NaN, for which JSON has no word."""
    return float(value) if np.isfinite(value) else None


def as_json(interval: Interval) -> dict[str, float | None]:
    """The interval's mean and its two ends, each as `or_null` gives it."""
    return {name: or_null(value) for name, value in interval._asdict().items()}
