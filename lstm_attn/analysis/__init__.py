"""What a grid cell's history and its parameters say: statements with an error bar."""

from lstm_attn.analysis.length_generalisation import LengthGeneralisation, length_generalisation
from lstm_attn.analysis.means import Interval, mean_interval, score_interval, share_interval
from lstm_attn.analysis.solving import summarise, wilson_interval

__all__ = [
    "Interval",
    "LengthGeneralisation",
    "length_generalisation",
    "mean_interval",
    "score_interval",
    "share_interval",
    "summarise",
    "wilson_interval",
]
