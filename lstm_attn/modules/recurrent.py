"""LSTM and GRU as Flax modules: they own the parameters and call `ops`."""

from typing import Any

import jax.numpy as jnp
from flax import linen as nn
from jax import Array

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


class LSTM(nn.Module):
    """`ops.lstm` with its parameters: kernel [D, 4H], recurrent_kernel [H, 4H], bias [4H].

    Each initialiser fills a whole parameter; `per_gate` builds one from four, for the gates
    i, f, g, o in this order. The default bias is
    one for the forget gate and zero for the others (Gers et al. 2000; Jozefowicz et al. 2015).
    """

    features: int
    kernel_init: Initializer = every_gate(4, glorot)
    recurrent_kernel_init: Initializer = every_gate(4, orthogonal)
    bias_init: Initializer = per_gate(zeros, ones, zeros, zeros)

    @nn.compact
    def __call__(
        self,
        inputs: Array,
        *,
        initial_carry: ops.LSTMState | None = None,
        return_carry: bool = False,
    ) -> Any:
        """inputs [B, T, D] to outputs [B, T, H]; with return_carry, (the last state, outputs).

        A carry is an `ops.LSTMState`, which has h first; flax.linen's is the pair (c, h).
        """
        width = 4 * self.features
        params = ops.LSTMParams(
            kernel=self.param("kernel", self.kernel_init, (inputs.shape[-1], width), jnp.float32),
            recurrent_kernel=self.param(
                "recurrent_kernel", self.recurrent_kernel_init, (self.features, width), jnp.float32
            ),
            bias=self.param("bias", self.bias_init, (width,), jnp.float32),
        )
        outputs, carry = ops.lstm(params, inputs, initial_carry)
        return (carry, outputs) if return_carry else outputs


class GRU(nn.Module):
    """`ops.gru` with its parameters: kernel [D, 3H], recurrent_kernel [H, 3H], two biases [3H].

    Each initialiser fills a whole parameter; `per_gate` builds one from three, for the gates
    r, z, n in this order.
    """

    features: int
    kernel_init: Initializer = every_gate(3, glorot)
    recurrent_kernel_init: Initializer = every_gate(3, orthogonal)
    bias_init: Initializer = zeros
    recurrent_bias_init: Initializer = zeros

    @nn.compact
    def __call__(
        self,
        inputs: Array,
        *,
        initial_carry: Array | None = None,
        return_carry: bool = False,
    ) -> Any:
        """inputs [B, T, D] to outputs [B, T, H]; with return_carry, (the last h, outputs)."""
        width = 3 * self.features
        params = ops.GRUParams(
            kernel=self.param("kernel", self.kernel_init, (inputs.shape[-1], width), jnp.float32),
            recurrent_kernel=self.param(
                "recurrent_kernel", self.recurrent_kernel_init, (self.features, width), jnp.float32
            ),
            bias=self.param("bias", self.bias_init, (width,), jnp.float32),
            recurrent_bias=self.param(
                "recurrent_bias", self.recurrent_bias_init, (width,), jnp.float32
            ),
        )
        outputs, carry = ops.gru(params, inputs, initial_carry)
        return (carry, outputs) if return_carry else outputs
