"""Inside a model: time scales of units, distances of attention heads, metrics under cuts."""

from collections.abc import Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from lstm_attn.errors import UsageError
from lstm_attn.models import Model, Params
from lstm_attn.modules.intercept import Cut
from lstm_attn.modules.observing import Observations
from lstm_attn.tasks import Task
from lstm_attn.tasks.copy_problem import Copy

# How much a gate at 1 counts as forgetting: the distance from 1 to the next float32 below.
LEAST = float(jnp.finfo(jnp.float32).epsneg)


def time_scales(gates: Any) -> Array:
    """Over how many steps each unit remembers, [H], at least 1 and at most 2^24.

        tau = 1 / (1 - mean keep),    the mean over steps and sequences

    A unit with a constant keep forgets as keep^t, which is about exp(-t / tau). The other gates and
    the recurrent weights, which carry memory too, do not count.

    Args:
      gates: of one layer, with a field or property `keep` [B, T, H], the share of its memory that a
        unit keeps at a step: f of an LSTM, z of a GRU.

    Raises:
      UsageError: gates without `keep`.

    Source: Tallec & Ollivier 2018, section 2, for the forgetting time of a leaky unit, with the
    forget gate as its leak.
    """
    if not hasattr(gates, "keep"):
        raise UsageError(
            "time_scales: gates expected a field or property keep, the share of its memory that a "
            f"unit keeps, got {type(gates).__name__}"
        )
    # Not 1 - mean: each difference is exact, and the mean would round to one.
    let_go = jnp.mean(1 - gates.keep, axis=(0, 1))
    return 1 / jnp.maximum(let_go, LEAST)


def attention_distance(weights: Array, queries: Array) -> Array:
    """How far back each head looks on average, in steps, [N].

        mean over b, t in the queries of  sum_s w_bnts (t - s)

    Args:
      weights: w [B, N, T, T]; a row sums to one.
      queries: boolean [B, T], at least one of them True.
    """
    steps = jnp.arange(weights.shape[-1])
    distance = (steps[:, None] - steps[None, :]).astype(weights.dtype)
    back = jnp.sum(weights * distance[None, None], axis=-1)  # [B, N, T]
    return jnp.mean(back, axis=(0, 2), where=queries[:, None])


def uniform_distance(queries: Array) -> Array:
    """The distance of a head with equal weights on all steps up to its own: the mean of t / 2."""
    steps = jnp.arange(queries.shape[-1], dtype=jnp.float32)
    return jnp.mean(jnp.broadcast_to(steps / 2, queries.shape), where=queries)


class Inside(NamedTuple):
    """Measures of the model of one trial, by the name of the layer.

    time_scales: of each unit, [H], in steps.
    distances: of each head, [N], in steps, over the queries at `Task.answer_steps`.
    gates: of one sequence, each [T, H].
    maps: the attention weights of that sequence, [N, T, T], queries by keys.
    """

    time_scales: dict[str, Array]
    distances: dict[str, Array]
    gates: dict[str, Any]
    maps: dict[str, Array]


def look(model: Model, task: Task, params: Params, key: Array, sequences: int) -> Inside:
    """Measures a model on that many fresh sequences; gates and maps are of the first one.

    Raises:
      UsageError: a model without recurrent layers and attention, or gates without `keep`.
    """
    batch = task.sample_held_out(key, sequences)
    _, seen = model.observe(params, batch.inputs)
    if not seen.states and not seen.weights:
        raise UsageError(
            "look: expected a model with modules.Recurrent or modules.MultiHeadAttention, "
            "got one without either"
        )
    due = task.answer_steps(batch)
    return Inside(
        {layer: time_scales(gates) for layer, gates in seen.gates.items()},
        {layer: attention_distance(weights, due) for layer, weights in seen.weights.items()},
        {layer: type(gates)(*(g[0] for g in gates)) for layer, gates in seen.gates.items()},
        {layer: weights[0] for layer, weights in seen.weights.items()},
    )


def look_at_trials(
    model: Model, task: Task, params: Params, key: Array, sequences: int
) -> list[Inside]:
    """`look` for each of R trials, whose parameters are stacked on a leading axis."""
    jitted = jax.jit(lambda one: look(model, task, one, key, sequences))
    return [jax.device_get(jitted(one)) for one in unstacked(params)]


def unstacked(params: Params) -> list[Params]:
    """The parameters of each of R trials, from those stacked on a leading axis."""
    leaves, structure = jax.tree.flatten(params)
    return [jax.tree.unflatten(structure, trial) for trial in zip(*map(list, leaves), strict=True)]


NOTHING = "nothing"


def cuts_of(observations: Observations, length: int, step: int | None = None) -> dict[str, Cut]:
    """The cuts that are possible in a model with these layers, by what they cut.

    Args:
      observations: of the model, by `Model.observe`; only which layers there are is read.
      length: T, the steps of a sequence.
      step: None to cut everywhere: the state is reset at every step, and a query sees its own step
        only. Otherwise to cut once, between step - 1 and step: the state is reset at that step,
        and queries from there on see no key before it. What still crosses took the path that
        was left open.

    Returns:
      "nothing"; and "recurrence", "attention" and "both", for the layers that the model has.

    Raises:
      UsageError: a model without any such layer.
    """
    recurrence, attention = bool(observations.states), bool(observations.weights)
    if not recurrence and not attention:
        raise UsageError(
            "cuts: expected a model with modules.Recurrent or modules.MultiHeadAttention, "
            "got one without either"
        )
    steps = jnp.arange(length)
    if step is None:
        resets, mask = jnp.ones(length, bool), jnp.eye(length, dtype=bool)
    else:
        resets, mask = steps == step, (steps >= step)[None, :] | (steps < step)[:, None]
    # A cut that cuts nothing, instead of None, so that all cuts share one compiled program.
    no_resets = jnp.zeros(length, bool) if recurrence else None
    no_mask = jnp.ones((length, length), bool) if attention else None
    cuts = {NOTHING: Cut(no_resets, no_mask)}
    if recurrence:
        cuts["recurrence"] = Cut(resets, no_mask)
    if attention:
        cuts["attention"] = Cut(no_resets, mask)
    if recurrence and attention:
        cuts["both"] = Cut(resets, mask)
    return cuts


def crossing(task: Task) -> int:
    """The step at which a cut separates the answer from what must be remembered: for copy the
    delimiter's; for adding the first step of the second half, after one of the two numbers."""
    if isinstance(task, Copy):
        return task.sequence_length - task.kind.recalled - 1
    return task.sequence_length // 2


def metrics_when_cut(
    model: Model,
    task: Task,
    params: Params,
    cuts: Mapping[str, Cut],
    key: Array,
    sequences: int,
) -> dict[str, dict[str, np.ndarray]]:
    """The task's metrics under each cut, each [R] or [R, ...], on the same fresh sequences.

    Args:
      params: of R trials, stacked on a leading axis.
    """

    @jax.jit
    def measured(params: Params, cut: Cut) -> dict[str, Array]:
        batch = task.sample_held_out(key, sequences)
        return task.metrics(model.apply_cut(params, batch.inputs, cut), batch)

    metrics: dict[str, dict[str, np.ndarray]] = {}
    for name, cut in cuts.items():
        each = [measured(one, cut) for one in unstacked(params)]
        metrics[name] = jax.tree.map(lambda *values: np.stack(values), *each)
    return metrics
