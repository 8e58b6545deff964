"""LSTM and GRU as Flax modules, which own the parameters and call `ops`."""

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
from lstm_attn.modules.leading_axes import as_batch, from_batch, leading_axes
from lstm_attn.modules.recurrent_protocol import Recurrent, Sized
from lstm_attn.ops.checks import int32_lengths
from lstm_attn.ops.gru_step import gru_advance
from lstm_attn.ops.lstm import KINDS


class GatedParameters(Sized):
    """A kernel [D, GH], a recurrent_kernel [H, GH] and a bias [GH], for G gates.

    kernel_init, recurrent_kernel_init, bias_init: each fills a whole parameter; `per_gate` builds
      one from an initialiser for each gate, in gate order.
    """

    kernel_init: Initializer = glorot
    recurrent_kernel_init: Initializer = orthogonal
    bias_init: Initializer = zeros

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


class LSTMParameters(GatedParameters):
    """The parameters of `ops.LSTMParams`; gate order i, f, g, o.

    The default bias is one for the forget gate and zero for the others (Gers et al. 2000;
    Jozefowicz et al. 2015).
    """

    kernel_init: Initializer = every_gate(4, glorot)
    recurrent_kernel_init: Initializer = every_gate(4, orthogonal)
    bias_init: Initializer = per_gate(zeros, ones, zeros, zeros)

    def standard_parameters(self, features_in: int) -> ops.LSTMParams:
        return ops.LSTMParams(*self.fused(features_in, 4))


class GRUParameters(GatedParameters):
    """The parameters of `ops.GRUParams`, a recurrent_bias [3H] among them; gate order r, z, n.

    reset_after: where the reset gate acts, as in `ops.gru_step`.
    """

    reset_after: bool = True
    kernel_init: Initializer = every_gate(3, glorot)
    recurrent_kernel_init: Initializer = every_gate(3, orthogonal)
    recurrent_bias_init: Initializer = zeros

    def parameters(self, features_in: int) -> ops.GRUParams:
        fused = self.fused(features_in, 3)
        shape = (3 * self.features,)
        recurrent_bias = self.param(
            "recurrent_bias", self.recurrent_bias_init, shape, self.param_dtype
        )
        return ops.GRUParams(*fused, recurrent_bias)


class LSTM(LSTMParameters, Recurrent):
    """`ops.lstm` with its parameters; the attributes are those of `LSTMParameters`, and

    implementation, segment: as in `ops.lstm`.
    """

    implementation: str = "auto"
    segment: int | None = None
    gate_order = "ifgo"

    def parameters(self, features_in: int) -> ops.AnyLSTMParams:
        """The parameters of `ops.lstm`; a variant has its own."""
        return self.standard_parameters(features_in)

    def step(
        self, params: ops.AnyLSTMParams, carry: ops.LSTMState, x: Array
    ) -> tuple[ops.LSTMState, ops.LSTMGates]:
        return KINDS[type(params)].advance(params, carry, x)

    def run(
        self, params: Any, inputs: Array, initial_carry: Any = None, **limits: Any
    ) -> tuple[Array, Any]:
        how: Any = {"implementation": self.implementation, "segment": self.segment}
        return ops.lstm(params, inputs, initial_carry, **limits, **how)

    def empty_carry(self, batch_size: int, length: int) -> ops.LSTMState:
        """The state before the first step, whatever the length to come."""
        return ops.LSTMState(self.zero_carry(batch_size), self.zero_carry(batch_size))


class GRU(GRUParameters, Recurrent):
    """`ops.gru` with its parameters; the attributes are those of `GRUParameters`, and

    implementation, segment: as in `ops.gru`.
    """

    implementation: str = "auto"
    segment: int | None = None

    def step(self, params: ops.GRUParams, carry: Array, x: Array) -> tuple[Array, ops.GRUGates]:
        return gru_advance(params, carry, x, reset_after=self.reset_after)

    def run(
        self, params: Any, inputs: Array, initial_carry: Any = None, **limits: Any
    ) -> tuple[Array, Any]:
        how: Any = {"implementation": self.implementation, "segment": self.segment}
        return ops.gru(params, inputs, initial_carry, **limits, reset_after=self.reset_after, **how)


class Bidirectional(nn.Module):
    """Two recurrent modules, one forward and one backward, with their outputs concatenated.

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

        resets mark first steps, as for one direction. The backward module starts anew at the last
        step of a document, one step before the first step of the next.
        """
        last_steps = None
        if resets is not None:
            last_steps = jnp.roll(resets, -1, axis=-1).at[..., -1].set(False)
            if seq_lengths is not None:
                # A reset in the padding does not mark the first step of a document.
                steps = jnp.arange(inputs.shape[-2], dtype=jnp.int32)
                steps = steps.reshape((1,) * (resets.ndim - 1) + steps.shape)
                inner = steps < (int32_lengths(seq_lengths) - 1)[..., None]
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


def _one_batch_axis(
    cell: nn.RNNCellBase, carry: Any, inputs: Array
) -> tuple[tuple[int, ...], Any, Array]:
    """The batch axes of a cell's inputs [..., D], and carry and inputs with one axis, B."""
    where = f"{type(cell).__name__}: inputs"
    leading = leading_axes(where, inputs, "D")
    carry = as_batch(f"{type(cell).__name__}: carry", carry, leading)
    return leading, carry, as_batch(where, inputs, leading)


class LSTMCell(LSTMParameters, nn.RNNCellBase):
    """`ops.lstm_step` as a cell of `flax.linen.RNN`, with the parameters of `LSTM`.

        flax.linen.RNN(modules.LSTMCell(features))

    The carry is an `ops.LSTMState`, h first. As in flax, B may be missing or be several axes.
    """

    @nn.compact
    def __call__(self, carry: ops.LSTMState, inputs: Array) -> tuple[ops.LSTMState, Array]:
        """(state, x [B, D]) to (next state, h [B, H])."""
        params = self.standard_parameters(inputs.shape[-1])
        leading, carry, x = _one_batch_axis(self, carry, inputs)
        return from_batch(ops.lstm_step(params, carry, self.computed(x)), leading)

    def initialize_carry(self, rng: Any, input_shape: tuple[int, ...]) -> ops.LSTMState:
        """Zeros for inputs of this shape, [B, D]; the key is not used."""
        zeros = self.zero_carry(*input_shape[:-1])
        return ops.LSTMState(zeros, zeros)

    @property
    def num_feature_axes(self) -> int:
        return 1


class GRUCell(GRUParameters, nn.RNNCellBase):
    """`ops.gru_step` as a cell of `flax.linen.RNN`, with the parameters of `GRU`.

    As in flax, B may be missing or be several axes.
    """

    @nn.compact
    def __call__(self, carry: Array, inputs: Array) -> tuple[Array, Array]:
        """(h [B, H], x [B, D]) to (next h, h [B, H])."""
        params = self.parameters(inputs.shape[-1])
        leading, carry, x = _one_batch_axis(self, carry, inputs)
        after = ops.gru_step(params, carry, self.computed(x), reset_after=self.reset_after)
        return from_batch(after, leading)

    def initialize_carry(self, rng: Any, input_shape: tuple[int, ...]) -> Array:
        """Zeros for inputs of this shape, [B, D]; the key is not used."""
        return self.zero_carry(*input_shape[:-1])

    @property
    def num_feature_axes(self) -> int:
        return 1


class PeepholeLSTM(LSTM):
    """The LSTM whose gates see the cell: `ops.peephole_lstm_step`. One more parameter, peephole."""

    peephole_init: Initializer = zeros

    def parameters(self, features_in: int) -> ops.PeepholeLSTMParams:
        peephole = self.param(
            "peephole", self.peephole_init, (3 * self.features,), self.param_dtype
        )
        return ops.PeepholeLSTMParams(*self.standard_parameters(features_in), peephole=peephole)


class CoupledLSTM(LSTM):
    """The LSTM that writes as much as it forgets: `ops.coupled_lstm_step`; gates f, g, o."""

    gate_order = "fgo"

    kernel_init: Initializer = every_gate(3, glorot)
    recurrent_kernel_init: Initializer = every_gate(3, orthogonal)
    bias_init: Initializer = per_gate(ones, zeros, zeros)

    def parameters(self, features_in: int) -> ops.CoupledLSTMParams:
        return ops.CoupledLSTMParams(*self.fused(features_in, 3))


class LayerNormLSTM(LSTM):
    """The LSTM with each sum normalised: `ops.layer_norm_lstm_step`; scales start at one."""

    def parameters(self, features_in: int) -> ops.LayerNormLSTMParams:
        width, dtype = 4 * self.features, self.param_dtype
        return ops.LayerNormLSTMParams(
            *self.standard_parameters(features_in),
            kernel_scale=self.param("kernel_scale", ones, (width,), dtype),
            recurrent_scale=self.param("recurrent_scale", ones, (width,), dtype),
            cell_scale=self.param("cell_scale", ones, (self.features,), dtype),
            cell_bias=self.param("cell_bias", zeros, (self.features,), dtype),
        )


LSTM_VARIANTS: dict[str, type[LSTM]] = {
    "standard": LSTM,
    "peephole": PeepholeLSTM,
    "coupled": CoupledLSTM,
    "layer_norm": LayerNormLSTM,
}
