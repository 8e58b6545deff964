"""Trials that end before their cell: with `stop_when_solved`, each at its own evaluation; with
`halving`, those of the worse rates at a quarter of the steps."""

import dataclasses

import chex
import jax
import numpy as np
import pytest

from lstm_attn.history import Evaluation
from lstm_attn.training import TrainingConfig, checkpoints, loop, make_program, run, train

ENDS_FIRST = 2


class FirstSolves:
    """Criteria that trial ENDS_FIRST alone meets, at the first evaluation."""

    def __init__(self, task, losses):
        self.task, self.threshold = task, losses[ENDS_FIRST]

    def __getattr__(self, name):
        return getattr(self.task, name)

    def is_solved(self, metrics):
        return bool(metrics["loss"] == self.threshold)

    remembers = is_solved


def on_host(states):
    return jax.tree.map(np.array, states)


def on_devices(program, states):
    return jax.device_put(states, jax.tree.map(lambda leaf: leaf.sharding, program.shapes))


@pytest.fixture(scope="module")
def config(config):
    """With a warm-up so short that a rate may end at the first evaluation, a quarter of the steps."""
    return dataclasses.replace(config, warmup_steps=2)


@pytest.fixture(scope="module")
def stopping(config):
    """A pass counts at once, so that the first evaluation can end a trial."""
    return dataclasses.replace(config, stop_when_solved=True, confirmation_sequences=0)


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
    np.testing.assert_array_equal(trained.history.remembers, trained.history.solved)
    assert trained.history.ended_at.tolist() == [0 if end else 3 for end in ~others]
    moved = [
        np.abs(np.asarray(ours) - np.asarray(theirs)).reshape(stopping.trials, -1).max(axis=1)
        for ours, theirs in zip(
            jax.tree.leaves(trained.params), jax.tree.leaves(whole.params), strict=True
        )
    ]
    assert (np.max(moved, axis=0) > 0).tolist() == (~others).tolist()


def test_one_criterion_alone_ends_no_trial(model, stopping, easy, whole):
    """Identity with the cell in which nothing ends. Catches an end at the first of two criteria."""

    class Remembers(FirstSolves):
        def is_solved(self, metrics):
            return False

    task = Remembers(easy.task, whole.history.metrics["loss"][0])
    history = train(model, task, stopping).history
    for name, values in history.metrics.items():
        np.testing.assert_array_equal(values, whole.history.metrics[name])
    # Since the first evaluation, although later ones do not pass.
    assert history.remembers.all(axis=0).tolist() == [False, False, True, False]
    assert history.steps_to_remember[ENDS_FIRST] == 5
    assert not history.solved.any()


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


@pytest.fixture(scope="module")
def halving(config):
    return dataclasses.replace(config, halving=True)


def test_the_worse_rate_ends_at_a_quarter_and_the_other_goes_on(model, task, halving, whole):
    """Identity with the cell in which nothing ends; by its losses, one rate is worse. Catches the
    better half ended, an end at another evaluation, and trials that are taken for rates."""
    history = train(model, task, halving).history
    rates = history.learning_rates
    loss = whole.history.metrics["loss"]
    median = {rate: np.median(loss[0, rates == rate]) for rate in np.unique(rates)}
    worse = rates == max(median, key=median.get)
    for name, values in history.metrics.items():
        expected = whole.history.metrics[name].copy()
        expected[1:, worse] = expected[0, worse]
        np.testing.assert_array_equal(values, expected)
    assert history.steps[history.ended_at].tolist() == [5 if one else 20 for one in worse]


@pytest.mark.parametrize(
    ("steps", "warmup", "expected"),
    [(2000, 100, 500), (400, 100, 200), (400, 0, 100), (400, 130, 300), (400, 200, None)],
)
def test_no_rate_ends_before_twice_the_warm_up(steps, warmup, expected):
    """By hand, with an evaluation every 50 steps. Catches a great rate that ends while it rises, and
    an end at the last step, which is none."""
    config = TrainingConfig(steps=steps, warmup_steps=warmup, evaluate_every=50, halving=True)
    assert config.halving_step == expected
    assert dataclasses.replace(config, halving=False).halving_step is None


def test_resuming_after_a_halving_equals_not_stopping(model, task, halving):
    """Identity, bit for bit. Catches trials of the worse rate that train on after a resume."""
    program = make_program(model, task, halving)
    evaluations, states = [], []
    for evaluation, state in run(program, task, halving):
        evaluations.append(evaluation)
        states.append(on_host(state))
    again = run(
        program, task, halving, states=on_devices(program, states[1]), earlier=evaluations[:2]
    )
    resumed = [(evaluation, on_host(state)) for evaluation, state in again]
    assert [evaluation.step for evaluation, _ in resumed] == [15, 20]
    for (evaluation, state), reference, expected in zip(
        resumed, evaluations[2:], states[2:], strict=True
    ):
        chex.assert_trees_all_equal(evaluation.metrics, reference.metrics)
        chex.assert_trees_all_equal(state, expected)


NONE = [False] * 3


@pytest.mark.parametrize(
    ("rates", "losses", "diverged", "worst"),
    [
        ((0.1, 0.2, 0.3), (1.0, 3.0, 2.0), NONE, [0.2]),  # of three one ends
        ((0.1, 0.2, 0.3), (1.0, 3.0, 2.0), [True, False, False], [0.1]),
        ((0.1, 0.2, 0.3), (1.0, np.nan, 2.0), NONE, [0.2]),
        ((0.1, 0.1, 0.1), (1.0, 3.0, 2.0), NONE, []),
        ((0.1, 0.1, 0.2), (1.0, 9.0, 4.0), NONE, [0.1]),  # medians 5 and 4
    ],
)
def test_the_worse_half_is_that_of_the_greater_medians(rates, losses, diverged, worst):
    """By hand. Catches the lowest loss of a rate in place of its median, a diverged trial whose last
    loss was low, and one rate alone that ends."""
    settings = {"steps": 80, "evaluate_every": 10, "warmup_steps": 1, "halving": True}
    config = TrainingConfig(seeds=3, learning_rates=(0.1,), **settings)
    evaluation = Evaluation(
        step=20, seconds=1.0, metrics={"loss": np.array(losses)}, remembers=np.zeros(3, bool),
        solved=np.zeros(3, bool), diverged=np.array(diverged),
    )  # fmt: skip
    ended = loop._ends(evaluation, config, np.array(rates))
    assert ended.tolist() == [rate in worst for rate in rates]
    for step in (10, 30):
        later = dataclasses.replace(evaluation, step=step)
        assert not loop._ends(later, config, np.array(rates)).any()
    other = dataclasses.replace(config, halving=False)
    assert not loop._ends(evaluation, other, np.array(rates)).any()
