"""d loss / d h_t against finite differences of the equations; `Model.apply` is unchanged."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import linen as nn

from lstm_attn import model_config, models, modules, tasks
from lstm_attn.models import ModelConfig
from tests import oracles
from tests.modules.test_modules import dense, layer_norm, multi_head

BATCH, LENGTH = 2, 5
STANDARD = ("kernel", "recurrent_kernel", "bias")
LAYER_NORM = ("kernel_scale", "recurrent_scale", "cell_scale", "cell_bias")


def leaves(params, names):
    return [np.asarray(params[name]) for name in names]


def standard(params, x, h, c):
    _, h, c = oracles.lstm(*leaves(params, STANDARD), x[:, None], h, c)
    return h, c


def peephole(params, x, h, c):
    return oracles.peephole_lstm_step(*leaves(params, (*STANDARD, "peephole")), x, h, c)


def coupled(params, x, h, c):
    return oracles.coupled_lstm_step(*leaves(params, STANDARD), x, h, c)


def normalised(params, x, h, c):
    return oracles.layer_norm_lstm_step(*leaves(params, (*STANDARD, *LAYER_NORM)), x, h, c)


def gru(params, x, h, c):
    return oracles.gru(*leaves(params, (*STANDARD, "recurrent_bias")), x[:, None], h)[1], c


def gru_before(params, x, h, c):
    parameters = leaves(params, (*STANDARD, "recurrent_bias"))
    return oracles.gru_reset_before(*parameters, x[:, None], h)[:, 0], c


def changed(step, params, inputs, change):
    """h_1 ... h_T with change_t added to h_t before h_t is used."""
    h = c = np.zeros((inputs.shape[0], change.shape[-1]))
    states = []
    for t in range(inputs.shape[1]):
        h, c = step(params, inputs[:, t], h, c)
        h = h + change[:, t]
        states.append(h)
    return np.stack(states, axis=1)


def plain(step):
    return lambda params, inputs, changes: changed(step, params, inputs, changes["body"])


def over_states(params, inputs, changes):
    states = changed(standard, params["lstm"], inputs, changes["body/lstm"])
    attended = multi_head(params["attention"], states, 2)
    return np.tanh(dense(params["combine"], np.concatenate([attended, states], axis=-1)))


def alternating(params, inputs, changes):
    x = dense(params["embed"], inputs)
    for n in (0, 1):
        normal = layer_norm(params[f"lstm_norm_{n}"], x)
        x = x + changed(standard, params[f"lstm_{n}"], normal, changes[f"body/lstm_{n}"])
        normal = layer_norm(params[f"attention_norm_{n}"], x)
        x = x + multi_head(params[f"attention_{n}"], normal, 2)
    return layer_norm(params["norm"], x)


CASES = {
    "lstm": ("lstm", {}, plain(standard)),
    "segments": ("lstm", {"segment": 2}, plain(standard)),
    "peephole": ("lstm", {"lstm_variant": "peephole"}, plain(peephole)),
    "coupled": ("lstm", {"lstm_variant": "coupled"}, plain(coupled)),
    "layer norm": ("lstm", {"lstm_variant": "layer_norm"}, plain(normalised)),
    "gru": ("gru", {}, plain(gru)),
    "gru, reset before": ("gru", {"reset_after": False}, plain(gru_before)),
    "over states": ("lstm_attention", {}, over_states),
    "alternating": ("lstm_attention", {"attention_placement": "alternating"}, alternating),
}


def in_float64(monkeypatch, name, task, **options):
    """A model that computes in float64, and parameters drawn away from biases of zero."""
    monkeypatch.setitem(model_config.CHOICES, "dtype", ("float64",))
    config = ModelConfig(features=4, num_heads=2, dtype="float64", **options)
    model = models.build(name, task, config)
    shapes = jax.eval_shape(model.init, jax.random.key(0))
    rng = np.random.default_rng(0)
    return model, jax.tree.map(lambda like: jnp.asarray(rng.normal(size=like.shape)), shapes)


@pytest.mark.full_but("alternating")
@pytest.mark.parametrize("case", CASES)
def test_the_derivative_by_a_change_of_h_is_total(case, float64, monkeypatch):
    """Oracle: central differences of the equations in numpy, h_t changed as the state, as the
    output and as what attention sees. Catches a path left out, and a step shifted."""
    name, options, body = CASES[case]
    model, params = in_float64(monkeypatch, name, tasks.adding(LENGTH), **options)
    rng = np.random.default_rng(1)
    inputs = rng.normal(size=(BATCH, LENGTH, 2))
    weights = rng.normal(size=(BATCH, LENGTH, 1))
    shapes = jax.eval_shape(model.hidden, params, inputs, {})[1]
    zeros = {layer: np.zeros(like.shape) for layer, like in shapes.items()}
    assert list(zeros) == {
        "over states": ["body/lstm"],
        "alternating": ["body/lstm_0", "body/lstm_1"],
    }.get(case, ["body"])

    def scalar(changes):
        return jnp.sum(model.hidden(params, jnp.asarray(inputs), changes)[0] * weights)

    def expected(changes):
        return np.sum(dense(params["readout"], body(params["body"], inputs, changes)) * weights)

    np.testing.assert_allclose(jax.jit(scalar)(zeros), expected(zeros), rtol=1e-12)
    gradients = jax.jit(jax.grad(scalar))(jax.tree.map(jnp.asarray, zeros))
    for layer, gradient in gradients.items():
        difference = np.zeros(gradient.shape)
        for place in np.ndindex(gradient.shape):
            step = np.zeros(gradient.shape)
            step[place] = 1e-5
            above, below = (expected({**zeros, layer: sign * step}) for sign in (1, -1))
            difference[place] = (above - below) / 2e-5
        np.testing.assert_allclose(gradient, difference, rtol=1e-6, atol=1e-8)


OPTIONS = {
    "none": {},
    "lengths": {"seq_lengths": np.array([5, 3])},
    "resets": {"resets": np.arange(10).reshape(2, 5) % 4 == 3},
    "reverse": {"reverse": True, "seq_lengths": np.array([4, 5])},
}


class Called(nn.Module):
    """A network that calls one layer with options."""

    layer: nn.Module
    options: tuple

    def __call__(self, inputs):
        return self.layer(inputs, return_carry=True, **dict(self.options))


def a_layer(kind, options, **attributes):
    network = Called(kind(3, **attributes), tuple(options.items()))
    inputs = jnp.zeros((BATCH, LENGTH, 2))
    shapes = jax.eval_shape(network.init, jax.random.key(0), inputs)["params"]
    rng = np.random.default_rng(0)
    drawn = [rng.normal(size=like.shape).astype(np.float32) for like in jax.tree.leaves(shapes)]
    return (
        network,
        jax.tree.unflatten(jax.tree.structure(shapes), drawn),
        rng.normal(size=inputs.shape).astype(np.float32),
    )


@pytest.mark.full_but("resets")
@pytest.mark.parametrize("options", OPTIONS)
@pytest.mark.parametrize("kind", [modules.LSTM, modules.GRU])
def test_without_a_change_nothing_changes(kind, options):
    """Oracle: the layer as usual. Catches an option that is lost when steps run one by one."""
    network, params, inputs = a_layer(kind, OPTIONS[options])
    zeros = jnp.zeros((BATCH, LENGTH, 3))
    expected = jax.jit(network.apply)({"params": params}, inputs)
    called = jax.jit(lambda *given: modules.with_hidden_states(network, *given))
    for changes in ({}, {"layer": zeros}):
        result, states = called(params, inputs, changes)
        jax.tree.map(
            lambda a, b: np.testing.assert_allclose(a, b, atol=oracles.LAYER), result, expected
        )
        np.testing.assert_array_equal(states["layer"], result[1])


@pytest.mark.full_but("LSTM-scan-2", "GRU-fused-None")
@pytest.mark.parametrize("segment", [None, 2])
@pytest.mark.parametrize("implementation", ["scan", "fused"])
@pytest.mark.parametrize("kind", [modules.LSTM, modules.GRU])
def test_every_implementation_has_the_same_derivative(kind, implementation, segment):
    """Oracle: the plain scan in one call. Catches a form that drops its state's gradient."""
    check_implementation(kind, implementation, segment)


def check_implementation(kind, implementation, segment):
    options = {"resets": OPTIONS["resets"]["resets"]}

    def gradient(**attributes):
        network, params, inputs = a_layer(kind, options, **attributes)

        def scalar(change):
            changes = {"layer": change}
            result, _ = modules.with_hidden_states(network, params, inputs, changes)
            return jnp.sum(jnp.stack([jnp.sum(jnp.sin(leaf)) for leaf in jax.tree.leaves(result)]))

        return jax.jit(jax.grad(scalar))(jnp.zeros((BATCH, LENGTH, 3)))

    expected = gradient(implementation="scan")
    assert np.abs(expected).min() > 1e-3
    ours = gradient(implementation=implementation, segment=segment)
    np.testing.assert_allclose(ours, expected, rtol=oracles.MODEL, atol=oracles.MODEL)


@pytest.mark.full_but("lstm", "transformer")
@pytest.mark.parametrize("name", models.MODELS)
def test_apply_is_unchanged(name):
    """Identity with `Model.apply`, bit for bit. Catches an interception that outlives its call."""
    task = tasks.adding(LENGTH)
    model = models.build(name, task, ModelConfig(features=8))
    shapes = jax.eval_shape(model.init, jax.random.key(0))
    rng = np.random.default_rng(0)
    params = jax.tree.map(lambda like: rng.normal(size=like.shape).astype(np.float32), shapes)
    inputs = rng.normal(size=(BATCH, LENGTH, 2)).astype(np.float32)
    before = jax.jit(lambda *given: model.apply(*given))(params, inputs)
    outputs, states = jax.jit(model.hidden)(params, inputs, {})
    np.testing.assert_array_equal(outputs, before)
    ones = {layer: jnp.ones_like(h) for layer, h in states.items()}
    changed = jax.eval_shape(model.hidden, params, inputs, ones)
    assert jax.tree.map(jnp.shape, changed) == jax.tree.map(jnp.shape, (outputs, states))
    np.testing.assert_array_equal(
        jax.jit(lambda *given: model.apply(*given))(params, inputs), before
    )


def test_a_change_that_fits_nothing_is_one_line():
    """Catches a name or a size that silently has no effect."""
    task = tasks.adding(LENGTH)
    model = models.build("lstm", task, ModelConfig(features=4))
    params, inputs = jax.eval_shape(model.init, jax.random.key(0)), jnp.ones((BATCH, LENGTH, 2))
    right = jnp.zeros((BATCH, LENGTH, 4))
    with pytest.raises(ValueError, match=r"unknown recurrent layer 'boddy': did you mean body\?"):
        jax.eval_shape(model.hidden, params, inputs, {"boddy": right})
    expected = r"body: change \[B, T, H\] expected shape \(2, 5, 4\), got \(2, 4, 4\)"
    with pytest.raises(ValueError, match=expected):
        jax.eval_shape(model.hidden, params, inputs, {"body": right[:, :4]})
