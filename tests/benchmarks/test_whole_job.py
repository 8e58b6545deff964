"""The whole job: both sides do the same work, and the measured times are right."""

import dataclasses
import json
import subprocess
import sys

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from benchmarks import flax_loop, whole_job
from benchmarks.whole_job import Evaluated, Job
from lstm_attn import interop, models
from tests import PATIENCE
from tests.conftest import make_lenient_optimizer
from tools.pages import ROOT

TRAINING = dataclasses.replace(Job.training, seeds=2, steps=200, evaluation_sequences=200)
SMALL = Job(length=6, features=4, training=TRAINING)


@pytest.mark.full
def test_both_networks_are_one_function():
    """Identity: our parameters, converted, in the peer's network. Catches a peer of another size,
    with another readout, or with the answer at another step."""
    task = SMALL.task()
    ours = models.build("lstm", task, SMALL.model())
    params = ours.init(jax.random.key(0))
    network = flax_loop.Regressor(SMALL.features)
    inputs = task.sample(jax.random.key(1), 5).inputs
    theirs = network.init(jax.random.key(2), inputs)["params"]
    counts = [sum(leaf.size for leaf in jax.tree.leaves(tree)) for tree in (params, theirs)]
    assert counts[0] == counts[1] == models.count_parameters(ours)
    converted = {
        "OptimizedLSTMCell_0": interop.lstm_to_linen(params["body"]),
        "Dense_0": params["readout"],
    }
    converted = jax.tree.map(lambda leaf, like: jnp.reshape(leaf, like.shape), converted, theirs)
    expected = ours.apply(params, inputs)[:, -1, 0]
    np.testing.assert_allclose(network.apply({"params": converted}, inputs), expected, rtol=1e-5)


def test_both_optimizers_take_the_same_steps():
    """Identity, over the whole warm-up and cosine. Catches another schedule, clip or Adam."""
    (peak,) = TRAINING.learning_rates
    gradients = np.random.default_rng(0).normal(size=(TRAINING.steps, 3)).astype(np.float32)
    moved = []
    with jax.numpy_dtype_promotion("standard"):
        for optimizer in (
            make_lenient_optimizer(TRAINING, peak),
            flax_loop.make_optimizer(TRAINING),
        ):

            def step(before, gradient, optimizer=optimizer):
                params, state = before
                updates, state = optimizer.update(gradient, state, params)
                params = optax.apply_updates(params, updates)
                return (params, state), params

            params = jnp.zeros(3)
            moved.append(jax.lax.scan(step, (params, optimizer.init(params)), gradients)[1])
    # Ours is at its peak one step longer: the schedules differ by one step of the cosine at most.
    np.testing.assert_allclose(moved[0], moved[1], atol=peak / 5)


def test_the_peers_data_are_those_of_the_task():
    """Oracle: the definition of the adding problem. Catches a mark in the wrong half, another sum."""
    inputs, targets = flax_loop.sample(np.random.default_rng(0), 1000, 7)
    values, markers = inputs[..., 0], inputs[..., 1]
    assert inputs.dtype == targets.dtype == np.float32
    np.testing.assert_array_equal(markers[:, :3].sum(axis=1), 1)
    np.testing.assert_array_equal(markers[:, 3:].sum(axis=1), 1)
    assert set(np.unique(markers)) == {0, 1}
    assert (markers.sum(axis=0) > 0).all()
    np.testing.assert_allclose(targets, (values * markers).sum(axis=1), rtol=1e-6)
    assert 0 <= values.min() < 0.01
    assert 0.99 < values.max() < 1


def test_a_trial_of_the_peer_ends_when_it_has_solved(monkeypatch):
    """Oracle: by hand. Catches a trial that trains on, and one trial in place of all."""
    monkeypatch.setattr(flax_loop, "correct", lambda state, *batch: jnp.float32(1.0))
    with jax.numpy_dtype_promotion("standard"):
        told = list(flax_loop.run(SMALL))
    assert told == [Evaluated(0, 100, 1.0, True), Evaluated(1, 100, 1.0, True)]


def test_the_forget_gate_starts_where_ours_does(monkeypatch):
    """Oracle: ours. Catches a bias on another gate."""
    seen = []

    def create(**values):
        seen.append(values["params"])
        raise InterruptedError

    monkeypatch.setattr(flax_loop.TrainState, "create", create)
    with pytest.raises(InterruptedError):
        next(flax_loop.run(SMALL))
    theirs = interop.lstm_from_linen(seen[0]["OptimizedLSTMCell_0"])["bias"]
    ours = models.build("lstm", SMALL.task(), SMALL.model()).init(jax.random.key(0))
    np.testing.assert_array_equal(theirs, ours["body"]["bias"])


@pytest.mark.full
def test_a_whole_job_leaves_its_record_and_figure(tmp_path):
    """Two trials of T = 2 for 200 steps. Catches a lost trial, a missing figure, and a record that
    the README can't show."""
    result = subprocess.run(
        [sys.executable, "-m", "benchmarks", "whole_job", "--cases=tiny", f"--output={tmp_path}"],
        cwd=ROOT, capture_output=True, text=True, timeout=PATIENCE, check=False,
    )  # fmt: skip
    assert result.returncode == 0, result.stderr
    record = json.loads((tmp_path / "whole_job.json").read_text())
    assert list(record["rows"]) == ["ours", "flax"]
    for side, row in record["rows"].items():
        assert side in result.stdout
        assert 0 < row["compile_seconds"] < row["seconds"]
        assert [trial["trial"] for trial in row["per_trial"]] == [0, 1]
        assert all(trial["step"] in (100, 200) for trial in row["per_trial"])
        assert sorted(row["ends"]) == row["ends"]
        assert row["solved"] == sum(solved for _, solved in row["ends"])
    assert record["speed"] == record["rows"]["flax"]["seconds"] / record["rows"]["ours"]["seconds"]
    assert (tmp_path / "whole_job.png").read_bytes().startswith(b"\x89PNG")
    assert "| --- |" in whole_job.section(record)
