"""A user's own recurrent module has what the LSTM has: gradient reach, gates, cuts, steps."""

import runpy

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import linen as nn

from lstm_attn import models, modules, tasks
from lstm_attn.analysis import gradient_norms, look, time_scales
from lstm_attn.errors import UsageError
from lstm_attn.models import MODELS, ModelConfig
from lstm_attn.modules.intercept import Cut
from tests import oracles
from tests.modules.test_hidden_states import changed, in_float64
from tests.modules.test_modules import dense
from tests.test_conformance import case_of, check_causal, run_steps

TASK = tasks.adding(6)


@pytest.fixture(scope="module", autouse=True)
def example():
    """The names that the example defines; its model is removed from MODELS after these tests."""
    yield runpy.run_path("examples/your_model.py")
    del MODELS["mgu"]


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def mgu(params, x, h, c):
    """The equations of the docstring, in numpy."""
    kernel, recurrent, bias = (
        np.asarray(params[name], np.float64) for name in ("kernel", "recurrent_kernel", "bias")
    )
    width = h.shape[-1]
    z = sigmoid(x @ kernel[:, :width] + h @ recurrent[:, :width] + bias[:width])
    n = np.tanh(x @ kernel[:, width:] + ((1 - z) * h) @ recurrent[:, width:] + bias[width:])
    return z * h + (1 - z) * n, c


@pytest.mark.full
def test_both_gradients_reach_back_as_finite_differences_say(float64, monkeypatch):
    """Oracle: central differences of the equations in float64 numpy, of each sequence's squared
    error at its last step, by h_t and by x_t. Catches a reach of inputs alone, a change that the
    next step does not see, and lags from the wrong end."""
    # The example leaves promotion of float32 parameters to JAX, as a notebook would.
    with jax.numpy_dtype_promotion("standard"):
        model, params = in_float64(monkeypatch, "mgu", TASK)
        batch = TASK.sample(jax.random.key(0), 2)
        batch = batch._replace(
            inputs=batch.inputs.astype(jnp.float64), targets=batch.targets.astype(jnp.float64)
        )
        norms = jax.jit(lambda p: gradient_norms(model, p, TASK, batch))(params)
    assert set(norms) == {"inputs", "body"}
    width = params["body"]["recurrent_kernel"].shape[0]
    still = {"inputs": np.zeros(batch.inputs.shape), "body": np.zeros((2, 6, width))}

    def losses(moved):
        states = changed(
            mgu, params["body"], np.asarray(batch.inputs) + moved["inputs"], moved["body"]
        )
        outputs = dense(params["readout"], states)[:, -1, 0]
        return (outputs - np.asarray(batch.targets)[:, -1]) ** 2

    for name, zeros in still.items():
        gradient = np.zeros(zeros.shape)
        for place in np.ndindex(zeros.shape[1:]):
            step = np.zeros(zeros.shape)
            step[:, *place] = 1e-5
            above, below = (losses({**still, name: sign * step}) for sign in (1, -1))
            gradient[:, *place] = (above - below) / 2e-5
        expected = np.sqrt((gradient**2).sum(axis=-1))[:, ::-1]
        np.testing.assert_allclose(norms[name], expected, rtol=1e-6, atol=1e-9)


def built(**biases):
    """The model with zero parameters, but for the given blocks of its bias."""
    model = models.build("mgu", TASK, ModelConfig(features=4, num_heads=2))
    params = jax.tree.map(jnp.zeros_like, jax.jit(model.init)(jax.random.key(0)))
    width = params["body"]["bias"].size // 2
    blocks = [jnp.full(width, biases.get(gate, 0.0)) for gate in ("z", "n")]
    return model, {**params, "body": {**params["body"], "bias": jnp.concatenate(blocks)}}


@pytest.mark.parametrize("value", [-2.0, 3.0])
def test_a_pinned_gate_has_the_time_scale_of_its_bias(value):
    """Closed form: 1 / (1 - sigmoid(b)) = 1 + e^b. Catches 1 - z taken for what is kept."""
    model, params = built(z=value)
    inside = look(model, TASK, params, jax.random.key(1), 3)
    np.testing.assert_allclose(inside.time_scales["body"], 1 + np.exp(value), rtol=1e-5)


def test_steps_after_a_cut_are_a_sequence_of_their_own():
    """Oracle: apply on the steps after the cut, and on each step alone. Catches a state that
    survives a reset, and a reset one step late."""
    case = case_of("mgu", "adding")
    apply, inputs = jax.jit(case.model.apply), case.batch.inputs
    apply_cut = jax.jit(case.model.apply_cut)
    once = apply_cut(case.params, inputs, Cut(resets=jnp.arange(case.steps) == 2))
    np.testing.assert_allclose(once[:, :2], case.outputs[:, :2], atol=oracles.LAYER)
    np.testing.assert_allclose(once[:, 2:], apply(case.params, inputs[:, 2:]), atol=oracles.LAYER)
    always = apply_cut(case.params, inputs, Cut(resets=jnp.ones(case.steps, bool)))
    for t in range(case.steps):
        alone = apply(case.params, inputs[:, t : t + 1])
        np.testing.assert_allclose(always[:, t : t + 1], alone, atol=oracles.LAYER)


def test_it_meets_what_every_model_must():
    """Oracles of tests/test_conformance.py: the gradient's zeros, and the parallel form for steps.
    Catches an example that can't be added to MODELS."""
    case = case_of("mgu", "adding")
    check_causal(case)
    outputs, traces = run_steps(case)
    np.testing.assert_allclose(outputs, case.outputs, atol=oracles.MODEL)
    assert traces == 1


def test_lengths_and_a_carry_are_those_of_shorter_calls(example):
    """Oracle: the layer on the real steps alone, and in two calls. Catches padding that changes the
    state, and a carry that is ignored."""
    layer, rng = example["MGU"](3), np.random.default_rng(0)
    inputs = jnp.asarray(rng.normal(size=(2, 5, 2)).astype(np.float32))
    variables = layer.init(jax.random.key(0), inputs)
    carry, outputs = layer.apply(
        variables, inputs, seq_lengths=jnp.array([3, 5]), return_carry=True
    )
    short, whole = layer.apply(variables, inputs[:1, :3]), layer.apply(variables, inputs[1:])
    np.testing.assert_allclose(outputs[0], np.pad(short[0], ((0, 2), (0, 0))), atol=oracles.LAYER)
    np.testing.assert_allclose(outputs[1], whole[0], atol=oracles.LAYER)
    np.testing.assert_allclose(carry, jnp.stack([short[0, -1], whole[0, -1]]), atol=oracles.LAYER)
    first, _ = layer.apply(variables, inputs[1:, :2], return_carry=True)
    rest = layer.apply(variables, inputs[1:, 2:], initial_carry=first)
    np.testing.assert_allclose(rest[0], whole[0, 2:], atol=oracles.LAYER)


class OwnScan(nn.Module):
    """A recurrence that analysis cannot see into."""

    features: int

    @nn.compact
    def __call__(self, inputs):
        return jnp.cumsum(nn.Dense(self.features)(inputs), axis=1)


class WithoutStep(modules.Recurrent):
    """A module with parameters and no step."""

    def parameters(self, features_in):
        return None


class OfPairs(WithoutStep):
    """A carry in which h can't be identified."""

    def empty_carry(self, batch_size, length):
        return (self.zero_carry(batch_size),) * 2

    def step(self, params, carry, x):
        return carry, None


class OtherCarry(WithoutStep):
    """A step whose carry is not that of empty_carry."""

    def step(self, params, carry, x):
        return (carry, carry), None


class Repeating(WithoutStep):
    """A recurrence without gates."""

    def step(self, params, carry, x):
        return carry + x[:, :1], None


def network_of(layer, monkeypatch):
    monkeypatch.setitem(MODELS, "mine", lambda features, config: layer(features))
    model = models.build("mine", TASK, ModelConfig(features=4, num_heads=2))
    batch = TASK.sample(jax.random.key(0), 2)
    return model, model.init(jax.random.key(0)), TASK, batch


@pytest.mark.parametrize(
    ("layer", "message"),
    [
        (
            OwnScan,
            r"^model: expected OwnScan to be a modules\.Recurrent, or to have one as a layer",
        ),
        (WithoutStep, r"^WithoutStep: expected a method step\(params, carry, x\)"),
        (OtherCarry, r"^body: step expected a carry as empty_carry gives it, .*, got tuple"),
        (OfPairs, r"^body: carry expected an array h or a NamedTuple with a field h, got tuple"),
    ],
)
def test_what_a_model_lacks_is_one_line(layer, message, monkeypatch):
    """Catches a gradient reach that silently covers inputs only, and a traceback from a scan."""
    with pytest.raises(UsageError, match=message):
        gradient_norms(*network_of(layer, monkeypatch))


def test_a_model_without_gates_has_states_and_no_time_scales(monkeypatch):
    """Closed form: h_t is a sum of the first inputs, so |dL/dh_t| is the same at all lags. Catches
    a demand for gates from a layer without gates."""
    model, params, task, batch = network_of(Repeating, monkeypatch)
    norms = gradient_norms(model, params, task, batch)["body"]
    np.testing.assert_allclose(norms, np.repeat(norms[:, :1], 6, axis=1), rtol=1e-5)
    seen = look(model, task, params, jax.random.key(0), 2)
    assert (seen.gates, seen.time_scales) == ({}, {})
    with pytest.raises(UsageError, match=r"^time_scales: gates expected a field or property keep"):
        time_scales((norms,))


@pytest.mark.full
def test_the_example_runs_and_learns(example, capsys):
    """Oracle: the baseline, the loss of a model without memory: training halves it, and a cut of
    recurrence undoes most of that. Catches an example that prints what it did not measure."""
    seen = example["main"](steps=200, length=10)
    baseline = tasks.adding(10).baseline
    assert seen["loss"] < baseline / 2
    assert seen["cut"]["nothing"] < baseline / 2 < seen["cut"]["recurrence"]
    assert len(capsys.readouterr().out.splitlines()) == 6
