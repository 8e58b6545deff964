"""What layers show is what they compute with: gates and weights reproduce the outputs."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from lstm_attn import models, modules, ops, tasks
from lstm_attn.models import ModelConfig
from lstm_attn.modules import attention, recurrent_protocol
from lstm_attn.modules.observing import COLLECTION
from lstm_attn.modules.positions import POSITIONS
from lstm_attn.modules.recurrent import LSTM_VARIANTS
from tests import oracles
from tests.modules.test_modules import BATCH, LENGTH, dense, initialised, inputs_of
from tests.oracles import normalise

SMALL = ModelConfig(features=8, num_heads=2, num_layers=2)


def sown(module, params, inputs, **arguments):
    @jax.jit
    def apply(params):
        return module.apply({"params": params}, inputs, **arguments, mutable=COLLECTION)

    outputs, variables = apply(params)
    # After a carry, if there is one.
    return np.asarray(outputs[-1] if isinstance(outputs, tuple) else outputs), variables[COLLECTION]


@pytest.mark.full_but("auto")
@pytest.mark.parametrize("implementation", ["scan", "auto"])
@pytest.mark.parametrize("variant", LSTM_VARIANTS)
def test_the_gates_that_an_lstm_shows_make_its_outputs(variant, implementation):
    """Identity in float64: h = o tanh(c), c = f c + i g. Catches gates of other parameters, of
    another dtype's inputs, without the resets of the call."""
    inputs, module = inputs_of(), LSTM_VARIANTS[variant](4, implementation=implementation)
    params = initialised(module, inputs)
    resets = np.arange(LENGTH) == np.array([[2], [3]])
    outputs, seen = sown(module, params, inputs, resets=resets)
    i, f, g, o = (np.asarray(gate, np.float64) for gate in seen["gates"])
    c = np.zeros((BATCH, 4))
    for t in range(LENGTH):
        c = f[:, t] * np.where(resets[:, t, None], 0, c) + i[:, t] * g[:, t]
        shown = c
        if variant == "layer_norm":
            shown = np.asarray(params["cell_scale"]) * normalise(c) + np.asarray(
                params["cell_bias"]
            )
        np.testing.assert_allclose(outputs[:, t], o[:, t] * np.tanh(shown), atol=oracles.LAYER)


@pytest.mark.parametrize("reset_after", [True, False])
def test_the_gates_that_a_gru_shows_make_its_outputs(reset_after):
    """Identity in float64: h = (1 - z) n + z h. Catches the other form's gates."""
    inputs, module = inputs_of(), modules.GRU(4, reset_after=reset_after)
    outputs, seen = sown(module, initialised(module, inputs), inputs)
    _, z, n = (np.asarray(gate, np.float64) for gate in seen["gates"])
    h = np.zeros((BATCH, 4))
    for t in range(LENGTH):
        h = (1 - z[:, t]) * n[:, t] + z[:, t] * h
        np.testing.assert_allclose(outputs[:, t], h, atol=oracles.LAYER)


@pytest.mark.parametrize("with_cache", [False, True])
@pytest.mark.parametrize("positions", POSITIONS)
def test_the_weights_that_attention_shows_make_its_outputs(positions, with_cache):
    """Identity in float64: values by their weights, heads side by side, through W_o. Catches
    weights before the positions act, a lost mask, and keys counted from the wrong step."""
    inputs, module = inputs_of(6), modules.MultiHeadAttention(2, positions)
    params = initialised(module, inputs)
    arguments = {"is_causal": True}
    if with_cache:
        arguments |= {"initial_carry": module.empty_carry(BATCH, LENGTH, 6), "return_carry": True}
        outputs, seen = sown(module, params, inputs, **arguments)
    else:
        arguments["mask"] = np.abs(np.arange(LENGTH)[:, None] - np.arange(LENGTH)) != 1
        outputs, seen = sown(module, params, inputs, **arguments)
    weights = np.asarray(seen["weights"], np.float64)
    value = dense(params["value"], np.asarray(inputs, np.float64)).reshape(BATCH, LENGTH, 2, 3)
    attended = np.einsum("bnts,bsnk->btnk", weights, value).reshape(BATCH, LENGTH, 6)
    np.testing.assert_allclose(outputs, dense(params["out"], attended), atol=oracles.MODEL)
    np.testing.assert_allclose(weights.sum(-1), 1, atol=oracles.LAYER)
    assert not np.triu(weights, 1).any()


@pytest.mark.parametrize(
    ("name", "changes", "gates", "weights"),
    [
        ("lstm", {}, {"body"}, set()),
        ("gru", {}, {"body"}, set()),
        ("transformer", {}, set(), {"block_0/attention", "block_1/attention"}),
        ("lstm_attention", {}, {"lstm"}, {"attention"}),
        (
            "lstm_attention",
            {"attention_placement": "alternating"},
            {"lstm_0", "lstm_1"},
            {"attention_0", "attention_1"},
        ),
        ("attention_pooling", {}, set(), set()),
    ],
)
@pytest.mark.full_but("lstm", "transformer")
def test_every_layer_of_a_model_is_seen_by_its_name(name, changes, gates, weights):
    """Catches a layer that shows nothing, and two that share a name. Outputs are those of apply."""
    task = tasks.copy(2)
    model = models.build(name, task, ModelConfig(features=8, num_heads=2, **changes))
    params = jax.jit(model.init)(jax.random.key(0))
    inputs = np.eye(10, dtype=np.float32)[np.arange(22 * 2).reshape(2, 22) % 7]
    outputs, seen = jax.jit(model.observe)(params, inputs)
    assert (set(seen.gates), set(seen.weights), set(seen.states)) == (gates, weights, gates)
    np.testing.assert_allclose(outputs, jax.jit(model.apply)(params, inputs), atol=oracles.LAYER)
    assert all(len(part) == 2 for part in jax.tree.leaves(seen))


@pytest.mark.parametrize("name", ["lstm", "gru", "transformer", "lstm_attention"])
def test_without_observation_nothing_is_computed_for_it(name, monkeypatch):
    """Identity of programs with those of layers that show nothing. Catches gates that are computed
    in training, and sown values among the parameters."""
    task = tasks.adding(6)
    model = models.build(name, task, SMALL)
    params = jax.eval_shape(model.init, jax.random.key(0))
    inputs = np.zeros((3, 6, 2), np.float32)
    assert "gates" not in str(jax.tree.structure(params))
    program = str(jax.make_jaxpr(model.apply)(params, inputs))
    for module in (attention, recurrent_protocol):
        monkeypatch.setattr(module, "show", lambda *_: None)
    model = models.build(name, task, SMALL)
    assert str(jax.make_jaxpr(model.apply)(params, inputs)) == program


def test_a_model_of_init_and_apply_alone_says_so():
    """Catches a call of None."""
    model = models.Model(init=lambda key: {}, apply=lambda params, inputs: inputs)
    for door in (model.observe, model.apply_cut):
        with pytest.raises(ValueError, match=r"^model: expected one that can be looked into"):
            door({}, jnp.zeros((1, 2, 3)), None)


def test_gates_stay_float32_where_products_are_not():
    """Catches gates rounded to the compute dtype, whose 1 - f has no digits near one."""
    inputs, module = inputs_of().astype(jnp.bfloat16), modules.LSTM(4, dtype=jnp.bfloat16)
    _, seen = sown(module, initialised(module, inputs), inputs)
    assert isinstance(seen["gates"], ops.LSTMGates)
    assert {gate.dtype.name for gate in seen["gates"]} == {"float32"}
