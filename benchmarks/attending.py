"""Our dot-product attention by implementation, and JAX's own."""

from collections.abc import Callable
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from benchmarks import jitted
from benchmarks.contenders import Ready
from benchmarks.workloads import Attention
from lstm_attn import ops

GRADIENTS = ("query", "key", "value")


def ours(case: Attention, implementation: str) -> Ready:
    def attend(query: Array, key: Array, value: Array) -> Array:
        return ops.dot_product_attention(
            query, key, value, is_causal=case.is_causal, implementation=implementation
        )

    return _jitted(case, attend)


def jax_own(case: Attention) -> Ready:
    """jax.nn.dot_product_attention with JAX's choice of implementation."""

    def attend(query: Array, key: Array, value: Array) -> Array:
        return jax.nn.dot_product_attention(query, key, value, is_causal=case.is_causal)

    return _jitted(case, attend)


def arrays(case: Attention) -> list[np.ndarray]:
    """Query, key and value [B, T, N, K], standard normal."""
    generator = np.random.default_rng(0)
    shape = (case.batch, case.length, case.heads, case.features)
    return [generator.standard_normal(shape, np.float32) for _ in GRADIENTS]


def _jitted(case: Attention, attend: Callable[..., Array]) -> Ready:
    def loss(*given: Array) -> Array:
        return jnp.mean(attend(*given) ** 2)

    given = [jnp.asarray(array) for array in arrays(case)]
    function = attend if case.direction == "forward" else jax.grad(loss, argnums=(0, 1, 2))
    compiled, seconds = jitted.compile_timed(jax.jit(function), *given)
    results = compiled(*given)
    if case.direction == "forward":
        values = {"outputs": np.asarray(results)}
    else:
        values = {name: np.asarray(a) for name, a in zip(GRADIENTS, results, strict=True)}
    return Ready(
        partial(jitted.complete, compiled, *given),
        values,
        compile_seconds=seconds,
        temporary_bytes=jitted.temporary_bytes(compiled),
    )
