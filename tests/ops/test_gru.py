"""The GRU against its equations, flax.linen and finite differences."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import linen as nn
from hypothesis import given
from hypothesis import strategies as st
from jax.test_util import check_grads

from lstm_attn import ops
from tests import oracles


def random_case(seed, batch, length, features_in, features, dtype=np.float64):
    rng = np.random.default_rng(seed)

    def draw(*shape):
        return rng.normal(size=shape).astype(dtype)

    width = 3 * features
    params = ops.GRUParams(
        draw(features_in, width), draw(features, width), draw(width), draw(width)
    )
    return params, draw(batch, length, features_in), draw(batch, features)


sizes = st.tuples(*[st.integers(1, 5)] * 4)


@given(sizes=sizes, seed=st.integers(0, 2**16))
def test_gru_matches_equations_in_float64(sizes, seed):
    """Oracle: cuDNN's equations, gate by gate. Catches z and 1 - z exchanged, a bias inside r."""
    params, inputs, state = random_case(seed, *sizes)
    expected, last = oracles.gru(*params, inputs, state)
    with jax.enable_x64(True):
        outputs, h = ops.gru(params, jnp.asarray(inputs), jnp.asarray(state))
    np.testing.assert_allclose(outputs, expected, rtol=1e-12, atol=1e-12)
    np.testing.assert_allclose(h, last, rtol=1e-12, atol=1e-12)


def test_gru_matches_flax_linen_with_the_same_parameters():
    """Oracle: flax.linen, which has no recurrent bias but that of n."""
    params, inputs, _ = random_case(1, 3, 7, 5, 4, np.float32)
    params = params._replace(recurrent_bias=params.recurrent_bias * np.repeat([0, 0, 1], 4))
    params = jax.tree.map(lambda p: p.astype(np.float32), params)

    def block(fused, name):
        return oracles.gate(fused, "rzn", name).astype(np.float32)

    theirs = {
        f"i{n}": {"kernel": block(params.kernel, n), "bias": block(params.bias, n)} for n in "rzn"
    } | {f"h{n}": {"kernel": block(params.recurrent_kernel, n)} for n in "rzn"}
    theirs["hn"]["bias"] = block(params.recurrent_bias, "n")
    carry, expected = nn.RNN(nn.GRUCell(4), return_carry=True).apply(
        {"params": {"cell": theirs}}, inputs
    )
    outputs, h = ops.gru(params, inputs)
    np.testing.assert_allclose(outputs, expected, atol=oracles.LAYER)
    np.testing.assert_allclose(h, carry, atol=oracles.LAYER)


def test_gradients_match_finite_differences(float64):
    """Oracle: central differences in float64. Catches a wrong gradient of parameters or state."""
    case = random_case(2, 2, 4, 3, 2)

    def scalar(params, inputs, state):
        outputs, h = ops.gru(params, inputs, state)
        return jnp.sum(jnp.sin(outputs)) + jnp.sum(h * h)

    check_grads(scalar, jax.tree.map(jnp.asarray, case), order=1, modes=["fwd", "rev"], eps=1e-6)


def test_a_step_is_a_sequence_of_one(float64):
    """Oracle: the equations for one step. Catches a step that differs from the scan's."""
    params, inputs, state = random_case(3, 2, 1, 3, 4)
    expected, last = oracles.gru(*params, inputs, state)
    h, output = ops.gru_step(params, state, inputs[:, 0])
    np.testing.assert_allclose(output, expected[:, 0], rtol=1e-12)
    np.testing.assert_allclose(h, last, rtol=1e-12)


def test_a_size_that_does_not_fit_is_one_line():
    """Catches an error that names neither the array nor what was expected."""
    params = ops.GRUParams(*(jnp.zeros(shape) for shape in [(3, 12), (4, 12), (12,), (4,)]))
    message = r"^gru: recurrent_bias \[3H\] expected shape \(12\), got \(4,\)$"
    with pytest.raises(ValueError, match=message):
        ops.gru(params, jnp.zeros((2, 5, 3)))


@given(sizes=sizes, seed=st.integers(0, 2**16))
@pytest.mark.full
def test_the_reset_before_the_product_is_the_papers_gru(sizes, seed):
    """Oracle: equations 5 to 8 of Cho et al. 2014. Catches a reset that acts on the product."""
    params, inputs, state = random_case(seed, *sizes)
    expected = oracles.gru_reset_before(*params, inputs, state)
    with jax.enable_x64(True):
        outputs, h = ops.gru(params, jnp.asarray(inputs), jnp.asarray(state), reset_after=False)
        step, _ = ops.gru_step(params, state, inputs[:, 0], reset_after=False)
    np.testing.assert_allclose(outputs, expected, rtol=1e-12, atol=1e-12)
    np.testing.assert_allclose(h, expected[:, -1], rtol=1e-12, atol=1e-12)
    np.testing.assert_allclose(step, expected[:, 0], rtol=1e-12, atol=1e-12)


def test_whole_numbers_are_refused():
    """Catches kernels rounded to the integers of one-hot inputs."""
    params, inputs, _ = random_case(5, 2, 4, 3, 4, np.float32)
    with pytest.raises(ValueError, match="gru: inputs expected floating numbers, got int32"):
        ops.gru(params, inputs.astype(np.int32))
