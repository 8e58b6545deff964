"""What this machine can do: its matmul rate and its memory bandwidth, as contenders themselves.

They take their turns among the others, so that the floor of a row is of the same minutes.
"""

import functools
import time
from collections.abc import Callable

import jax
import jax.numpy as jnp

from benchmarks.contenders import Contender, Ready
from benchmarks.jitted import complete

MATMUL = Contender("matmul", "benchmarks.machine", "matmul", is_ours=True)
BANDWIDTH = Contender("bandwidth", "benchmarks.machine", "bandwidth", is_ours=True)
MATMUL_SIZES = (512, 1024, 2048)
STREAMED_BYTES = 2**28


def matmul(case: object) -> Ready:
    """The product of two square float32 matrices of the size with the highest rate, all cores."""
    rates, runs = {}, {}
    for size in MATMUL_SIZES:
        matrix = jnp.ones((size, size), jnp.float32) / size
        product = jax.jit(jnp.matmul).lower(matrix, matrix).compile()
        runs[size] = functools.partial(complete, product, matrix, matrix)
        rates[size] = 2 * size**3 / min(_seconds(runs[size]) for _ in range(4))
    best = max(rates, key=rates.__getitem__)
    return Ready(runs[best], {}, work=(2 * best**3, 0))


def bandwidth(case: object) -> Ready:
    """x + 1 in place of an array too large for the caches: read once, written once."""
    held = [jnp.zeros(STREAMED_BYTES // 4, jnp.float32)]
    add_one = jax.jit(lambda x: x + 1, donate_argnums=0).lower(held[0]).compile()

    def run() -> None:
        held[0] = jax.block_until_ready(add_one(held[0]))

    return Ready(run, {}, work=(0, 2 * STREAMED_BYTES))


def _seconds(run: Callable[[], None]) -> float:
    began = time.perf_counter()
    run()
    return time.perf_counter() - began
