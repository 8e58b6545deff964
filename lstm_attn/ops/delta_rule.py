"""The delta rule: a matrix memory that erases what it held under a key before it writes."""

from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import Array

from lstm_attn.ops.checks import accumulator, carried_along, check_axes, check_floating
from lstm_attn.ops.dispatch import choose_form
from lstm_attn.ops.memory_chunks import (
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
# 8 x 256 x 4 x 64, "chunked" over "scan": with gradients 0.1 to 0.4 of the time, forward alone 1.0
# to 1.3, and for a decay of each key with a removal key 5. So "auto" is the choice for training.
# Other platforms were not measured.
MEASURED = {"cpu": "chunked"}
# Steps of a chunk, where a head has one decay and where each key has its own.
CHUNK, CHUNK_PER_KEY = 16, 8
IMPLEMENTATIONS = ("scan", "chunked")


def delta_rule_step(
    state: Array,
    query: Array,
    key: Array,
    value: Array,
    beta: Array,
    log_decay: Array | None = None,
    *,
    removal_key: Array | None = None,
) -> tuple[Array, Array]:
    """One step of the delta rule.

        S' = S Diag(a) (I - beta k k^T) + beta v k^T,    o = S' q,    a = exp(log_decay)

    With |k| = 1 and beta = 1, S' k is v: what S held under k is gone. With beta = 2 it is negated.
    With a removal key r, what is removed and what is written have a key each, as in RWKV-7:

        S' = S (Diag(a) - r (beta * r)^T) + v k^T

    With an axis M of micro-steps, the memory decays once and is then written M times.

    Args:
      state: S [B, N, V, K].
      query: q [B, N, K]; not scaled.
      key: k [B, N, K], or [B, M, N, K]; not normalised.
      value: v [B, N, V], or [B, M, N, V].
      beta: [B, N], or [B, M, N], from 0 to 2; with a removal key also [B, N, K] or [B, M, N, K].
      log_decay: [B, N], or [B, N, K] for a decay of each key; at most 0; None for no decay.
      removal_key: r, of the shape of the key.

    Returns:
      The next S, float32 or for float64 values float64, and o [B, N, V] in the dtype of the values.
      All arithmetic is in the dtype of the state.

    Raises:
      ValueError: a size or a dtype that does not fit.

    Source: Schlag et al. 2021; Yang et al. 2025 (Gated DeltaNet); Grazzi et al. 2025 for
    beta up to 2; Siems et al. 2025 (DeltaProduct) for micro-steps; Peng et al. 2025 (RWKV-7).
    """
    arrays = query, key, value, beta, log_decay, removal_key
    writes, _ = _check("delta_rule_step", "B", *arrays, state=state)
    return _advance(carried_along(state, value), writes, dtype=value.dtype)


def delta_rule(
    query: Array,
    key: Array,
    value: Array,
    beta: Array,
    log_decay: Array | None = None,
    initial_state: Array | None = None,
    *,
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
      log_decay: [B, T, N], or [B, T, N, K] for a decay of each key; at most 0; None for no decay.
      initial_state: S before the first step, [B, N, V, K]; zeros if None.
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
    writes, sizes = _check(
        function,
        "B T",
        query,
        key,
        value,
        beta,
        log_decay,
        removal_key,
        initial_state=initial_state,
    )
    if initial_state is None:
        initial_state = zero_memory(writes.value, sizes)
    state, dtype = carried_along(initial_state, writes.value), writes.value.dtype
    limits = check_limits(function, writes.query[..., 0], seq_lengths, resets)
    chosen = choose_form(function, implementation, chunk, IMPLEMENTATIONS, MEASURED)
    if chosen == "chunked":
        per_key = writes.log_decay is not None and writes.log_decay.shape[-1] > 1
        chunk = chunk or max((CHUNK_PER_KEY if per_key else CHUNK) // sizes["M"], 1)
        if writes.log_decay is not None:
            writes = writes._replace(log_decay=finite_log(writes.log_decay))
        one = partial(_run_chunk, dtype=dtype, reverse=reverse)

        def run(state: Array, writes: Writes) -> tuple[Array, Array]:
            return run_in_segments(
                function, one, state, writes, limits, segment=chunk, reverse=reverse
            )

        state, outputs = shielded(run, state, writes, limits, reverse)
        return outputs, state

    def steps(state: Array, part: Writes, limits: Limits) -> tuple[Array, Array]:
        return scan_steps(partial(_advance, dtype=dtype), state, part, limits, reverse=reverse)

    state, outputs = run_in_segments(function, steps, state, writes, limits, reverse=reverse)
    return outputs, state


class Writes(NamedTuple):
    """The arrays of one or of all steps, in one form; F and G are 1 or K, and ... is B or B T.

    query: [..., N, K]. key: [..., M, N, K]. value: [..., M, N, V]. beta: [..., M, N, G].
    log_decay: [..., N, F], or None. removal_key: [..., M, N, K], or None.
    """

    query: Array
    key: Array
    value: Array
    beta: Array
    log_decay: Array | None
    removal_key: Array | None


def _check(
    function: str,
    lead: str,
    query: Array,
    key: Array,
    value: Array,
    beta: Array,
    log_decay: Array | None,
    removal_key: Array | None,
    **state: Array | None,
) -> tuple[Writes, dict[str, int]]:
    """The arrays, and the sizes of the axes; `lead` names the axes before M and N."""
    ahead = len(lead.split())
    given = {
        "query": query,
        "key": key,
        "value": value,
        "beta": beta,
        "log_decay": log_decay,
        "removal_key": removal_key,
    }
    named = {name: jnp.asarray(array) for name, array in given.items() if array is not None}
    micro = f"{lead} M N" if named["key"].ndim == ahead + 3 else f"{lead} N"
    axes = {
        "query": f"{lead} N K",
        "key": f"{micro} K",
        "value": f"{micro} V",
        "beta": micro,
        "log_decay": f"{lead} N",
        "removal_key": f"{micro} K",
    }
    for name, allowed in (("beta", removal_key is not None), ("log_decay", True)):
        if allowed and name in named and named[name].ndim == len(axes[name].split()) + 1:
            axes[name] += " K"
    parts = {name: (array, "B N V K") for name, array in state.items() if array is not None}
    sizes = check_axes(function, **{n: (a, axes[n]) for n, a in named.items()}, **parts)
    check_floating(function, **named)
    sizes.setdefault("M", 1)
    for name in ("beta", "log_decay"):
        if name in named and not axes[name].endswith("K"):
            named[name] = named[name][..., None]
    if "M" not in micro:
        for name in {"key", "value", "beta", "removal_key"} & named.keys():
            named[name] = jnp.expand_dims(named[name], ahead)
    return Writes._make(named.get(name) for name in given), sizes


def _advance(state: Array, step: Writes, *, dtype: jnp.dtype) -> tuple[Array, Array]:
    """The step, for a state in the accumulator's dtype."""
    query, key, value, beta, log_decay, removal_key = _cast(step, dtype)
    decayed = state
    if log_decay is not None:
        decayed = state * jnp.exp(log_decay)[:, :, None]
    for n in range(key.shape[1]):
        k, v, b = key[:, n], value[:, n], beta[:, n]
        if removal_key is None:
            held = jnp.einsum("bnvk,bnk->bnv", decayed, k)
            state = decayed + (b * (v - held))[..., None] * k[:, :, None]
        else:
            r = removal_key[:, n]
            held = jnp.einsum("bnvk,bnk->bnv", state, r)
            state = decayed - held[..., None] * (b * r)[:, :, None] + v[..., None] * k[:, :, None]
        decayed = state
    return state, jnp.einsum("bnvk,bnk->bnv", state, query).astype(dtype)


def _cast(writes: Writes, dtype: jnp.dtype) -> Writes:
    return jax.tree.map(lambda array: array.astype(accumulator(dtype)), writes)


def _run_chunk(
    state: Array, part: Writes, limits: Limits, *, dtype: jnp.dtype, reverse: bool
) -> tuple[Array, Array]:
    """All steps of a chunk at once, arrays [C, B, ...]. Each write of a micro-step is a row.

    What the memory holds under the key of row i before its write is, with the writes w_j,

        x_i = S k_i + sum over j < i of w_j (k_j . k_i),    w_i = beta_i (v_i - x_i),

    each factor with its decay: a lower triangular system for all w at once. With a removal key r,

        x_i = S r_i + sum over j < i of w_j (beta_j r_j . r_i) + v_j (k_j . r_i),    w_i = -x_i.
    """
    micro, carried = part.key.shape[2], accumulator(dtype)
    part = in_order(_cast(part, dtype), limits, reverse)

    def rows(array: Array) -> Array:
        """[C, B, M, N, F] as [B, N, C M, F]."""
        array = array.transpose(1, 3, 0, 2, 4)
        return array.reshape(*array.shape[:2], -1, array.shape[-1])

    if part.log_decay is None:
        log_decay = jnp.zeros((1, 1, part.key.shape[0] * micro, 1), carried)
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
