"""`train` as a notebook calls it: a Flax module or a Model, an optimiser of one's own, progress."""

import dataclasses
import io
import sys

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from flax import linen as nn

from lstm_attn import modules, tasks
from lstm_attn.errors import UsageError
from lstm_attn.models import Model, of_module
from lstm_attn.training import TrainingConfig, make_program, train
from lstm_attn.training.data_source import INIT_STREAM, TRAIN_STREAM, stream
from tests import oracles

TASK = tasks.adding(6)
MODULE = nn.Sequential([modules.LSTM(3), nn.Dense(1)])
CONFIG = TrainingConfig(
    steps=5, batch_size=8, seeds=2, learning_rates=(0.1,), warmup_steps=0, schedule="constant",
    evaluation_sequences=20, clip_norm=1e9,
)  # fmt: skip


@pytest.mark.full
def test_a_module_is_trained_by_the_given_optimizer():
    """Oracle: plain gradient steps, one trial after the other. Catches a factory that is given
    another rate than the trial's, AdamW in its place, and a module that is not the one given."""
    trained = train(MODULE, TASK, CONFIG, optimizer=optax.sgd)

    @jax.jit
    def step(params, batch):
        gradients = jax.grad(
            lambda params: TASK.loss(MODULE.apply({"params": params}, batch.inputs), batch)
        )(params)
        return jax.tree.map(lambda leaf, gradient: leaf - 0.1 * gradient, params, gradients)

    for trial, seed in enumerate((0, 1)):
        inputs = TASK.sample(jax.random.key(0), 1).inputs
        params = MODULE.init(stream(seed, INIT_STREAM), inputs)["params"]
        for number in range(CONFIG.steps):
            params = step(params, TASK.sample(stream(seed, TRAIN_STREAM, number), 8))
        jax.tree.map(
            lambda ours, theirs: np.testing.assert_allclose(
                ours, theirs, rtol=1e-4, atol=oracles.MODEL
            ),
            trained.trial(trial),
            params,
        )


def test_an_optimizer_is_given_the_schedule_and_the_clipped_gradient():
    """Oracle: the length of a step of gradient descent is the rate times the clipped norm; the first
    of two steps of warm-up has half the rate, the one after a whole. Catches a warm-up that is left
    out, and a clip that AdamW alone has."""
    config = dataclasses.replace(CONFIG, steps=3, warmup_steps=2, clip_norm=1e-3, evaluate_every=1)
    program = make_program(of_module(MODULE, TASK), TASK, config, optax.sgd)
    states = program.start()
    for rate in (0.05, 0.1, 0.1):
        before = jax.tree.map(np.array, states.params)
        states, _ = program.advance(states)
        moved = jax.tree.map(lambda a, b: np.asarray(a)[0] - b[0], states.params, before)
        norm = np.sqrt(sum(np.square(leaf).sum() for leaf in jax.tree.leaves(moved)))
        assert norm == pytest.approx(rate * 1e-3, rel=1e-2)


class Counting(nn.Module):
    """A module with a variable that is not a parameter."""

    @nn.compact
    def __call__(self, inputs):
        self.variable("batch_stats", "seen", lambda: 0)
        return nn.Dense(1)(inputs)


@pytest.mark.parametrize(
    ("model", "options", "message"),
    [
        (
            modules.LSTM(3),
            {},
            r"LSTM expected to give outputs .* = \(1, 6, 1\) for the task adding",
        ),
        (Counting(), {}, "Counting with parameters and no other variables, got .*batch_stats"),
        (print, {}, "^model: expected a Model or a Flax module, got builtin_function_or_method"),
        (MODULE, {"task": type(TASK)}, r"^task: expected a task such as tasks.adding\(50\), got <"),
        (
            MODULE,
            {"task": "adding"},
            r"^task: expected a task such as tasks.adding\(50\), got 'add",
        ),
        (MODULE, {"config": 50}, "^config: expected a TrainingConfig or a dict, got 50"),
        (
            MODULE,
            {"config": {"setps": 5}},
            "^unknown setting of training 'setps': did you mean ste",
        ),
        (MODULE, {"setps": 5}, "^unknown setting of training 'setps': did you mean steps"),
        ("gru", {}, r"^model: expected a Model .* got str; models.build\(name, task\) makes"),
        (MODULE, {"optimizer": optax.sgd(0.1)}, "^optimizer: expected a function of the learning"),
        (
            MODULE,
            {"config": dataclasses.replace(CONFIG, weight_decay=0.1), "optimizer": optax.sgd},
            "^training.weight_decay: expected 0 with an optimizer of one's own, got 0.1",
        ),
    ],
)
def test_what_does_not_fit_is_one_line(model, options, message):
    """Catches a shape error deep in a trace, and a weight decay that nothing applies."""
    with pytest.raises(UsageError, match=message):
        train(model, **{"task": TASK, "config": CONFIG} | options)


def constant():
    return Model(
        init=lambda key: {"w": jnp.zeros(1)},
        apply=lambda params, inputs: inputs[..., :1] * params["w"][None, None],
    )


def test_settings_are_a_config_a_dict_or_arguments():
    """Identity. Catches a setting that is dropped, and one of the config that overrides an
    argument. The result is shown on one line: catches arrays in a notebook."""
    settings = {"steps": 6, "batch_size": 4, "seeds": 2, "evaluation_sequences": 8}
    ways = [
        (TrainingConfig(**settings), {}),
        (settings, {}),
        (None, settings),
        ({"steps": 8}, settings),
        (TrainingConfig(**settings | {"seeds": 3}), {"seeds": 2}),
    ]
    shown = {repr(train(constant(), TASK, config, **given)) for config, given in ways}
    assert shown == {
        "Trained(history=History(2 evaluations to step 6 of 2 trials: accuracy, loss, "
        "train_loss; 0 remember), "
        "params: 1 numbers a trial)"
    }


class Terminal(io.StringIO):
    def isatty(self):
        return True


@pytest.mark.parametrize(
    ("stdout", "options", "lines"),
    [(Terminal, {}, 3), (io.StringIO, {}, 0), (Terminal, {"on_evaluation": [].append}, 0)],
)
def test_progress_is_shown_where_somebody_watches(stdout, options, lines, monkeypatch):
    """Catches unwanted lines in a log or a pipe, lines in addition to one's own, and a terminal
    that is silent while a program is compiled."""
    config = TrainingConfig(steps=6, batch_size=4, seeds=1, evaluation_sequences=8)
    with monkeypatch.context() as patch:
        patch.setattr("sys.stdout", stdout())
        train(constant(), TASK, config, **options)
        written = sys.stdout.getvalue().splitlines()
    assert len(written) == lines
    assert written[:1] == ["compiling"] * (lines > 0)
    assert all(line.startswith("step ") for line in written[1:])
