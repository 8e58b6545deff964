"""The LSTM against its equations, flax.linen and finite differences."""

import collections

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import linen as nn
from hypothesis import given
from hypothesis import strategies as st
from jax.test_util import check_grads

from lstm_attn import ops
from lstm_attn.errors import UsageError
from tests import oracles


def random_case(seed, batch, length, features_in, features, dtype=np.float64):
    rng = np.random.default_rng(seed)

    def draw(*shape):
        return rng.normal(size=shape).astype(dtype)

    params = ops.LSTMParams(
        draw(features_in, 4 * features), draw(features, 4 * features), draw(4 * features)
    )
    state = ops.LSTMState(draw(batch, features), draw(batch, features))
    return params, draw(batch, length, features_in), state


sizes = st.tuples(*[st.integers(1, 5)] * 4)


@given(sizes=sizes, seed=st.integers(0, 2**16))
def test_lstm_matches_equations_in_float64(sizes, seed):
    """Oracle: the articles' equations, gate by gate. Catches swapped gates, a lost bias or state."""
    params, inputs, state = random_case(seed, *sizes)
    expected, h, c = oracles.lstm(*params, inputs, *state)
    with jax.enable_x64(True):
        outputs, last = ops.lstm(
            params, jnp.asarray(inputs), ops.LSTMState(*map(jnp.asarray, state))
        )
    np.testing.assert_allclose(outputs, expected, rtol=1e-12, atol=1e-12)
    np.testing.assert_allclose(last.h, h, rtol=1e-12, atol=1e-12)
    np.testing.assert_allclose(last.c, c, rtol=1e-12, atol=1e-12)


def test_lstm_in_float32_stays_near_float64():
    """Oracle: the same equations in float64. Catches a lost accumulator or a lower precision."""
    params, inputs, _ = random_case(0, 3, 40, 5, 8, np.float32)
    zeros = np.zeros((3, 8))
    expected, *_ = oracles.lstm(*params, inputs, zeros, zeros)
    outputs, _ = ops.lstm(params, inputs)
    assert outputs.dtype == jnp.float32
    np.testing.assert_allclose(outputs, expected, atol=oracles.MODEL)


def test_a_step_is_a_sequence_of_one(float64):
    """Oracle: the articles' equations for one step. Catches a step that differs from the scan's."""
    params, inputs, state = random_case(1, 2, 1, 3, 4)
    expected, h, c = oracles.lstm(*params, inputs, *state)
    after, output = ops.lstm_step(params, state, inputs[:, 0])
    np.testing.assert_allclose(output, expected[:, 0], rtol=1e-12)
    np.testing.assert_allclose(after.h, h, rtol=1e-12)
    np.testing.assert_allclose(after.c, c, rtol=1e-12)


@pytest.mark.parametrize("cell", [nn.LSTMCell, nn.OptimizedLSTMCell])
def test_lstm_matches_flax_linen_with_the_same_parameters(cell):
    """Oracle: flax.linen. Catches a wrong gate order or axis that our code and our oracle share."""
    params, inputs, _ = random_case(2, 3, 7, 5, 4, np.float32)

    def blocks(fused):
        return {name: oracles.gate(fused, "ifgo", name).astype(np.float32) for name in "ifgo"}

    kernels, recurrent, biases = map(blocks, params)
    theirs = {f"i{n}": {"kernel": kernels[n]} for n in "ifgo"} | {
        f"h{n}": {"kernel": recurrent[n], "bias": biases[n]} for n in "ifgo"
    }
    carry, expected = nn.RNN(cell(4), return_carry=True).apply({"params": {"cell": theirs}}, inputs)
    outputs, last = ops.lstm(params, inputs)
    np.testing.assert_allclose(outputs, expected, atol=oracles.LAYER)
    np.testing.assert_allclose(last.c, carry[0], atol=oracles.LAYER)
    np.testing.assert_allclose(last.h, carry[1], atol=oracles.LAYER)


def test_gradients_match_finite_differences(float64):
    """Oracle: central differences in float64. Catches a wrong gradient of parameters or a state."""
    case = random_case(3, 2, 4, 3, 2)

    def scalar(params, inputs, state):
        outputs, last = ops.lstm(params, inputs, state)
        return jnp.sum(jnp.sin(outputs)) + jnp.sum(last.c * last.h)

    check_grads(scalar, jax.tree.map(jnp.asarray, case), order=1, modes=["fwd", "rev"], eps=1e-6)


def test_a_state_handed_on_continues_the_sequence(float64):
    """Identity: T steps are t steps and then T - t. Catches a state that is not the last one."""
    params, inputs, state = random_case(4, 2, 9, 3, 4)
    whole, last = ops.lstm(params, inputs, state)
    first, middle = ops.lstm(params, inputs[:, :4], state)
    second, end = ops.lstm(params, inputs[:, 4:], middle)
    np.testing.assert_allclose(jnp.concatenate([first, second], axis=1), whole, rtol=1e-12)
    np.testing.assert_allclose(end.c, last.c, rtol=1e-12)


@pytest.mark.parametrize("dtype", [jnp.bfloat16, jnp.float32])
def test_the_inputs_set_the_compute_dtype_and_the_state_is_at_least_float32(dtype, float64):
    """Oracle: the equations. Catches parameters that lift the outputs, and a bfloat16 carry."""
    params, inputs, state = random_case(5, 2, 4, 3, 4)
    outputs, last = ops.lstm(params, jnp.asarray(inputs, dtype), state)
    assert (outputs.dtype, last.h.dtype, last.c.dtype) == (dtype, jnp.float32, jnp.float32)
    expected, *_ = oracles.lstm(*params, inputs, *state)
    tolerance = {"bfloat16": 3e-2, "float32": 1e-5}[outputs.dtype.name]
    np.testing.assert_allclose(np.asarray(outputs, np.float64), expected, atol=tolerance)


def test_whole_numbers_are_refused():
    """Catches kernels rounded to the integers of one-hot inputs."""
    params, inputs, _ = random_case(5, 2, 4, 3, 4, np.float32)
    with pytest.raises(ValueError, match="lstm: inputs expected floating numbers, got int32"):
        ops.lstm(params, inputs.astype(np.int32))


def test_a_state_that_is_any_pair_is_refused():
    """Catches flax's (c, h) taken for (h, c)."""
    params, inputs, state = random_case(6, 2, 4, 3, 4, np.float32)
    with pytest.raises(ValueError, match=r"initial_state expected LSTMState\(h, c\), got tuple"):
        ops.lstm(params, inputs, tuple(state))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"inputs": (2, 5, 4)}, r"lstm: inputs \[B, T, D\] expected shape \(2, 5, 3\), got \(2, 5, 4\)"),
        ({"inputs": (5, 3)}, r"lstm: inputs \[B, T, D\] expected 3 axes, got shape \(5, 3\)"),
        ({"bias": (8,)}, r"lstm: bias \[4H\] expected shape \(16\), got \(8,\)"),
        ({"recurrent_kernel": (4, 12)}, r"lstm: recurrent_kernel \[H, 4H\] expected shape \(4, 16\)"),
    ],
)  # fmt: skip
def test_a_size_that_does_not_fit_is_one_line(change, message):
    """Catches an error that names neither the array nor what was expected."""
    shapes = {"kernel": (3, 16), "recurrent_kernel": (4, 16), "bias": (16,), "inputs": (2, 5, 3)}
    arrays = {name: jnp.zeros(shape) for name, shape in (shapes | change).items()}
    inputs = arrays.pop("inputs")
    with pytest.raises(ValueError, match=message) as caught:
        ops.lstm(ops.LSTMParams(**arrays), inputs)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("implementation", ["scan", "fused", "native", "auto"])
def test_a_state_of_the_same_name_is_told_from_ours(implementation):
    """Catches "expected LSTMState, got LSTMState", of the state of another library."""
    params, inputs, _ = random_case(0, 2, 5, 3, 4, np.float32)
    other = collections.namedtuple("LSTMState", "hidden cell", module="haiku")
    zeros = jnp.zeros((2, 4))
    with pytest.raises(UsageError, match=r"expected LSTMState\(h, c\), got haiku.LSTMState$"):
        ops.lstm(params, inputs, other(zeros, zeros), implementation=implementation)
