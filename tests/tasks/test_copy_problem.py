"""The copy problem: its definition on worked sequences, its baseline, its criterion."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lstm_attn import tasks


@given(length=st.integers(1, 30), seed=st.integers(0, 2**16))
def test_a_batch_is_as_defined(length, seed):
    """Oracle: the definition of arjovsky2016, token by token. Catches a delay that is off by one,
    a delimiter in the wrong place, a symbol outside 1..8."""
    batch = tasks.copy(length).sample(jax.random.key(seed), 8)
    assert batch.inputs.shape == (8, length + 20, 10)
    np.testing.assert_array_equal(batch.inputs.sum(axis=-1), 1)
    assert np.all(batch.mask)
    for tokens, targets in zip(
        batch.inputs.argmax(-1).tolist(), batch.targets.tolist(), strict=True
    ):
        symbols = tokens[:10]
        assert all(1 <= symbol <= 8 for symbol in symbols)
        assert tokens == symbols + [0] * (length - 1) + [9] + [0] * 10
        assert targets == [0] * (length + 10) + symbols


def test_symbols_are_uniform():
    """Oracle: the uniform law, at five standard errors. Catches a symbol that is never drawn."""
    targets = np.asarray(tasks.copy(1).sample(jax.random.key(0), 10_000).targets)[:, -10:]
    rates = np.bincount(targets.ravel(), minlength=9)[1:] / targets.size
    np.testing.assert_allclose(rates, 1 / 8, atol=5 * np.sqrt(7 / 64 / targets.size))


@pytest.mark.full_but("100-0.17329")
@pytest.mark.parametrize(
    ("length", "published"),
    [(100, 0.17329), (200, 0.09452), (500, 0.03999), (1000, 0.02039), (2000, 0.01029)],
)
def test_a_predictor_without_memory_reaches_the_baseline(length, published):
    """Oracle: 10 ln 8 / (T + 20), as published. Blanks known, symbols guessed uniformly. Catches a
    mean over the ten symbols alone."""
    task = tasks.copy(length)
    batch = task.sample(jax.random.key(0), 4)
    steps = length + 20
    certain_blank = jnp.where(jnp.arange(9) == 0, 100.0, 0.0)
    guess = jnp.where(jnp.arange(9) == 0, -100.0, 0.0)
    outputs = jnp.where((jnp.arange(steps) < steps - 10)[:, None], certain_blank, guess)
    loss = float(task.loss(jnp.broadcast_to(outputs, (4, steps, 9)), batch))
    assert task.baseline == pytest.approx(published, abs=5e-6)
    assert loss == pytest.approx(published, rel=1e-3)


def test_metrics_count_the_recalled_symbols_only():
    """Oracle: by hand. The third of ten symbols is wrong: .9, not .99. Catches counted blanks."""
    task = tasks.copy(80)
    batch = task.sample(jax.random.key(1), 5)
    wrong = batch.targets.at[:, -8].set(batch.targets[:, -8] % 8 + 1)
    metrics = task.metrics(20 * jax.nn.one_hot(wrong, 9), batch)
    assert float(metrics["accuracy"]) == pytest.approx(0.9)
    np.testing.assert_allclose(metrics["accuracy_by_position"], [1, 1, 0] + [1] * 7)
    assert float(metrics["loss"]) == pytest.approx(20 / 100, rel=1e-4)


@pytest.mark.parametrize(("right", "solved"), [(19_800, True), (19_799, False)])
def test_solved_is_at_least_99_percent(right, solved):
    """Catches > for >=, and a float32 mean that falls just short of .99."""
    accuracy = np.float32(np.mean([np.float32(right / 20_000)] * 8, dtype=np.float32))
    assert tasks.copy(10).is_solved({"accuracy": accuracy}) is solved


def test_a_length_that_cannot_be_is_one_line():
    """Catches a delay with no place for the delimiter."""
    with pytest.raises(ValueError, match="^copy: length: expected at least 1, got 0$"):
        tasks.copy(0)


def test_an_unknown_task_names_the_nearest():
    """Catches a KeyError from the table."""
    with pytest.raises(ValueError, match=r"unknown task 'ading': did you mean adding\?"):
        tasks.build("ading", 10, "arjovsky2016")
