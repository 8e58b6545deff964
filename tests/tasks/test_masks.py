"""What is outside a task's mask: outputs and targets there reach neither loss, metrics nor gradients."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from lstm_attn import tasks
from lstm_attn.tasks import TASKS
from tests import hidden_numbers

B = 3


def of_arrays(loss):
    rng = np.random.default_rng(0)
    inputs, targets = rng.normal(size=(6, 5, 2)), rng.random((6, 5))
    if loss == "cross_entropy":
        targets = rng.integers(0, 4, (6, 5))
    return tasks.from_arrays(inputs, targets, inputs, targets, loss=loss)


def entropy(outputs, targets):
    """Infinite, and of infinite slope, at outputs of zero."""
    return -jnp.log(outputs[:, 0]) * targets


def over_range(task):
    return tasks.over_range(task, max(3, task.least_length))


# A range of lengths has all that is outside a mask, so two tasks without one will do.
CASES = {name: lambda name=name: tasks.build(name, 6) for name in ("adding", "copy")}
CASES |= {
    f"{name} over a range": lambda name=name: over_range(tasks.build(name, 6)) for name in TASKS
}
CASES |= {
    "arrays, mse": lambda: of_arrays("mse"),
    "arrays, cross_entropy": lambda: of_arrays("cross_entropy"),
    "arrays, a loss of one's own": lambda: of_arrays(entropy),
}


def batch_of(task):
    if isinstance(task, tasks.Arrays):
        chosen = np.arange(B)
        weights = np.array([1.5, 0.0, 1.5], np.float32)
        return task.batch((task.train_inputs[chosen], task.train_targets[chosen], weights))
    return task.sample(jax.random.key(0), B)


@pytest.mark.full_but(
    "adding over a range",
    "copy over a range",
    "arrays, cross_entropy",
    "arrays, a loss of one's own",
)
@pytest.mark.parametrize("name", CASES)
def test_nothing_outside_the_mask_reaches_loss_metrics_or_gradients(name):
    """Identity: NaN, inf and 1e30 there give the bits of zeros there, and gradients of 0; so do
    classes that there are none of. Catches a mean that leaves a loss out whose gradient is 0 times
    NaN, and a weight of 0 times NaN."""
    task = CASES[name]()
    batch = jax.tree.map(np.asarray, batch_of(task))
    outputs = np.random.default_rng(1).random((*batch.mask.shape, task.output_features))
    outputs = outputs.astype(np.float32)
    outside = batch.mask == 0
    is_symbol = np.issubdtype(batch.targets.dtype, np.integer)

    def run(arrays):
        outputs, targets = arrays
        targets = batch.targets if is_symbol else targets
        one = batch._replace(targets=targets)
        return task.loss(outputs, one), task.train_loss(outputs, one), task.metrics(outputs, one)

    targets = np.zeros(batch.targets.shape, np.float32) if is_symbol else batch.targets
    # Several symbols may be due at a step.
    of_targets = np.broadcast_to(
        outside.reshape(outside.shape + (1,) * (targets.ndim - 2)), targets.shape
    )
    hidden = np.repeat(outside[..., None], outputs.shape[-1], axis=-1), of_targets
    arrays = outputs, targets
    unread = jax.tree.map(lambda one: np.zeros(one.shape, bool), jax.eval_shape(run, arrays))
    hidden_numbers.check(run, arrays, hidden, unread)
    if is_symbol:
        loss = jax.jit(lambda targets: task.loss(outputs, batch._replace(targets=targets)))
        expected = loss(batch.targets)
        for none in (-1, 10**6):
            assert loss(np.where(of_targets, none, batch.targets)) == expected
