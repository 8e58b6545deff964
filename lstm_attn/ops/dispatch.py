"""The choice of implementation="auto" for recurrent layers and attention, from measurements."""

from typing import Any

import jax

from lstm_attn.errors import UsageError, unknown_name

RECURRENT_IMPLEMENTATIONS = ("auto", "scan", "fused", "native")

# Platform -> the implementations that "auto" tries in this order, before "scan". Measured on two
# x86 cores (docs/performance.md): for none of five shapes was a later one faster. Other
# platforms were not measured.
MEASURED = {"cpu": ("native", "fused")}


def choose_recurrent(function: str, implementation: str, obstacles: dict[str, str | None]) -> str:
    """The implementation to run: never "auto".

    Args:
      obstacles: implementation -> why it can't run here, or None if it can.

    Raises:
      UsageError: an unknown name, or an implementation that can't run here, and why.
    """
    if implementation not in RECURRENT_IMPLEMENTATIONS:
        raise unknown_name(f"{function}: implementation", implementation, RECURRENT_IMPLEMENTATIONS)
    if implementation != "auto":
        if obstacle := obstacles.get(implementation):
            raise UsageError(f"{function}: implementation={implementation!r} {obstacle}")
        return implementation
    there = (name for name in MEASURED.get(jax.default_backend(), ()) if not obstacles[name])
    return next(there, "scan")


def are_known(shape: tuple[Any, ...]) -> bool:
    """Whether all sizes are numbers; those of `jax.export.symbolic_shape` are not."""
    return all(isinstance(size, int) for size in shape)


ATTENTION_IMPLEMENTATIONS = ("auto", "dense", "chunked", "cudnn", "pallas")

# Platform -> the least number of queries, and of keys, for which "chunked" was faster than "dense",
# forward and backward. Two x86 cores, float32, jax 0.10.2, B x N from 4 to 128: from 128 on 1.1 to
# 7 times as fast (bfloat16 equal at 128); at 64 1.2 times, but 1.3 times as long to compile; for
# one query with a cache of 2,048 keys half as fast. Other platforms were not measured and get
# "dense".
CHUNKED_FROM = {"cpu": 128}


def choose_attention(
    implementation: str, query_shape: tuple[int, ...], key_shape: tuple[int, ...]
) -> str:
    """The implementation for these arguments, [B, T, N, K] and [B, S, M, K]: never "auto".

    Raises:
      UsageError: an unknown name, or an implementation that needs a GPU where JAX has another
        backend, or tiles of arrays whose sizes are not known.
    """
    if implementation not in ATTENTION_IMPLEMENTATIONS:
        raise unknown_name("implementation", implementation, ATTENTION_IMPLEMENTATIONS)
    platform = jax.default_backend()
    if implementation in ("cudnn", "pallas") and platform != "gpu":
        raise UsageError(
            f"dot_product_attention: implementation={implementation!r} expected a GPU, "
            f"but JAX computes on {platform!r} here"
        )
    if not (are_known(query_shape) and are_known(key_shape)):
        if implementation == "chunked":
            raise UsageError(
                "dot_product_attention: implementation='chunked' expected sizes that are known, "
                f"got query {query_shape} and key {key_shape}; 'auto' and 'dense' take them"
            )
        return implementation if implementation != "auto" else "dense"
    if 0 in (*query_shape, *key_shape):
        return "dense"  # empty arrays: no tiles, and no kernel is called
    if implementation != "auto":
        return implementation
    shortest = min(query_shape[1], key_shape[1])
    threshold = CHUNKED_FROM.get(platform)
    return "chunked" if threshold is not None and shortest >= threshold else "dense"
