"""Which path an answer comes by: accuracy with recurrence or attention cut."""

from collections.abc import Mapping

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from lstm_attn.analysis.inside import unstacked
from lstm_attn.models import Model, Params
from lstm_attn.modules.cutting import Cut
from lstm_attn.modules.observing import Observations
from lstm_attn.tasks import Task
from lstm_attn.tasks.copy_problem import RECALLED, Copy

NOTHING = "nothing"


def cuts_of(observations: Observations, length: int, step: int | None = None) -> dict[str, Cut]:
    """The cuts that a model has the layers for, by what they cut.

    Args:
      observations: of the model, by `Model.observe`; only the names of layers are read.
      length: T, the steps of a sequence.
      step: None to cut everywhere: a state starts anew at every step, and a query sees its own step
        alone. Otherwise between step - 1 and step only: a state starts anew once, at that step,
        and queries from there on see none of the keys before it. What passes that line nonetheless
        goes by the path that was left.

    Returns:
      "nothing", and "recurrence", "attention" and "both" as far as there are such layers.
    """
    steps = jnp.arange(length)
    if step is None:
        resets, mask = jnp.ones(length, bool), jnp.eye(length, dtype=bool)
    else:
        resets, mask = steps == step, (steps >= step)[None, :] | (steps < step)[:, None]
    # Closed nowhere, not None: then all of them are one program.
    no_resets = jnp.zeros(length, bool) if observations.gates else None
    no_mask = jnp.ones((length, length), bool) if observations.weights else None
    found = {NOTHING: Cut(no_resets, no_mask)}
    if observations.gates:
        found["recurrence"] = Cut(resets, no_mask)
    if observations.weights:
        found["attention"] = Cut(no_resets, mask)
    if observations.gates and observations.weights:
        found["both"] = Cut(resets, mask)
    return found


def crossing(task: Task) -> int:
    """The step before which lies what must be remembered: of copy, that of the delimiter; of
    adding, the first of the second half, and with it one of the two numbers."""
    if isinstance(task, Copy):
        return task.sequence_length - RECALLED - 1
    return task.sequence_length // 2


def metrics_when_cut(
    model: Model,
    task: Task,
    params: Params,
    cuts: Mapping[str, Cut],
    key: Array,
    sequences: int,
) -> dict[str, dict[str, np.ndarray]]:
    """The task's metrics under each cut, each [R] or [R, ...], of the same fresh sequences.

    Args:
      params: of R trials, stacked on a leading axis.
    """

    @jax.jit
    def measured(params: Params, cut: Cut) -> dict[str, Array]:
        batch = task.sample(key, sequences)
        return task.metrics(model.apply_cut(params, batch.inputs, cut), batch)

    found: dict[str, dict[str, np.ndarray]] = {}
    for name, cut in cuts.items():
        each = [measured(one, cut) for one in unstacked(params)]
        found[name] = jax.tree.map(lambda *values: np.stack(values), *each)
    return found
