"""The elementwise linear recurrence h_t = a_t h_{t-1} + b_t, real and complex."""

import math
from functools import partial
from typing import Any, Protocol

import jax
import jax.numpy as jnp
from jax import Array, lax

from lstm_attn.errors import UsageError
from lstm_attn.ops.checks import accumulator, carried_along, check_axes
from lstm_attn.ops.dispatch import choose_form
from lstm_attn.ops.scan import (
    Limits,
    check_limits,
    row_by_row,
    run_in_segments,
    scan_steps,
    zero_state,
)

# Two x86 cores, busy, float32, jax 0.10.2, forms interleaved, [B, T, H] of 1 x 4,096 x 16 and
# 32 x 1,024 x 128: "fused" took 0.2 to 0.4 of the time of "scan" forward and 0.6 to 0.9 with
# gradients, "chunked" 1.3 to 2.2 of it. At 32 x 1,024 x 128 jax.lax.associative_scan took 10 times
# as long as "fused". Other platforms were not measured.
MEASURED = {"cpu": "fused"}
IMPLEMENTATIONS = ("scan", "fused", "chunked")


def linear_recurrence_step(state: Array, decay: Array, inputs: Array) -> tuple[Array, Array]:
    """One step of the elementwise linear recurrence.

        h' = a * h + b

    Args:
      state: h [B, H].
      decay: a [B, H].
      inputs: b [B, H], real or complex.

    Returns:
      The next h [B, H], twice: as the state, float32 (float64 for float64 inputs, complex for
      complex ones), and as the output of the step, in the dtype of the inputs.

    Raises:
      ValueError: a size or a dtype that does not fit.
    """
    arrays = {"inputs": (inputs, "B H"), "decay": (decay, "B H"), "state": (state, "B H")}
    check_axes("linear_recurrence_step", **arrays)
    _check_numbers("linear_recurrence_step", inputs, decay=decay, state=state)
    carried = accumulator(inputs.dtype)
    h = decay.astype(carried) * state.astype(carried) + inputs.astype(carried)
    return h, h.astype(inputs.dtype)


def linear_recurrence(
    decay: Array,
    inputs: Array,
    initial_state: Array | None = None,
    *,
    seq_lengths: Array | None = None,
    resets: Array | None = None,
    reverse: bool = False,
    implementation: str = "auto",
    chunk: int | None = None,
) -> tuple[Array, Array]:
    """The elementwise linear recurrence over a sequence: `linear_recurrence_step` scanned along T.

        h_t = a_t * h_{t-1} + b_t

    The decay is never rounded to the dtype of the inputs: 0.999 in bfloat16 would be 1.

    Args:
      decay: a, [B, T, H], real, or complex where the inputs are.
      inputs: b, [B, T, H], real or complex.
      initial_state: h before the first step, [B, H]; zeros if None.
      seq_lengths: as in `ops.lstm`.
      resets: as in `ops.lstm`.
      reverse: as in `ops.lstm`.
      implementation: "scan", the step in `lax.scan`, differentiated by JAX; "fused", one loop that
        overwrites its inputs, with the derivative of a linear system; "chunked", the same
        derivative, with T / chunk chunks side by side, so that 2 sqrt(T) steps follow each other
        instead of T; or "auto", by measurement.
      chunk: steps of a chunk; about sqrt(T) if None. It need not divide T.

    Returns:
      The outputs h_1 ... h_T [B, T, H] in the dtype of the inputs, and h after the last step that
      was run [B, H], float32 or for float64 inputs float64, complex for complex inputs.

    Raises:
      ValueError: a size or a dtype that does not fit, naming the array, what was expected and what
        came; an unknown implementation.

    Source: Martin & Cundy 2018 for the parallel form; the derivative is that of
    `jax.lax.custom_linear_solve`, whose transpose is the recurrence in the other direction.
    """
    decay, inputs = jnp.asarray(decay), jnp.asarray(inputs)
    sizes = check_axes("linear_recurrence", inputs=(inputs, "B T H"), decay=(decay, "B T H"))
    _check_numbers("linear_recurrence", inputs, decay=decay)
    if initial_state is None:
        initial_state = zero_state(inputs, sizes["H"])
    else:
        initial_state = jnp.asarray(initial_state)
        checked = {"inputs": (inputs, "B T H"), "initial_state": (initial_state, "B H")}
        check_axes("linear_recurrence", **checked)
        _check_numbers("linear_recurrence", inputs, initial_state=initial_state)
    state = carried_along(initial_state, inputs)
    limits = check_limits("linear_recurrence", inputs, seq_lengths, resets)
    chosen, chunk = choose_form(
        "linear_recurrence", implementation, chunk, sizes, IMPLEMENTATIONS, MEASURED
    )

    def run(_: Any, state: Array, arrays: tuple[Array, Array], limits: Limits) -> _Result:
        if chosen == "scan":
            steps = partial(scan_steps, _step, reverse=reverse)
            return run_in_segments(
                "linear_recurrence", steps, state, arrays, limits, reverse=reverse
            )
        solve: _Solver = _solve_in_place
        if chosen == "chunked":
            root = math.isqrt(sizes["T"] - 1) + 1
            solve = partial(_solve_in_chunks, chunk=chunk or root)
        return _as_linear_system(solve, *arrays, state, limits, reverse)

    state, outputs = row_by_row(run, (), state, (decay, inputs), limits)
    return outputs, state


# The last state and the outputs.
_Result = tuple[Array, Array]


def _step(state: Array, arrays: tuple[Array, Array]) -> _Result:
    return linear_recurrence_step(state, *arrays)


def _check_numbers(function: str, inputs: Array, **others: Array) -> None:
    """Raises UsageError for integers, and for complex numbers where the inputs are real."""
    real_inputs = not jnp.issubdtype(inputs.dtype, jnp.complexfloating)
    for name, array in {"inputs": inputs, **others}.items():
        if not jnp.issubdtype(array.dtype, jnp.inexact):
            raise UsageError(
                f"{function}: {name} expected floating or complex numbers, got {array.dtype}"
            )
        if real_inputs and jnp.issubdtype(array.dtype, jnp.complexfloating):
            raise UsageError(
                f"{function}: inputs expected complex numbers as {name}'s, got {inputs.dtype}"
            )


def _as_linear_system(
    solve: "_Solver", decay: Array, inputs: Array, state: Array, limits: Limits, reverse: bool
) -> _Result:
    """The last state and the outputs [B, T, H], zero in the padding, as the solution of

        h_t - a_t h_{t-1} = b_t        for all t at once.

    JAX derives both modes, to any order, from the system: the tangent solves it for
    db_t + da_t h_{t-1}, the cotangent solves the transposed system, and only a and h are kept.
    """
    dtype, carried = inputs.dtype, state.dtype
    decay, inputs = decay.astype(carried), inputs.astype(carried)
    resets = None if limits.resets is None else limits.resets.swapaxes(0, 1)
    real = None
    if limits.lengths is not None:
        # A padded step hands the state on as it is.
        real = limits.steps[None, :] < limits.lengths[:, None]
        resets = None if resets is None else resets & real
        decay = jnp.where(real[..., None], decay, 1)
        inputs = jnp.where(real[..., None], inputs, 0)
    keep = None if resets is None else ~resets
    first = -1 if reverse else 0

    def kept(before: Array, keep: Array | None) -> Array:
        # Chosen, not multiplied: what is before a reset may be NaN.
        return before if keep is None else jnp.where(keep[..., None], before, 0)

    def system(h: Array) -> Array:
        nothing = jnp.zeros_like(h[:, :1])
        parts = (h[:, 1:], nothing) if reverse else (nothing, h[:, :-1])
        return h - decay * kept(jnp.concatenate(parts, axis=1), keep)

    entering = kept(state, None if keep is None else keep[:, first])
    right_side = inputs.at[:, first].add(decay[:, first] * entering)
    h = lax.custom_linear_solve(
        system,
        right_side,
        lambda _, b: solve(decay, keep, b, reverse=reverse, transposed=False),
        lambda _, b: solve(decay, keep, b, reverse=not reverse, transposed=True),
    )
    last = h[:, 0 if reverse else -1]
    h = h if real is None else jnp.where(real[..., None], h, 0)
    return last, h.astype(dtype)


class _Solver(Protocol):
    def __call__(
        self, decay: Array, keep: Array | None, rest: Array, *, reverse: bool, transposed: bool
    ) -> Array:
        """The solution h [B, T, H] of h_t - a_t h_{t-1} = rest_t, or of the transposed system
        h_t - a_{t+1} h_{t+1} = rest_t, run in the direction that `reverse` says. A step whose
        keep [B, T] is False takes nothing from its neighbour."""


def _solve_in_place(
    decay: Array, keep: Array | None, rest: Array, *, reverse: bool, transposed: bool
) -> Array:
    # In the layout [B, T, H]: for a scan, all arrays would be copied to have time first. XLA
    # overwrites `rest` only while a step reads and writes one place of it.
    length = rest.shape[1]

    def body(n: Array, carry: tuple[Array, Array]) -> tuple[Array, Array]:
        before, h = carry
        t = length - 1 - n if reverse else n
        of_decay = jnp.clip(t + (1 if reverse else -1), 0, length - 1) if transposed else t

        def at(array: Array, t: Array) -> Array:
            return lax.dynamic_index_in_dim(array, t, axis=1, keepdims=False)

        a = at(decay, of_decay)
        if transposed:
            a = jnp.where(n == 0, 0, a)  # the first step has no neighbour
        if keep is not None:
            before = jnp.where(at(keep, of_decay)[:, None], before, 0)
        now = a * before + at(h, t)
        return now, lax.dynamic_update_index_in_dim(h, now, t, axis=1)

    return lax.fori_loop(0, length, body, (jnp.zeros_like(rest[:, 0]), rest))[1]


def _solve_in_chunks(
    decay: Array, keep: Array | None, rest: Array, *, reverse: bool, transposed: bool, chunk: int
) -> Array:
    """Every chunk from zeros, all side by side; then the states that enter the chunks one after
    another; then what is left of these at each step."""
    batch, length, features = rest.shape
    count = -(-length // chunk)

    def cut(array: Array | None, neighbours: bool) -> Array | None:
        """[chunk, B, count, ...] in the order of the run, zeros after the end."""
        if array is None:
            return None
        array = jnp.flip(array, axis=1) if reverse else array
        shift = int(neighbours and transposed)  # the first step has no neighbour
        rest = ((0, 0),) * (array.ndim - 2)
        array = jnp.pad(
            array[:, : length - shift], ((0, 0), (shift, count * chunk - length), *rest)
        )
        return jnp.moveaxis(array.reshape(batch, count, chunk, *array.shape[2:]), 2, 0)

    def kept(array: Array, keep: Array | None) -> Array:
        # Chosen, not multiplied: what is before a reset may be NaN.
        return array if keep is None else jnp.where(keep[..., None], array, 0)

    def within(before: tuple[Array, Array], each: Any) -> tuple[tuple[Array, Array], Any]:
        a, keep, b = each
        left, h = (kept(a * array, keep) for array in before)
        return (left, h + b), (left, h + b)

    def between(state: Array, each: Any) -> tuple[Array, Array]:
        left, keep, last = each
        return kept(left * state, keep) + last, state

    zeros = jnp.zeros_like(rest, shape=(batch, count, features))
    keep = cut(keep, True)
    _, (left, h) = lax.scan(within, (zeros + 1, zeros), (cut(decay, True), keep, cut(rest, False)))
    # Whether no reset has come yet in this chunk.
    whole = None if keep is None else jnp.cumsum(~keep, axis=0) == 0
    chunks = (left[-1], None if whole is None else whole[-1], h[-1])
    chunks = jax.tree.map(lambda array: array.swapaxes(0, 1), chunks)
    _, entering = lax.scan(between, zeros[:, 0], chunks)
    h = h + kept(left * entering.swapaxes(0, 1)[None], whole)
    h = jnp.moveaxis(h, 0, 2).reshape(batch, count * chunk, features)[:, :length]
    return jnp.flip(h, axis=1) if reverse else h
