"""Linear attention with decay: a matrix memory to which each step adds; with gates, the mLSTM."""

from functools import partial
from typing import Any, NamedTuple

import jax.numpy as jnp
from jax import Array, lax

from lstm_attn.errors import UsageError
from lstm_attn.ops.checks import accumulator, carried_along, check_axes, check_floating
from lstm_attn.ops.dispatch import choose_form
from lstm_attn.ops.memory_chunks import (
    Chunk,
    chunk_of,
    finite_log,
    in_order,
    in_time,
    pairs,
    shielded,
    zero_memory,
)
from lstm_attn.ops.scan import Limits, check_limits, run_in_segments, scan_steps

# One x86 core, busy, float32, jax 0.10.2, processor time, [B, T, N, K = V] of 8 x 512 x 4 x 16 and
# 8 x 256 x 4 x 64, "chunked" over "scan": with gradients 0.1 to 0.3 of the time, or for a decay of
# each key 0.3 to 0.8; forward alone 1.0 to 1.3, or for a decay of each key 3. So "auto" is the
# choice for training. Other platforms were not measured.
MEASURED = {"cpu": "chunked"}
# Steps of a chunk, where a head has one decay and where each key has its own.
CHUNK, CHUNK_PER_KEY = 32, 8
IMPLEMENTATIONS = ("scan", "chunked")
# The least normaliser, over the largest weight: what is below is rounding of a sum that cancels.
LEAST_NORMALISER = 1e-6


class NormalisedMemory(NamedTuple):
    """The state of an mLSTM over exp(log_scale): memory S [B, N, V, K], normaliser n [B, N, K], and
    log_scale m [B, N], at least 0. Zeros are the empty state. A derivative is that of S exp(m)."""

    memory: Array
    normaliser: Array
    log_scale: Array


def gated_linear_attention_step(
    state: Array | NormalisedMemory,
    query: Array,
    key: Array,
    value: Array,
    log_decay: Array,
    log_input_gate: Array | None = None,
) -> tuple[Any, Array]:
    """One step of linear attention with decay.

        S' = S Diag(a) + v k^T,    o = S' q,    a = exp(log_decay)

    With an input gate i = exp(log_input_gate), the step of an mLSTM:

        S' = a S + i v k^T,    n' = a n + i k,    o = S' q / max(|n' . q|, 1)

    computed with S and n over exp(m), where m' = max(log a + m, log i, 0), so that no exponential
    overflows. No output depends on m.

    Args:
      state: S [B, N, V, K], or with an input gate NormalisedMemory.
      query, key: q and k [B, N, K]; neither is scaled.
      value: v [B, N, V].
      log_decay: [B, N], or [B, N, K] for a decay of each key; at most 0.
      log_input_gate: [B, N], with a log_decay [B, N].

    Returns:
      The next state, float32 or for float64 values float64, and o [B, N, V] in the dtype of the
      values. All arithmetic is in the dtype of the state.

    Raises:
      ValueError: a size or a dtype that does not fit.

    Source: Yang et al. 2024 (gated linear attention); Dao & Gu 2024 (Mamba-2) for one decay a head;
    Beck et al. 2024 (xLSTM) for the mLSTM, where the maximum of m has no 0.
    """
    function = "gated_linear_attention_step"
    arrays, _ = _check(function, "B N", query, key, value, log_decay, log_input_gate, state)
    state = carried_along(state, value)
    return _advance(state, arrays, value.dtype)


def gated_linear_attention(
    query: Array,
    key: Array,
    value: Array,
    log_decay: Array,
    initial_state: Array | NormalisedMemory | None = None,
    *,
    log_input_gate: Array | None = None,
    seq_lengths: Array | None = None,
    resets: Array | None = None,
    reverse: bool = False,
    implementation: str = "auto",
    chunk: int | None = None,
) -> tuple[Array, Any]:
    """Linear attention with decay over a sequence: `gated_linear_attention_step` scanned along T.

        S_t = S_{t-1} Diag(a_t) + v_t k_t^T,    o_t = S_t q_t,    a_t = exp(log_decay_t)

    and with an input gate the mLSTM. Decays are given as logarithms: a forget gate of -10,000
    before its sigmoid still has one.

    Args:
      query, key: q and k [B, T, N, K]; neither is scaled.
      value: v [B, T, N, V].
      log_decay: [B, T, N], or [B, T, N, K] for a decay of each key; at most 0.
      initial_state: as of the step; zeros if None.
      log_input_gate: [B, T, N], for an mLSTM.
      seq_lengths: as in `ops.lstm`.
      resets: as in `ops.lstm`.
      reverse: as in `ops.lstm`.
      implementation: "scan", the step in `lax.scan`, differentiated by JAX; "chunked", products of
        all pairs of a chunk, recomputed in the backward pass, with one state a chunk; or "auto", by
        measurement. Each works in forward and reverse mode.
      chunk: steps of a chunk; if None 32, or for a decay of each key 8, where a chunk has an array
        [B, N, chunk, chunk, K]. It need not divide T.

    Returns:
      The outputs o_1 ... o_T [B, T, N, V] in the dtype of the values, and the state after the last
      step that was run, float32 or for float64 values float64.

    Raises:
      ValueError: a size or a dtype that does not fit, naming the array, what was expected and what
        came; an unknown implementation.

    Source: as the step.
    """
    function = "gated_linear_attention"
    arrays, sizes = _check(
        function, "B T N", query, key, value, log_decay, log_input_gate, initial_state
    )
    if initial_state is None:
        initial_state = _empty(arrays, sizes)
    state, dtype = carried_along(initial_state, value), arrays[2].dtype
    limits = check_limits(function, arrays[2][..., 0], seq_lengths, resets)
    chosen = choose_form(function, implementation, chunk, IMPLEMENTATIONS, MEASURED)
    if chosen == "chunked":
        chunk = chunk or (CHUNK if arrays[3].shape[-1] == 1 else CHUNK_PER_KEY)
        arrays = (*arrays[:3], *map(finite_log, arrays[3:]))
        one = partial(_run_chunk, dtype=dtype, reverse=reverse)

        def run(state: Any, arrays: Any) -> tuple[Any, Array]:
            return run_in_segments(
                function, one, state, arrays, limits, segment=chunk, reverse=reverse
            )

        state, outputs = shielded(run, state, arrays, limits, reverse)
        return outputs, state

    def steps(state: Any, part: Any, limits: Limits) -> tuple[Any, Array]:
        return scan_steps(partial(_advance, dtype=dtype), state, part, limits, reverse=reverse)

    state, outputs = run_in_segments(function, steps, state, arrays, limits, reverse=reverse)
    return outputs, state


# Query, key and value; the log decay with a last axis of 1 or K; the log input gate with one of 1.
Arrays = tuple[Array, ...]


def _check(
    function: str,
    lead: str,
    query: Array,
    key: Array,
    value: Array,
    log_decay: Array,
    log_input_gate: Array | None,
    state: Array | NormalisedMemory | None,
) -> tuple[Arrays, dict[str, int]]:
    """The arrays, and the sizes of the axes; `lead` names the axes that all of them have."""
    named = {"query": query, "key": key, "value": value, "log_decay": log_decay}
    if log_input_gate is not None:
        named["log_input_gate"] = log_input_gate
    named = {name: jnp.asarray(array) for name, array in named.items()}
    per_key = named["log_decay"].ndim == len(lead.split()) + 1
    if per_key and log_input_gate is not None:
        raise UsageError(
            f"{function}: log_decay [{', '.join(lead.split())}] expected with log_input_gate, "
            f"got shape {named['log_decay'].shape}"
        )
    axes = {
        "query": f"{lead} K",
        "key": f"{lead} K",
        "value": f"{lead} V",
        "log_decay": f"{lead} K" if per_key else lead,
        "log_input_gate": lead,
    }
    parts: dict[str, tuple[Array, str]] = {}
    if isinstance(state, NormalisedMemory) != (log_input_gate is not None) and state is not None:
        wanted = "an array" if log_input_gate is None else "NormalisedMemory, with log_input_gate,"
        raise UsageError(f"{function}: state expected {wanted} got {type(state).__name__}")
    if isinstance(state, NormalisedMemory):
        of_parts = {"memory": "B N V K", "normaliser": "B N K", "log_scale": "B N"}
        parts = {name: (getattr(state, name), letters) for name, letters in of_parts.items()}
    elif state is not None:
        parts = {"state": (state, "B N V K")}
    arrays = {name: (array, axes[name]) for name, array in named.items()}
    sizes = check_axes(function, **arrays, **parts)
    check_floating(function, **named)
    query, key, value, log_decay = list(named.values())[:4]
    log_decay = log_decay if per_key else log_decay[..., None]
    if log_input_gate is None:
        return (query, key, value, log_decay), sizes
    return (query, key, value, log_decay, named["log_input_gate"][..., None]), sizes


def _empty(arrays: Arrays, sizes: dict[str, int]) -> Array | NormalisedMemory:
    memory = zero_memory(arrays[2], sizes)
    if len(arrays) == 4:
        return memory
    return NormalisedMemory(
        memory, jnp.zeros_like(memory[:, :, 0]), jnp.zeros_like(memory[:, :, 0, 0])
    )


def _advance(state: Any, arrays: Arrays, dtype: jnp.dtype) -> tuple[Any, Array]:
    """The step, for arrays [B, N, ...] and a state in the accumulator's dtype."""
    carried = accumulator(dtype)
    query, key, value, log_decay, *gate = (array.astype(carried) for array in arrays)
    if not gate:
        memory = state * jnp.exp(log_decay)[:, :, None] + value[..., None] * key[:, :, None]
        return memory, jnp.einsum("bnvk,bnk->bnv", memory, query).astype(dtype)
    log_gate, m = gate[0], state.log_scale[..., None]
    scale = _no_less_than_zero(jnp.maximum(log_decay + m, log_gate))
    kept, written = jnp.exp(log_decay + m - scale), jnp.exp(log_gate - scale)
    key = written * key
    memory = kept[..., None] * state.memory + value[..., None] * key[:, :, None]
    normaliser = kept * state.normaliser + key
    outputs = jnp.einsum("bnvk,bnk->bnv", memory, query)
    total = jnp.sum(normaliser * query, axis=-1, keepdims=True)
    outputs = outputs / _normaliser(total, scale)
    return NormalisedMemory(memory, normaliser, scale[..., 0]), outputs.astype(dtype)


def _no_less_than_zero(log_scale: Array) -> Array:
    """The log scale of a step: a constant to every derivative, as no output depends on it."""
    return lax.stop_gradient(jnp.maximum(log_scale, 0))


def _normaliser(total: Array, log_scale: Array) -> Array:
    """max(|n . q|, 1) over exp(log_scale)."""
    least = jnp.maximum(jnp.exp(-log_scale), LEAST_NORMALISER)
    return jnp.maximum(jnp.abs(total), least)


def _run_chunk(
    state: Any, part: Arrays, limits: Limits, *, dtype: jnp.dtype, reverse: bool
) -> tuple[Any, Array]:
    """All steps of a chunk at once, arrays [C, B, N, ...]."""
    carried = accumulator(dtype)
    query, key, value, log_decay, *gate = (
        jnp.moveaxis(array.astype(carried), 0, 2) for array in in_order(part, limits, reverse)
    )
    chunk = chunk_of(log_decay, limits, reverse)
    if gate:
        state, outputs = _normalised_chunk(state, query, key, value, chunk, gate[0])
    else:
        within, entering = chunk.within(), chunk.entering()
        outputs = pairs(query, key, within) @ value
        outputs = outputs + jnp.einsum("bnik,bnvk->bniv", query * entering, state)
        state = state * entering[:, :, -1:] + jnp.einsum(
            "bnjv,bnjk->bnvk", value, key * within[:, :, -1]
        )
    return state, in_time(outputs, limits, reverse).astype(dtype)


def _normalised_chunk(
    state: NormalisedMemory, query: Array, key: Array, value: Array, chunk: Chunk, log_gate: Array
) -> tuple[NormalisedMemory, Array]:
    """The steps of an mLSTM, each over the exponential of its own largest logarithm."""
    memory, normaliser, log_scale = state
    log_gate = log_gate.swapaxes(2, 3)  # that of step j
    log_weights = jnp.where(chunk.seen, chunk.log_within[..., 0] + log_gate, -jnp.inf)
    log_entering = chunk.log_entering + log_scale[..., None, None]
    log_entering = jnp.where(chunk.entered[..., None], log_entering, -jnp.inf)
    scale = jnp.maximum(jnp.max(log_weights, axis=-1, keepdims=True), log_entering)
    scale = _no_less_than_zero(scale)
    weights, entering = jnp.exp(log_weights - scale), jnp.exp(log_entering - scale)
    scores = jnp.einsum("bnik,bnjk->bnij", query, key) * weights
    entered = query * entering
    outputs = scores @ value + jnp.einsum("bnik,bnvk->bniv", entered, memory)
    total = jnp.sum(scores, axis=-1) + jnp.einsum("bnik,bnk->bni", entered, normaliser)
    outputs = outputs / _normaliser(total[..., None], scale)
    last, key = entering[:, :, -1], key * weights[:, :, -1, :, None]
    memory = memory * last[..., None] + jnp.einsum("bnjv,bnjk->bnvk", value, key)
    normaliser = normaliser * last + jnp.sum(key, axis=2)
    return NormalisedMemory(memory, normaliser, scale[:, :, -1, 0]), outputs
