"""Matrix memories in chunks: what the steps of a chunk keep of each other's writes."""

from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax import Array, lax

from lstm_attn.ops.checks import accumulator
from lstm_attn.ops.placement import zeros_by_row
from lstm_attn.ops.scan import Limits, row_by_row, run_in_segments, scan_steps, without_padding


def zero_memory(value: Array, sizes: dict[str, int]) -> Array:
    """Zeros [B, N, V, K] for values [B, ..., V]."""
    shape = (sizes[letter] for letter in "NVK")
    return zeros_by_row(value, *shape, dtype=accumulator(value.dtype))


def run_memory(
    function: str,
    state: Any,
    arrays: Any,
    limits: Limits,
    *,
    step: Callable[[Any, Any], tuple[Any, Array]],
    in_chunk: Callable[[Any, Any, Limits], tuple[Any, Array]],
    chunk: int | None,
    reverse: bool,
) -> tuple[Any, Array]:
    """A memory over arrays [B, T, ...], each device for its own rows: step by step, or in chunks.

    Args:
      step: (state, arrays of one step) -> (state, outputs).
      in_chunk: (state, arrays [C, B, ...], limits of those steps) -> (state, outputs [C, B, ...]).
      chunk: the steps of a chunk; None for step by step.
    """

    def run(_: Any, state: Any, arrays: Any, limits: Limits) -> tuple[Any, Array]:
        if chunk is None:
            steps = partial(scan_steps, step, reverse=reverse)
            return run_in_segments(function, steps, state, arrays, limits, reverse=reverse)

        def in_chunks(state: Any, arrays: Any) -> tuple[Any, Array]:
            return run_in_segments(
                function, in_chunk, state, arrays, limits, segment=chunk, reverse=reverse
            )

        return shielded(in_chunks, state, arrays, limits, reverse)

    return row_by_row(run, (), state, arrays, limits)


def in_order(part: Any, limits: Limits, reverse: bool) -> Any:
    """Arrays [C, B, ...] in the order of the run, with zeros in the padding."""

    def turned(array: Array) -> Array:
        array = without_padding(array, limits)
        return jnp.flip(array, axis=0) if reverse else array

    return jax.tree.map(turned, part)


def in_time(outputs: Array, limits: Limits, reverse: bool) -> Array:
    """Outputs [B, N, C, V] in the order of the run, as [C, B, N, V], with zeros in the padding."""
    outputs = jnp.moveaxis(outputs, 2, 0)
    return without_padding(jnp.flip(outputs, axis=0) if reverse else outputs, limits)


class Chunk(NamedTuple):
    """What the C steps of a chunk, in the order of the run, keep of each other's writes.

    The last axis, F, is 1, or K for a decay of each key. B and N may be 1.

    log_within: the logarithm of what step i keeps of the write of step j, [B, N, C (i), C (j), F].
    seen: whether j is not after i and no reset is between, [B, 1, C, C].
    log_entering: the logarithm of what step i keeps of the state before the chunk, [B, N, C, F].
    entered: whether no reset has come since, [B, 1, C].
    """

    log_within: Array
    seen: Array
    log_entering: Array
    entered: Array

    def within(self) -> Array:
        """What is kept, [B, N, C, C, F]: zero where nothing is seen."""
        return jnp.where(self.seen[..., None], jnp.exp(self.log_within), 0)

    def entering(self) -> Array:
        """What is kept, [B, N, C, F]: zero after a reset."""
        return jnp.where(self.entered[..., None], jnp.exp(self.log_entering), 0)

    def before_decay(self) -> "Chunk":
        """What is kept of earlier writes just before a step decays the memory itself."""
        rows = ((0, 0), (0, 0), (1, 0))
        return Chunk(
            jnp.pad(self.log_within[:, :, :-1], (*rows, (0, 0), (0, 0))),
            self.earlier(),
            jnp.pad(self.log_entering[:, :, :-1], (*rows, (0, 0))),
            self.entered,
        )

    def earlier(self) -> Array:
        """`seen` without a step itself."""
        return self.seen & ~jnp.eye(self.seen.shape[-1], dtype=bool)[None, None]


def chunk_of(log_decay: Array, limits: Limits, reverse: bool, repeats: int = 1) -> Chunk:
    """What steps with these log decays [B, N, C, F], in the order of the run, keep.

    Each log is a sum of decays between two steps. The difference of two sums from the start of the
    chunk would lose its digits where the decays before were strong.

    Args:
      limits: of the steps of the sequence, as they are in time.
      repeats: how many of the C steps are one step of the sequence; a reset acts before the first.
    """
    length = log_decay.shape[2]
    place = jnp.arange(length)
    later = (place[:, None] > place[None, :])[None, None]
    counted = (place[:, None] >= place[None, :]).astype(log_decay.dtype)
    log_within = jnp.einsum(
        "il,bnljf->bnijf",
        counted,
        jnp.where(later[..., None], log_decay[:, :, :, None], 0),
        precision=lax.Precision.HIGHEST,
    )
    seen = later | jnp.eye(length, dtype=bool)[None, None]
    entered = jnp.ones((1, 1, length), bool)
    if limits.resets is not None:
        resets = _where_real(limits.resets, limits)
        resets = (jnp.flip(resets, axis=0) if reverse else resets).swapaxes(0, 1)
        part = jnp.repeat(jnp.cumsum(resets, axis=1), repeats, axis=1)
        seen = seen & (part[:, None, :, None] == part[:, None, None, :])
        entered = part[:, None] == 0
    return Chunk(log_within, seen, jnp.cumsum(log_decay, axis=2), entered)


def _where_real(condition: Array, limits: Limits) -> Array:
    """A condition [T, B], and not in the padding."""
    if limits.lengths is None:
        return condition
    return condition & (limits.steps[:, None] < limits.lengths[None])


def pairs(left: Array, right: Array, within: Array) -> Array:
    """sum_k left_ik right_jk within_ijk: [B, N, I, K], [B, N, J, K], [B, N, I, J, F] to
    [B, N, I, J]."""
    if within.shape[-1] == 1:
        return jnp.einsum("bnik,bnjk->bnij", left, right) * within[..., 0]
    return jnp.einsum("bnik,bnjk,bnijk->bnij", left, right, within)


def shielded(
    run: Callable[[Any, Any], tuple[Any, Array]],
    state: Any,
    inputs: Any,
    limits: Limits,
    reverse: bool,
) -> tuple[Any, Array]:
    """run(state, inputs), in which nothing passes a reset, even if it is NaN or infinite.

    Products over all steps of a chunk multiply what is before a reset by 0, which leaves NaN. So
    these numbers are taken out, and NaN is put where the scan would have it.

    Args:
      run: (state, inputs [B, T, ...]) -> (state, outputs [B, T, ...]).
    """
    if limits.resets is None:
        return run(state, inputs)
    resets = _where_real(limits.resets, limits).swapaxes(0, 1)
    order = limits.steps[::-1] if reverse else limits.steps

    def broken(tree: Any, axes: int) -> Array:
        """Over all axes but the first ones."""
        leaves = [
            ~jnp.isfinite(a).all(axis=tuple(range(axes, a.ndim))) for a in jax.tree.leaves(tree)
        ]
        return jnp.stack(leaves).any(axis=0)

    at_step = _where_real(broken(inputs, 2).swapaxes(0, 1), limits).swapaxes(0, 1)
    before = jnp.where(broken(state, 1), -1, -3)[:, None]
    last_broken = jnp.maximum(before, jnp.where(at_step, order[None], -3))
    last_reset = jnp.where(resets, order[None], -2)
    last_broken, last_reset = (
        lax.cummax(array, axis=1, reverse=reverse) for array in (last_broken, last_reset)
    )
    lost = last_broken >= last_reset

    def mark(tree: Any, lost: Array) -> Any:
        return jax.tree.map(
            lambda a: jnp.where(lost.reshape(lost.shape + (1,) * (a.ndim - lost.ndim)), jnp.nan, a),
            tree,
        )

    clean = jax.tree.map(lambda a: jnp.where(jnp.isfinite(a), a, 0), (state, inputs))
    state, outputs = run(*clean)
    # Outputs in the padding are zeros, whatever came before.
    seen = _where_real(lost.swapaxes(0, 1), limits).swapaxes(0, 1)
    return mark(state, lost[:, 0 if reverse else -1]), mark(outputs, seen)
