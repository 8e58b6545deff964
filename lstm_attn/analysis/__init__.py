"""What a grid cell's history says: statements with an error bar."""

from lstm_attn.analysis import horizon
from lstm_attn.analysis.solving import summarise, wilson_interval

__all__ = ["horizon", "summarise", "wilson_interval"]
