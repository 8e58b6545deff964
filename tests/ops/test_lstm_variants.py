"""Layer-normalised, peephole and coupled LSTM, each against its paper's equations, and where they
meet the standard LSTM."""

import jax.numpy as jnp
import numpy as np
import pytest
from jax.test_util import check_grads

from lstm_attn import ops
from tests import oracles
from tests.ops import test_lstm

FEATURES_IN, FEATURES = 3, 4
SHAPES = {
    ops.PeepholeLSTMParams: [(3, 16), (4, 16), (16,), (12,)],
    ops.CoupledLSTMParams: [(3, 12), (4, 12), (12,)],
    ops.LayerNormLSTMParams: [(3, 16), (4, 16), (16,), (16,), (16,), (4,), (4,)],
}
STEPS = {
    ops.PeepholeLSTMParams: (ops.peephole_lstm_step, oracles.peephole_lstm_step),
    ops.CoupledLSTMParams: (ops.coupled_lstm_step, oracles.coupled_lstm_step),
    ops.LayerNormLSTMParams: (ops.layer_norm_lstm_step, oracles.layer_norm_lstm_step),
}
kinds = pytest.mark.parametrize("kind", SHAPES, ids=lambda kind: kind.__name__)


def random_case(kind, length=5, batch=2):
    rng = np.random.default_rng(len(SHAPES[kind]))
    params = kind(*(rng.normal(size=shape) for shape in SHAPES[kind]))
    state = ops.LSTMState(*rng.normal(size=(2, batch, FEATURES)))
    return params, rng.normal(size=(batch, length, FEATURES_IN)), state


@kinds
def test_a_variant_matches_its_equations_in_float64(kind, float64):
    """Oracle: the paper's equations, gate by gate. Catches gates or peepholes in another order, an
    output gate that sees the old cell, a norm over the wrong axis."""
    params, inputs, state = random_case(kind)
    outputs, last = ops.lstm(params, jnp.asarray(inputs), state)
    h, c = state
    for t in range(inputs.shape[1]):
        h, c = STEPS[kind][1](*params, inputs[:, t], h, c)
        np.testing.assert_allclose(outputs[:, t], h, rtol=1e-10, atol=1e-12)
    np.testing.assert_allclose(last.c, c, rtol=1e-10, atol=1e-12)


@kinds
def test_one_step_matches_its_equations(kind, float64):
    """Oracle: as above. Catches a step function that `ops.lstm` does not use."""
    params, inputs, state = random_case(kind)
    step, oracle = STEPS[kind]
    after, output = step(params, state, jnp.asarray(inputs[:, 0]))
    h, c = oracle(*params, inputs[:, 0], *state)
    np.testing.assert_allclose(output, h, rtol=1e-10)
    np.testing.assert_allclose(after.c, c, rtol=1e-10)


@kinds
def test_gradients_match_finite_differences(kind, float64):
    """Oracle: central differences in float64. Catches a norm whose statistics stop gradients."""
    case = random_case(kind, length=3)

    def scalar(params, inputs, state):
        outputs, last = ops.lstm(params, inputs, state)
        return jnp.sum(jnp.sin(outputs)) + jnp.sum(last.c**2)

    check_grads(scalar, tuple(map_arrays(case)), order=1, modes=["rev"], eps=1e-6, rtol=1e-4)


def map_arrays(case):
    params, inputs, state = case
    return (
        type(params)(*map(jnp.asarray, params)),
        jnp.asarray(inputs),
        ops.LSTMState(*map(jnp.asarray, state)),
    )


def test_without_peepholes_it_is_the_standard_lstm(float64):
    """Identity: peephole weights of zero. Catches any other difference between the two."""
    params, inputs, state = test_lstm.random_case(0, 2, 5, 3, 4)
    expected, _ = ops.lstm(params, inputs, state)
    outputs, _ = ops.lstm(ops.PeepholeLSTMParams(*params, jnp.zeros(12)), inputs, state)
    np.testing.assert_allclose(outputs, expected, rtol=1e-12)


def test_a_coupled_lstm_is_a_standard_one_whose_input_gate_is_the_forget_gate_negated(float64):
    """Identity: 1 - sigmoid(f) = sigmoid(-f). Catches forget and input gate exchanged."""
    params, inputs, state = random_case(ops.CoupledLSTMParams)
    f, g, o = ([oracles.gate(p, "fgo", n) for p in params] for n in "fgo")
    standard = (
        np.concatenate([-f_, f_, g_, o_], axis=-1) for f_, g_, o_ in zip(f, g, o, strict=True)
    )
    expected, _ = ops.lstm(ops.LSTMParams(*standard), inputs, state)
    outputs, _ = ops.lstm(params, inputs, state)
    np.testing.assert_allclose(outputs, expected, rtol=1e-12)


def test_a_layer_normalised_lstm_does_not_see_the_scale_of_its_kernels(float64):
    """Identity: N(a v) = N(v) but for epsilon. Catches a norm after the sum instead of before."""
    params, inputs, state = random_case(ops.LayerNormLSTMParams)
    scaled = params._replace(
        kernel=1e3 * params.kernel, recurrent_kernel=1e3 * params.recurrent_kernel
    )
    outputs, expected = (ops.lstm(p, jnp.asarray(inputs), state)[0] for p in (scaled, params))
    np.testing.assert_allclose(outputs, expected, atol=1e-4)


def test_parameters_of_another_kind_are_one_line():
    """Catches a GRU's parameters, or a plain tuple, taken for an LSTM's."""
    params, inputs, _ = test_lstm.random_case(0, 2, 5, 3, 4)
    message = r"^lstm: params expected one of LSTMParams, .*LayerNormLSTMParams, got tuple$"
    with pytest.raises(ValueError, match=message):
        ops.lstm(tuple(params), inputs)


def test_a_variants_own_parameter_is_named_where_it_does_not_fit():
    """Catches an error from inside a split."""
    params, inputs, _ = random_case(ops.PeepholeLSTMParams)
    message = r"^lstm: peephole \[3H\] expected shape \(12\), got \(16,\)$"
    with pytest.raises(ValueError, match=message):
        ops.lstm(params._replace(peephole=np.zeros(16)), inputs)
