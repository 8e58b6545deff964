"""The parameters of an LSTM and of a GRU, shared by their sequence modules and their cells."""

from flax import linen as nn
from jax import Array
from jax import numpy as jnp

from lstm_attn import ops
from lstm_attn.modules.initializers import (
    Initializer,
    every_gate,
    glorot,
    ones,
    orthogonal,
    per_gate,
    zeros,
)
from lstm_attn.modules.precision import Dtype, compute_dtype


class RecurrentParameters(nn.Module):
    """What all recurrent modules hold.

    features: H.
    dtype, param_dtype: as `modules.precision` says.
    """

    features: int
    dtype: Dtype | None = None
    param_dtype: Dtype = jnp.float32

    def computed(self, inputs: Array) -> Array:
        """The inputs in the compute dtype."""
        return inputs.astype(compute_dtype(inputs, self.dtype, self.param_dtype))

    def zeros(self, batch_size: int) -> Array:
        """A carry of zeros [B, H]."""
        dtype = ops.accumulator(self.dtype or self.param_dtype)
        return jnp.zeros((batch_size, self.features), dtype)


class LSTMParameters(RecurrentParameters):
    """kernel [D, 4H], recurrent_kernel [H, 4H] and bias [4H] of `ops.LSTMParams`.

    Each initialiser fills a whole parameter; `per_gate` builds one from four, for the gates
    i, f, g, o in this order. The default bias is one for the forget gate and zero for the others
    (Gers et al. 2000; Jozefowicz et al. 2015).
    """

    kernel_init: Initializer = every_gate(4, glorot)
    recurrent_kernel_init: Initializer = every_gate(4, orthogonal)
    bias_init: Initializer = per_gate(zeros, ones, zeros, zeros)

    def standard_parameters(self, features_in: int) -> ops.LSTMParams:
        width, dtype = 4 * self.features, self.param_dtype
        return ops.LSTMParams(
            kernel=self.param("kernel", self.kernel_init, (features_in, width), dtype),
            recurrent_kernel=self.param(
                "recurrent_kernel", self.recurrent_kernel_init, (self.features, width), dtype
            ),
            bias=self.param("bias", self.bias_init, (width,), dtype),
        )


class GRUParameters(RecurrentParameters):
    """kernel [D, 3H], recurrent_kernel [H, 3H] and two biases [3H] of `ops.GRUParams`.

    Each initialiser fills a whole parameter; `per_gate` builds one from three, for the gates
    r, z, n in this order. reset_after: where the reset gate acts, as in `ops.gru_step`.
    """

    reset_after: bool = True
    kernel_init: Initializer = every_gate(3, glorot)
    recurrent_kernel_init: Initializer = every_gate(3, orthogonal)
    bias_init: Initializer = zeros
    recurrent_bias_init: Initializer = zeros

    def parameters(self, features_in: int) -> ops.GRUParams:
        width, dtype = 3 * self.features, self.param_dtype
        return ops.GRUParams(
            kernel=self.param("kernel", self.kernel_init, (features_in, width), dtype),
            recurrent_kernel=self.param(
                "recurrent_kernel", self.recurrent_kernel_init, (self.features, width), dtype
            ),
            bias=self.param("bias", self.bias_init, (width,), dtype),
            recurrent_bias=self.param("recurrent_bias", self.recurrent_bias_init, (width,), dtype),
        )
