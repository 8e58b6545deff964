"""Numbers as JSON can hold them."""

import numpy as np


def or_null(value: float | np.floating) -> float | None:
    """The number; null where it is infinite or NaN, for which JSON has no word."""
    return float(value) if np.isfinite(value) else None
