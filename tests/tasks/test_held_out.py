"""A task that draws from a finite set is evaluated and measured on sequences that it never draws."""

import ast
import dataclasses
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from lstm_attn import analysis, tasks, training
from lstm_attn.errors import UsageError
from lstm_attn.models import Model
from lstm_attn.tasks import Batch
from tests.tasks.test_arrays import CONFIG

ROOT = Path(__file__).parent.parent.parent


@dataclasses.dataclass(frozen=True)
class Finite(tasks.Task):
    """Five sequences to train on, whose answer is 1, and three others, whose answer is -1."""

    length: int = 6
    baseline = 4.0

    def sample(self, key, batch_size):
        return self._of(jax.random.randint(key, (batch_size,), 0, 5))

    def sample_held_out(self, key, batch_size):
        return self._of(jax.random.randint(key, (batch_size,), 5, 8))

    def _of(self, number):
        sign = jnp.where(number < 5, 1.0, -1.0)[:, None]
        inputs = number.astype(jnp.float32)[:, None, None] * jnp.ones((1, self.length, 1))
        due = jnp.broadcast_to(jnp.arange(self.length) == self.length - 1, inputs.shape[:2])
        return Batch(inputs, jnp.where(due, sign, 0), due)

    def loss(self, outputs, batch):
        return tasks.squared_error(outputs, batch)


def constant():
    """Learns one number and gives it at every step."""
    return Model(
        init=lambda key: {"w": jnp.zeros(1)},
        apply=lambda params, inputs: jnp.broadcast_to(params["w"], (*inputs.shape[:2], 1)),
    )


def test_an_evaluation_is_on_sequences_that_are_held_out():
    """Oracle: by hand. The answers of training are 1, those held out -1, so that a model that has
    learnt the first has an error of 4. Catches an evaluation on what was trained on."""
    history = training.train(constant(), Finite(), CONFIG).history
    np.testing.assert_allclose(history.metrics["train_loss"][-1], 0, atol=1e-2)
    np.testing.assert_allclose(history.metrics["loss"][-1], 4, rtol=0.05)


def test_measures_are_of_sequences_that_are_held_out():
    """Oracle: by hand. A model that answers 1 has no error in training, and 4 on what is held out.
    Catches a measure of what was trained on."""
    model = constant()._replace(
        apply_cut=lambda params, inputs, cut: (
            jnp.ones((*inputs.shape[:2], 1)) * params["w"][None, None]
        )
    )
    params = {"w": jnp.ones((1, 1))}
    cut = analysis.metrics_when_cut(model, Finite(), params, {"none": None}, jax.random.key(0), 8)
    np.testing.assert_allclose(cut["none"]["loss"], 4)


MEASURED = ("lstm_attn/analysis", "lstm_attn/studies", "lstm_attn/runner", "lstm_attn/report")


def test_nobody_measures_on_what_is_trained_on():
    """Oracle: the syntax trees. Catches a new measure that draws from `sample`."""
    calls = [
        (path.relative_to(ROOT).as_posix(), node.attr)
        for folder in MEASURED
        for path in (ROOT / folder).rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Attribute) and node.attr in ("sample", "sample_held_out")
    ]
    assert len(calls) >= 5
    assert [one for one in calls if one[1] == "sample"] == []


@pytest.mark.full_but("adding", "copy")
@pytest.mark.parametrize("name", tasks.TASKS)
def test_fresh_sequences_are_held_out_anyway(name):
    """Identity. Catches a default that is not the task's own `sample`."""
    task, key = tasks.build(name, 12), jax.random.key(3)
    for ours, theirs in zip(task.sample_held_out(key, 4), task.sample(key, 4), strict=True):
        np.testing.assert_array_equal(ours, theirs)


def test_a_range_of_lengths_can_t_be_held_out():
    """Catches a range that is evaluated on what it is trained on, silently."""
    with pytest.raises(UsageError, match="got Finite with a sample_held_out of its own"):
        tasks.over_range(Finite(), 3)
