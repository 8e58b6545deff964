"""A user's own task has what the package's tasks have: training, a grid's record, its report."""

import dataclasses
import inspect
import runpy

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from lstm_attn import models, studies, tasks
from lstm_attn.errors import UsageError
from lstm_attn.models import ModelConfig
from lstm_attn.training import TrainingConfig, train
from tests import test_conformance

OWED = [
    name
    for name, test in vars(test_conformance).items()
    if name.startswith("test_") and {"name", "task_name"} <= set(inspect.signature(test).parameters)
]


@pytest.fixture(scope="module", autouse=True)
def example():
    """The names that the example defines; its task is removed from TASKS after these tests."""
    yield runpy.run_path("examples/your_task.py")
    del tasks.TASKS["beginning"]


@pytest.fixture(scope="module")
def task(example):
    return tasks.build("beginning", 5)


def test_a_batch_is_as_defined(task):
    """Oracle: the definition, sequence by sequence. Catches a target of another bit, one that
    is due early, and bits that are not fair."""
    batch = task.sample(jax.random.key(0), 4000)
    assert batch.inputs.shape == (4000, 5, 1)
    bits = np.asarray(batch.inputs[..., 0])
    assert set(bits.ravel()) == {0.0, 1.0}
    np.testing.assert_allclose(bits.mean(axis=0), 0.5, atol=5 * np.sqrt(1 / 4 / 4000))
    np.testing.assert_array_equal(batch.targets[:, -1], bits[:, 0])
    np.testing.assert_array_equal(batch.mask, np.tile(np.arange(5) == 4, (4000, 1)))


def test_methods_that_it_leaves_out_have_defaults(task):
    """By hand. Catches a default other than that of a choice between two answers."""
    assert (task.name, task.variant, task.shortest, task.sequence_length) == (
        "beginning", "standard", 5, 5,
    )  # fmt: skip
    assert (task.input_features, task.chance, task.accuracy_without_memory) == (1, 0.5, 0.5)
    assert task.criterion == "accuracy of at least 99 %"
    assert task == tasks.build("beginning", 6).of_length(5)
    assert hash(task) == hash(tasks.build("beginning", 5, "standard"))
    batch = task.sample(jax.random.key(1), 100)
    outputs = jnp.zeros((100, 5, 2)).at[:, :, 1].set(jnp.log(3.0))  # class 1, with probability 3/4
    ones = float(batch.targets[:, -1].mean())
    metrics = task.metrics(outputs, batch)
    assert float(metrics["accuracy"]) == pytest.approx(ones)
    assert float(metrics["loss"]) == pytest.approx(
        -ones * np.log(0.75) - (1 - ones) * np.log(0.25), rel=1e-5
    )
    assert not task.is_solved({"accuracy": 0.989})
    assert task.is_solved({"accuracy": np.float32(0.99)})
    assert float(task.train_loss(outputs, batch)) == float(metrics["loss"])


def test_an_impossible_length_or_variant_is_one_line(task, example):
    """Catches an exception from within a trace, and the variant of another task."""
    with pytest.raises(
        UsageError, match=r"^beginning: a range of lengths needs Beginning.sample_within"
    ):
        tasks.over_range(task, 3).sample(jax.random.key(0), 2)
    with pytest.raises(UsageError, match="unknown variant of beginning 'arjovsky2016'"):
        tasks.build("beginning", 5, "arjovsky2016")
    with pytest.raises(UsageError, match="^beginning: length: expected at least 1, got 0$"):
        tasks.build("beginning", 0)


@pytest.mark.full
@pytest.mark.parametrize("owed", OWED)
def test_models_meet_on_it_what_they_must_on_every_task(owed, request):
    """Oracles of tests/test_conformance.py. Catches an example that can't be added to TASKS."""
    test = getattr(test_conformance, owed)
    given = {"name": "lstm", "task_name": "beginning"}
    fixtures = inspect.signature(test).parameters.keys() - given
    test(**given, **{fixture: request.getfixturevalue(fixture) for fixture in fixtures})


def test_a_grid_and_its_page_have_it(tmp_path):
    """Oracle: its record's names, and the page's sections. Catches a report that requires the
    accuracy by position from every task of symbols."""
    result = studies.compare(
        "gru", "beginning", 5, workdir=tmp_path, features=4, num_heads=2, steps=4, seeds=2,
        evaluation_sequences=20, batch_size=4,
    )  # fmt: skip
    (record,) = result.records
    assert (record["task"], record["chance"], record["solved"]) == ("beginning", 0.5, 0)
    assert record["criterion"] == "accuracy of at least 99 %"
    assert (tmp_path / "loss-beginning-5.png").exists()
    page = (tmp_path / "report.html").read_text()
    assert "beginning" in page
    assert "recalled position" not in page


def test_the_training_loss_may_differ_from_the_reported_loss(task):
    """Closed form: twice the loss has twice the gradient, which Adam ignores, so only the reported
    training loss changes. Catches a train_loss that is ignored, or reported as the loss."""

    @dataclasses.dataclass(frozen=True)
    class Twice(type(task)):
        def train_loss(self, outputs, batch):
            return 2 * self.loss(outputs, batch)

    config = TrainingConfig(
        steps=8, evaluation_sequences=20, seeds=1, clip_norm=1e9, schedule="constant"
    )
    histories = [
        train(models.build("lstm", one, ModelConfig(features=4, num_heads=2)), one, config).history
        for one in (task, Twice(task.length))
    ]
    usual, twice = (history.metrics for history in histories)
    np.testing.assert_allclose(twice["loss"], usual["loss"], rtol=1e-5)
    np.testing.assert_allclose(twice["train_loss"], 2 * usual["train_loss"], rtol=1e-5)


def test_the_example_runs_and_learns(example, capsys):
    """Oracle: a guess, which is right half of the time. Catches an example that learns nothing."""
    assert example["main"](length=3, steps=400) > 0.9
    assert "by a guess 50%" in capsys.readouterr().out
