"""Truncated back-propagation: the state that is carried from segment to segment."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from lstm_attn import models
from lstm_attn.tasks import TextPrediction
from lstm_attn.text import Split, Text
from lstm_attn.text.vocabulary import Characters
from lstm_attn.training import TrainingConfig, checkpoints, make_program, optimizer, run
from tests import oracles

T, B = 6, 4
CONFIG = TrainingConfig(
    steps=6, batch_size=B, seeds=1, learning_rates=(1e-2,), warmup_steps=0, schedule="constant",
    evaluate_every=3, evaluation_sequences=8, trials_on_device="map",
)  # fmt: skip


@pytest.fixture(scope="module")
def task():
    rng = np.random.default_rng(0)
    splits = {
        name: Split(rng.integers(0, 5, size), size, 0)
        for name, size in (("train", 300), ("validation", 80), ("test", 20))
    }
    return TextPrediction(Text(Characters("abcd"), splits, "made"), T)


def built(task, name="lstm"):
    return models.build(name, task, models.ModelConfig(features=6, num_heads=2, num_layers=1))


def trained(task, config=CONFIG, name="lstm"):
    *_, (evaluation, states) = run(make_program(built(task, name), task, config), task, config)
    return evaluation, jax.tree.map(np.asarray, states)


@pytest.fixture(scope="module")
def reference(task):
    """The LSTM, one trial with whole batches."""
    return trained(task)


def by_hand(task, steps):
    """Oracle: one segment after the other, with the state of `Model.segment`."""
    model = built(task)
    params = make_program(model, task, CONFIG).start().params
    params = jax.tree.map(lambda leaf: leaf[0], params)
    one = optimizer.make_optimizer(CONFIG, 1e-2)
    optimizer_state, state = one.init(params), model.initial_state(B, T)

    def loss(params, state, ids):
        state, logits = model.segment(params, state, ids[:, :-1])
        nats = optax.softmax_cross_entropy_with_integer_labels(logits, ids[:, 1:])
        return nats.mean(), state

    @jax.jit
    def step(params, optimizer_state, state, ids):
        (_, state), gradients = jax.value_and_grad(loss, has_aux=True)(params, state, ids)
        with jax.numpy_dtype_promotion("standard"):
            updates, optimizer_state = one.update(gradients, optimizer_state, params)
        return optax.apply_updates(params, updates), optimizer_state, state

    for ids in task.read(np.array([0]), 0, steps, B)[0]:
        params, optimizer_state, state = step(params, optimizer_state, state, ids)
    return params, state


def test_segments_are_trained_on_with_the_state_of_those_before(task, reference):
    """Catches a state that restarts at each segment, a step that carries the state of two segments
    before, and segments in another order."""
    _, states = reference
    params, state = by_hand(task, CONFIG.steps)
    for ours, theirs in zip(jax.tree.leaves(states.params), jax.tree.leaves(params), strict=True):
        np.testing.assert_allclose(ours[0], theirs, atol=oracles.LAYER)
    for ours, theirs in zip(jax.tree.leaves(states.carried), jax.tree.leaves(state), strict=True):
        np.testing.assert_allclose(ours[0], theirs, atol=oracles.LAYER)
    assert all(np.abs(leaf).max() > 1e-3 for leaf in jax.tree.leaves(states.carried))


def test_the_evaluation_reads_its_streams_through(task, reference):
    """Oracle: `Model.apply` on each stream as one long sequence. Catches a state that evaluation
    takes from training, and segments that begin without memory."""
    evaluation, states = reference
    held_out = task.held_out(8, 4)
    whole = np.concatenate([held_out[0], held_out[1][:, 1:]], axis=1)
    params = jax.tree.map(lambda leaf: jnp.asarray(leaf[0]), states.params)
    logits = built(task).apply(params, jnp.asarray(whole[:, :-1]))
    nats = optax.softmax_cross_entropy_with_integer_labels(logits, jnp.asarray(whole[:, 1:]))
    np.testing.assert_allclose(evaluation.metrics["loss"][0], nats.mean(), rtol=1e-5)


@pytest.mark.full
def test_attention_carries_nothing(task):
    """Catches a cache that fills up from segment to segment."""
    _, states = trained(task, name="transformer")
    assert not jax.tree.leaves(states.carried)


@pytest.mark.full_but("{'accumulation_steps': 2}")
@pytest.mark.parametrize(
    "change",
    [{"accumulation_steps": 2}, {"seeds": 2}, {"parameters": "sharded"}],
    ids=str,
)
def test_where_and_how_a_batch_is_computed_changes_little(task, reference, change):
    """Identity with one device and one batch. Catches carries that go to other sequences."""
    _, expected = reference
    _, states = trained(task, dataclasses.replace(CONFIG, **change))
    for ours, theirs in zip(
        jax.tree.leaves((states.params, states.carried)),
        jax.tree.leaves((expected.params, expected.carried)),
        strict=True,
    ):
        np.testing.assert_allclose(ours[0], theirs[0], atol=oracles.LAYER)


def test_resuming_equals_not_stopping_bit_for_bit(task, tmp_path):
    """Identity. Catches a carry that a checkpoint leaves out, and data that restart."""
    path = tmp_path / "cell.safetensors"
    program = make_program(built(task), task, CONFIG)
    chunks = run(program, task, CONFIG)
    first, states = next(chunks)
    checkpoints.save(path, states)
    *_, (_, expected) = chunks
    resumed = checkpoints.restore(path, program)
    *_, (_, states) = run(program, task, CONFIG, states=resumed, earlier=[first])
    for ours, theirs in zip(jax.tree.leaves(states), jax.tree.leaves(expected), strict=True):
        np.testing.assert_array_equal(np.asarray(ours), np.asarray(theirs))
