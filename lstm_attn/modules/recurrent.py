"""LSTM and GRU over a sequence as Flax modules, which own the parameters and call `ops`."""

from typing import Any

import jax.numpy as jnp
from flax import linen as nn
from jax import Array

from lstm_attn import ops
from lstm_attn.modules.observing import GATES, show
from lstm_attn.modules.parameters import GRUParameters, LSTMParameters


class LSTM(LSTMParameters):
    """`ops.lstm` with its parameters; the attributes are those of `LSTMParameters`, and

    implementation, segment: as in `ops.lstm`.
    """

    implementation: str = "auto"
    segment: int | None = None
    gate_order = "ifgo"

    def parameters(self, features_in: int) -> ops.AnyLSTMParams:
        """What `ops.lstm` is called with; a variant has its own."""
        return self.standard_parameters(features_in)

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
        params, inputs = self.parameters(inputs.shape[-1]), self.computed(inputs)
        limits: Any = {"seq_lengths": seq_lengths, "resets": resets, "reverse": reverse}
        outputs, carry = ops.lstm(
            params,
            inputs,
            initial_carry,
            **limits,
            implementation=self.implementation,
            segment=self.segment,
        )
        show(self, GATES, lambda: ops.lstm_gates(params, inputs, initial_carry, **limits))
        return (carry, outputs) if return_carry else outputs

    def empty_carry(self, batch_size: int, length: int) -> ops.LSTMState:
        """The state before the first step, whatever the length to come."""
        return ops.LSTMState(self.zero_carry(batch_size), self.zero_carry(batch_size))


class GRU(GRUParameters):
    """`ops.gru` with its parameters; the attributes are those of `GRUParameters`, and

    implementation, segment: as in `ops.gru`.
    """

    implementation: str = "auto"
    segment: int | None = None

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
        params, inputs = self.parameters(inputs.shape[-1]), self.computed(inputs)
        limits: Any = {"seq_lengths": seq_lengths, "resets": resets, "reverse": reverse}
        limits["reset_after"] = self.reset_after
        outputs, carry = ops.gru(
            params,
            inputs,
            initial_carry,
            **limits,
            implementation=self.implementation,
            segment=self.segment,
        )
        show(self, GATES, lambda: ops.gru_gates(params, inputs, initial_carry, **limits))
        return (carry, outputs) if return_carry else outputs

    def empty_carry(self, batch_size: int, length: int) -> Array:
        """The state before the first step, whatever the length to come."""
        return self.zero_carry(batch_size)


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
        last_steps = None
        if resets is not None:
            last_steps = jnp.roll(resets, -1, axis=1).at[:, -1].set(False)
            if seq_lengths is not None:
                # A mark in the padding is no document's first step.
                steps = jnp.arange(inputs.shape[1], dtype=jnp.int32)
                inner = steps < (jnp.asarray(seq_lengths).astype(jnp.int32) - 1)[:, None]
                last_steps = last_steps & inner
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
