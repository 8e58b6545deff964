"""All trials as one program: compiled once, each trial as if alone, on any mesh."""

import dataclasses
import functools
import logging
import types

import chex
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from lstm_attn.models import Model
from lstm_attn.training import Trained, TrainingConfig, choose_layout, make_program, run, train
from lstm_attn.training.data_source import INIT_STREAM, TRAIN_STREAM
from lstm_attn.training.program import trial_settings
from tests import oracles
from tests.conftest import make_lenient_optimizer


def final(model, task, config):
    """History and parameters, both on the host."""
    trained = train(model, task, config)
    return trained.history, jax.tree.map(np.asarray, trained.params)


@pytest.fixture(scope="module")
def whole(model, task, config):
    return final(model, task, config)


def test_a_cell_compiles_once(model, task, config, caplog):
    """Oracle: JAX's own log of compilations, over four chunks. Catches a retrace by sharding,
    weak type or donation."""
    program = make_program(model, task, config)
    with jax.log_compiles(), caplog.at_level(logging.WARNING):
        evaluations = [evaluation for evaluation, _ in run(program, task, config)]
    assert len(evaluations) == 4
    compiled = [
        r.getMessage() for r in caplog.records if "Finished XLA compilation" in r.getMessage()
    ]
    assert sum("jit(advance)" in message for message in compiled) == 1
    assert sum("jit(start)" in message for message in compiled) == 1


@pytest.mark.full_but("1")
@pytest.mark.parametrize("rate", [0, 1])
def test_a_trial_among_others_equals_that_trial_alone(model, task, config, whole, rate):
    """Identity, to 1e-5 relative: another mesh may add in another order. Seed 0 is alone on one
    device here, one of four trials there. Catches data or parameters shared between trials."""
    history, params = whole
    one = dataclasses.replace(config, seeds=1, learning_rates=(config.learning_rates[rate],))
    alone, alone_params = final(model, task, one)
    trial = rate * config.seeds
    assert alone.seeds == history.seeds[trial] == 0
    np.testing.assert_allclose(
        alone.metrics["loss"][:, 0], history.metrics["loss"][:, trial], rtol=1e-5
    )
    theirs = jax.tree.map(lambda leaf: leaf[trial : trial + 1], params)
    chex.assert_trees_all_close(alone_params, theirs, rtol=1e-4, atol=oracles.MODEL)


def test_the_training_loss_is_the_mean_over_the_steps_of_a_chunk(model, task, config, whole):
    """Identity, to 1e-5 relative: the same steps one by one. Catches a sum, and the loss of the last
    step alone."""
    history, _ = whole
    one_by_one, _ = final(model, task, dataclasses.replace(config, evaluate_every=1))
    losses = one_by_one.metrics["train_loss"].reshape(-1, config.chunk_steps, config.trials)
    np.testing.assert_allclose(losses.mean(axis=1), history.metrics["train_loss"], rtol=1e-5)


def test_one_trial_is_taken_out_of_all():
    """Oracle: written by hand. Catches a slice of another axis, and the first trial for all."""
    trained = Trained(None, {"kernel": np.arange(6).reshape(3, 2), "bias": np.arange(3)})
    chex.assert_trees_all_equal(trained.trial(1), {"kernel": np.array([2, 3]), "bias": np.int64(1)})


def test_trials_differ_in_seed_and_in_learning_rate(whole):
    """Catches one key for all trials, and a learning rate that is ignored."""
    history, _ = whole
    losses = history.metrics["loss"][-1]
    assert len(set(losses.tolist())) == 4


@pytest.mark.full_but("1-7-map-shards2")
@pytest.mark.parametrize(
    ("seeds", "batch_size", "placed", "shards"),
    [(4, 8, "vmap", (4, 1)), (1, 8, "map", (2, 2)), (1, 7, "map", (2, 1))],
)
def test_the_mesh_does_not_change_the_result(
    model, task, config, seeds, batch_size, placed, shards
):
    """Oracle: a plain loop over steps for each trial, to 1e-3 relative after 20 steps. Two trials a
    device, or two devices a batch. Catches one trial trained in place of all on a device, a
    gradient that is summed instead of averaged over the batch axis, and data drawn by shard."""
    config = dataclasses.replace(
        config, seeds=seeds, batch_size=batch_size, trials_on_device=placed
    )
    layout = make_program(model, task, config).layout
    assert (layout.trial_shards, layout.batch_shards) == shards
    history, params = final(model, task, config)
    for trial, setting in enumerate(zip(*trial_settings(config), strict=True)):
        expected_params, loss = reference_trial(model, task, config, *setting)
        assert history.metrics["train_loss"][-1, trial] == pytest.approx(loss, rel=1e-4)
        mine = jax.tree.map(lambda leaf, trial=trial: leaf[trial], params)
        chex.assert_trees_all_close(mine, expected_params, rtol=1e-3, atol=oracles.MODEL)


def test_evaluation_does_not_depend_on_the_mesh(task, config):
    """Identity, for a model that does not learn. Catches evaluation batches sized by the mesh."""
    constant = Model(
        init=lambda key: {"w": jnp.zeros(())},
        apply=lambda params, inputs: jnp.ones((*inputs.shape[:2], 1)) + 0 * params["w"],
    )
    config = dataclasses.replace(config, seeds=1, learning_rates=(1e-3,), evaluation_sequences=400)
    losses = []
    for batch_size in (7, 8):  # one device, four
        one = dataclasses.replace(config, batch_size=batch_size)
        losses.append(final(constant, task, one)[0].metrics["loss"])
    assert choose_layout(one).batch_shards == 4
    np.testing.assert_allclose(losses[0], losses[1], rtol=1e-5)


@pytest.mark.parametrize(
    ("trials", "devices", "used"),
    [(4, 3, 2), (4, 6, 4), (12, 7, 6), (5, 7, 5), (1, 8, 8), (6, 4, 3), (2, 4, 4)],
)
def test_the_layout_uses_as_many_devices_as_it_can(trials, devices, used, monkeypatch):
    """Oracle: by hand, for a batch of 32. Catches a mesh that leaves most devices idle."""
    chosen = {}
    of_one_process = [types.SimpleNamespace(process_index=0) for _ in range(devices)]
    monkeypatch.setattr(jax, "devices", lambda: of_one_process)
    monkeypatch.setattr(jax, "make_mesh", lambda shape, names, **k: chosen.update(shape=shape))
    choose_layout(TrainingConfig(seeds=trials))
    assert np.prod(chosen["shape"]) == used


@functools.cache
def plain_step(model, task, config):
    """One jitted step of one trial at a given rate."""

    @jax.jit
    def step_of(params, state, batch, rate):
        def loss_of(params):
            return task.loss(model.apply(params, batch.inputs), batch)

        loss, gradients = jax.value_and_grad(loss_of)(params)
        updates, state = make_lenient_optimizer(config, rate).update(gradients, state, params)
        return optax.apply_updates(params, updates), state, loss

    return step_of


def reference_trial(model, task, config, seed, rate):
    """The plainest loop: one trial, one step after another, no mesh, no scan.

    Returns the parameters, and the mean loss over the last `evaluate_every` steps.
    """

    def stream(index, step):
        return jax.random.fold_in(jax.random.fold_in(jax.random.key(seed), index), step)

    params = model.init(stream(INIT_STREAM, 0))
    state, losses = make_lenient_optimizer(config, rate).init(params), []
    for step in range(config.steps):
        batch = task.sample(stream(TRAIN_STREAM, step), config.batch_size)
        params, state, loss = plain_step(model, task, config)(params, state, batch, rate)
        losses.append(float(loss))
    return params, np.mean(losses[-config.evaluate_every :])


def test_evaluation_is_on_fresh_data(task, config):
    """Catches evaluation on the same data every time, or on other data for another learning rate: a
    model that does not learn and always gives one shows it in its losses."""
    constant = Model(
        init=lambda key: {"w": jnp.zeros(())},
        apply=lambda params, inputs: jnp.ones((*inputs.shape[:2], 1)) + 0 * params["w"],
    )
    history, _ = final(constant, task, config)
    losses = history.metrics["loss"]
    assert len(np.unique(losses[:, :2])) == losses[:, :2].size
    np.testing.assert_allclose(losses.mean(), task.baseline, rtol=0.2)
    # The same seed at another learning rate sees the same data, so that rates are compared fairly.
    np.testing.assert_array_equal(losses[:, :2], losses[:, 2:])
