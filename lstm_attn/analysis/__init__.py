"""What a grid cell's history and its models say: statements with an error bar."""

from lstm_attn.analysis import horizon
from lstm_attn.analysis.gradient_reach import gradient_norms, norms_of_trials, reach
from lstm_attn.analysis.intervals import median_interval
from lstm_attn.analysis.solving import summarise, wilson_interval

__all__ = [
    "gradient_norms",
    "horizon",
    "median_interval",
    "norms_of_trials",
    "reach",
    "summarise",
    "wilson_interval",
]
