"""Per-gate initialisers: the block of each gate comes from its own initialiser."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from lstm_attn import modules
from lstm_attn.modules.initializers import glorot, gru_bias, lstm_bias, orthogonal
from tests import oracles


def initial(module, length=3, features_in=5):
    return module.init(jax.random.key(0), jnp.zeros((1, length, features_in)))["params"]


def test_lstm_forget_bias_is_one_and_the_others_zero():
    """Oracle: the gate order. Catches a bias of one on another gate."""
    bias = initial(modules.LSTM(4))["bias"]
    for name, expected in (("i", 0), ("f", 1), ("g", 0), ("o", 0)):
        np.testing.assert_array_equal(oracles.gate(bias, "ifgo", name), np.full(4, expected))


def test_each_gate_can_have_its_own_initialiser():
    """Catches an initialiser given to the wrong gate, or one for all of them."""
    values = dict(zip("ifgo", (-1.0, 2.0, 0.5, 3.0), strict=True))
    constants = [jax.nn.initializers.constant(value) for value in values.values()]
    bias = initial(modules.LSTM(2, bias_init=modules.per_gate(*constants)))["bias"]
    for name, value in values.items():
        np.testing.assert_array_equal(oracles.gate(bias, "ifgo", name), np.full(2, value))


@pytest.mark.parametrize(("module", "order"), [(modules.LSTM(8), "ifgo"), (modules.GRU(8), "rzn")])
def test_recurrent_blocks_are_orthogonal_and_differ(module, order):
    """Oracle: Q^T Q = 1. Catches one draw for the whole kernel, and one key for every gate."""
    kernel = initial(module)["recurrent_kernel"]
    blocks = [oracles.gate(kernel, order, name) for name in order]
    for block in blocks:
        np.testing.assert_allclose(block.T @ block, np.eye(8), atol=oracles.MODEL)
    assert not np.allclose(blocks[0], blocks[1])


@pytest.mark.parametrize("shape", [(1, 1), (5, 3), (3, 5), (128, 128)])
def test_orthogonal_is_orthonormal_in_every_shape(shape):
    """Oracle: Q^T Q = 1 in float64. Catches a basis lost to rounding, and a failing wide matrix."""
    q = np.asarray(orthogonal(jax.random.key(0), shape), np.float64)
    assert q.shape == shape
    gram = q.T @ q if shape[0] >= shape[1] else q @ q.T
    np.testing.assert_allclose(gram, np.eye(min(shape)), atol=oracles.LAYER)


def test_orthogonal_is_uniform():
    """Oracle: the moments of a Haar matrix: entries of mean 0, mean square 1/n, and reflections as
    often as rotations; at five standard errors. Catches a fixed sign."""
    drawn = jax.vmap(lambda key: orthogonal(key, (3, 3)))(jax.random.split(jax.random.key(1), 4000))
    q = np.asarray(drawn, np.float64)
    np.testing.assert_allclose(q.mean(axis=0), 0, atol=5 * np.sqrt(1 / 3 / 4000))
    np.testing.assert_allclose((q**2).mean(axis=0), 1 / 3, atol=5 * 0.3 / np.sqrt(4000))
    assert abs(np.linalg.det(q).mean()) < 5 / np.sqrt(4000)


def test_glorot_takes_its_fan_out_from_one_gate():
    """Oracle: the bound sqrt(6 / (fan_in + fan_out)), H not 4H. Catches a fused draw."""
    kernel = initial(modules.LSTM(64), features_in=32)["kernel"]
    bound = np.sqrt(6 / (32 + 64))
    assert 0.97 * bound < np.abs(kernel).max() <= bound


def test_chrono_spreads_the_memory_of_an_lstm_over_its_range():
    """Oracle: 1 + exp(b_f), in steps, is uniform over the range, and b_i is its mirror image.
    Catches a range off by one, an input gate drawn independently, a bias on another gate."""
    bias = modules.chrono_lstm(5, 105)(jax.random.key(0), (16_000,))
    steps = 1 + np.exp(oracles.gate(bias, "ifgo", "f"))
    assert 5 <= steps.min() < 5.5
    assert 104.5 < steps.max() <= 105 + 1e-3
    assert abs(steps.mean() - 55) < 5 * 100 / np.sqrt(12 * 4000)
    np.testing.assert_array_equal(oracles.gate(bias, "ifgo", "i"), -oracles.gate(bias, "ifgo", "f"))
    for name in "go":
        np.testing.assert_array_equal(oracles.gate(bias, "ifgo", name), 0)


def test_chrono_keeps_a_gru_for_as_long_as_it_says():
    """Oracle: with no input and no recurrent weight, h decays by z a step, and the chosen unit
    keeps 1/e of it after about 1 / (1 - z) = 50 steps. Catches a bias on the wrong gate."""
    module = modules.GRU(1, bias_init=modules.chrono_gru(50, 50))
    params = jax.tree.map(jnp.zeros_like, initial(module)) | {"bias": initial(module)["bias"]}
    outputs = module.apply(
        {"params": params}, jnp.zeros((1, 50, 5)), initial_carry=jnp.ones((1, 1))
    )
    assert abs(float(outputs[0, -1, 0]) - (1 - 1 / 50) ** 50) < 1e-5


@pytest.mark.parametrize("span", [(1, 10), (10, 5)])
def test_a_range_of_times_that_cannot_be_is_refused(span):
    """Catches the logarithm of zero."""
    with pytest.raises(ValueError, match="expected 1 < shortest <= longest"):
        modules.chrono_lstm(*span)


def test_gates_that_do_not_divide_the_axis_are_refused():
    """Catches blocks of unequal size."""
    init = modules.per_gate(glorot, orthogonal, glorot)
    with pytest.raises(ValueError, match=r"3 gates do not divide the last axis of \(4, 16\)"):
        init(jax.random.key(0), (4, 16))


@pytest.mark.parametrize(
    ("gate_order", "chrono"), [("ifgo", ()), ("fgo", ()), ("ifgo", (2.0, 9.0)), ("fgo", (2.0, 9.0))]
)
def test_the_forget_gates_bias_is_the_configs(gate_order, chrono):
    """Oracle: the gate order, and 1 < 1 + exp(b_f) < range of chrono. Catches a bias on another gate."""
    size = 50
    bias = lstm_bias(gate_order, 2.5, chrono)(jax.random.key(0), (size * len(gate_order),))
    gates = {name: oracles.gate(bias, gate_order, name) for name in gate_order}
    if chrono:
        assert np.all((1 + np.exp(gates["f"]) >= 2) & (1 + np.exp(gates["f"]) <= 9))
        assert gates["f"].std() > 0.1
        if "i" in gates:
            np.testing.assert_array_equal(gates["i"], -gates["f"])
    else:
        np.testing.assert_array_equal(gates["f"], 2.5)
    for name in set(gate_order) - {"f"} - ({"i"} if chrono else set()):
        np.testing.assert_array_equal(gates[name], 0)


def test_the_update_gates_bias_is_the_configs():
    """Oracle: the gate order r, z, n. Catches a bias on the reset gate."""
    bias = gru_bias(2.5, ())(jax.random.key(0), (12,))
    for name, expected in (("r", 0), ("z", 2.5), ("n", 0)):
        np.testing.assert_array_equal(oracles.gate(bias, "rzn", name), expected)
