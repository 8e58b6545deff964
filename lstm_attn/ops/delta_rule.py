"""The delta rule over a sequence: step by step, or in chunks."""

from functools import partial

import jax
import jax.numpy as jnp
from jax import Array

from lstm_attn.ops.checks import carried_along
from lstm_attn.ops.delta_rule_step import Writes, advance, cast, check_writes
from lstm_attn.ops.dispatch import choose_form
from lstm_attn.ops.memory_chunks import (
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
# 8 x 256 x 4 x 64, "chunked" over "scan": with gradients 0.1 to 0.4 of the time, forward alone 1.0
# to 1.3, and for a decay of each key with a removal key 5. So "auto" is the choice for training.
# Other platforms were not measured.
MEASURED = {"cpu": "chunked"}
# Steps of a chunk, where a head has one decay and where each key has its own.
CHUNK, CHUNK_PER_KEY = 16, 8
IMPLEMENTATIONS = ("scan", "chunked")


def delta_rule(
    query: Array,
    key: Array,
    value: Array,
    beta: Array,
    decay: Array | None = None,
    initial_state: Array | None = None,
    *,
    log_decay: Array | None = None,
    removal_key: Array | None = None,
    seq_lengths: Array | None = None,
    resets: Array | None = None,
    reverse: bool = False,
    implementation: str = "auto",
    chunk: int | None = None,
) -> tuple[Array, Array]:
    """The delta rule over a sequence: `delta_rule_step` scanned along T.

        S_t = S_{t-1} Diag(a_t) (I - beta_t k_t k_t^T) + beta_t v_t k_t^T,    o_t = S_t q_t

    Args:
      query: q [B, T, N, K]; not scaled.
      key: k [B, T, N, K], or with micro-steps [B, T, M, N, K]; not normalised.
      value: v [B, T, N, V], or [B, T, M, N, V].
      beta: [B, T, N], or [B, T, M, N], from 0 to 2; with a removal key also [B, T, N, K] or
        [B, T, M, N, K].
      decay: a [B, T, N], or [B, T, N, K] for a decay of each key; from 0 to 1. None for no decay.
      initial_state: S before the first step, [B, N, V, K]; zeros if None.
      log_decay: log a, at most 0, instead of a. Layers that compute a logarithm, as Gated DeltaNet
        and RWKV-7 do, give it as it is: a chunk needs sums of logarithms.
      removal_key: r, of the shape of the key, as in `delta_rule_step`.
      seq_lengths: as in `ops.lstm`.
      resets: as in `ops.lstm`.
      reverse: as in `ops.lstm`; the micro-steps of a step keep their order.
      implementation: "scan", the step in `lax.scan`, differentiated by JAX; "chunked", products of
        all pairs of a chunk and a triangular system for what its steps find under their keys,
        recomputed in the backward pass, with one state a chunk; or "auto", by measurement. Each
        works in forward and reverse mode.
      chunk: steps of a chunk; if None 16, or for a decay of each key 8, where a chunk has an array
        [B, N, chunk, chunk, K]; with M micro-steps an M-th of it. It need not divide T.

    Returns:
      The outputs o_1 ... o_T [B, T, N, V] in the dtype of the values, and S after the last step
      that was run [B, N, V, K], float32 or for float64 values float64.

    Raises:
      ValueError: a size or a dtype that does not fit, naming the array, what was expected and what
        came; an unknown implementation.

    Source: as the step; Yang et al. 2024 (parallelising DeltaNet) for the chunks.
    """
    function = "delta_rule"
    arrays = query, key, value, beta, decay, log_decay, removal_key
    writes, sizes = check_writes(function, "B T", *arrays, initial_state=initial_state)
    if initial_state is None:
        initial_state = zero_memory(writes.value, sizes)
    state, dtype = carried_along(initial_state, writes.value), writes.value.dtype
    limits = check_limits(function, writes.query, seq_lengths, resets)
    chosen, chunk = choose_form(function, implementation, chunk, sizes, IMPLEMENTATIONS, MEASURED)
    if chosen == "chunked":
        steps = CHUNK_PER_KEY if writes.has_decay_of_each_key else CHUNK
        chunk = chunk or max(steps // sizes["M"], 1)
        logs = log_of(writes.decay, writes.log_decay)
        writes = writes._replace(decay=None, log_decay=logs)
    state, outputs = run_memory(
        function,
        state,
        writes,
        limits,
        step=partial(advance, dtype=dtype),
        in_chunk=partial(_run_chunk, dtype=dtype, reverse=reverse),
        chunk=chunk,
        reverse=reverse,
    )
    return outputs, state


def _run_chunk(
    state: Array, part: Writes, limits: Limits, *, dtype: jnp.dtype, reverse: bool
) -> tuple[Array, Array]:
    """All steps of a chunk at once, arrays [C, B, ...]. Each write of a micro-step is a row.

    What the memory holds under the key of row i before its write is, with the writes w_j,

        x_i = S k_i + sum over j < i of w_j (k_j . k_i),    w_i = beta_i (v_i - x_i),

    each factor with its decay: a lower triangular system for all w at once. With a removal key r,

        x_i = S r_i + sum over j < i of w_j (beta_j r_j . r_i) + v_j (k_j . r_i),    w_i = -x_i.
    """
    micro = part.key.shape[2]
    part = in_order(cast(part, dtype), limits, reverse)

    def rows(array: Array) -> Array:
        """[C, B, M, N, F] as [B, N, C M, F]."""
        array = array.transpose(1, 3, 0, 2, 4)
        return array.reshape(*array.shape[:2], -1, array.shape[-1])

    if part.log_decay is None:
        log_decay = jnp.zeros_like(part.query, shape=(1, 1, part.key.shape[0] * micro, 1))
    else:  # the memory decays before the first micro-step
        first = ((0, 0), (0, 0), (0, micro - 1), (0, 0), (0, 0))
        log_decay = rows(jnp.pad(part.log_decay[:, :, None], first))
    chunk = chunk_of(log_decay, limits, reverse, repeats=micro)
    within, entering = chunk.within(), chunk.entering()
    query = jnp.moveaxis(part.query, 0, 2)
    key, value, beta = rows(part.key), rows(part.value), rows(part.beta)
    last = slice(micro - 1, None, micro)  # a query comes after the micro-steps of its step
    seen, entered = within[:, :, last], query * entering[:, :, last]

    def read(keys: Array) -> Array:
        return jnp.einsum("bnik,bnvk->bniv", keys, state)

    if part.removal_key is None:
        reading = jnp.where(chunk.earlier()[..., None], within, 0)
        erased, held = key, read(key * entering)
        system, right_side = beta * pairs(key, key, reading), beta * (value - held)
    else:
        removal_key, before = rows(part.removal_key), chunk.before_decay()
        reading, erased = before.within(), beta * removal_key
        held = read(removal_key * before.entering()) + pairs(removal_key, key, reading) @ value
        system, right_side = pairs(removal_key, erased, reading), -held
    writes = jax.scipy.linalg.solve_triangular(system, right_side, lower=True, unit_diagonal=True)
    outputs = read(entered) + pairs(query, erased, seen) @ writes
    state = state * entering[:, :, -1:] + _outer(writes, erased * within[:, :, -1])
    if part.removal_key is not None:
        outputs = outputs + pairs(query, key, seen) @ value
        state = state + _outer(value, key * within[:, :, -1])
    return state, in_time(outputs, limits, reverse).astype(dtype)


def _outer(value: Array, key: Array) -> Array:
    """The sum of v_j k_j^T over the steps of a chunk, [B, N, V, K]."""
    return jnp.einsum("bnjv,bnjk->bnvk", value, key)
