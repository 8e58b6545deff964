"""Linear attention with decay over a sequence, and the mLSTM: step by step, or in chunks."""

from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
from jax import Array

from lstm_attn.ops.checks import carried_along
from lstm_attn.ops.dispatch import choose_form
from lstm_attn.ops.gated_linear_attention_step import (
    NormalisedMemory,
    Reads,
    advance,
    cast,
    check_reads,
    no_less_than_zero,
    normaliser_of,
)
from lstm_attn.ops.memory_chunks import (
    Chunk,
    chunk_of,
    in_order,
    in_time,
    pairs,
    run_memory,
    zero_memory,
)
from lstm_attn.ops.memory_decay import log_of
from lstm_attn.ops.scan import Limits, check_limits

# One x86 core, busy, float32, jax 0.10.2, processor time, [B, T, N, K = V] of 8 x 512 x 4 x 16 and
# 8 x 256 x 4 x 64, "chunked" over "scan": with gradients 0.1 to 0.3 of the time, or for a decay of
# each key 0.3 to 0.8; forward alone 1.0 to 1.3, or for a decay of each key 3. So "auto" is the
# choice for training. Other platforms were not measured.
MEASURED = {"cpu": "chunked"}
# Steps of a chunk, where a head has one decay and where each key has its own.
CHUNK, CHUNK_PER_KEY = 32, 8
IMPLEMENTATIONS = ("scan", "chunked")


def gated_linear_attention(
    query: Array,
    key: Array,
    value: Array,
    decay: Array | None = None,
    initial_state: Array | NormalisedMemory | None = None,
    *,
    log_decay: Array | None = None,
    log_input_gate: Array | None = None,
    seq_lengths: Array | None = None,
    resets: Array | None = None,
    reverse: bool = False,
    implementation: str = "auto",
    chunk: int | None = None,
) -> tuple[Array, Any]:
    """Linear attention with decay over a sequence: `gated_linear_attention_step` scanned along T.

        S_t = S_{t-1} Diag(a_t) + v_t k_t^T,    o_t = S_t q_t

    and with an input gate the mLSTM.

    Args:
      query, key: q and k [B, T, N, K]; neither is scaled.
      value: v [B, T, N, V].
      decay: a [B, T, N], or [B, T, N, K] for a decay of each key; from 0 to 1. None for no decay.
      initial_state: as of the step; zeros if None.
      log_decay: log a, at most 0, instead of a. Layers that compute a logarithm, as GLA and Mamba-2
        do, give it as it is: a chunk needs sums of logarithms. An mLSTM has no other: a forget gate
        of -10,000 before its sigmoid still has a logarithm.
      log_input_gate: log i [B, T, N], for an mLSTM.
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
    arrays = query, key, value, decay, log_decay, log_input_gate
    reads, sizes = check_reads(function, "B T N", *arrays, initial_state)
    if initial_state is None:
        initial_state = _empty(reads, sizes)
    state, dtype = carried_along(initial_state, reads.value), reads.value.dtype
    limits = check_limits(function, reads.query, seq_lengths, resets)
    chosen, chunk = choose_form(function, implementation, chunk, sizes, IMPLEMENTATIONS, MEASURED)
    if chosen == "chunked":
        chunk = chunk or (CHUNK_PER_KEY if reads.has_decay_of_each_key else CHUNK)
        reads = reads._replace(
            decay=None,
            log_decay=log_of(reads.decay, reads.log_decay),
            log_input_gate=log_of(None, reads.log_input_gate),
        )
    state, outputs = run_memory(
        function,
        state,
        reads,
        limits,
        step=partial(advance, dtype=dtype),
        in_chunk=partial(_run_chunk, dtype=dtype, reverse=reverse),
        chunk=chunk,
        reverse=reverse,
    )
    return outputs, state


def _empty(reads: Reads, sizes: dict[str, int]) -> Array | NormalisedMemory:
    memory = zero_memory(reads.value, sizes)
    if reads.log_input_gate is None:
        return memory
    return NormalisedMemory(
        memory, jnp.zeros_like(memory[:, :, 0]), jnp.zeros_like(memory[:, :, 0, 0])
    )


def _run_chunk(
    state: Any, part: Reads, limits: Limits, *, dtype: jnp.dtype, reverse: bool
) -> tuple[Any, Array]:
    """All steps of a chunk at once, arrays [C, B, N, ...]."""
    query, key, value, _, log_decay, log_gate = jax.tree.map(
        lambda array: jnp.moveaxis(array, 0, 2), in_order(cast(part, dtype), limits, reverse)
    )
    if log_decay is None:
        log_decay = jnp.zeros_like(value, shape=(1, 1, query.shape[2], 1))
    chunk = chunk_of(log_decay, limits, reverse)
    if log_gate is not None:
        state, outputs = _normalised_chunk(state, query, key, value, chunk, log_gate)
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
    scale = no_less_than_zero(scale)
    weights, entering = jnp.exp(log_weights - scale), jnp.exp(log_entering - scale)
    scores = jnp.einsum("bnik,bnjk->bnij", query, key) * weights
    entered = query * entering
    outputs = scores @ value + jnp.einsum("bnik,bnvk->bniv", entered, memory)
    total = jnp.sum(scores, axis=-1) + jnp.einsum("bnik,bnk->bni", entered, normaliser)
    outputs = outputs / normaliser_of(total[..., None], scale)
    last, key = entering[:, :, -1], key * weights[:, :, -1, :, None]
    memory = memory * last[..., None] + jnp.einsum("bnjv,bnjk->bnvk", value, key)
    normaliser = normaliser * last + jnp.sum(key, axis=2)
    return NormalisedMemory(memory, normaliser, scale[:, :, -1, 0]), outputs
