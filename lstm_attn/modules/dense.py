"""Compute dtype and parameter dtype of a module, as flax names them.

dtype: what products are computed in and outputs have; None promotes that of the inputs with
param_dtype. param_dtype: what parameters are stored in. Sums, gates, recurrent carries and the
statistics of softmax and normalisation stay in float32 whatever dtype says (see `ops.checks`);
a key-value cache, which holds operands of products, is in dtype. float16 ends at 65,504: inputs of
10,000 can overflow its gradients, those of bfloat16 not.
"""

import math
from typing import Any

import jax
import jax.numpy as jnp
from jax import Array, lax

Dtype = Any


def compute_dtype(inputs: Array, dtype: Dtype | None, param_dtype: Dtype) -> jnp.dtype:
    """dtype, or that to which inputs and parameters promote."""
    if dtype is not None:
        return jnp.dtype(dtype)
    # Asked for by name, so that a caller who forbids silent promotion can still leave dtype out.
    with jax.numpy_dtype_promotion("standard"):
        return jnp.promote_types(jnp.result_type(inputs), param_dtype)


def flat_product(
    inputs: Array, kernel: Array, dimension_numbers: Any, precision: Any = None
) -> Array:
    """inputs [..., D] times kernel [D, O], [..., O]: for the `dot_general` of a flax.linen.Dense.

    With the axes before D left apart, the gradient of the kernel sums over all of them, for which
    XLA's CPU compiler first writes the other factor anew, transposed: a layer of 448 units on
    [16, 128, 112] and one of 112 on its outputs took twice the time, forward and backward.
    """
    assert dimension_numbers == (((inputs.ndim - 1,), (0,)), ((), ())), dimension_numbers
    *leading, features = inputs.shape
    rows = inputs.reshape(math.prod(leading), features)
    product = lax.dot_general(rows, kernel, (((1,), (0,)), ((), ())), precision=precision)
    return product.reshape(*leading, kernel.shape[1])
