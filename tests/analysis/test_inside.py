"""Time scales of pinned gates, and distances of hand-made attention."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from lstm_attn import models, modules, tasks
from lstm_attn.analysis import attention_distance, look, look_at_trials, time_scales
from lstm_attn.analysis.inside import uniform_distance
from lstm_attn.models import ModelConfig, Network
from lstm_attn.modules.observing import COLLECTION, observations
from lstm_attn.ops import GRUGates, LSTMGates
from tests import oracles

TASK = tasks.adding(6)


def pinned(name, gate_block, value):
    """A model of four units with kernels of zero and a constant bias for one gate."""
    model = models.build(name, TASK, ModelConfig(features=4, num_heads=2))
    params = jax.tree.map(jnp.zeros_like, jax.jit(model.init)(jax.random.key(0)))
    bias = params["body"]["bias"]
    width = params["body"]["recurrent_kernel"].shape[0]
    bias = bias.at[gate_block * width : (gate_block + 1) * width].set(value)
    return model, {**params, "body": {**params["body"], "bias": bias}}


@pytest.mark.full_but("lstm-1-3.0", "gru-1--2.0")
@pytest.mark.parametrize("value", [-2.0, 0.0, 3.0])
@pytest.mark.parametrize(("name", "gate_block"), [("lstm", 1), ("gru", 1)])
def test_a_pinned_gate_has_the_time_scale_of_its_bias(name, gate_block, value):
    """Closed form: 1 / (1 - sigmoid(b)) = 1 + e^b, of f (the second of i, f, g, o) and of z (the
    second of r, z, n). Catches the gate that writes taken for the one that keeps."""
    model, params = pinned(name, gate_block, value)
    inside = look(model, TASK, params, jax.random.key(1), 3)
    (scales,) = inside.time_scales.values()
    np.testing.assert_allclose(scales, 1 + np.exp(value), rtol=1e-5)


def test_a_gate_at_one_stays_finite():
    """Catches a division by zero: JSON has no infinity."""
    model, params = pinned("lstm", 1, 100.0)
    (scales,) = look(model, TASK, params, jax.random.key(1), 3).time_scales.values()
    np.testing.assert_array_equal(scales, 2.0**24)


def test_a_time_scale_is_of_the_mean_gate():
    """Oracle: numpy in float64. Catches a mean of time scales, and an average over units."""
    gates = np.random.default_rng(0).random((3, 5, 4)).astype(np.float32)
    expected = 1 / (1 - gates.astype(np.float64).mean((0, 1)))
    others = jnp.zeros((3, 5, 4))
    np.testing.assert_allclose(
        time_scales(LSTMGates(others, jnp.asarray(gates), others, others)), expected, rtol=1e-5
    )
    np.testing.assert_allclose(
        time_scales(GRUGates(others, jnp.asarray(gates), others)), expected, rtol=1e-5
    )


def test_distance_is_that_of_the_queries_asked_for():
    """Oracle: a loop over queries and keys. Catches a mean over all queries, a wrong sign, heads
    and sequences swapped."""
    rng = np.random.default_rng(0)
    weights = rng.dirichlet(np.ones(5), (3, 2, 5)).astype(np.float32)
    queries = rng.random((3, 5)) < 0.5
    expected = [
        np.mean([weights[b, n, t] @ (t - np.arange(5)) for b, t in np.argwhere(queries)])
        for n in range(2)
    ]
    found = attention_distance(jnp.asarray(weights), jnp.asarray(queries))
    np.testing.assert_allclose(found, expected, rtol=1e-5)


def test_attention_made_by_hand_has_its_known_map_and_distance():
    """Oracle: a hand-made layer: one-hot steps, keys that are the inputs, queries for the step two
    before. Catches queries and keys swapped in the map."""
    steps, back = 6, 2
    network = Network(modules.MultiHeadAttention(1), 1)
    inputs = jnp.eye(steps)[None]
    params = jax.tree.map(jnp.zeros_like, network.init(jax.random.key(0), inputs)["params"])
    params["body"]["key"]["kernel"] = 200 * jnp.eye(steps)
    params["body"]["query"]["kernel"] = 200 * jnp.eye(steps, k=-back)
    _, sown = network.apply({"params": params}, inputs, mutable=COLLECTION)
    weights = observations(sown[COLLECTION]).weights["body"]
    due = jnp.arange(steps)[None] >= back
    np.testing.assert_allclose(weights[0, 0, back:], np.eye(steps)[:-back], atol=oracles.LAYER)
    np.testing.assert_allclose(attention_distance(weights, due), [back], atol=oracles.MODEL)


def test_uniform_attention_has_the_distance_that_is_drawn_for_it():
    """Identity: attention over equal logits. Catches a baseline at the middle of the sequence."""
    weights = jnp.tril(jnp.ones((6, 6))) / jnp.arange(1, 7, dtype=jnp.float32)[:, None]
    queries = jnp.array([[False, True, False, False, True, True]])
    np.testing.assert_allclose(
        attention_distance(weights[None, None], queries)[0], uniform_distance(queries), rtol=1e-6
    )


def test_the_answers_are_due_where_the_task_says():
    """Oracle: the tasks' definitions. Catches the blanks of copy counted as answers, and an answer
    of class 0 that is not counted."""
    last = {"adding": [False] * 6 + [True], "parity": [False] * 6 + [True]}
    last["copy"] = [False] * 17 + [True] * 10
    for name, expected in last.items():
        task = tasks.build(name, 7)
        due = task.answer_steps(task.sample(jax.random.key(0), 8))
        assert due.tolist() == [expected] * 8


@pytest.mark.full
def test_trials_are_looked_at_one_by_one():
    """Identity with one trial alone. Catches trials in another order, and gates or maps of another
    sequence than the first."""
    model = models.build("lstm_attention", TASK, ModelConfig(features=4, num_heads=2))
    stacked = jax.jit(jax.vmap(model.init))(jax.random.split(jax.random.key(0), 2))
    found = look_at_trials(model, TASK, stacked, jax.random.key(1), 3)
    second = jax.tree.map(lambda leaf: leaf[1], stacked)
    inputs = TASK.sample(jax.random.key(1), 3).inputs
    _, seen = jax.jit(model.observe)(second, inputs)
    np.testing.assert_allclose(
        found[1].maps["attention"], seen.weights["attention"][0], atol=oracles.LAYER
    )
    np.testing.assert_allclose(
        found[1].gates["lstm"].f, seen.gates["lstm"].f[0], atol=oracles.LAYER
    )
    assert not np.allclose(found[0].gates["lstm"].f, found[1].gates["lstm"].f)
