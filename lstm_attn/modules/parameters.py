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
    """What all recurrent modules hold: a kernel [D, GH], a recurrent_kernel [H, GH] and a bias [GH]
    for G gates.

    features: H.
    kernel_init, recurrent_kernel_init, bias_init: each fills a whole parameter; `per_gate` builds
      one from an initialiser for each gate, in gate order.
    dtype, param_dtype: as `modules.precision` says.
    """

    features: int
    kernel_init: Initializer
    recurrent_kernel_init: Initializer
    bias_init: Initializer
    dtype: Dtype | None = None
    param_dtype: Dtype = jnp.float32

    def fused(self, features_in: int, gates: int) -> tuple[Array, Array, Array]:
        """kernel, recurrent_kernel and bias."""
        width, dtype = gates * self.features, self.param_dtype
        return (
            self.param("kernel", self.kernel_init, (features_in, width), dtype),
            self.param(
                "recurrent_kernel", self.recurrent_kernel_init, (self.features, width), dtype
            ),
            self.param("bias", self.bias_init, (width,), dtype),
        )

    def computed(self, inputs: Array) -> Array:
        """The inputs in the compute dtype."""
        return inputs.astype(compute_dtype(inputs, self.dtype, self.param_dtype))

    def zero_carry(self, batch_size: int) -> Array:
        """A carry of zeros [B, H]."""
        dtype = ops.accumulator(self.dtype or self.param_dtype)
        return jnp.zeros((batch_size, self.features), dtype)


class LSTMParameters(RecurrentParameters):
    """The parameters of `ops.LSTMParams`; gate order i, f, g, o.

    The default bias is one for the forget gate and zero for the others (Gers et al. 2000;
    Jozefowicz et al. 2015).
    """

    kernel_init: Initializer = every_gate(4, glorot)
    recurrent_kernel_init: Initializer = every_gate(4, orthogonal)
    bias_init: Initializer = per_gate(zeros, ones, zeros, zeros)

    def standard_parameters(self, features_in: int) -> ops.LSTMParams:
        return ops.LSTMParams(*self.fused(features_in, 4))


class GRUParameters(RecurrentParameters):
    """The parameters of `ops.GRUParams`, a recurrent_bias [3H] among them; gate order r, z, n.

    reset_after: where the reset gate acts, as in `ops.gru_step`.
    """

    reset_after: bool = True
    kernel_init: Initializer = every_gate(3, glorot)
    recurrent_kernel_init: Initializer = every_gate(3, orthogonal)
    bias_init: Initializer = zeros
    recurrent_bias_init: Initializer = zeros

    def parameters(self, features_in: int) -> ops.GRUParams:
        fused = self.fused(features_in, 3)
        shape = (3 * self.features,)
        recurrent_bias = self.param(
            "recurrent_bias", self.recurrent_bias_init, shape, self.param_dtype
        )
        return ops.GRUParams(*fused, recurrent_bias)
