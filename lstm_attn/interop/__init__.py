"""Parameters to and from the layouts of Flax, PyTorch and Keras, as plain dictionaries of arrays.

    params = interop.lstm_from_torch(torch_lstm.state_dict())
    outputs = flax.linen.Sequential([modules.LSTM(H)]).apply({"params": params}, inputs)

Only numpy is imported, neither JAX nor the other library. The arrays in the result are copies in
the dtype of the given ones, and every mistake is a UsageError on one line. A bias that the other
library does not have is zero here; a bias of ours for which it has no entry must be zero.
"""

from lstm_attn.interop.flax_layout import (
    gru_from_linen,
    gru_from_nnx,
    gru_to_linen,
    gru_to_nnx,
    lstm_from_linen,
    lstm_from_nnx,
    lstm_to_linen,
    lstm_to_nnx,
)
from lstm_attn.interop.keras_layout import (
    gru_from_keras,
    gru_to_keras,
    lstm_from_keras,
    lstm_to_keras,
    multi_head_attention_from_keras,
    multi_head_attention_to_keras,
)
from lstm_attn.interop.torch_layout import (
    gru_from_torch,
    gru_to_torch,
    lstm_from_torch,
    lstm_to_torch,
    multi_head_attention_from_torch,
    multi_head_attention_to_torch,
)

__all__ = [
    "gru_from_keras",
    "gru_from_linen",
    "gru_from_nnx",
    "gru_from_torch",
    "gru_to_keras",
    "gru_to_linen",
    "gru_to_nnx",
    "gru_to_torch",
    "lstm_from_keras",
    "lstm_from_linen",
    "lstm_from_nnx",
    "lstm_from_torch",
    "lstm_to_keras",
    "lstm_to_linen",
    "lstm_to_nnx",
    "lstm_to_torch",
    "multi_head_attention_from_keras",
    "multi_head_attention_from_torch",
    "multi_head_attention_to_keras",
    "multi_head_attention_to_torch",
]
