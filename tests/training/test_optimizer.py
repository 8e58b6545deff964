"""The optimiser against AdamW's equations in float64."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from lstm_attn.training import TrainingConfig
from lstm_attn.training.optimizer import relative_schedule
from tests.conftest import make_lenient_optimizer


def adamw(gradients, params, rates, decay, clip):
    """Loshchilov & Hutter 2019, algorithm 2, behind a clip of the global norm."""
    m = v = np.zeros_like(params)
    for step, (gradient, rate) in enumerate(zip(gradients, rates, strict=True), 1):
        g = gradient * min(1, clip / np.linalg.norm(gradient))
        m = 0.9 * m + 0.1 * g
        v = 0.999 * v + 0.001 * g**2
        direction = (m / (1 - 0.9**step)) / (np.sqrt(v / (1 - 0.999**step)) + 1e-8)
        params = params - rate * (direction + decay * params)
    return params


def test_optimizer_is_adamw_at_the_trials_own_rate(float64):
    """Oracle: AdamW by hand. Catches a rate shared by all trials, a clip after Adam, no decay."""
    config = TrainingConfig(
        steps=10, warmup_steps=3, clip_norm=0.7, weight_decay=0.1, evaluate_every=5
    )
    rng = np.random.default_rng(0)
    start, gradients = rng.normal(size=4), rng.normal(size=(10, 4))
    warmup = [1 / 3, 2 / 3, 1]
    cosine = [0.5 * (1 + np.cos(np.pi * k / 7)) for k in range(7)]
    peaks = jnp.array([1e-3, 1e-1])

    def trial(peak):
        optimizer = make_lenient_optimizer(config, peak)
        params, state = jnp.asarray(start), optimizer.init(jnp.asarray(start))
        for gradient in gradients:
            updates, state = optimizer.update(jnp.asarray(gradient), state, params)
            params = optax.apply_updates(params, updates)
        return params

    for peak, params in zip(peaks, jax.vmap(trial)(peaks), strict=True):
        rates = [float(peak) * factor for factor in warmup + cosine]
        expected = adamw(gradients, start, rates, decay=0.1, clip=0.7)
        np.testing.assert_allclose(params, expected, rtol=1e-6)


@pytest.mark.parametrize(("schedule", "last"), [("constant", 1.0), ("cosine", 0.0)])
def test_schedule_warms_up_to_its_peak_and_ends_where_it_should(schedule, last):
    """Oracle: linear by hand. Catches a first step of zero and a cosine that ends too early."""
    config = TrainingConfig(steps=100, warmup_steps=10, schedule=schedule, evaluate_every=50)
    relative = relative_schedule(config)
    np.testing.assert_allclose([relative(k) for k in range(10)], np.arange(1, 11) / 10, rtol=1e-6)
    assert float(relative(10)) == pytest.approx(1)
    assert float(relative(100)) == pytest.approx(last, abs=1e-6)


def test_no_warmup_starts_at_the_peak():
    """Catches a division by zero steps of warm-up."""
    config = TrainingConfig(steps=100, warmup_steps=0, evaluate_every=50)
    assert float(relative_schedule(config)(0)) == pytest.approx(1)


def test_one_step_of_warmup_starts_at_the_peak():
    """Catches a linear schedule over no steps."""
    config = TrainingConfig(steps=100, warmup_steps=1, evaluate_every=50)
    assert float(relative_schedule(config)(0)) == pytest.approx(1)
