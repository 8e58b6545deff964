"""Compiled kernels for the CPU: the passes of the LSTM and of attention in C++, called from JAX.

`python -m lstm_attn.native` compiles them for this machine into the user's cache folder, and
nothing else does; `available()` says whether they are there.
"""

from lstm_attn.native.attention import (
    AttentionResiduals,
    attention_backward,
    attention_forward,
)
from lstm_attn.native.build import build, library_path
from lstm_attn.native.library import available
from lstm_attn.native.lstm import Residuals, lstm_backward, lstm_forward

__all__ = [
    "AttentionResiduals",
    "Residuals",
    "attention_backward",
    "attention_forward",
    "available",
    "build",
    "library_path",
    "lstm_backward",
    "lstm_forward",
]
