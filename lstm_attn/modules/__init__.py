"""Flax modules: thin shells that own parameters and call `lstm_attn.ops`. Batch first."""

from lstm_attn.modules.attention import MultiHeadAttention
from lstm_attn.modules.initializers import chrono_gru, chrono_lstm, every_gate, per_gate
from lstm_attn.modules.lstm_attention import LSTMAttention
from lstm_attn.modules.recurrent import GRU, LSTM, Bidirectional
from lstm_attn.modules.transformer import Transformer, TransformerBlock

__all__ = [
    "GRU",
    "LSTM",
    "Bidirectional",
    "LSTMAttention",
    "MultiHeadAttention",
    "Transformer",
    "TransformerBlock",
    "chrono_gru",
    "chrono_lstm",
    "every_gate",
    "per_gate",
]
