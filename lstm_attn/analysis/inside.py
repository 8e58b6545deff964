"""Inside a model: the time scale of each unit, and how far back each head of attention looks."""

from collections.abc import Mapping
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from lstm_attn.models import Model, Params
from lstm_attn.modules.intercept import Cut
from lstm_attn.modules.observing import Observations
from lstm_attn.ops import GRUGates, LSTMGates
from lstm_attn.tasks import Batch, Task
from lstm_attn.tasks.copy_problem import RECALLED, Copy

# The least that a float32 below one differs from one: what a gate at one counts as letting go.
LEAST = float(jnp.finfo(jnp.float32).epsneg)


def kept_share(gates: LSTMGates | GRUGates) -> Array:
    """[B, T, H], the share of its memory that a unit keeps at a step: f of an LSTM, z of a GRU."""
    return gates.f if isinstance(gates, LSTMGates) else gates.z


def time_scales(gates: LSTMGates | GRUGates) -> Array:
    """Over how many steps each unit remembers, [H], at least 1 and at most 2^24.

        tau = 1 / (1 - mean f),    the mean over steps and sequences

    A gate held at f lets the memory fall as f^t, which is about exp(-t / tau). What the other gates
    and the recurrent weights carry from step to step is not in it.

    Source: Tallec & Ollivier 2018, section 2: a leaky unit's forgetting time, and the forget gate
    as that leak.
    """
    # Not 1 - mean: each difference is exact, and the mean would round to one.
    let_go = jnp.mean(1 - kept_share(gates), axis=(0, 1))
    return 1 / jnp.maximum(let_go, LEAST)


def answer_steps(batch: Batch) -> Array:
    """Boolean [B, T], where a remembered answer is due: steps in the loss, but for copy's blanks.

    The last step of adding and the last ten of copy, whose other targets are 0.
    """
    return batch.mask & (batch.targets != 0)


def attention_distance(weights: Array, queries: Array) -> Array:
    """How far back each head looks, in steps, [N].

        mean over b, t in the queries of  sum_s w_bnts (t - s)

    Args:
      weights: w [B, N, T, T]; a row sums to one.
      queries: boolean [B, T], at least one of them True.
    """
    steps = jnp.arange(weights.shape[-1])
    distance = (steps[:, None] - steps[None, :]).astype(weights.dtype)
    back = jnp.sum(weights * distance, axis=-1)  # [B, N, T]
    return jnp.mean(back, axis=(0, 2), where=queries[:, None])


def uniform_distance(queries: Array) -> Array:
    """The distance of a head that looks at all steps up to its own alike: the mean of t / 2."""
    steps = jnp.arange(queries.shape[-1], dtype=jnp.float32)
    return jnp.mean(jnp.broadcast_to(steps / 2, queries.shape), where=queries)


class Inside(NamedTuple):
    """What one trial's model shows, by the name of the layer.

    time_scales: of each unit, [H], in steps.
    distances: of each head, [N], in steps, over the queries whose answer is due.
    gates: those of one sequence, each [T, H].
    maps: the weights of attention on that sequence, [N, T, T], queries by keys.
    """

    time_scales: dict[str, Array]
    distances: dict[str, Array]
    gates: dict[str, LSTMGates | GRUGates]
    maps: dict[str, Array]


def look(model: Model, task: Task, params: Params, key: Array, sequences: int) -> Inside:
    """The inside of a model on that many fresh sequences, the first of which is shown."""
    batch = task.sample(key, sequences)
    _, seen = model.observe(params, batch.inputs)
    due = answer_steps(batch)
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
