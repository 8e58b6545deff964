"""One step as a module, for `flax.linen.RNN` and whoever scans for himself."""

from typing import Any

from flax import linen as nn
from jax import Array

from lstm_attn import ops
from lstm_attn.modules.parameters import GRUParameters, LSTMParameters


class LSTMCell(LSTMParameters, nn.RNNCellBase):
    """`ops.lstm_step` as a cell of `flax.linen.RNN`, with the parameters of `LSTM`.

        flax.linen.RNN(modules.LSTMCell(features))

    The carry is an `ops.LSTMState`, h first.
    """

    @nn.compact
    def __call__(self, carry: ops.LSTMState, inputs: Array) -> tuple[ops.LSTMState, Array]:
        """(state, x [B, D]) to (next state, h [B, H])."""
        params = self.standard_parameters(inputs.shape[-1])
        return ops.lstm_step(params, carry, self.computed(inputs))

    def initialize_carry(self, rng: Any, input_shape: tuple[int, ...]) -> ops.LSTMState:
        """Zeros for inputs of this shape, [B, D]; the key is not used."""
        return ops.LSTMState(self.zero_carry(input_shape[0]), self.zero_carry(input_shape[0]))

    @property
    def num_feature_axes(self) -> int:
        return 1


class GRUCell(GRUParameters, nn.RNNCellBase):
    """`ops.gru_step` as a cell of `flax.linen.RNN`, with the parameters of `GRU`."""

    @nn.compact
    def __call__(self, carry: Array, inputs: Array) -> tuple[Array, Array]:
        """(h [B, H], x [B, D]) to (next h, h [B, H])."""
        params = self.parameters(inputs.shape[-1])
        return ops.gru_step(params, carry, self.computed(inputs), reset_after=self.reset_after)

    def initialize_carry(self, rng: Any, input_shape: tuple[int, ...]) -> Array:
        """Zeros for inputs of this shape, [B, D]; the key is not used."""
        return self.zero_carry(input_shape[0])

    @property
    def num_feature_axes(self) -> int:
        return 1
