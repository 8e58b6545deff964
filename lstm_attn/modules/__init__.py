"""Flax modules: thin shells that own parameters and call `lstm_attn.ops`. Batch first."""

from lstm_attn.modules.attention import AdditiveAttention, MultiHeadAttention
from lstm_attn.modules.initializers import (
    chrono_coupled,
    chrono_gru,
    chrono_lstm,
    every_gate,
    per_gate,
)
from lstm_attn.modules.intercept import with_hidden_states
from lstm_attn.modules.lstm_attention import LSTMAttention, LSTMAttentionBlocks
from lstm_attn.modules.pooling import AttentionPooling
from lstm_attn.modules.positions import POSITIONS, continue_positions
from lstm_attn.modules.recurrent import (
    GRU,
    LSTM,
    Bidirectional,
    CoupledLSTM,
    GRUCell,
    LayerNormLSTM,
    LSTMCell,
    PeepholeLSTM,
)
from lstm_attn.modules.recurrent_protocol import Recurrent
from lstm_attn.modules.transformer import Transformer, TransformerBlock

__all__ = [
    "GRU",
    "LSTM",
    "POSITIONS",
    "AdditiveAttention",
    "AttentionPooling",
    "Bidirectional",
    "CoupledLSTM",
    "GRUCell",
    "LSTMAttention",
    "LSTMAttentionBlocks",
    "LSTMCell",
    "LayerNormLSTM",
    "MultiHeadAttention",
    "PeepholeLSTM",
    "Recurrent",
    "Transformer",
    "TransformerBlock",
    "chrono_coupled",
    "chrono_gru",
    "chrono_lstm",
    "continue_positions",
    "every_gate",
    "per_gate",
    "with_hidden_states",
]
