"""The adding problem: its definition on worked sequences, its baseline, its criterion."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lstm_attn import tasks
from lstm_attn.tasks.base import Batch


@given(length=st.integers(2, 40), seed=st.integers(0, 2**16))
def test_a_batch_is_as_defined(length, seed):
    """Oracle: the definition, sequence by sequence. Catches markers in one half, a marker
    that is off by one, a target that is not their sum, a loss at the wrong step."""
    batch = tasks.adding(length).sample(jax.random.key(seed), 16)
    assert batch.inputs.shape == (16, length, 2)
    for inputs, targets, mask in zip(*map(np.asarray, batch), strict=True):
        values, markers = inputs.T
        assert set(markers) <= {0.0, 1.0}
        first, second = np.flatnonzero(markers)
        assert first < length // 2 <= second
        assert np.all((values >= 0) & (values < 1))
        np.testing.assert_allclose(targets[-1], values[first] + values[second], rtol=1e-6)
        assert list(np.flatnonzero(mask)) == [length - 1]


def test_markers_and_values_are_uniform():
    """Oracle: the uniform law, at five standard errors. Catches a step that is never marked."""
    inputs = np.asarray(tasks.adding(7).sample(jax.random.key(0), 20_000).inputs)
    rates = inputs[..., 1].mean(axis=0)
    np.testing.assert_allclose(rates[:3], 1 / 3, atol=5 * np.sqrt(2 / 9 / 20_000))
    np.testing.assert_allclose(rates[3:], 1 / 4, atol=5 * np.sqrt(3 / 16 / 20_000))
    np.testing.assert_allclose(inputs[..., 0].mean(), 0.5, atol=5 * np.sqrt(1 / 12 / 140_000))


@pytest.mark.full
def test_predicting_one_reaches_the_baseline():
    """Oracle: Var(U + U) = 1/6, in closed form. Catches a loss over the wrong steps or scale."""
    task = tasks.adding(10)
    batch = task.sample(jax.random.key(0), 1_000_000)
    loss = float(task.loss(jnp.ones((1_000_000, 10, 1)), batch))
    assert task.baseline == pytest.approx(1 / 6)
    assert loss == pytest.approx(task.baseline, abs=5e-4)


def test_metrics_on_a_worked_example():
    """By hand: errors .03, .05, -.5, so one right, loss .2534 / 3. Catches a tolerance of .05."""
    task = tasks.adding(2)
    targets = jnp.array([[0, 0.9], [0, 1.2], [0, 1.5]])
    outputs = jnp.array([[9, 0.93], [9, 1.25], [9, 1.0]])[..., None]
    mask = jnp.array([[False, True]] * 3)
    metrics = task.metrics(outputs, Batch(jnp.zeros((3, 2, 2)), targets, mask))
    assert float(metrics["loss"]) == pytest.approx((0.0009 + 0.0025 + 0.25) / 3, rel=1e-4)
    assert float(metrics["accuracy"]) == pytest.approx(1 / 3)


@pytest.mark.parametrize(("right", "solved"), [(1980, True), (1979, False), (2000, True)])
def test_solved_is_at_least_99_percent(right, solved):
    """Catches > for >=, and a float32 mean that falls just short of .99."""
    accuracy = np.float32(np.mean([np.float32(right / 2000)] * 8, dtype=np.float32))
    assert tasks.adding(10).is_solved({"accuracy": accuracy}) is solved


def test_a_length_or_variant_that_cannot_be_is_one_line():
    """Catches an empty first half, which would draw a marker from no steps."""
    with pytest.raises(ValueError, match="^adding: length: expected at least 2, got 1$"):
        tasks.adding(1)
    with pytest.raises(ValueError, match="did you mean arjovsky2016"):
        tasks.adding(10, variant="arjovski2016")
