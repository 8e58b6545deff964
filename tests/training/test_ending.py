"""Trials that end before their cell: with `stop_when_solved`, each at its own evaluation."""

import dataclasses

import chex
import jax
import numpy as np
import pytest

from lstm_attn.training import checkpoints, make_program, run, train

ENDS_FIRST = 2


class FirstSolves:
    """A criterion that trial ENDS_FIRST alone meets, at the first evaluation."""

    def __init__(self, task, losses):
        self.task, self.threshold = task, losses[ENDS_FIRST]

    def __getattr__(self, name):
        return getattr(self.task, name)

    def is_solved(self, metrics):
        return bool(metrics["loss"] == self.threshold)


def on_host(states):
    return jax.tree.map(np.array, states)


@pytest.fixture(scope="module")
def stopping(config):
    return dataclasses.replace(config, stop_when_solved=True)


@pytest.fixture(scope="module")
def whole(model, task, config):
    """All trials to the end."""
    return train(model, task, config)


@pytest.fixture(scope="module")
def easy(task, whole):
    return FirstSolves(task, whole.history.metrics["loss"][0])


@pytest.mark.full
@pytest.mark.parametrize("placed", ["map", "vmap"])
def test_a_trial_that_rests_keeps_all_but_its_step(model, task, config, placed):
    """Identity: the resting trials with themselves before, the others with a chunk without rest.
    Two trials a device, one of each kind. Catches a mask of the wrong trials, or none."""
    config = dataclasses.replace(config, seeds=4, trials_on_device=placed)
    program = make_program(model, task, config)
    before = on_host(program.start())
    active = np.arange(8) % 2 == 0
    states, metrics = map(on_host, program.advance(program.start(), active))
    everyone, all_metrics = map(on_host, program.advance(program.start()))
    np.testing.assert_array_equal(states.step, config.evaluate_every)
    for part in ("params", "optimizer_state"):
        for after, rested, moved in zip(
            *(jax.tree.leaves(getattr(s, part)) for s in (states, before, everyone)), strict=True
        ):
            np.testing.assert_array_equal(after[~active], rested[~active])
            np.testing.assert_array_equal(after[active], moved[active])
    for name, values in metrics.items():
        assert np.isnan(values[~active]).all()
        np.testing.assert_array_equal(values[active], all_metrics[name][active])


def test_a_trial_that_has_solved_ends_and_the_others_go_on(model, stopping, easy, whole):
    """Identity with the cell in which nothing ends. Catches a trial that trains on, values that
    change after its end, and an end of the whole cell."""
    trained = train(model, easy, stopping)
    others = np.arange(stopping.trials) != ENDS_FIRST
    for name, values in trained.history.metrics.items():
        expected = whole.history.metrics[name].copy()
        expected[:, ENDS_FIRST] = expected[0, ENDS_FIRST]
        np.testing.assert_array_equal(values, expected)
    np.testing.assert_array_equal(trained.history.solved, np.tile(~others, (4, 1)))
    moved = [
        np.abs(np.asarray(ours) - np.asarray(theirs)).reshape(stopping.trials, -1).max(axis=1)
        for ours, theirs in zip(
            jax.tree.leaves(trained.params), jax.tree.leaves(whole.params), strict=True
        )
    ]
    assert (np.max(moved, axis=0) > 0).tolist() == (~others).tolist()


def test_resuming_after_an_end_equals_not_stopping(model, stopping, easy, tmp_path):
    """Identity, bit for bit. Catches an ended trial that trains on after a resume, or whose values
    are lost."""
    path = tmp_path / "cell.safetensors"
    program = make_program(model, easy, stopping)
    uninterrupted = []
    for number, (evaluation, states) in enumerate(run(program, easy, stopping)):
        uninterrupted.append(evaluation)
        if number == 1:
            checkpoints.save(path, states)
    expected = on_host(states)
    restored = checkpoints.restore(path, program)
    earlier = uninterrupted[:2]
    resumed = list(run(program, easy, stopping, states=restored, earlier=earlier))
    for (evaluation, _), reference in zip(resumed, uninterrupted[2:], strict=True):
        chex.assert_trees_all_equal(evaluation.metrics, reference.metrics)
        np.testing.assert_array_equal(evaluation.solved, reference.solved)
    chex.assert_trees_all_equal(on_host(resumed[-1][1]), expected)
