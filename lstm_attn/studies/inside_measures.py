"""What is measured of the inside of a model, before and after training, as JSON values."""

from collections.abc import Iterable, Mapping
from typing import Any

import jax
import numpy as np

from lstm_attn.analysis import (
    crossing,
    cuts_of,
    look_at_trials,
    median_interval,
    metrics_when_cut,
)
from lstm_attn.analysis.inside import NOTHING, Inside, uniform_distance
from lstm_attn.analysis.intervals import or_null
from lstm_attn.models import Model, Params
from lstm_attn.modules.observing import Observations
from lstm_attn.report.section import STAGES
from lstm_attn.runner.cell import TEST_SEED
from lstm_attn.tasks import Task
from lstm_attn.tasks.copy_problem import Copy

# Sequences of which gates and attention are kept, and sequences that what is remembered under cuts
# is measured on.
LOOKED_AT, MEASURED = 100, 1000
# Edges of the bins of time scales, in steps; longer ones count in the last bin.
EDGES = 10 ** np.linspace(0, 4, 33)
GATE_NAMES = {
    "i": "input i", "f": "forget f", "g": "candidate g", "o": "output o",
    "r": "reset r", "z": "update z", "n": "candidate n",
}  # fmt: skip
CANDIDATES = "gn"


def layers_of(model: Model, task: Task) -> Observations:
    """Which layers the model has, and the shapes of what they show; nothing is computed."""
    key = jax.random.key(0)
    inputs = jax.eval_shape(lambda: task.sample_held_out(key, 1).inputs)
    return jax.eval_shape(model.observe, jax.eval_shape(model.init, key), inputs)[1]


def look_inside(
    model: Model, task: Task, before: Params, after: Params, shown: int
) -> dict[str, Any]:
    """Measures a model of R trials as initialised and as trained, as JSON values.

    Args:
      before, after: parameters stacked on a leading axis [R].
      shown: the trial of which a sample is kept.
    """
    key = jax.random.key(TEST_SEED)
    stages = {
        stage: look_at_trials(model, task, params, key, LOOKED_AT)
        for stage, params in zip(STAGES, (before, after), strict=True)
    }
    sample = stages[STAGES[-1]][shown]
    seen, length = layers_of(model, task), task.sequence_length
    step = crossing(task)
    cuts = {
        name if name == NOTHING else f"{name}, {how}": cut
        for how, at in (("always", None), ("once", step))
        for name, cut in cuts_of(seen, length, at).items()
    }
    measured = metrics_when_cut(model, task, after, cuts, jax.random.fold_in(key, 1), MEASURED)
    due = jax.jit(lambda: task.answer_steps(task.sample_held_out(key, LOOKED_AT)))()
    return {
        "gates": [_gates(layer, stages, sample) for layer in seen.gates],
        "attention": [_attention(layer, stages, sample) for layer in seen.weights],
        "uniform_distance": float(uniform_distance(due)),
        "due_distance": length - task.kind.recalled if isinstance(task, Copy) else None,
        "crossing": step,
        "accuracy_without_memory": task.accuracy_without_memory,
        "cuts": [_cut(name, measured, task.baseline) for name in cuts],
    }


def _gates(layer: str, stages: Mapping[str, list[Inside]], sample: Inside) -> dict[str, Any]:
    gates = sample.gates[layer]
    slowest_last = np.argsort(sample.time_scales[layer])
    measured: dict[str, Any] = {
        "layer": layer,
        "sample": {
            GATE_NAMES.get(name, name): in_percent(np.asarray(getattr(gates, name)).T[slowest_last])
            for name in gates._fields
            if name not in CANDIDATES
        },
    }
    for stage, trials in stages.items():
        scales = np.stack([inside.time_scales[layer] for inside in trials])  # [R, H]
        clipped = np.clip(scales, EDGES[0], EDGES[-1])
        measured[stage] = {
            "counts": np.histogram(clipped, EDGES)[0].tolist(),
            "median_unit": statistic(np.median(scales, axis=1)),
            "slowest_unit": statistic(scales.max(axis=1)),
        }
    return measured


def _attention(layer: str, stages: Mapping[str, list[Inside]], sample: Inside) -> dict[str, Any]:
    # No head is the same one in two trials, so they are told apart by how far they look.
    farthest_last = np.argsort(sample.distances[layer])
    distances = {
        stage: np.sort([inside.distances[layer] for inside in trials], axis=1)  # [R, N]
        for stage, trials in stages.items()
    }
    return {
        "layer": layer,
        "heads": [
            {
                "map": in_percent(np.asarray(sample.maps[layer][head])),
                **{
                    stage: statistic(sorted_distances[:, place])
                    for stage, sorted_distances in distances.items()
                },
            }
            for place, head in enumerate(farthest_last)
        ],
    }


def _cut(
    name: str, metrics: Mapping[str, Mapping[str, np.ndarray]], baseline: float
) -> dict[str, Any]:
    """What the trials remember under a cut, and how much more than with nothing cut. One that does
    worse than without memory remembers nothing."""
    measured = {
        cut: {
            "share_remembered": np.maximum(1 - of["loss"] / baseline, 0),
            "accuracy": of["accuracy"],
        }
        for cut, of in metrics.items()
    }
    cut: dict[str, Any] = {
        "cut": name,
        **{key: statistic(values) for key, values in measured[name].items()},
        "change": None
        if name == NOTHING
        else {
            key: statistic(values - measured[NOTHING][key])
            for key, values in measured[name].items()
        },
    }
    if "accuracy_by_position" in metrics[name]:
        by_position = metrics[name]["accuracy_by_position"].T
        cut["by_position"] = np.round(by_position, 4).tolist()
    return cut


def statistic(values: Iterable[float]) -> dict[str, Any]:
    """A value for each trial, null where it is not finite; the median of the others and its
    interval, null if there are none."""
    values = np.round(np.asarray(values, float), 4)
    there = values[np.isfinite(values)]
    summary: dict[str, Any] = dict.fromkeys(("median", "low", "high", "confidence"))
    if there.size:
        summary = median_interval(there)._asdict()
        summary = {key: round(value, 4) for key, value in summary.items()}
    return {**summary, "trials": len(there), "values": list(map(or_null, values))}


def in_percent(shares: np.ndarray) -> list[str]:
    """A line of whole percents for each row: an image in a file that stays small."""
    shares = np.nan_to_num(shares)  # of a trial that diverged
    return [" ".join(str(round(100 * float(share))) for share in row) for row in shares]
