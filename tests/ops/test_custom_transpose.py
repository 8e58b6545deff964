"""A linear function whose transpose is given."""

import functools

import jax
import jax.numpy as jnp
import numpy as np

from lstm_attn.ops.custom_transpose import with_transpose


def test_forward_mode_applies_and_reverse_mode_transposes_as_told():
    """Oracle: matrix products; the given transpose is three times the true one, which tells them
    apart, under jit, vmap and for two dtypes. Catches JAX's own transpose in its place."""
    rng = np.random.default_rng(0)
    matrix = jnp.asarray(rng.normal(size=(2, 3)), jnp.float32)
    point = jnp.asarray(rng.normal(size=(4, 3)), jnp.float32)

    @jax.custom_jvp
    def multiply(vector):
        return (matrix @ vector).astype(jnp.bfloat16)

    @multiply.defjvp
    def multiply_jvp(primals, tangents):
        out = multiply(*primals)
        moved = with_transpose(
            lambda matrix, vectors: ((matrix @ vectors[0]).astype(out.dtype), vectors[0][:1]),
            lambda matrix, outs: (3 * (matrix.T @ outs[0].astype(jnp.float32)),),
            matrix,
            tangents,
        )
        return out, moved[0]

    def scalar(vector):
        return jnp.sum(multiply(vector).astype(jnp.float32))

    pushed = jax.vmap(functools.partial(jax.jvp, multiply))((point,), (point,))[1]
    assert pushed.dtype == jnp.bfloat16
    np.testing.assert_allclose(pushed.astype(jnp.float32), point @ matrix.T, rtol=1e-2, atol=1e-2)
    pulled = jax.jit(jax.vmap(jax.grad(scalar)))(point)
    np.testing.assert_allclose(pulled, np.broadcast_to(3 * matrix.sum(0), (4, 3)), rtol=1e-6)
