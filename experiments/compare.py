"""How far back can each model remember, and at what cost? A grid of models x tasks x lengths.

    python -m experiments.compare --config=configs/quick.py --workdir=runs/quick

The same command on an interrupted run folder goes on where it stopped.
"""

import dataclasses
import os
from collections.abc import Sequence

import jax
from absl import flags
from ml_collections import config_flags
from rich import box
from rich.console import Console
from rich.table import Table

from experiments import border, environment
from experiments.grid import CompareConfig, GridCell, grid_cells
from experiments.progress import GridProgress
from lstm_attn import models, report, training
from lstm_attn.analysis import summarise
from lstm_attn.errors import UsageError
from lstm_attn.history import stack
from lstm_attn.runs import RunFolder

INTERRUPTED_STATUS = 130

CONFIG = config_flags.DEFINE_config_file("config", None, "The config, such as configs/quick.py.")
WORKDIR = flags.DEFINE_string(
    "workdir", None, "The run folder, made if it is not there.", required=True
)
flags.mark_flag_as_required("config")


def train_cell(
    cell: GridCell, config: CompareConfig, folder: RunFolder, progress: GridProgress
) -> None:
    """Trains one cell from its last checkpoint, if it has one, to its record in results.json."""
    model = models.build(cell.model_name, cell.task, config.model)
    program = training.make_program(model, cell.task, config.training)
    seeds, learning_rates = training.trial_settings(config.training)
    checkpoint = folder.checkpoint(cell.name)
    restored, earlier = None, []
    if checkpoint.exists():
        restored = training.checkpoints.restore(checkpoint, program)
        folder.drop_evaluations_after(cell.name, int(restored.step[0]))
        earlier = folder.evaluations(cell.name)
    else:
        folder.drop_evaluations_after(cell.name, 0)

    progress.start(cell, earlier[-1].step if earlier else 0)
    for evaluation, states in training.run(
        program, cell.task, config.training, states=restored, earlier=earlier
    ):
        # In this order: a line without its checkpoint is dropped on resuming, and done again.
        folder.add_evaluation(cell.name, evaluation)
        training.checkpoints.save(checkpoint, states)
        earlier.append(evaluation)
        ever_solved = sum(any(solved) for solved in zip(*(e.solved for e in earlier), strict=True))
        progress.evaluated(cell, evaluation, ever_solved)

    record = {
        "model": cell.model_name,
        "task": cell.task.name,
        "variant": cell.task.variant,
        "length": cell.task.length,
        "criterion": cell.task.criterion,
        **summarise(stack(folder.evaluations(cell.name), seeds, learning_rates)),
        "baseline": cell.task.baseline,
        "parameters": models.count_parameters(model),
        "features": models.matched_features(cell.model_name, cell.task, config.model),
    }
    folder.add_result(record)
    median = record["median_steps_to_solve"]
    progress.finish(
        cell,
        f"solved {record['solved']}/{record['trials']}"
        + (f" after {median:.0f} steps (median)" if median is not None else "")
        + f", {record['seconds']:.0f} s"
        + "".join(
            f"; seed {trial['seed']} at learning rate {trial['learning_rate']:g} "
            f"diverged by step {trial['diverged_by']}"
            for trial in record["per_trial"]
            if trial["diverged_by"] is not None
        ),
    )


def closing_table(records: Sequence[dict]) -> Table:
    """One row a cell, narrow enough for a terminal of 80 columns."""
    table = Table(
        title="Solved trials, with the 95 % Wilson interval of the rate",
        box=box.SIMPLE_HEAD,
        padding=(0, 1, 0, 0),
    )
    for heading in ("task", "T", "model", "solved", "interval", "steps"):
        table.add_column(heading, justify="left" if heading in ("task", "model") else "right")
    table.add_column("loss/baseline", justify="right")
    table.add_column("seconds", justify="right")
    for record in records:
        table.add_row(
            record["task"],
            str(record["length"]),
            record["model"],
            report.tables.count(record),
            report.tables.interval(record),
            report.tables.steps(record),
            report.tables.loss_over_baseline(record),
            f"{record['seconds']:.0f}",
        )
    return table


def main() -> int:
    if not WORKDIR.value:
        raise UsageError("--workdir: expected a folder, got an empty name")
    config = border.checked(CompareConfig, CONFIG.value.to_dict())
    cells = grid_cells(config)
    folder = RunFolder.open(WORKDIR.value, dataclasses.asdict(config))
    training.use_host_cores()
    layout = training.choose_layout(config.training)
    changed = folder.begin(environment.describe(layout))
    finished = {(r["model"], r["task"], r["length"]) for r in folder.results}
    waiting = [
        cell
        for cell in cells
        if (cell.model_name, cell.task.name, cell.task.length) not in finished
    ]
    console = Console(highlight=False)
    if changed:
        console.print(f"note: not as when this run was begun: {', '.join(changed)}")
    console.print(f"{layout}; {len(waiting)} of {len(cells)} grid cells to train", soft_wrap=True)
    try:
        with GridProgress(waiting, config.training.steps) as progress:
            for cell in waiting:
                train_cell(cell, config, folder, progress)
                jax.clear_caches()
        console.print(closing_table(report.in_grid_order(folder)))
        page = report.write(folder.path)
    except KeyboardInterrupt:
        console.print(f"interrupted; the same command goes on from {folder.path}", soft_wrap=True)
        # An orderly exit would wait for the chunk in flight, of which nothing is kept.
        os._exit(INTERRUPTED_STATUS)
    console.print(f"report: {page}", soft_wrap=True)
    return 0


if __name__ == "__main__":
    border.run(main)
