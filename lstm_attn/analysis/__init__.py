"""What a grid cell's history says: statements with an error bar."""

from lstm_attn.analysis.comparison import (
    Difference,
    compare_records,
    paired_median_difference,
    paired_rate_difference,
    rate_difference,
)
from lstm_attn.analysis.learning_rates import by_learning_rate
from lstm_attn.analysis.solving import summarise, wilson_interval

__all__ = [
    "Difference",
    "by_learning_rate",
    "compare_records",
    "paired_median_difference",
    "paired_rate_difference",
    "rate_difference",
    "summarise",
    "wilson_interval",
]
