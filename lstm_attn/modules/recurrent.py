"""LSTM and GRU as Flax modules, which own the parameters and call `ops`; both directions of one."""

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
        seq_lengths: Array | None = None,
        resets: Array | None = None,
        reverse: bool = False,
        return_carry: bool = False,
    ) -> Any:
        """inputs [B, T, D] to outputs [B, T, H]; with return_carry, (the last state, outputs).

        seq_lengths, resets and reverse as in `ops.lstm`. A carry is an `ops.LSTMState`, which has
        h first; flax.linen's is the pair (c, h).
        """
        width = 4 * self.features
        params = ops.LSTMParams(
            kernel=self.param("kernel", self.kernel_init, (inputs.shape[-1], width), jnp.float32),
            recurrent_kernel=self.param(
                "recurrent_kernel", self.recurrent_kernel_init, (self.features, width), jnp.float32
            ),
            bias=self.param("bias", self.bias_init, (width,), jnp.float32),
        )
        outputs, carry = ops.lstm(
            params,
            inputs,
            initial_carry,
            seq_lengths=seq_lengths,
            resets=resets,
            reverse=reverse,
        )
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
        seq_lengths: Array | None = None,
        resets: Array | None = None,
        reverse: bool = False,
        return_carry: bool = False,
    ) -> Any:
        """inputs [B, T, D] to outputs [B, T, H]; with return_carry, (the last h, outputs).

        seq_lengths, resets and reverse as in `ops.gru`.
        """
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
        outputs, carry = ops.gru(
            params,
            inputs,
            initial_carry,
            seq_lengths=seq_lengths,
            resets=resets,
            reverse=reverse,
        )
        return (carry, outputs) if return_carry else outputs


class Bidirectional(nn.Module):
    """Two recurrent modules, one run forward and one backward, their outputs side by side.

        out_t = [forward(x_1 ... x_t), backward(x_T ... x_t)]

    Source: Schuster & Paliwal 1997.
    """

    forward: nn.Module
    backward: nn.Module

    @nn.compact
    def __call__(
        self,
        inputs: Array,
        *,
        initial_carry: tuple[Any, Any] = (None, None),
        seq_lengths: Array | None = None,
        resets: Array | None = None,
        return_carry: bool = False,
    ) -> Any:
        """inputs [B, T, D] to outputs [B, T, H_forward + H_backward]; carries are pairs.

        resets mark first steps, as for one direction; a document's last step, where the backward
        module starts anew, is the one before.
        """
        last_steps = None if resets is None else jnp.roll(resets, -1, axis=1).at[:, -1].set(False)
        carries, outputs = zip(
            *(
                module(
                    inputs,
                    initial_carry=carry,
                    seq_lengths=seq_lengths,
                    resets=marks,
                    reverse=reverse,
                    return_carry=True,
                )
                for module, carry, marks, reverse in (
                    (self.forward, initial_carry[0], resets, False),
                    (self.backward, initial_carry[1], last_steps, True),
                )
            ),
            strict=True,
        )
        joined = jnp.concatenate(outputs, axis=-1)
        return (carries, joined) if return_carry else joined
