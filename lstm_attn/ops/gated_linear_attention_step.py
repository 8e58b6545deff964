"""One step of linear attention with decay: a matrix memory to which each step adds; with gates, the
mLSTM."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax import Array, lax

from lstm_attn.errors import UsageError
from lstm_attn.ops.checks import accumulator, carried_along, check_axes, check_floating
from lstm_attn.ops.memory_decay import check_one_decay, factor_of

# The least normaliser, over the largest weight: what is below is rounding of a sum that cancels.
LEAST_NORMALISER = 1e-6


class NormalisedMemory(NamedTuple):
    """The state of an mLSTM over exp(log_scale): memory S [B, N, V, K], normaliser n [B, N, K], and
    log_scale m [B, N], at least 0. Zeros are the empty state. A derivative is that of S exp(m)."""

    memory: Array
    normaliser: Array
    log_scale: Array


class Reads(NamedTuple):
    """The arrays of one or of all steps; F is 1 or K, and ... is B or B T.

    query, key: [..., N, K]. value: [..., N, V]. decay, log_decay: [..., N, F], or None.
    log_input_gate: [..., N, 1], or None.
    """

    query: Array
    key: Array
    value: Array
    decay: Array | None
    log_decay: Array | None
    log_input_gate: Array | None

    @property
    def has_decay_of_each_key(self) -> bool:
        decay = self.log_decay if self.decay is None else self.decay
        return decay is not None and decay.shape[-1] > 1


def gated_linear_attention_step(
    state: Array | NormalisedMemory,
    query: Array,
    key: Array,
    value: Array,
    decay: Array | None = None,
    *,
    log_decay: Array | None = None,
    log_input_gate: Array | None = None,
) -> tuple[Any, Array]:
    """One step of linear attention with decay.

        S' = S Diag(a) + v k^T,    o = S' q

    With an input gate i = exp(log_input_gate), the step of an mLSTM:

        S' = a S + i v k^T,    n' = a n + i k,    o = S' q / max(|n' . q|, 1)

    computed with S and n over exp(m), where m' = max(log a + m, log i, 0), so that no exponential
    overflows. No output depends on m.

    Args:
      state: S [B, N, V, K], or with an input gate NormalisedMemory.
      query, key: q and k [B, N, K]; neither is scaled.
      value: v [B, N, V].
      decay: a [B, N], or [B, N, K] for a decay of each key; from 0 to 1. None for no decay.
      log_decay: log a, at most 0, instead of a; see `ops.gated_linear_attention`.
      log_input_gate: log i [B, N], with a log_decay [B, N].

    Returns:
      The next state, float32 or for float64 values float64, and o [B, N, V] in the dtype of the
      values. All arithmetic is in the dtype of the state.

    Raises:
      ValueError: a size or a dtype that does not fit; both decay and log_decay.

    Source: Yang et al. 2024 (gated linear attention); Dao & Gu 2024 (Mamba-2) for one decay a head;
    Beck et al. 2024 (xLSTM) for the mLSTM, where the maximum of m has no 0.
    """
    function = "gated_linear_attention_step"
    arrays = query, key, value, decay, log_decay, log_input_gate
    reads, _ = check_reads(function, "B N", *arrays, state)
    return advance(carried_along(state, reads.value), reads, dtype=reads.value.dtype)


def check_reads(
    function: str,
    lead: str,
    query: Array,
    key: Array,
    value: Array,
    decay: Array | None,
    log_decay: Array | None,
    log_input_gate: Array | None,
    state: Array | NormalisedMemory | None,
) -> tuple[Reads, dict[str, int]]:
    """The arrays, and the sizes of the axes; `lead` names the axes that all of them have."""
    check_one_decay(function, decay, log_decay)
    given = {
        "query": query,
        "key": key,
        "value": value,
        "decay": decay,
        "log_decay": log_decay,
        "log_input_gate": log_input_gate,
    }
    named = {name: jnp.asarray(array) for name, array in given.items() if array is not None}
    has_gate = "log_input_gate" in named
    per_head = len(lead.split())
    each_key = {n for n in ("decay", "log_decay") if n in named and named[n].ndim == per_head + 1}
    if has_gate and (each_key or "decay" in named):
        name = "decay" if "decay" in named else "log_decay"
        raise UsageError(
            f"{function}: log_decay [{', '.join(lead.split())}] expected with log_input_gate, "
            f"got {name} of shape {named[name].shape}"
        )
    axes = dict.fromkeys(given, lead) | {"query": f"{lead} K", "key": f"{lead} K"}
    axes |= {"value": f"{lead} V"} | dict.fromkeys(each_key, f"{lead} K")
    arrays = {name: (array, axes[name]) for name, array in named.items()}
    sizes = check_axes(function, **arrays, **_parts(function, state, has_gate))
    check_floating(function, **named)
    for name in {"decay", "log_decay", "log_input_gate"} & named.keys() - each_key:
        named[name] = named[name][..., None]
    if has_gate and log_decay is None:
        named["log_decay"] = jnp.zeros_like(named["log_input_gate"])
    return Reads._make(named.get(name) for name in given), sizes


def _parts(
    function: str, state: Array | NormalisedMemory | None, has_gate: bool
) -> dict[str, tuple[Array, str]]:
    """The arrays of a state by name, with their axes."""
    if state is None:
        return {}
    if isinstance(state, NormalisedMemory) != has_gate:
        wanted = "NormalisedMemory, with log_input_gate," if has_gate else "an array"
        raise UsageError(f"{function}: state expected {wanted} got {type(state).__name__}")
    if not isinstance(state, NormalisedMemory):
        return {"state": (state, "B N V K")}
    of_parts = {"memory": "B N V K", "normaliser": "B N K", "log_scale": "B N"}
    return {name: (getattr(state, name), letters) for name, letters in of_parts.items()}


def advance(state: Any, step: Reads, *, dtype: jnp.dtype) -> tuple[Any, Array]:
    """The step, for a state in the accumulator's dtype."""
    query, key, value, decay, log_decay, log_gate = cast(step, dtype)
    if log_gate is None:
        factor = factor_of(decay, log_decay)
        decayed = state if factor is None else state * factor[:, :, None]
        memory = decayed + value[..., None] * key[:, :, None]
        return memory, jnp.einsum("bnvk,bnk->bnv", memory, query).astype(dtype)
    m = state.log_scale[..., None]
    scale = no_less_than_zero(jnp.maximum(log_decay + m, log_gate))
    kept, written = jnp.exp(log_decay + m - scale), jnp.exp(log_gate - scale)
    key = written * key
    memory = kept[..., None] * state.memory + value[..., None] * key[:, :, None]
    normaliser = kept * state.normaliser + key
    outputs = jnp.einsum("bnvk,bnk->bnv", memory, query)
    total = jnp.sum(normaliser * query, axis=-1, keepdims=True)
    outputs = outputs / normaliser_of(total, scale)
    return NormalisedMemory(memory, normaliser, scale[..., 0]), outputs.astype(dtype)


def no_less_than_zero(log_scale: Array) -> Array:
    """The log scale of a step: a constant to every derivative, as no output depends on it."""
    return lax.stop_gradient(jnp.maximum(log_scale, 0))


def normaliser_of(total: Array, log_scale: Array) -> Array:
    """max(|n . q|, 1) over exp(log_scale)."""
    least = jnp.maximum(jnp.exp(-log_scale), LEAST_NORMALISER)
    return jnp.maximum(jnp.abs(total), least)


def cast(reads: Reads, dtype: jnp.dtype) -> Reads:
    """In the dtype that sums over numbers of this dtype are in."""
    return jax.tree.map(lambda array: array.astype(accumulator(dtype)), reads)
