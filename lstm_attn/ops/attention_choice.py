"""Which implementation of attention runs where: what "auto" takes, from what was measured."""

import jax

from lstm_attn.errors import UsageError, unknown_name

IMPLEMENTATIONS = ("auto", "dense", "chunked", "cudnn", "pallas")

# Platform -> the length from which "chunked" was faster than "dense", forward and backward, where
# neither queries nor keys were fewer. Two x86 cores, float32, jax 0.10.2, B x N from 4 to 128: from
# 128 on 1.1 to 7 times as fast (bfloat16 equal at 128); at 64 1.2 times, and 1.3 times as long to
# compile; for one query with a cache of 2,048 keys half as fast. A platform that is not here was
# not measured and gets "dense".
CHUNKED_FROM = {"cpu": 128}


def choose(implementation: str, query_shape: tuple[int, ...], key_shape: tuple[int, ...]) -> str:
    """The implementation for these arguments, [B, T, N, K] and [B, S, M, K]: never "auto".

    Raises:
      UsageError: a name that is not known, or an implementation that needs a GPU where JAX computes
        on something else.
    """
    if implementation not in IMPLEMENTATIONS:
        raise unknown_name("implementation", implementation, IMPLEMENTATIONS)
    platform = jax.default_backend()
    if implementation in ("cudnn", "pallas") and platform != "gpu":
        raise UsageError(
            f"dot_product_attention: implementation={implementation!r} expected a GPU, "
            f"but JAX computes on {platform!r} here"
        )
    if 0 in (*query_shape, *key_shape):
        return "dense"  # there is nothing to cut, and no kernel is asked to do it
    if implementation != "auto":
        return implementation
    shortest = min(query_shape[1], key_shape[1])
    threshold = CHUNKED_FROM.get(platform)
    return "chunked" if threshold is not None and shortest >= threshold else "dense"
