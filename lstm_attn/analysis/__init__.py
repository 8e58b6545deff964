"""What a grid cell's history says and what a model shows: statements with an error bar."""

from lstm_attn.analysis import horizon
from lstm_attn.analysis.cuts import crossing, cuts_of, metrics_when_cut
from lstm_attn.analysis.gradient_reach import gradient_norms, norms_of_trials, reach
from lstm_attn.analysis.inside import attention_distance, look, look_at_trials, time_scales
from lstm_attn.analysis.medians import median_interval
from lstm_attn.analysis.solving import summarise, wilson_interval

__all__ = [
    "attention_distance",
    "crossing",
    "cuts_of",
    "gradient_norms",
    "horizon",
    "look",
    "look_at_trials",
    "median_interval",
    "metrics_when_cut",
    "norms_of_trials",
    "reach",
    "summarise",
    "time_scales",
    "wilson_interval",
]
