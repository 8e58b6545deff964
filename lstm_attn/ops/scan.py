"""A recurrent step scanned over time: sequence lengths, resets, reversal, segments."""

from collections.abc import Callable
from typing import Any, NamedTuple, TypeVar

import jax
import jax.numpy as jnp
from jax import Array, lax
from jax.sharding import NamedSharding, PartitionSpec, reshard

from lstm_attn.errors import UsageError, check_whole
from lstm_attn.ops.checks import accumulator, check_axes, int32_lengths
from lstm_attn.ops.placement import batch_axes, is_split, mesh_of, vary_alike, zeros_by_row

State = TypeVar("State")
Slices = TypeVar("Slices")
Outputs = TypeVar("Outputs")


class Limits(NamedTuple):
    """Where sequences end and start anew. Time is the first axis, so that a scan can slice it.

    steps: [T], the number of each step. resets: boolean [T, B], or None for nowhere.
    lengths: integers [B], or None for all steps.
    """

    steps: Array
    resets: Array | None
    lengths: Array | None


def check_limits(
    function: str, inputs: Array, seq_lengths: Array | None, resets: Array | None
) -> Limits:
    """The limits of inputs [B, T, ...], from seq_lengths [B] and resets [B, T].

    Raises:
      UsageError: a size or a dtype that does not fit.
    """
    steps = jax.ShapeDtypeStruct(inputs.shape[:2], inputs.dtype)
    if seq_lengths is not None:
        seq_lengths = int32_lengths(seq_lengths)
        check_axes(function, inputs=(steps, "B T"), seq_lengths=(seq_lengths, "B"))
        if not jnp.issubdtype(seq_lengths.dtype, jnp.integer):
            raise UsageError(f"{function}: seq_lengths expected integers, got {seq_lengths.dtype}")
    if resets is not None:
        resets = jnp.asarray(resets)
        check_axes(function, inputs=(steps, "B T"), resets=(resets, "B T"))
        if resets.dtype != jnp.bool_:
            raise UsageError(f"{function}: resets expected boolean, got {resets.dtype}")
        resets = resets.swapaxes(0, 1)
    return Limits(jnp.arange(inputs.shape[1], dtype=jnp.int32), resets, seq_lengths)


def scan_steps(
    step: Callable[[State, Slices], tuple[State, Outputs]],
    state: State,
    slices: Slices,
    limits: Limits,
    *,
    reverse: bool,
) -> tuple[State, Outputs]:
    """A step scanned along the first axis of the slices.

    A sequence that has ended carries its state on, so the final state is that of its last real
    step, and no stack of all states is kept. In reverse, a sequence idles until its own last step,
    so nothing is ever flipped.

    Args:
      step: (state, slices of one step) -> (state, outputs); every leaf of the three is [B, ...].
      slices: arrays [T, B, ...].
      reverse: from the last step to the first; outputs stay in the order of the slices.

    Returns:
      The state after the last step that was run, and outputs [T, B, ...], zero in the padding.
    """
    lengths = limits.lengths

    def body(before: State, each: tuple[Any, Array, Array | None]) -> tuple[State, Outputs]:
        x, t, reset = each
        state = before if reset is None else _where(~reset, before, None)
        if lengths is None:
            return step(state, x)
        real = t < lengths
        # The padding, even if it is NaN, must reach neither the values nor the gradients.
        after, outputs = step(state, _where(real, x, None))
        return _where(real, after, before), _where(real, outputs, None)

    return lax.scan(body, state, (slices, limits.steps, limits.resets), reverse=reverse)


def without_padding(inputs: Array, limits: Limits) -> Array:
    """inputs [T, B, ...] with zeros where a sequence has ended."""
    if limits.lengths is None:
        return inputs
    return jax.vmap(lambda x, t: _where(t < limits.lengths, x, None))(inputs, limits.steps)


def _where(condition: Array, chosen: Any, other: Any) -> Any:
    """By row of the batch; zeros where the other is None."""

    def choose(new: Array, old: Array | int) -> Array:
        return jnp.where(condition.reshape(condition.shape + (1,) * (new.ndim - 1)), new, old)

    if other is None:
        return jax.tree.map(lambda new: choose(new, 0), chosen)
    return jax.tree.map(choose, chosen, other)


def run_in_segments(
    function: str,
    run: Callable[[State, Slices, Limits], tuple[State, Outputs]],
    state: State,
    inputs: Slices,
    limits: Limits,
    *,
    segment: int | None = None,
    reverse: bool,
) -> tuple[State, Outputs]:
    """Runs over all steps at once, or segment by segment, each recomputed in the backward pass.

    With segments, back-propagation through T steps keeps what `run` saves of one segment and the
    T / segment states between them, and costs one more forward pass. Gradients are the same.

    Args:
      run: (state, inputs [S, B, ...], limits of those steps) -> (state, outputs [S, B, ...]).
      inputs: a pytree of arrays [B, T, ...].
      segment: the steps of a segment; None for all at once. It need not divide T.

    Returns:
      The state after the last step that was run, and the outputs, a pytree of arrays [B, T, ...].

    Source: Chen et al. 2016, section 4.
    """
    inputs = _exchange_batch_and_time(inputs)
    if segment is not None:
        segment = check_whole(f"{function}: segment", segment)
    first = state
    if limits.lengths is not None:
        # The padding must not compute with a state that no step uses, even if it is NaN.
        state = _where(_uses_state(limits, reverse), first, None)
    state, outputs = _in_segments(run, state, inputs, limits, segment, reverse)
    if limits.lengths is not None:
        # A sequence without steps hands its state on.
        state = _where(limits.lengths > 0, state, first)
    return state, _exchange_batch_and_time(outputs)


def _in_segments(
    run: Callable[[State, Slices, Limits], tuple[State, Outputs]],
    state: State,
    inputs: Slices,
    limits: Limits,
    segment: int | None,
    reverse: bool,
) -> tuple[State, Outputs]:
    """`run_in_segments` with time as the first axis."""
    if segment is None:
        return run(state, inputs, limits)
    length = limits.steps.shape[0]
    whole = length - length % segment
    # The steps that fill no segment are run last, whichever end that is.
    if reverse:
        first, last = slice(length - whole, None), slice(length - whole)
    else:
        first, last = slice(whole), slice(whole, None)
    sequence = (inputs, limits.steps, limits.resets)

    @jax.checkpoint
    def one(state: State, part: tuple[Slices, Array, Array | None]) -> tuple[State, Outputs]:
        x, steps, resets = part
        return run(state, x, Limits(steps, resets, limits.lengths))

    def cut(array: Array) -> Array:
        return array[first].reshape(whole // segment, segment, *array.shape[1:])

    state, outputs = lax.scan(one, state, jax.tree.map(cut, sequence), reverse=reverse)
    outputs = jax.tree.map(lambda array: array.reshape(whole, *array.shape[2:]), outputs)
    if whole < length:
        state, rest = one(state, jax.tree.map(lambda array: array[last], sequence))
        ordered = (rest, outputs) if reverse else (outputs, rest)
        outputs = jax.tree.map(lambda *parts: jnp.concatenate(parts), *ordered)
    return state, outputs


def _uses_state(limits: Limits, reverse: bool) -> Array:
    """Whether each sequence has a step, and no reset before the one that is run first; [B]."""
    assert limits.lengths is not None
    has_steps = limits.lengths > 0
    if limits.resets is None:
        return has_steps
    first = limits.lengths - 1 if reverse else jnp.zeros_like(limits.lengths)
    first = jnp.minimum(first, limits.steps.shape[0] - 1)
    at_first = limits.steps[:, None] == first[None]
    return has_steps & ~(limits.resets & at_first).any(axis=0)


def row_by_row(
    run: Callable[[Any, State, Slices, Limits], tuple[State, Outputs]],
    params: Any,
    state: State,
    inputs: Slices,
    limits: Limits,
) -> tuple[State, Outputs]:
    """run(params, state, inputs, limits), on each device for its own rows of the batch.

    With Explicit axes the inputs say how their batch is split, and `jax.shard_map` runs what
    would run on one device; the gradients of params are summed over devices once, at the end, where
    the compiler would do so at every step. All other inputs are left to the compiler.

    Args:
      params: the same for all rows.
      state: a pytree of arrays [B, ...].
      inputs: a pytree of arrays [B, T, ...], as the outputs are.
    """

    def local(params: Any, state: State, inputs: Slices, limits: Limits) -> tuple[State, Outputs]:
        leaves, tree = jax.tree.flatten(params)
        params = jax.tree.unflatten(tree, vary_alike(leaves, by=jax.tree.leaves(inputs)))
        return run(params, state, inputs, limits)

    first = jax.tree.leaves(inputs)[0]
    axes = batch_axes(first)
    if not axes or is_split(params):
        return local(params, state, inputs, limits)
    mesh, rows = mesh_of(first), PartitionSpec(axes)
    of_limits: list[Any] = [PartitionSpec(), PartitionSpec(None, axes), rows]
    specs = (rows, rows, Limits(*of_limits))

    def placed(spec: PartitionSpec, arrays: Any) -> Any:
        return jax.tree.map(lambda leaf: reshard(leaf, NamedSharding(mesh, spec)), arrays)

    arguments = jax.tree.map(placed, specs, (state, inputs, limits))
    mapped = jax.shard_map(
        local, mesh=mesh, in_specs=(PartitionSpec(), *specs), out_specs=rows, axis_names=set(axes)
    )
    return mapped(params, *arguments)


def zero_state(inputs: Array, features: int) -> Array:
    """Zeros [B, H] for inputs [B, ...], in the dtype of their accumulator, on the same devices."""
    return zeros_by_row(inputs, features, dtype=accumulator(inputs.dtype))


def _exchange_batch_and_time(tree: Any) -> Any:
    return jax.tree.map(lambda array: array.swapaxes(0, 1), tree)
