"""Additive attention, and pooling of a sequence by attention."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import Array

from lstm_attn.errors import UsageError
from lstm_attn.ops.attention import masked_softmax
from lstm_attn.ops.checks import accumulator, carried_along, check_axes, check_floating
from lstm_attn.ops.placement import zeros_by_row


def additive_attention(
    query: Array, key: Array, value: Array, score: Array, mask: Array | None = None
) -> Array:
    """Additive attention with one head.

        out_t = sum_s softmax_s(v . tanh(q_t + k_s)) value_s    over the s that t may attend to

    The paper's W_a s and U_a h are the queries and keys given here. Forms [B, T, S, D].

    Args:
      query: q [B, T, D].
      key: k [B, S, D].
      value: [B, S, H].
      score: v [D].
      mask: boolean, True where a query may attend, [B, T, S] or [T, S].

    Returns:
      [B, T, H] in the query's dtype; logits, softmax and sums are float32, or float64 for a float64
      query. A query that may attend to nothing gives zeros. What is in such a query, and in a key
      and value to which no query may attend, reaches neither values nor gradients.

    Raises:
      ValueError: a size that does not fit, or a mask that is not boolean, on one line.

    Source: Bahdanau, Cho & Bengio 2015, appendix A.1.2.
    """
    sizes = check_axes(
        "additive_attention",
        query=(query, "B T D"),
        key=(key, "B S D"),
        value=(value, "B S H"),
        score=(score, "D"),
    )
    check_floating("additive_attention", query=query, key=key, value=value)
    if mask is not None:
        wanted = tuple(sizes[axis] for axis in "BTS")
        if mask.shape not in (wanted, wanted[1:]) or mask.dtype != jnp.bool_:
            raise UsageError(
                f"additive_attention: mask [B, T, S] expected boolean {wanted} or {wanted[1:]}, "
                f"got {mask.dtype} {mask.shape}"
            )
    compute, accumulate = query.dtype, accumulator(query.dtype)
    if mask is not None:
        # Zero times NaN is NaN: what nothing sees must not enter a product.
        mask = jnp.broadcast_to(mask, (sizes["B"], sizes["T"], sizes["S"]))
        sees, seen = mask.any(axis=2)[..., None], mask.any(axis=1)[..., None]
        query = jnp.where(sees, query, 0)
        key, value = jnp.where(seen, key, 0), jnp.where(seen, value, 0)
    hidden = jnp.tanh(query[:, :, None] + key[:, None].astype(compute))
    logits = jnp.einsum(
        "BTSD,D->BTS", hidden, score.astype(compute), preferred_element_type=accumulate
    )
    if mask is not None and mask.ndim < logits.ndim:
        mask = mask[None]
    weights = masked_softmax(logits, mask).astype(compute)
    out = jnp.einsum(
        "BTS,BSH->BTH", weights, value.astype(compute), preferred_element_type=accumulate
    )
    if mask is not None:
        out = jnp.where(sees, out, 0)
    return out.astype(compute)


class PoolingState(NamedTuple):
    """A softmax over the steps so far: its largest logit [B], its sum [B], its weighted sum [B, H].

    Sums are of exp(logit - largest), so that none overflows.
    """

    largest: Array
    total: Array
    weighted: Array


def empty_pooling_state(inputs: Array, features: int) -> PoolingState:
    """The state before the first step, for inputs [B, ...] and that many features.

    In the dtype of their accumulator, on the same devices.
    """
    dtype = accumulator(inputs.dtype)
    zeros = zeros_by_row(inputs, dtype=dtype)
    return PoolingState(
        jnp.full_like(zeros, jnp.finfo(dtype).min),
        zeros,
        zeros_by_row(inputs, features, dtype=dtype),
    )


def attention_pooling(
    logits: Array, values: Array, initial_state: PoolingState | None = None
) -> tuple[Array, PoolingState]:
    """Each step's softmax-weighted mean of the values so far, in one pass.

        out_t = sum_{s <= t} exp(e_s) value_s / sum_{s <= t} exp(e_s)

    The last step gives the context vector of feed-forward attention. Each logit depends only on its
    own step, so one pass serves all steps, O(T) in time and memory.

    Args:
      logits: e [B, T]; -inf hides a step, whatever its value. Before the first visible step, out
        is zero.
      values: [B, T, H].
      initial_state: the state after earlier steps; None if there are none.

    Returns:
      [B, T, H] in the dtype of the values, and the state after the last step, in float32 or for
      float64 values in float64.

    Raises:
      ValueError: a size that does not fit, naming the array, what was expected and what came.

    Source: Raffel & Ellis 2015, section 2, over the past alone.
    """
    sizes = check_axes("attention_pooling", logits=(logits, "B T"), values=(values, "B T H"))
    check_floating("attention_pooling", logits=logits, values=values)
    dtype = accumulator(values.dtype)
    if initial_state is None:
        initial_state = empty_pooling_state(values, sizes["H"])
    elif not isinstance(initial_state, PoolingState):
        raise UsageError(
            "attention_pooling: initial_state expected PoolingState(largest, total, weighted), "
            f"got {type(initial_state).__name__}"
        )
    check_axes(
        "attention_pooling",
        values=(values, "B T H"),
        largest=(initial_state.largest, "B"),
        total=(initial_state.total, "B"),
        weighted=(initial_state.weighted, "B H"),
    )

    def advance(state: PoolingState, step: tuple[Array, Array]) -> tuple[PoolingState, Array]:
        logit, value = step
        largest = jnp.maximum(state.largest, logit)
        old, new = jnp.exp(state.largest - largest), jnp.exp(logit - largest)
        total = state.total * old + new
        weighted = state.weighted * old[:, None] + value * new[:, None]
        out = weighted / jnp.where(total > 0, total, 1)[:, None]
        return PoolingState(largest, total, weighted), out

    # Zero times NaN is NaN: a weight of zero does not hide a value.
    values = jnp.where((logits == -jnp.inf)[..., None], 0, values)
    before = carried_along(initial_state, values)
    steps = (logits.astype(dtype).swapaxes(0, 1), values.astype(dtype).swapaxes(0, 1))
    after, out = jax.lax.scan(advance, before, steps)
    return out.swapaxes(0, 1).astype(values.dtype), after
