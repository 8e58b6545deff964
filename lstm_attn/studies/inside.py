"""What goes on inside: gates and their time scales, attention, and the path an answer comes by.

It tunes and trains the grid of `studies.compare`, whose finished folders it takes too, and measures
each model as initialised and as trained. The effect of a cut is what each trial remembers less.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from lstm_attn import trained
from lstm_attn.analysis import paired_sign_test, table_of_tests
from lstm_attn.errors import UsageError
from lstm_attn.report.inside import in_words
from lstm_attn.runner.configs import CompareConfig, check_one_rate, check_tuned, grid_cells
from lstm_attn.runner.session import Session
from lstm_attn.runner.tune import tune
from lstm_attn.studies.inside_measures import EDGES, MEASURED, layers_of, look_inside
from lstm_attn.studies.records import remembered
from lstm_attn.studies.result import Result, Table
from lstm_attn.studies.study import Names, Numbers, Study, Workdir
from lstm_attn.training import multihost

REMEMBERS_MORE = "remembers a larger share than"  # what a model is tested for against itself, cut


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
    return {
        **{key: record[key] for key in ("model", "task", "length")},
        **remembered(record),
        "budget": record["training_config"]["steps"],
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
