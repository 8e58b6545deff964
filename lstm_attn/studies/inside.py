"""What goes on inside: gates and their time scales, attention, and the path an answer comes by.

It tunes and trains the grid of `studies.compare`, whose finished folders it takes too, and measures
each model as initialised and as trained. The effect of a cut is what each trial remembers less.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import jax
import numpy as np

from lstm_attn import trained
from lstm_attn.analysis import (
    crossing,
    cuts_of,
    look_at_trials,
    median_interval,
    metrics_when_cut,
    paired_sign_test,
    table_of_tests,
)
from lstm_attn.analysis.inside import NOTHING, Inside, answer_steps, uniform_distance
from lstm_attn.analysis.intervals import or_null
from lstm_attn.errors import UsageError
from lstm_attn.models import Model, Params
from lstm_attn.modules.observing import Observations
from lstm_attn.report.inside import in_words
from lstm_attn.report.section import STAGES
from lstm_attn.runner.cell import TEST_SEED
from lstm_attn.runner.configs import CompareConfig, check_one_rate, check_tuned, grid_cells
from lstm_attn.runner.session import Session
from lstm_attn.runner.tune import tune
from lstm_attn.studies.result import Result, Table
from lstm_attn.studies.study import Names, Numbers, Study, Workdir
from lstm_attn.tasks import Task
from lstm_attn.tasks.copy_problem import RECALLED, Copy
from lstm_attn.training import multihost

# Sequences of which gates and attention are kept, and sequences that what is remembered under cuts
# is measured on.
LOOKED_AT, MEASURED = 100, 1000
REMEMBERS_MORE = "remembers a larger share than"  # what a model is tested for against itself, cut
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
    """Measures gates, time scales and attention of each model, and what it forgets without a path.

        studies.inside(("lstm", "lstm_attention"), "copy", 30, steps=1500, seeds=16)

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
    due = jax.jit(lambda: answer_steps(task.sample(key, LOOKED_AT)))()
    return {
        "gates": [_gates(layer, stages, sample) for layer in seen.gates],
        "attention": [_attention(layer, stages, sample) for layer in seen.weights],
        "uniform_distance": float(uniform_distance(due)),
        "due_distance": length - RECALLED if isinstance(task, Copy) else None,
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


def compare_cuts(cells: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Each model against itself with each path cut, by the exact sign test over its trials of the
    change of the share remembered; p after Holm over all cuts of all cells."""
    where, tests = [], []
    for cell in cells:
        for cut in cell["cuts"]:
            if cut["change"] is None:
                continue
            values = cut["change"]["share_remembered"]["values"]
            change = np.array([value for value in values if value is not None])
            if change.size:
                where.append({"cell": cell["cell"], "cut": cut["cut"]})
                path, how = cut["cut"].split(", ")
                # Of the sign test the smaller values are the better ones: the first is better
                # where the change is below zero.
                test = paired_sign_test(change, np.zeros_like(change))
                cut_model = f"{cell['model']} with {path} cut {how}"
                tests.append((cell["model"], cut_model, REMEMBERS_MORE, test))
    return [{**at, **test} for at, test in zip(where, table_of_tests(tests), strict=True)]


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


def work(config: CompareConfig, session: Session) -> list[Table | str]:
    """Tunes and trains what the folder lacks, and measures the cells that were not measured yet."""
    folder, console = session.folder, session.console
    check_tuned(config.training, config.tuning)
    grid = grid_cells(config)
    for cell in grid:
        seen = layers_of(cell.build(), cell.task)
        if not seen.states and not seen.weights:
            raise UsageError(
                "models: expected ones with modules.Recurrent, as in examples/your_model.py, or "
                f"modules.MultiHeadAttention, got {cell.model_name!r}"
            )
    grid = session.train(tune(grid, config.tuning, session))
    for cell in grid:
        check_one_rate(cell.name, cell.training)

    result = folder.study(STUDY.name) or {
        "edges": EDGES.tolist(),
        "sequences": MEASURED,
        "cells": [],
        "tests": [],
    }
    looked_at = {(entry["cell"], entry["trials"]) for entry in result["cells"]}
    unseen = [cell for cell in grid if (cell.name, cell.training.trials) not in looked_at]
    for number, cell in enumerate(unseen, 1):
        console.print(f"measuring {number} of {len(unseen)}: {cell.name}")
        loaded = trained.load(folder.path, cell.name)
        shown = _shown(loaded.record)
        before = multihost.whole(cell.make_program().start().params)
        measured = look_inside(loaded.model, loaded.task, before, loaded.params, shown)
        head = _head(loaded.record, shown)
        others = [entry for entry in result["cells"] if entry["cell"] != cell.name]
        result["cells"] = [*others, {**head, **measured}]
        result["tests"] = compare_cuts(result["cells"])
        folder.write_study(STUDY.name, result)
    return [medians_table(result)]


def _shown(record: Mapping[str, Any]) -> int:
    """The trial whose gates and attention are kept: the first that remembers; if none does, the
    first that did not diverge."""
    trials = record["per_trial"]
    remembers = [trial["steps_to_remember"] is not None for trial in trials]
    finite = [trial["share_remembered"] is not None for trial in trials]
    return int(np.argmax(remembers if any(remembers) else finite))


def _head(record: Mapping[str, Any], shown: int) -> dict[str, Any]:
    """What the record of a cell says of its trials."""
    keys = (
        "cell", "model", "task", "length", "parameters", "trials", "remembers",
        "remember_rate_low", "remember_rate_high", "solved",
    )  # fmt: skip
    of_trials = ("seed", "learning_rate", "share_remembered", "steps_to_remember")
    return {
        **{key: record[key] for key in keys},
        "budget": record["training_config"]["steps"],
        "per_trial": [{key: trial[key] for key in of_trials} for trial in record["per_trial"]],
        "shown": shown,
    }


STUDY = Study("inside", CompareConfig, work, lambda config, _: grid_cells(config))


def medians_table(result: Mapping[str, Any]) -> Table:
    """One row a cell."""
    return Table(
        "Medians over trials",
        (
            "task", "T", "model", "remember", "slowest\nunit", "farthest\nhead",
            "share remembered",
        ),
        [
            (cell["task"], str(cell["length"]), cell["model"], *in_words(cell))
            for cell in result["cells"]
        ],
        left=("task", "model"),
        caption="unit: time scale, head: distance, in steps, before and after training; the share "
        "remembered with nothing cut and with each path cut once",
    )  # fmt: skip
