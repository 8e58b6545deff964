"""A pass of a criterion counts once it has been confirmed on fresh sequences."""

import dataclasses
import types

import jax
import numpy as np
import pytest

from lstm_attn import models, tasks
from lstm_attn.history import Evaluation
from lstm_attn.training import TrainingConfig, loop, make_program, run, train
from lstm_attn.training.data_source import (
    CONFIRMATION_STREAM,
    EVALUATION_STREAM,
    make_source,
    stream,
)
from tests.training.test_divergence import FATAL_RATE, exploding


class Judged:
    """A task whose criteria are given: functions of a trial's metrics."""

    def __init__(self, task, remembers, is_solved):
        self.task, self.remembers, self.is_solved = task, remembers, is_solved

    def __getattr__(self, name):
        return getattr(self.task, name)


def never(metrics):
    return False


def always(metrics):
    return True


def on_host(states):
    return jax.tree.map(np.array, states)


def on_devices(program, states):
    return jax.device_put(states, jax.tree.map(lambda leaf: leaf.sharding, program.shapes))


@pytest.fixture(scope="module")
def whole(model, task, config):
    """All trials to the end; none passes."""
    return train(model, task, config)


def test_a_pass_by_luck_does_not_count(model, task, config, whole):
    """Identity: each trial passes both criteria at every evaluation, by the very losses that it
    has there, and on no other sequences. Catches a pass that counts at once, and a trial that ends
    with it."""
    losses = set(whole.history.metrics["loss"].ravel().tolist())

    def lucky(metrics):
        return float(metrics["loss"]) in losses

    stopping = dataclasses.replace(config, stop_when_solved=True)
    history = train(model, Judged(task, lucky, lucky), stopping).history
    assert not history.remembers.any()
    assert not history.solved.any()
    assert np.isnan(history.steps_to_remember).all()
    for name, values in history.metrics.items():
        np.testing.assert_array_equal(values, whole.history.metrics[name])
    at_once = dataclasses.replace(config, confirmation_sequences=0)
    history = train(model, Judged(task, lucky, lucky), at_once).history
    assert history.remembers.all()
    assert history.solved.all()


def test_only_new_passes_are_confirmed(model, task, config):
    """By hand: the main criterion holds always, the other never but in the first look. Catches a
    pass that is confirmed at each evaluation, one that is not tried again after it failed, and the
    confirmation of one criterion taken for that of the other."""
    looks = []

    def first_look(metrics):
        looks.append(None)
        return len(looks) <= config.trials

    judged = Judged(task, always, first_look)
    program = make_program(model, judged, config)
    asked = []

    def confirm(states, active):
        asked.append(active.tolist())
        return program.confirm(states, active)

    evaluations = [e for e, _ in run(program._replace(confirm=confirm), judged, config)]
    assert all(evaluation.remembers.all() for evaluation in evaluations)
    assert not any(evaluation.solved.any() for evaluation in evaluations)
    assert asked == [[True] * 4]

    judged = Judged(task, never, lambda metrics: metrics["accuracy"] >= 0)
    lucky = Judged(task, lambda metrics: "train_loss" in metrics, never)  # of evaluations alone
    for one, times in ((judged, 1), (lucky, 4)):
        asked.clear()
        assert len(list(run(program._replace(confirm=confirm), one, config))) == 4
        assert asked == [[True] * 4] * times


@pytest.mark.parametrize("placed", ["map", pytest.param("vmap", marks=pytest.mark.full)])
def test_confirmation_measures_the_sequences_of_its_own_stream(model, task, config, placed):
    """Oracle: the model, applied by hand to 120 sequences, the least number of whole batches of 40
    that holds 90. Catches the evaluation's sequences, fewer than asked for, another trial's or
    step's, states that change, and a trial that is measured though nobody asked."""
    config = dataclasses.replace(config, confirmation_sequences=90, trials_on_device=placed)
    program = make_program(model, task, config)
    states, _ = program.advance(program.start())
    before = on_host(states)
    active = np.array([True, False, True, True])
    found = on_host(program.confirm(states, active))
    jax.tree.map(np.testing.assert_array_equal, on_host(states), before)
    assert np.isnan(found["loss"][~active]).all()
    for trial in np.flatnonzero(active):
        params = jax.tree.map(lambda leaf, trial=trial: leaf[trial], before.params)
        key = stream(before.seed[trial], CONFIRMATION_STREAM, 5)
        batches = [task.sample(jax.random.fold_in(key, index), 40) for index in range(3)]
        metrics = [task.metrics(model.apply(params, one.inputs), one) for one in batches]
        for name in ("loss", "accuracy"):
            expected = np.mean([float(one[name]) for one in metrics])
            np.testing.assert_allclose(found[name][trial], expected, rtol=1e-5)


def test_no_sequence_is_confirmed_on_that_was_looked_at_before(task, config):
    """Oracle: the numbers of adding, which never occur twice. Catches sequences of training or of
    an evaluation in a confirmation, and the same ones at each."""
    source = make_source(task, config, 1)
    seen = []
    for step in range(5, 21, 5):
        for draw in (source.held_out(0, step, ()), source.unseen(0, step)):
            numbers, batch_of = draw
            seen += [np.asarray(batch_of(number).inputs)[..., 0] for number in numbers]
    seen += [np.asarray(source.batch(0, step, None).inputs)[..., 0] for step in range(20)]
    sequences = np.concatenate(seen)
    assert len(sequences) == 4 * (40 + 80) + 20 * 8
    assert len(np.unique(sequences, axis=0)) == len(sequences)
    keys = [stream(0, index, 5) for index in (EVALUATION_STREAM, CONFIRMATION_STREAM)]
    assert (jax.random.key_data(keys[0]) != jax.random.key_data(keys[1])).any()


def test_a_resumed_run_confirms_the_same(model, task, config, whole):
    """Identity, bit for bit, with a criterion that some trials pass and some do not. Catches
    confirmation on sequences that depend on when a run was stopped, and passes that are lost."""
    limit = np.median(whole.history.metrics["loss"])

    def low(metrics):
        return bool(metrics["loss"] <= limit)

    judged = Judged(task, low, low)
    program = make_program(model, judged, config)
    evaluations, states = [], []
    for evaluation, state in run(program, judged, config):
        evaluations.append(evaluation)
        states.append(on_host(state))
    last = evaluations[-1].remembers
    assert last.any()
    for stop in (1, 2, 3):
        again = run(
            program, judged, config, states=on_devices(program, states[stop - 1]),
            earlier=evaluations[:stop],
        )  # fmt: skip
        for (evaluation, _), reference in zip(again, evaluations[stop:], strict=True):
            np.testing.assert_array_equal(evaluation.remembers, reference.remembers)
            np.testing.assert_array_equal(evaluation.solved, reference.solved)


@pytest.mark.full
def test_a_diverged_trial_confirms_nothing(model, task, config):
    """By the definition. Catches a pass of the last finite parameters."""
    fatal = dataclasses.replace(config, learning_rates=(1e-2, FATAL_RATE), warmup_steps=0)
    history = train(exploding(model), Judged(task, always, always), fatal).history
    diverged = history.diverged[-1]
    assert diverged.any()
    assert not diverged.all()
    np.testing.assert_array_equal(history.remembers[-1], ~diverged)


def test_a_trial_that_diverges_after_its_pass_does_not_remember():
    """By the definition. Catches a pass that is kept although the trial diverged."""
    both, none = np.ones(2, bool), np.zeros(2, bool)
    one = np.array([True, False])
    before = Evaluation(5, 1.0, {"loss": np.zeros(2)}, both, both, none)
    after = Evaluation(10, 2.0, {"loss": np.zeros(2)}, ~one, ~one, one)
    program = types.SimpleNamespace(confirm=None)
    found = loop._confirmed(after, before, none, None, program, None)
    np.testing.assert_array_equal(found.remembers, ~one)
    np.testing.assert_array_equal(found.solved, ~one)


@pytest.mark.full
def test_stored_data_have_no_more_sequences():
    """By the definition. Catches a confirmation on the sequences of the evaluation, and a traceback
    at the first pass."""
    inputs = np.arange(48, dtype=np.float32).reshape(8, 6, 1)
    targets = np.ones((8, 1), np.float32)
    task = tasks.from_arrays(inputs, targets, inputs, targets, loss="mse")
    settings = {"steps": 2, "batch_size": 4, "seeds": 1, "evaluate_every": 1, "warmup_steps": 0}
    config = TrainingConfig(**settings)
    model = models.build("gru", task, models.ModelConfig(features=2, num_heads=1))
    assert make_program(model, task, config).confirm is None
    judged = Judged(task, always, always)
    assert train(model, judged, config).history.remembers.all()
