"""The choice of implementation="auto" for recurrent layers and attention, from measurements."""

import math
from collections.abc import Callable
from typing import Any

import jax

from lstm_attn.errors import UsageError, check_whole, unknown_name

RECURRENT_IMPLEMENTATIONS = ("auto", "scan", "fused", "native")

# Platform -> the implementations that "auto" tries in this order, before "scan". Measured on two
# x86 cores (docs/performance.md): for none of five shapes was a later one faster. Other
# platforms were not measured.
MEASURED = {"cpu": ("native", "fused")}


Obstacle = Callable[[], str | None]


def choose_recurrent(function: str, implementation: str, obstacles: dict[str, Obstacle]) -> str:
    """The implementation to run: never "auto".

    Args:
      obstacles: implementation -> a function that says why it can't run here, or None if it can.
        Only the ones that may be chosen are called: nobody who names another looks for a kernel.

    Raises:
      UsageError: an unknown name, or an implementation that can't run here, and why.
    """
    if implementation not in RECURRENT_IMPLEMENTATIONS:
        raise unknown_name(f"{function}: implementation", implementation, RECURRENT_IMPLEMENTATIONS)
    if implementation != "auto":
        if implementation in obstacles and (obstacle := obstacles[implementation]()):
            raise UsageError(f"{function}: implementation={implementation!r} {obstacle}")
        return implementation
    there = (name for name in MEASURED.get(jax.default_backend(), ()) if not obstacles[name]())
    return next(there, "scan")


def are_known(shape: tuple[Any, ...]) -> bool:
    """Whether all sizes are numbers; those of `jax.export.symbolic_shape` are not."""
    return all(isinstance(size, int) for size in shape)


ATTENTION_IMPLEMENTATIONS = ("auto", "dense", "chunked", "native", "cudnn", "pallas")

# Platform -> the least number of queries, and of keys, for which "native" was faster than the
# others, forward and backward. One x86 core with AVX-512, B x N from 1 to 512: from 8 on 1.1 to 9
# times as fast as "dense" and 1.4 to 5 times as "chunked"; below, the gradient was .9 to 1.3 times.
NATIVE_FROM = {"cpu": 8}

# Platform -> the same for "chunked" against "dense". Two x86 cores, float32, jax 0.10.2, B x N from
# 4 to 128: from 128 on 1.1 to 7 times as fast (bfloat16 equal at 128); at 64 1.2 times, but 1.3
# times as long to compile; for one query with a cache of 2,048 keys half as fast. Other platforms
# were not measured and get "dense".
CHUNKED_FROM = {"cpu": 128}


def choose_attention(
    implementation: str,
    query_shape: tuple[int, ...],
    key_shape: tuple[int, ...],
    native_obstacle: Callable[[], str | None],
) -> str:
    """The implementation for these arguments, [B, T, N, K] and [B, S, M, K]: never "auto".

    Args:
      native_obstacle: why "native" can't run here, or None; asked only where it might be chosen.

    Raises:
      UsageError: an unknown name, or an implementation that can't run here, and why.
    """
    if implementation not in ATTENTION_IMPLEMENTATIONS:
        raise unknown_name("implementation", implementation, ATTENTION_IMPLEMENTATIONS)
    platform = jax.default_backend()
    known = are_known((*query_shape, *key_shape))
    obstacle = None
    if implementation in ("cudnn", "pallas") and platform != "gpu":
        obstacle = f"expected a GPU, but JAX computes on {platform!r} here"
    if implementation == "native":
        obstacle = native_obstacle()
    if implementation == "chunked" and not known:
        obstacle = (
            f"expected sizes that are known, got query {query_shape} and key {key_shape}; 'auto' "
            "and 'dense' take them"
        )
    if obstacle:
        raise UsageError(f"dot_product_attention: implementation={implementation!r} {obstacle}")
    if not known:
        return "dense" if implementation == "auto" else implementation
    if 0 in (*query_shape, *key_shape):
        return "dense"  # empty arrays: no tiles, and no kernel is called
    if implementation != "auto":
        return implementation
    shortest = min(query_shape[1], key_shape[1])
    if shortest >= NATIVE_FROM.get(platform, math.inf) and not native_obstacle():
        return "native"
    return "chunked" if shortest >= CHUNKED_FROM.get(platform, math.inf) else "dense"


def choose_form(
    function: str,
    implementation: str,
    chunk: int | None,
    sizes: dict[str, Any],
    known: tuple[str, ...],
    measured: dict[str, str],
) -> tuple[str, int | None]:
    """The implementation of a linear recurrence to run, never "auto"; and the chunk.

    Args:
      chunk: the steps of a chunk, or None for the op's own choice; "auto" then takes "chunked".
      sizes: of the axes.
      known: the names that the op has.
      measured: platform -> the implementation that "auto" takes; on others, "scan".

    Raises:
      UsageError: an unknown name, a chunk that is no whole number or that nothing would use, or
        chunks of unknown sizes.
    """
    if implementation not in ("auto", *known):
        raise unknown_name(f"{function}: implementation", implementation, ("auto", *known))
    chosen = measured.get(jax.default_backend(), "scan")
    if implementation != "auto":
        chosen = implementation
    if chunk is not None:
        chunk = check_whole(f"{function}: chunk", chunk)
        if implementation not in ("auto", "chunked"):
            raise UsageError(
                f"{function}: chunk={chunk} expected implementation='chunked' or 'auto', "
                f"got {implementation!r}"
            )
        chosen = "chunked"
    if not are_known(tuple(sizes.values())):
        if implementation == "chunked":
            given = ", ".join(f"{letter}={size}" for letter, size in sizes.items())
            raise UsageError(
                f"{function}: implementation='chunked' expected sizes that are known, got {given}; "
                "'auto' and 'scan' take them"
            )
        return ("scan" if chosen == "chunked" else chosen), None
    if 0 in sizes.values():
        return "scan", None  # nothing to cut into chunks
    return chosen, chunk
