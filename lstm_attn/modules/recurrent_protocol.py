"""What a recurrent module has, and how a module continues from one call to the next.

A module that can continue takes `initial_carry`, returns (carry, outputs) with `return_carry=True`,
and has `empty_carry(batch_size, length)`: the carry before the first of at most `length` steps (an
attention layer on its own also needs the features of its inputs). Generation calls it with T = 1.

`Recurrent` adds what analysis asks for: the hidden states, the gates, and resets that cut the path
through time.
"""

import dataclasses
from collections.abc import Callable
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
from flax import linen as nn
from jax import Array

from lstm_attn import ops
from lstm_attn.errors import UsageError
from lstm_attn.modules.dense import Dtype, compute_dtype
from lstm_attn.modules.leading_axes import as_batch, from_batch, leading_axes
from lstm_attn.modules.observing import GATES, STATES, show
from lstm_attn.ops.checks import check_axes
from lstm_attn.ops.placement import rows_alike, zeros_by_row
from lstm_attn.ops.scan import Limits, check_limits, row_by_row, run_in_segments, scan_steps


def continued(module: Callable[..., Any], inputs: Array, carry: Any) -> tuple[Any, Array]:
    """(carry after, outputs) of a module that continues from a carry; (None, outputs) from None."""
    if carry is None:
        return None, module(inputs)
    return module(inputs, initial_carry=carry, return_carry=True)


def check_carry(where: str, initial_carry: Any, return_carry: bool) -> None:
    """Raises UsageError where a cache is asked for and its room is not known."""
    if return_carry and initial_carry is None:
        raise UsageError(f"{where}: return_carry expected an initial_carry; see empty_carry")


class Sized(nn.Module):
    """features: H. dtype, param_dtype: as `modules.dense` says."""

    features: int
    dtype: Dtype | None = dataclasses.field(default=None, kw_only=True)
    param_dtype: Dtype = dataclasses.field(default=jnp.float32, kw_only=True)

    def computed(self, inputs: Array) -> Array:
        """The inputs in the compute dtype."""
        return inputs.astype(compute_dtype(inputs, self.dtype, self.param_dtype))

    def zero_carry(self, *batch_sizes: int) -> Array:
        """Zeros [B, H], in the dtype of a carry."""
        dtype = ops.accumulator(self.dtype or self.param_dtype)
        return jnp.zeros((*batch_sizes, self.features), dtype)


class Recurrent(Sized):
    """A recurrent layer, [B, T, D] to [B, T, H]. A subclass writes two methods.

        parameters(features_in): the layer's parameters, made by `self.param`; any pytree.
        step(params, carry, x): the next carry, and the gates of the step or None.

    x is one time step [B, D] in the compute dtype; the carry is float32, or float64 for float64
    inputs. The carry is the hidden state h [B, H] itself, or a NamedTuple with a
    field h; then `empty_carry` is written too. It starts at zero, and h is the layer's output. The
    gates are a NamedTuple of arrays [B, H]; one that has a field or property `keep`, the share of
    its memory that a unit keeps, has time scales (see `analysis.time_scales`).

    The rest follows from the step: sequence lengths, resets, reverse, segments of a text, steps of
    generation, d loss / d h_t (`modules.with_hidden_states`), gates (`Model.observe`) and cuts
    (`Model.apply_cut`). A layer with a faster form of the whole sequence overrides `run`.
    """

    def parameters(self, features_in: int) -> Any:
        raise UsageError(f"{type(self).__name__}: expected a method parameters(features_in)")

    def step(self, params: Any, carry: Any, x: Array) -> tuple[Any, Any]:
        raise UsageError(f"{type(self).__name__}: expected a method step(params, carry, x)")

    def empty_carry(self, batch_size: int, length: int) -> Any:
        """The carry before the first step, zeros, whatever the length to come."""
        return self.zero_carry(batch_size)

    def run(
        self, params: Any, inputs: Array, initial_carry: Any = None, **limits: Any
    ) -> tuple[Array, Any]:
        """(outputs, the last carry): the step scanned over inputs [B, T, D]; limits are
        seq_lengths, resets and reverse, as in `ops.lstm`."""
        carry, (outputs, _) = run_steps(self, params, inputs, initial_carry, **limits)
        return outputs, carry

    @nn.compact
    def __call__(
        self,
        inputs: Array,
        *,
        initial_carry: Any = None,
        seq_lengths: Array | None = None,
        resets: Array | None = None,
        reverse: bool = False,
        return_carry: bool = False,
    ) -> Any:
        """inputs [B, T, D] to outputs [B, T, H]; with return_carry, (the last carry, outputs).

        seq_lengths, resets and reverse as in `ops.lstm`. The carry of an LSTM is an
        `ops.LSTMState`, which has h first; that of flax.linen is the pair (c, h). B may be missing
        or be several axes, here and in what comes back.
        """
        name = type(self).__name__
        leading = leading_axes(f"{name}: inputs", inputs, "T D")
        given = {"inputs": inputs, "initial_carry": initial_carry}
        given |= {"seq_lengths": seq_lengths, "resets": resets}
        inputs, initial_carry, seq_lengths, resets = (
            as_batch(f"{name}: {key}", value, leading) for key, value in given.items()
        )
        params, inputs = self.parameters(inputs.shape[-1]), self.computed(inputs)
        limits: Any = {"seq_lengths": seq_lengths, "resets": resets, "reverse": reverse}
        outputs, carry = self.run(params, inputs, initial_carry, **limits)
        show(self, STATES, lambda: outputs)
        show(self, GATES, lambda: run_steps(self, params, inputs, initial_carry, **limits)[1][1])
        carry, outputs = from_batch((carry, outputs), leading)
        return (carry, outputs) if return_carry else outputs


def run_steps(
    module: Recurrent,
    params: Any,
    inputs: Array,
    initial_carry: Any = None,
    change: Array | None = None,
    *,
    seq_lengths: Array | None = None,
    resets: Array | None = None,
    reverse: bool = False,
) -> tuple[Any, tuple[Array, Any]]:
    """The step of the module scanned over inputs [B, T, D], with a change added to each h.

        h_t = step(h_{t-1}, x_t) + change_t

    Args:
      change: [B, T, H], in any floating dtype; None for zero.

    Returns:
      The last carry; the outputs h [B, T, H] in the dtype of the inputs, and the gates or None.

    Raises:
      UsageError: an array that does not fit, or a carry that has no h.
    """
    name = "/".join(module.path) or type(module).__name__
    check_axes(name, inputs=(inputs, "B T D"))
    carry = _initial_carry(module, name, inputs, initial_carry)
    h = hidden_state(name, carry)
    slices: tuple[Array, ...] = (inputs,)
    if change is not None:
        check_axes(name, h=(h, "B H"), inputs=(inputs, "B T D"), change=(change, "B T H"))
        slices += (change.astype(h.dtype),)

    def step(params: Any, before: Any, each: tuple[Array, ...]) -> tuple[Any, tuple[Array, Any]]:
        x, *change = each
        after, gates = module.step(params, before, x)
        _check_structure(f"{name}: step", after, before)
        after = jax.tree.map(lambda new, old: new.astype(old.dtype), after, before)
        h = hidden_state(name, after)
        if change:
            h = h + change[0]
            after = after._replace(h=h) if hasattr(after, "h") else h
        return after, (h.astype(x.dtype), gates)

    def run(
        params: Any, carry: Any, slices: tuple[Array, ...], limits: Limits
    ) -> tuple[Any, tuple[Array, Any]]:
        return run_in_segments(
            name,
            partial(scan_steps, partial(step, params), reverse=reverse),
            carry,
            slices,
            limits,
            segment=getattr(module, "segment", None),
            reverse=reverse,
        )

    return row_by_row(run, params, carry, slices, check_limits(name, inputs, seq_lengths, resets))


def hidden_state(name: str, carry: Any) -> Array:
    """h of a carry: the carry itself, or its field h.

    Raises:
      UsageError: there is none.
    """
    h = getattr(carry, "h", carry)
    if not hasattr(h, "shape"):
        raise UsageError(
            f"{name}: carry expected an array h or a NamedTuple with a field h, "
            f"got {type(carry).__name__}"
        )
    return h


def _initial_carry(module: Recurrent, name: str, inputs: Array, given: Any) -> Any:
    """The carry before the first step, in the dtypes in which a scan over the inputs carries it."""

    def zeros(leaf: Array) -> Array:
        dtype = leaf.dtype
        if jnp.issubdtype(dtype, jnp.floating):
            dtype = ops.accumulator(inputs.dtype)
        return zeros_by_row(inputs, *leaf.shape[1:], dtype=dtype)

    empty = jax.tree.map(zeros, module.empty_carry(inputs.shape[0], inputs.shape[1]))
    if given is None:
        return empty
    _check_structure(f"{name}: initial_carry", given, empty)

    def alike(leaf: Any, like: Array) -> Array:
        return rows_alike(jnp.asarray(leaf).astype(like.dtype), inputs)

    return jax.tree.map(alike, given, empty)


def _check_structure(where: str, given: Any, like: Any) -> None:
    if jax.tree.structure(given) != jax.tree.structure(like):  # type: ignore[operator]
        raise UsageError(
            f"{where} expected a carry as empty_carry gives it, {type(like).__name__}, "
            f"got {type(given).__name__}"
        )
