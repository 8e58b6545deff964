"""What goes on inside: gates and their time scales, attention, and the path an answer comes by.

It trains the grid of `studies.compare`, whose finished folders it takes too, and measures each
model as initialised and as trained.
"""

from collections.abc import Iterable, Mapping
from typing import Any

import jax
import numpy as np

from lstm_attn import trained
from lstm_attn.analysis import crossing, cuts_of, look_at_trials, median_interval, metrics_when_cut
from lstm_attn.analysis.inside import NOTHING, Inside, answer_steps, uniform_distance
from lstm_attn.errors import UsageError
from lstm_attn.models import Model, Params
from lstm_attn.modules.observing import Observations
from lstm_attn.report.inside import in_words
from lstm_attn.report.section import STAGES
from lstm_attn.runner.cell import TEST_SEED
from lstm_attn.runner.configs import CompareConfig, check_one_rate, grid_cells
from lstm_attn.runner.session import Session
from lstm_attn.studies.result import Result, Table
from lstm_attn.studies.study import Names, Numbers, Study, Workdir
from lstm_attn.tasks import Task
from lstm_attn.tasks.copy_problem import RECALLED, Copy
from lstm_attn.training import multihost

# Sequences of which gates and attention are kept, and sequences that accuracy is measured on.
LOOKED_AT, MEASURED = 100, 1000
# Edges of the bins of time scales, in steps; longer ones count in the last bin.
EDGES = 10 ** np.linspace(0, 4, 33)
GATE_NAMES = {
    "i": "input i", "f": "forget f", "g": "candidate g", "o": "output o",
    "r": "reset r", "z": "update z", "n": "candidate n",
}  # fmt: skip


def inside(
    models: Names | None = None,
    tasks: Names | None = None,
    lengths: Numbers | None = None,
    *,
    workdir: Workdir = None,
    **settings: Any,
) -> Result:
    """Measures gates, time scales and attention of each model, and its accuracy without a path.

        studies.inside(("lstm", "lstm_attention"), "copy", 40, steps=4000, seeds=6)

    Args:
      models: names in `models.MODELS`, or one; each has a `modules.Recurrent` or a
        `modules.MultiHeadAttention`.
      tasks: names in `tasks.TASKS`, with a variant as in "adding:arjovsky2016".
      lengths: the T of each cell, in steps.
      workdir, settings: see `studies.compare`.

    Returns:
      The records, a table of medians over trials, and with a workdir its page.

    Raises:
      UsageError: a name, a value or a folder that does not fit, on one line.
    """
    fields = {"models": models, "task.names": tasks, "task.lengths": lengths}
    return STUDY.call(workdir, fields, settings)


CANDIDATES = "gn"


def layers_of(model: Model, task: Task) -> Observations:
    """Which layers the model has, and the shapes of what they show; nothing is computed."""
    key = jax.random.key(0)
    inputs = jax.eval_shape(lambda: task.sample(key, 1).inputs)
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
    due = answer_steps(task.sample(key, LOOKED_AT))
    return {
        "gates": [_gates(layer, stages, sample) for layer in seen.gates],
        "attention": [_attention(layer, stages, sample) for layer in seen.weights],
        "uniform_distance": float(uniform_distance(due)),
        "due_distance": length - RECALLED if isinstance(task, Copy) else None,
        "crossing": step,
        "accuracy_without_memory": task.accuracy_without_memory,
        "cuts": [_cut(name, measured[name]) for name in cuts],
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


def _cut(name: str, metrics: Mapping[str, np.ndarray]) -> dict[str, Any]:
    measured: dict[str, Any] = {"cut": name, "accuracy": statistic(metrics["accuracy"])}
    if "accuracy_by_position" in metrics:
        measured["by_position"] = np.round(metrics["accuracy_by_position"].T, 4).tolist()
    return measured


def statistic(values: Iterable[float]) -> dict[str, Any]:
    """A value for each trial, their median and its interval."""
    values = np.asarray(values, float)
    rounded = {key: round(value, 4) for key, value in median_interval(values)._asdict().items()}
    return {**rounded, "values": np.round(values, 4).tolist()}


def in_percent(shares: np.ndarray) -> list[str]:
    """A line of whole percents for each row: an image in a file that stays small."""
    return [" ".join(str(round(100 * float(share))) for share in row) for row in shares]


def work(config: CompareConfig, session: Session) -> list[Table | str]:
    """Trains what the folder lacks, and measures the cells that were not measured yet."""
    folder, console = session.folder, session.console
    check_one_rate("training", config.training)
    grid = grid_cells(config)
    for cell in grid:
        seen = layers_of(cell.build(), cell.task)
        if not seen.states and not seen.weights:
            raise UsageError(
                "models: expected ones with modules.Recurrent, as in examples/your_model.py, or "
                f"modules.MultiHeadAttention, got {cell.model_name!r}"
            )
    grid = session.train(grid)

    result = folder.study(STUDY.name) or {
        "edges": EDGES.tolist(),
        "sequences": MEASURED,
        "cells": [],
    }
    looked_at = {(entry["cell"], entry["trials"]) for entry in result["cells"]}
    unseen = [cell for cell in grid if (cell.name, cell.training.trials) not in looked_at]
    for number, cell in enumerate(unseen, 1):
        console.print(f"measuring {number} of {len(unseen)}: {cell.name}")
        loaded = trained.load(folder.path, cell.name)
        shown = int(np.argmax(loaded.solved))
        before = multihost.whole(cell.make_program().start().params)
        measured = look_inside(loaded.model, loaded.task, before, loaded.params, shown)
        head = {
            "cell": cell.name,
            "model": cell.model_name,
            "task": cell.task.name,
            "length": cell.task.length,
            "solved": int(loaded.solved.sum()),
            "trials": len(loaded.solved),
            "shown": {"seed": int(loaded.seeds[shown]), "solved": bool(loaded.solved[shown])},
        }
        others = [entry for entry in result["cells"] if entry["cell"] != cell.name]
        result["cells"] = [*others, {**head, **measured}]
        folder.write_study(STUDY.name, result)
    return [medians_table(result)]


STUDY = Study("inside", CompareConfig, work)


def medians_table(result: Mapping[str, Any]) -> Table:
    """One row a cell."""
    return Table(
        "Medians over trials",
        (
            "task", "T", "model", "slowest unit\nbefore, after", "head distance\nbefore, after",
            "accuracy if cut",
        ),
        [
            (cell["task"], str(cell["length"]), cell["model"], *in_words(cell))
            for cell in result["cells"]
        ],
        left=("task", "model"),
    )  # fmt: skip
