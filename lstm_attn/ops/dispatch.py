"""The choice of implementation="auto" for recurrent layers and attention, from measurements."""

import jax

from lstm_attn.errors import UsageError, check_whole, unknown_name

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
        backend.
    """
    if implementation not in ATTENTION_IMPLEMENTATIONS:
        raise unknown_name("implementation", implementation, ATTENTION_IMPLEMENTATIONS)
    platform = jax.default_backend()
    if implementation in ("cudnn", "pallas") and platform != "gpu":
        raise UsageError(
            f"dot_product_attention: implementation={implementation!r} expected a GPU, "
            f"but JAX computes on {platform!r} here"
        )
    if 0 in (*query_shape, *key_shape):
        return "dense"  # empty arrays: no tiles, and no kernel is called
    if implementation != "auto":
        return implementation
    shortest = min(query_shape[1], key_shape[1])
    threshold = CHUNKED_FROM.get(platform)
    return "chunked" if threshold is not None and shortest >= threshold else "dense"


def choose_form(
    function: str,
    implementation: str,
    chunk: int | None,
    known: tuple[str, ...],
    measured: dict[str, str],
) -> str:
    """The implementation of a linear recurrence to run: never "auto".

    Args:
      chunk: the steps of a chunk, or None for the op's own choice; "auto" then takes "chunked".
      known: the names that the op has.
      measured: platform -> the implementation that "auto" takes; on others, "scan".

    Raises:
      UsageError: an unknown name, or a chunk that is no whole number or that nothing would use.
    """
    if implementation not in ("auto", *known):
        raise unknown_name(f"{function}: implementation", implementation, ("auto", *known))
    if chunk is not None:
        check_whole(f"{function}: chunk", chunk)
        if implementation == "auto":
            return "chunked"
        if implementation != "chunked":
            raise UsageError(
                f"{function}: chunk={chunk} expected implementation='chunked' or 'auto', "
                f"got {implementation!r}"
            )
    if implementation != "auto":
        return implementation
    return measured.get(jax.default_backend(), "scan")
