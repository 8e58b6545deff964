"""How far back can each model remember, and at what cost? A grid of models x tasks x lengths.

    python -m experiments.compare --config=configs/quick.py --workdir=runs/quick

The same command on an interrupted run folder goes on where it stopped.
"""

import dataclasses
import time
from collections.abc import Callable, Iterator, Sequence

import numpy as np
from absl import flags
from ml_collections import config_flags
from rich import box
from rich.console import Console
from rich.table import Table

from experiments import border, compilation_cache, environment, profile
from experiments.ahead import in_advance
from experiments.grid import CompareConfig, GridCell, grid_cells
from experiments.progress import GridProgress
from lstm_attn import models, report, training
from lstm_attn.analysis import summarise
from lstm_attn.errors import UsageError
from lstm_attn.history import stack
from lstm_attn.runs import METRICS, RunFolder
from lstm_attn.training import Program

# Heads that are many for the width leave few widths to choose from.
NEAR_EQUAL = 0.1

CONFIG = config_flags.DEFINE_config_file("config", None, "The config, such as configs/quick.py.")
WORKDIR = flags.DEFINE_string(
    "workdir", None, "The run folder, made if it is not there.", required=True
)
COMPILATION_CACHE = flags.DEFINE_string(
    "compilation_cache",
    None,
    "Folder for compiled programs; empty for none. Otherwise $JAX_COMPILATION_CACHE_DIR or the "
    "user's cache folder.",
)
PROFILE = flags.DEFINE_bool(
    "profile",
    False,
    "Print where the time of each cell went, and write traces to WORKDIR/profile. The results are "
    "those without it; it takes some ten seconds a cell.",
)
flags.mark_flag_as_required("config")


def make_program(cell: GridCell, config: CompareConfig) -> Program:
    """The program that trains a cell."""
    model = models.build(cell.model_name, cell.task, config.model)
    return training.make_program(model, cell.task, config.training)


def train_cell(
    cell: GridCell,
    config: CompareConfig,
    folder: RunFolder,
    progress: GridProgress,
    *,
    prepared: Callable[[], Program] | None = None,
    clocked: Callable[[Iterator[profile.Chunk]], Iterator[profile.Chunk]] = iter,
) -> None:
    """Trains one cell from its last checkpoint, if it has one, to its record in results.json.

    Args:
      prepared: gives the cell's program; None for one that is compiled when it is needed.
      clocked: what the chunks pass through as they come.
    """
    began = time.monotonic()
    progress.compiling(cell)
    program = prepared() if prepared else make_program(cell, config)
    checkpoint = folder.checkpoint(cell.name)
    restored = training.checkpoints.restore(checkpoint, program) if checkpoint.exists() else None
    step = 0 if restored is None else int(restored.step[0])
    folder.drop_evaluations_after(cell.name, step)
    evaluations = folder.evaluations(cell.name)
    expected = list(range(config.training.evaluate_every, step + 1, config.training.evaluate_every))
    if [evaluation.step for evaluation in evaluations] != expected:
        raise UsageError(
            f"{folder.path / METRICS} lacks evaluations of {cell.name} up to step {step}; "
            f"remove {checkpoint} to train the cell anew"
        )

    progress.start(cell, step)
    seeds, learning_rates = training.trial_settings(config.training)
    chunks = training.run(
        program,
        cell.task,
        config.training,
        states=restored,
        earlier=evaluations,
        began=began,
    )
    for evaluation, states in clocked(chunks):
        # In this order: a line without its checkpoint is dropped on resuming, and done again.
        folder.add_evaluation(cell.name, evaluation)
        training.checkpoints.save(checkpoint, states)
        evaluations.append(evaluation)
        steps_to_solve = stack(evaluations, seeds, learning_rates).steps_to_solve
        progress.evaluated(cell, evaluation, int(np.isfinite(steps_to_solve).sum()))

    model = models.build(cell.model_name, cell.task, config.model)
    reference = models.build(models.REFERENCE, cell.task, config.model)
    parameters, budget = map(models.count_parameters, (model, reference))
    record = {
        "cell": cell.name,
        "model": cell.model_name,
        "task": cell.task.name,
        "variant": cell.task.variant,
        "length": cell.task.length,
        "criterion": cell.task.criterion,
        "chance": cell.task.chance,
        **summarise(stack(folder.evaluations(cell.name), seeds, learning_rates)),
        "baseline": cell.task.baseline,
        "parameters": parameters,
        "parameters_over_lstm": parameters / budget,
        "features": models.matched_features(cell.model_name, cell.task, config.model),
    }
    folder.add_result(record)
    progress.finish(cell, in_words(record))


def profiled(
    cell: GridCell, config: CompareConfig, folder: RunFolder, progress: GridProgress
) -> None:
    """Trains one cell as `train_cell` does, then finds out where its time went."""
    with profile.CellClock() as clock:
        train_cell(cell, config, folder, progress, clocked=clock.waits)
    progress.console.print(f"profiling {cell.name}: a trace and five programs to time")
    profile.profile_cell(cell, config, clock, folder)


def in_words(record: dict) -> str:
    """How a cell ended, on one line."""
    median, ratio = record["median_steps_to_solve"], record["parameters_over_lstm"]
    return (
        f"solved {record['solved']}/{record['trials']}"
        + (f" after {median:.0f} steps (median)" if median is not None else "")
        + f", {record['seconds']:.0f} s"
        + (f"; {ratio:.2f} of the LSTM's parameters" if abs(ratio - 1) > NEAR_EQUAL else "")
        + "".join(
            f"; seed {trial['seed']} at learning rate {trial['learning_rate']:g} "
            f"diverged by step {trial['diverged_by']}"
            for trial in record["per_trial"]
            if trial["diverged_by"] is not None
        )
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
    table.add_column("loss/\nbaseline", justify="right")
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


def compare(config: CompareConfig, cells: list[GridCell], folder: RunFolder) -> None:
    """Trains what the folder lacks, then prints the closing table and writes the report."""
    training.use_host_cores()
    layout = training.choose_layout(config.training)
    console = Console(highlight=False, markup=False)
    note = compilation_cache.use(COMPILATION_CACHE.value)
    if note:
        console.print(f"note: {note}", soft_wrap=True)
    changed = folder.begin(environment.describe(layout))
    if changed:
        console.print(f"note: not as when this run was begun: {', '.join(changed)}")
    finished = {record["cell"] for record in folder.results}
    waiting = [cell for cell in cells if cell.name not in finished]
    console.print(f"{layout}; {len(waiting)} of {len(cells)} grid cells to train", soft_wrap=True)
    with GridProgress(waiting, config.training.steps) as progress:
        if PROFILE.value:
            # One cell after the other, so that each second has one cause.
            for cell in waiting:
                profiled(cell, config, folder, progress)
        else:
            programs = in_advance(lambda cell: make_program(cell, config).compiled(), waiting)
            for cell, prepared in zip(waiting, programs, strict=True):
                train_cell(cell, config, folder, progress, prepared=prepared)
    console.print(closing_table(report.in_grid_order(folder)))
    if PROFILE.value and folder.times:
        console.print(profile.times_table(folder.times))
    console.print(f"report: {report.write(folder.path)}", soft_wrap=True)


def main() -> int:
    if not WORKDIR.value:
        raise UsageError("--workdir: expected a folder, got an empty name")
    config = border.checked(CompareConfig, CONFIG.value.to_dict())
    cells = grid_cells(config)
    folder = RunFolder.open(WORKDIR.value, dataclasses.asdict(config))
    try:
        compare(config, cells, folder)
    except KeyboardInterrupt:
        print(f"interrupted; the same command goes on from {folder.path}")
        return border.INTERRUPTED_STATUS
    return 0


if __name__ == "__main__":
    border.run(main)
