"""Pure functions: arrays in, arrays out.

Axis letters, here and in every docstring of the package:

    B batch    T time, or queries    S keys    D features in    H features of a hidden state
    N attention heads    K features of a head
"""

from lstm_attn.ops.attention import dot_product_attention
from lstm_attn.ops.gru import GRUParams, gru, gru_step
from lstm_attn.ops.lstm import LSTMParams, LSTMState, lstm, lstm_step

__all__ = [
    "GRUParams",
    "LSTMParams",
    "LSTMState",
    "dot_product_attention",
    "gru",
    "gru_step",
    "lstm",
    "lstm_step",
]
