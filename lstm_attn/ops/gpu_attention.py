"""JAX's attention kernels for GPUs, with checks that keep the contract of our op."""

import jax
import jax.numpy as jnp
from jax import Array

from lstm_attn.errors import UsageError


def check_plain(implementation: str, given: list[str]) -> None:
    """Raises UsageError for options that may leave a query without any key to attend to.

    Our op then gives zeros and zero gradients; the result of the kernels is undefined.
    """
    if given:
        raise UsageError(
            f"dot_product_attention: implementation={implementation!r} expected no "
            f"{' and no '.join(given)}; 'dense' and 'chunked' take them"
        )


def cudnn(query: Array, key: Array, value: Array, *, scale: float, is_causal: bool) -> Array:
    """cuDNN's flash attention through `jax.nn.dot_product_attention`.

    Args:
      query: [B, T, N, K], bfloat16 or float16.
      key: [B, S, M, K], value: [B, S, M, K], in the query's dtype.
      scale: of the logits.
      is_causal: query t attends to keys s <= t only.

    Returns:
      [B, T, N, K].

    Raises:
      UsageError: another dtype, or what cuDNN itself refuses, in its words.
    """
    if query.dtype not in (jnp.bfloat16, jnp.float16):
        raise UsageError(
            "dot_product_attention: implementation='cudnn' expected bfloat16 or float16, "
            f"got {query.dtype}"
        )
    try:
        return jax.nn.dot_product_attention(
            query, key, value, scale=scale, is_causal=is_causal, implementation="cudnn"
        )
    # JAX raises ValueError for a shape, and RuntimeError or a subclass of it where cuDNN is missing
    # or can't do this.
    except (ValueError, RuntimeError) as error:
        raise _refused("cudnn", error) from error


def pallas(query: Array, key: Array, value: Array, *, scale: float, is_causal: bool) -> Array:
    """The flash attention kernel of `jax.experimental.pallas.ops.gpu`.

    Args:
      query: [B, T, N, K], not float64.
      key: [B, T, N, K], value: [B, T, N, K], in the query's dtype; no grouped queries.
      scale: of the logits.
      is_causal: query t attends to keys s <= t only.

    Returns:
      [B, T, N, K].

    Raises:
      UsageError: other shapes or dtypes, or what the kernel itself refuses, in its words.
    """
    # Imported here, since importing Pallas takes a second and is rarely needed.
    from jax.experimental.pallas.ops.gpu import attention

    if query.shape != key.shape or query.dtype == jnp.float64:
        raise UsageError(
            "dot_product_attention: implementation='pallas' expected query and key of one shape "
            f"and at most 32 bits, got {query.dtype} {query.shape} and {key.shape}"
        )
    try:
        return attention.mha(query, key, value, None, sm_scale=scale, causal=is_causal)
    # The kernel raises only for lengths that its blocks don't divide.
    except ValueError as error:
        raise _refused("pallas", error) from error


def _refused(implementation: str, error: Exception) -> UsageError:
    words = " ".join(str(error).split())
    return UsageError(f"dot_product_attention: implementation={implementation!r}: {words}")
