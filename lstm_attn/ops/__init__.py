"""Pure functions: arrays in, arrays out.

Axis letters, here and in every docstring of the package:

    B batch    T time, or queries    S keys    D features in    H features of a hidden state
    N attention heads    K features of a head, or of its keys    V of its values
"""

from lstm_attn.ops.additive_attention import (
    PoolingState,
    additive_attention,
    attention_pooling,
    empty_pooling_state,
)
from lstm_attn.ops.attention import dot_product_attention, dot_product_weights
from lstm_attn.ops.checks import accumulator
from lstm_attn.ops.delta_rule import delta_rule
from lstm_attn.ops.delta_rule_step import delta_rule_step
from lstm_attn.ops.gated_linear_attention import gated_linear_attention
from lstm_attn.ops.gated_linear_attention_step import (
    NormalisedMemory,
    gated_linear_attention_step,
)
from lstm_attn.ops.gru import gru, gru_gates
from lstm_attn.ops.gru_step import GRUGates, GRUParams, gru_step
from lstm_attn.ops.kv_cache import KeyValueCache, append, empty_cache, within
from lstm_attn.ops.linear_recurrence import linear_recurrence, linear_recurrence_step
from lstm_attn.ops.lstm import AnyLSTMParams, lstm, lstm_gates
from lstm_attn.ops.lstm_step import (
    CoupledLSTMParams,
    LayerNormLSTMParams,
    LSTMGates,
    LSTMParams,
    LSTMState,
    PeepholeLSTMParams,
    coupled_lstm_step,
    layer_norm_lstm_step,
    lstm_step,
    peephole_lstm_step,
)
from lstm_attn.ops.positions import alibi_bias, rotary, sinusoidal_positions

__all__ = [
    "AnyLSTMParams",
    "CoupledLSTMParams",
    "GRUGates",
    "GRUParams",
    "KeyValueCache",
    "LSTMGates",
    "LSTMParams",
    "LSTMState",
    "LayerNormLSTMParams",
    "NormalisedMemory",
    "PeepholeLSTMParams",
    "PoolingState",
    "accumulator",
    "additive_attention",
    "alibi_bias",
    "append",
    "attention_pooling",
    "coupled_lstm_step",
    "delta_rule",
    "delta_rule_step",
    "dot_product_attention",
    "dot_product_weights",
    "empty_cache",
    "empty_pooling_state",
    "gated_linear_attention",
    "gated_linear_attention_step",
    "gru",
    "gru_gates",
    "gru_step",
    "layer_norm_lstm_step",
    "linear_recurrence",
    "linear_recurrence_step",
    "lstm",
    "lstm_gates",
    "lstm_step",
    "peephole_lstm_step",
    "rotary",
    "sinusoidal_positions",
    "within",
]
