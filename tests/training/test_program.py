"""All trials as one program: compiled once, each trial as if alone, whatever the mesh."""

import dataclasses
import logging

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from lstm_attn.models import Model
from lstm_attn.training import make_program, run, train
from lstm_attn.training.program import trial_settings


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


@pytest.mark.parametrize("trial", range(4))
def test_a_trial_among_others_equals_that_trial_alone(model, task, config, whole, trial):
    """Identity, to 1e-5 relative: another mesh may add in another order. Catches data, a
    learning rate or a parameter shared between trials."""
    history, params = whole
    seeds, rates = trial_settings(config)
    alone = dataclasses.replace(
        config, seeds=int(seeds[trial]) + 1, learning_rates=(float(rates[trial]),)
    )
    alone_history, alone_params = final(model, task, alone)
    mine = int(seeds[trial])  # seeds 0 ... mine are trained; the last is the trial
    np.testing.assert_allclose(
        alone_history.metrics["loss"][:, mine], history.metrics["loss"][:, trial], rtol=1e-5
    )
    for ours, theirs in zip(jax.tree.leaves(alone_params), jax.tree.leaves(params), strict=True):
        np.testing.assert_allclose(ours[mine], theirs[trial], rtol=1e-4, atol=1e-6)


def test_trials_differ_in_seed_and_in_learning_rate(whole):
    """Catches one key for all trials, and a learning rate that is ignored."""
    history, _ = whole
    losses = history.metrics["loss"][-1]
    assert len(set(losses.tolist())) == 4


@pytest.mark.parametrize(
    ("seeds", "batch_size", "placed", "shards"),
    [(2, 8, "map", (4, 1)), (2, 8, "vmap", (4, 1)), (1, 8, "map", (2, 2)), (1, 7, "map", (2, 1))],
)
def test_the_mesh_does_not_change_the_result(
    model, task, config, seeds, batch_size, placed, shards
):
    """Identity, to 1e-5 relative: trials on one device one by one are the reference. Catches a
    gradient that is summed instead of averaged over the batch axis, and data drawn by shard."""
    config = dataclasses.replace(
        config, seeds=seeds, batch_size=batch_size, trials_on_device=placed
    )
    program = make_program(model, task, config)
    assert (program.layout.trial_shards, program.layout.batch_shards) == shards
    history, params = final(model, task, config)

    optimised = [
        reference_trial(model, task, config, *s) for s in zip(*trial_settings(config), strict=True)
    ]
    for trial, (expected_params, loss) in enumerate(optimised):
        assert history.metrics["train_loss"][-1, trial] == pytest.approx(loss, rel=1e-4)
        mine = jax.tree.map(lambda leaf, trial=trial: leaf[trial], params)
        for ours, theirs in zip(
            jax.tree.leaves(mine), jax.tree.leaves(expected_params), strict=True
        ):
            np.testing.assert_allclose(ours, theirs, rtol=1e-3, atol=1e-5)


def reference_trial(model, task, config, seed, rate):
    """The plainest loop: one trial, one step after another, no mesh, no scan.

    Returns the parameters, and the mean loss over the last `evaluate_every` steps.
    """
    import optax

    from lstm_attn.training.optimizer import make_optimizer
    from lstm_attn.training.program import INIT_STREAM, TRAIN_STREAM

    def stream(index, step):
        return jax.random.fold_in(jax.random.fold_in(jax.random.key(seed), index), step)

    params = model.init(stream(INIT_STREAM, 0))
    optimizer = make_optimizer(config, float(rate))
    state, losses = optimizer.init(params), []

    @jax.jit
    def step_of(params, state, batch):
        loss, gradients = jax.value_and_grad(
            lambda p: task.loss(model.apply(p, batch.inputs), batch)
        )(params)
        updates, state = optimizer.update(gradients, state, params)
        return optax.apply_updates(params, updates), state, loss

    for step in range(config.steps):
        batch = task.sample(stream(TRAIN_STREAM, step), config.batch_size)
        params, state, loss = step_of(params, state, batch)
        losses.append(float(loss))
    return params, np.mean(losses[-config.evaluate_every :])


def test_evaluation_is_on_fresh_data(task, config):
    """Catches evaluation on training data, or on the same data at every evaluation: a model that
    always gives one, and does not learn, then has equal losses."""
    constant = Model(
        init=lambda key: {"w": jnp.zeros(())},
        apply=lambda params, inputs: jnp.ones((*inputs.shape[:2], 1)) + 0 * params["w"],
    )
    history, _ = final(constant, task, config)
    losses = history.metrics["loss"]
    assert len(np.unique(losses[:, :2])) == losses[:, :2].size
    np.testing.assert_allclose(losses.mean(), task.baseline, rtol=0.2)
    # The same seed at another learning rate sees the same data: the rates are compared fairly.
    np.testing.assert_array_equal(losses[:, :2], losses[:, 2:])
