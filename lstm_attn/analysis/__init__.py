"""What a grid cell's history says: statements with an error bar."""

from lstm_attn.analysis.solving import summarise, wilson_interval

__all__ = ["summarise", "wilson_interval"]
