"""The dtypes of a module, named as in flax, and dense products.

dtype: of products and outputs; None promotes the dtype of the inputs with param_dtype.
param_dtype: of stored parameters. Sums, gates, recurrent carries and the statistics of softmax and
normalisation stay in float32 for every dtype (see `ops.checks`); a key-value cache, which holds
operands of products, is in dtype. float16 ends at 65,504: inputs of 10,000 can overflow gradients
in float16, but not in bfloat16.
"""

import math
from typing import Any

import jax
import jax.numpy as jnp
from jax import Array, lax

Dtype = Any


def compute_dtype(inputs: Array, dtype: Dtype | None, param_dtype: Dtype) -> jnp.dtype:
    """dtype, or if None the dtype to which inputs and parameters promote."""
    if dtype is not None:
        return jnp.dtype(dtype)
    # Explicit, so that dtype=None also works where the caller forbids silent promotion.
    with jax.numpy_dtype_promotion("standard"):
        return jnp.promote_types(jnp.result_type(inputs), param_dtype)


def flat_product(
    inputs: Array, kernel: Array, dimension_numbers: Any, precision: Any = None
) -> Array:
    """inputs [..., D] times kernel [D, O], [..., O]: for the `dot_general` of a flax.linen.Dense.

    If the leading axes are not flattened, the gradient of the kernel sums over all of them, and
    XLA's CPU compiler first copies a factor to transpose it: a layer of 448 units on
    [16, 128, 112], and one of 112 units on its outputs, took twice the time, forward and backward.
    """
    assert dimension_numbers == (((inputs.ndim - 1,), (0,)), ((), ())), dimension_numbers
    *leading, features = inputs.shape
    rows = inputs.reshape(math.prod(leading), features)
    product = lax.dot_general(rows, kernel, (((1,), (0,)), ((), ())), precision=precision)
    return product.reshape(*leading, kernel.shape[1])
