"""One step of the delta rule: a matrix memory that erases what it held under a key, then writes."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import Array

from lstm_attn.ops.checks import accumulator, carried_along, check_axes, check_floating
from lstm_attn.ops.memory_decay import check_one_decay, factor_of


class Writes(NamedTuple):
    """The arrays of one or of all steps, in one form; F and G are 1 or K, and ... is B or B T.

    query: [..., N, K]. key: [..., M, N, K]. value: [..., M, N, V]. beta: [..., M, N, G].
    decay, log_decay: [..., N, F], or None. removal_key: [..., M, N, K], or None.
    """

    query: Array
    key: Array
    value: Array
    beta: Array
    decay: Array | None
    log_decay: Array | None
    removal_key: Array | None

    @property
    def has_decay_of_each_key(self) -> bool:
        decay = self.log_decay if self.decay is None else self.decay
        return decay is not None and decay.shape[-1] > 1


def delta_rule_step(
    state: Array,
    query: Array,
    key: Array,
    value: Array,
    beta: Array,
    decay: Array | None = None,
    *,
    log_decay: Array | None = None,
    removal_key: Array | None = None,
) -> tuple[Array, Array]:
    """One step of the delta rule.

        S' = S Diag(a) (I - beta k k^T) + beta v k^T,    o = S' q

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
      decay: a [B, N], or [B, N, K] for a decay of each key; from 0 to 1. None for no decay.
      log_decay: log a, at most 0, instead of a; see `ops.delta_rule`.
      removal_key: r, of the shape of the key.

    Returns:
      The next S, float32 or for float64 values float64, and o [B, N, V] in the dtype of the values.
      All arithmetic is in the dtype of the state.

    Raises:
      ValueError: a size or a dtype that does not fit; both decay and log_decay.

    Source: Schlag et al. 2021; Yang et al. 2025 (Gated DeltaNet); Grazzi et al. 2025 for
    beta up to 2; Siems et al. 2025 (DeltaProduct) for micro-steps; Peng et al. 2025 (RWKV-7).
    """
    arrays = query, key, value, beta, decay, log_decay, removal_key
    writes, _ = check_writes("delta_rule_step", "B", *arrays, state=state)
    return advance(carried_along(state, writes.value), writes, dtype=writes.value.dtype)


def check_writes(
    function: str,
    lead: str,
    query: Array,
    key: Array,
    value: Array,
    beta: Array,
    decay: Array | None,
    log_decay: Array | None,
    removal_key: Array | None,
    **state: Array | None,
) -> tuple[Writes, dict[str, int]]:
    """The arrays, and the sizes of the axes; `lead` names the axes before M and N."""
    ahead = len(lead.split())
    check_one_decay(function, decay, log_decay)
    given = {
        "query": query,
        "key": key,
        "value": value,
        "beta": beta,
        "decay": decay,
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
        "decay": f"{lead} N",
        "log_decay": f"{lead} N",
        "removal_key": f"{micro} K",
    }
    for name, allowed in (("beta", removal_key is not None), ("decay", True), ("log_decay", True)):
        if allowed and name in named and named[name].ndim == len(axes[name].split()) + 1:
            axes[name] += " K"
    parts = {name: (array, "B N V K") for name, array in state.items() if array is not None}
    sizes = check_axes(function, **{n: (a, axes[n]) for n, a in named.items()}, **parts)
    check_floating(function, **named)
    sizes.setdefault("M", 1)
    for name in ("beta", "decay", "log_decay"):
        if name in named and not axes[name].endswith("K"):
            named[name] = named[name][..., None]
    if "M" not in micro:
        for name in {"key", "value", "beta", "removal_key"} & named.keys():
            named[name] = jnp.expand_dims(named[name], ahead)
    return Writes._make(named.get(name) for name in given), sizes


def advance(state: Array, step: Writes, *, dtype: jnp.dtype) -> tuple[Array, Array]:
    """The step, for a state in the accumulator's dtype."""
    query, key, value, beta, decay, log_decay, removal_key = cast(step, dtype)
    factor = factor_of(decay, log_decay)
    decayed = state if factor is None else state * factor[:, :, None]
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
    return decayed, jnp.einsum("bnvk,bnk->bnv", decayed, query).astype(dtype)


def cast(writes: Writes, dtype: jnp.dtype) -> Writes:
    """In the dtype that sums over numbers of this dtype are in."""
    return jax.tree.map(lambda array: array.astype(accumulator(dtype)), writes)
