"""jax.nn.dot_product_attention with JAX's choice of implementation."""

import jax

from benchmarks import jitted
from benchmarks.contenders import Ready
from benchmarks.workloads import Attention


def attention(case: Attention) -> Ready:
    return jitted.attention(case, jax.nn.dot_product_attention)
