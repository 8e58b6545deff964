"""Gates against the papers' equations in float64, and against the states they lead to."""

import jax.numpy as jnp
import numpy as np
import pytest

from lstm_attn import ops
from tests import oracles
from tests.oracles import gate, normalise, sigmoid

BATCH, LENGTH, FEATURES_IN, FEATURES = 2, 5, 3, 4
SHAPES = {
    ops.LSTMParams: [(3, 16), (4, 16), (16,)],
    ops.PeepholeLSTMParams: [(3, 16), (4, 16), (16,), (12,)],
    ops.CoupledLSTMParams: [(3, 12), (4, 12), (12,)],
    ops.LayerNormLSTMParams: [(3, 16), (4, 16), (16,), (16,), (16,), (4,), (4,)],
    ops.GRUParams: [(3, 12), (4, 12), (12,), (12,)],
}
LSTM_KINDS = [kind for kind in SHAPES if kind is not ops.GRUParams]
lstm_kinds = pytest.mark.parametrize("kind", LSTM_KINDS, ids=lambda kind: kind.__name__)
sides = pytest.mark.parametrize("reset_after", [True, False])


def random_case(kind):
    rng = np.random.default_rng(len(SHAPES[kind]))
    params = kind(*(jnp.asarray(rng.normal(size=shape)) for shape in SHAPES[kind]))
    states = rng.normal(size=(2, BATCH, FEATURES))
    state = ops.LSTMState(*states) if kind is not ops.GRUParams else states[0]
    return params, jnp.asarray(rng.normal(size=(BATCH, LENGTH, FEATURES_IN))), state


def lstm_oracle(params, x, h, c):
    """i, f, g, o and the next h and c of one step, each kind as its paper prints it."""
    params = type(params)(*map(np.asarray, params))
    w, u, b = params[:3]
    if isinstance(params, ops.CoupledLSTMParams):
        f, g, o = (x @ gate(w, "fgo", n) + h @ gate(u, "fgo", n) + gate(b, "fgo", n) for n in "fgo")
        f, g, o = sigmoid(f), np.tanh(g), sigmoid(o)
        c = f * c + (1 - f) * g
        return (1 - f, f, g, o), o * np.tanh(c), c
    net = x @ w + h @ u + b
    if isinstance(params, ops.LayerNormLSTMParams):
        net = params.kernel_scale * normalise(x @ w) + params.recurrent_scale * normalise(h @ u) + b
    i, f, g, o = (gate(np.asarray(net), "ifgo", n) for n in "ifgo")
    peephole = getattr(params, "peephole", np.zeros(12))
    p_i, p_f, p_o = (gate(peephole, "ifo", n) for n in "ifo")
    i, f, g = sigmoid(i + p_i * c), sigmoid(f + p_f * c), np.tanh(g)
    c = f * c + i * g
    o = sigmoid(o + p_o * c)
    shown = c
    if isinstance(params, ops.LayerNormLSTMParams):
        shown = params.cell_scale * normalise(c) + params.cell_bias
    return (i, f, g, o), o * np.tanh(shown), c


@lstm_kinds
def test_the_gates_of_an_lstm_are_its_equations_in_float64(kind, float64):
    """Oracle: the equations, gate by gate. Catches gates in another order, a peephole on the wrong
    cell state, and the state after a step taken for that before it."""
    params, inputs, (h, c) = random_case(kind)
    gates = ops.lstm_gates(params, inputs, ops.LSTMState(h, c))
    for t in range(LENGTH):
        expected, h, c = lstm_oracle(params, np.asarray(inputs[:, t]), h, c)
        for name, ours, theirs in zip("ifgo", gates, expected, strict=True):
            np.testing.assert_allclose(ours[:, t], theirs, rtol=1e-10, err_msg=f"{name} at {t}")


@lstm_kinds
def test_the_gates_make_the_states_of_the_op(kind, float64):
    """Identity: c from f, i and g is that of `ops.lstm`, with resets and in reverse. Catches gates
    of other steps than the op's."""
    params, inputs, state = random_case(kind)
    limits = {"resets": np.arange(LENGTH) == np.array([[2], [4]]), "reverse": True}
    limits["seq_lengths"] = jnp.array([LENGTH, 4])
    gates = ops.lstm_gates(params, inputs, state, **limits)
    c = np.asarray(state.c)
    for t in reversed(range(LENGTH)):
        i, f, g, _ = (np.asarray(gate[:, t]) for gate in gates)
        before = np.where(limits["resets"][:, t, None], 0, c)
        c = np.where(t < limits["seq_lengths"][:, None], f * before + i * g, c)
    np.testing.assert_allclose(c, ops.lstm(params, inputs, state, **limits)[1].c, rtol=1e-10)
    assert all(not gate[1, 4].any() for gate in gates)


@sides
def test_the_gates_of_a_gru_are_its_equations_in_float64(reset_after, float64):
    """Oracle: the equations in either form; from h = (1 - z) n + z h the states as well. Catches z
    taken for 1 - z, and the reset on the wrong side of the product."""
    params, inputs, h = random_case(ops.GRUParams)
    w, u, b, d = ({n: gate(p, "rzn", n) for n in "rzn"} for p in params)
    gates = ops.gru_gates(params, inputs, h, reset_after=reset_after)
    for t in range(LENGTH):
        x = np.asarray(inputs[:, t])
        r, z = (sigmoid(x @ w[n] + b[n] + h @ u[n] + d[n]) for n in "rz")
        recurrent = r * (h @ u["n"] + d["n"]) if reset_after else (r * h) @ u["n"] + d["n"]
        n = np.tanh(x @ w["n"] + b["n"] + recurrent)
        for ours, theirs in zip(gates, (r, z, n), strict=True):
            np.testing.assert_allclose(ours[:, t], theirs, rtol=1e-10)
        h = (1 - z) * n + z * h


def test_without_a_state_it_begins_at_zero():
    """Identity: a state of zeros. Catches a default of another width or dtype."""
    for kind, gates, zeros in (
        (ops.CoupledLSTMParams, ops.lstm_gates, ops.LSTMState(*jnp.zeros((2, BATCH, FEATURES)))),
        (ops.GRUParams, ops.gru_gates, jnp.zeros((BATCH, FEATURES))),
    ):
        params, inputs, _ = random_case(kind)
        for ours, theirs in zip(gates(params, inputs), gates(params, inputs, zeros), strict=True):
            np.testing.assert_array_equal(ours, theirs)
            assert ours.dtype == np.float32


def test_parameters_of_another_kind_are_one_line():
    """Catches a KeyError from the table of steps."""
    params, inputs, _ = random_case(ops.GRUParams)
    with pytest.raises(ValueError, match=r"^lstm_gates: params expected one of .*, got GRUParams$"):
        ops.lstm_gates(params, inputs)
    with pytest.raises(ValueError, match=r"^gru_gates: params expected GRUParams, got tuple$"):
        ops.gru_gates(tuple(params), inputs)


def test_the_oracle_is_the_equations_of_the_other_tests(float64):
    """Oracle of the oracle: tests.oracles, written independently. Catches a wrong oracle here."""
    steps = {
        ops.PeepholeLSTMParams: oracles.peephole_lstm_step,
        ops.CoupledLSTMParams: oracles.coupled_lstm_step,
        ops.LayerNormLSTMParams: oracles.layer_norm_lstm_step,
    }
    for kind, step in steps.items():
        params, inputs, (h, c) = random_case(kind)
        x = np.asarray(inputs[:, 0])
        for ours, theirs in zip(
            lstm_oracle(params, x, h, c)[1:], step(*map(np.asarray, params), x, h, c), strict=True
        ):
            np.testing.assert_allclose(ours, theirs, rtol=1e-10)
