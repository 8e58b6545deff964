"""The memory horizon: the longest T that at least half of the trials solve within a budget.

    python -m experiments.horizon --config=configs/horizon.py --workdir=runs/horizon

For each task and model a search over T (`lstm_attn.analysis.horizon`); each length that it tries is
a cell of the run folder, which ends as soon as its trials settle it. The same command on an
interrupted run folder goes on where it stopped.
"""

import dataclasses
import itertools
import math
from collections.abc import Sequence
from typing import Any

from rich import box
from rich.console import Console
from rich.table import Table

from lstm_attn import tasks, training
from lstm_attn.analysis import horizon
from lstm_attn.analysis.horizon import Budget, Probe
from lstm_attn.errors import UsageError, check_whole
from lstm_attn.history import stack
from lstm_attn.models import ModelConfig
from lstm_attn.report import horizon as horizon_section
from lstm_attn.runner import launchers, memory_check, train_cells
from lstm_attn.runner.cell import Cell
from lstm_attn.runner.configs import check_lists, check_models
from lstm_attn.runner.launchers import HERE, Options
from lstm_attn.runner.progress import GridProgress
from lstm_attn.runs import RunFolder
from lstm_attn.studies.finish import close
from lstm_attn.training import TrainingConfig

STUDY = "horizon"
FINEST = 100  # lengths from T to 2 T; a step of 0.7 %


@dataclasses.dataclass(frozen=True)
class SearchedTask:
    """names: in TASKS; variant: of each of them.

    shortest, longest: the lengths T between which the horizon is sought, in steps.
    lengths_per_doubling: how many lengths may be tried from T to 2 T; the resolution.
    """

    names: tuple[str, ...]
    variant: str
    shortest: int
    longest: int
    lengths_per_doubling: int

    def __post_init__(self) -> None:
        check_whole("task.shortest", self.shortest)
        check_whole("task.longest", self.longest, self.shortest)
        check_whole("task.lengths_per_doubling", self.lengths_per_doubling)
        if self.lengths_per_doubling > FINEST:
            raise UsageError(
                f"task.lengths_per_doubling: expected at most {FINEST}, "
                f"got {self.lengths_per_doubling}"
            )

    @property
    def lengths(self) -> tuple[int, ...]:
        return horizon.geometric_lengths(self.shortest, self.longest, self.lengths_per_doubling)


@dataclasses.dataclass(frozen=True)
class HorizonConfig:
    """models: names in MODELS; task, model, training: as their classes say.

    The budget is `training.steps`, and with it
    budget_seconds: wall seconds of all trials of a length, compilation included; 0 for no limit.
    """

    models: tuple[str, ...]
    task: SearchedTask
    budget_seconds: float
    model: ModelConfig
    training: TrainingConfig

    def __post_init__(self) -> None:
        check_lists(self, "models", "task.names")
        check_models(self.models)
        for name in self.task.names:
            tasks.build(name, self.task.shortest, self.task.variant)
        if not 0 <= self.budget_seconds < math.inf:
            raise UsageError(f"budget_seconds: expected finite and >= 0, got {self.budget_seconds}")
        if not self.training.stop_when_solved:
            raise UsageError(
                "training.stop_when_solved: expected True, since a trial counts once it has "
                "solved, got False"
            )

    @property
    def budget(self) -> Budget:
        return Budget(self.training.steps, self.budget_seconds or math.inf)


def probe_cell(config: HorizonConfig, task_name: str, model_name: str, length: int) -> Cell:
    return Cell(
        f"{task_name}-{length}-{model_name}",
        model_name,
        tasks.build(task_name, length, config.task.variant),
        config.model,
        config.training,
    )


def probe(config: HorizonConfig, folder: RunFolder, cell: str) -> Probe:
    """What the folder says of a finished cell."""
    history = stack(folder.evaluations(cell), *training.trial_settings(config.training))
    return horizon.judge(history, config.budget)


def search(
    config: HorizonConfig,
    folder: RunFolder,
    progress: GridProgress,
    task_name: str,
    model_name: str,
) -> None:
    """Tries lengths of one task by one model until its horizon is as narrow as the lengths are."""

    def settled(history: Any) -> bool:
        return horizon.judge(history, config.budget).verdict is not None

    def solves(length: int) -> bool:
        cell = probe_cell(config, task_name, model_name, length)
        if cell.name not in {record["cell"] for record in folder.results}:
            memory_check.check_fits([cell])
            train_cells.train_cell(cell, folder, progress, enough=settled)
            folder.write_study(STUDY, found(config, folder))
        verdict = probe(config, folder, cell.name).verdict
        assert verdict is not None, f"{cell.name} has ended unsettled"
        return verdict

    stride = config.task.lengths_per_doubling  # so that lengths double until one is not solved
    verdicts = horizon.search(config.task.lengths, solves, stride=stride)
    words = horizon_section.in_words(horizon.interval(verdicts)._asdict())
    progress.console.print(f"{task_name}, {model_name}: horizon {words}")


def found(config: HorizonConfig, folder: RunFolder) -> dict[str, Any]:
    """What the finished cells of the folder say, as JSON values."""
    records = folder.results
    searches = [
        _search_found(config, folder, mine)
        for task_name, model_name in itertools.product(config.task.names, config.models)
        if (mine := [r for r in records if (r["task"], r["model"]) == (task_name, model_name)])
    ]
    return {
        "budget": {"steps": config.budget.steps, "seconds": config.budget_seconds or None},
        "lengths": list(config.task.lengths),
        "trials": config.training.trials,
        "evaluate_every": config.training.chunk_steps,
        "schedule": config.training.schedule,
        "searches": searches,
    }


def _search_found(
    config: HorizonConfig, folder: RunFolder, records: Sequence[dict]
) -> dict[str, Any]:
    probes = {record["length"]: probe(config, folder, record["cell"]) for record in records}
    verdicts = {length: bool(tried.verdict) for length, tried in probes.items()}
    return {
        "task": records[0]["task"],
        "model": records[0]["model"],
        "seconds": sum(record["seconds"] for record in records),
        "complete": horizon.next_length(config.task.lengths, verdicts, 1) is None,
        **horizon.interval(verdicts)._asdict(),
        "by_steps": _curve({length: tried.steps for length, tried in probes.items()}),
        "by_seconds": _curve({length: tried.seconds for length, tried in probes.items()}),
        "probes": [
            {
                "length": record["length"],
                "parameters": record["parameters"],
                "steps_run": record["steps"],
                "seconds_run": record["seconds"],
                **probes[record["length"]]._asdict(),
                "rate_interval": list(probes[record["length"]].rate_interval),
            }
            for record in records
        ],
    }


def _curve(costs: dict[int, Any]) -> list[dict[str, Any]]:
    return [
        {"budget": budget, **interval._asdict()}
        for budget, interval in horizon.against_budget(costs)
    ]


def closing_table(result: dict[str, Any]) -> Table:
    """One row a task and model, narrow enough for a terminal of 80 columns."""
    table = Table(
        title=f"Memory horizon within {horizon_section.budget_in_words(result)}",
        box=box.SIMPLE_HEAD,
        padding=(0, 1, 0, 0),
    )
    headings, rows = horizon_section.horizon_table(result["searches"], with_task=True)
    for heading in headings:
        table.add_column(heading, justify="left" if heading in ("task", "model") else "right")
    for row in rows:
        table.add_row(*row)
    return table


def study(
    config: HorizonConfig, folder: RunFolder, console: Console, options: Options = HERE
) -> None:
    """Searches what the folder lacks, then prints the closing table and writes the report."""
    launchers.check_local(options, "the length of each cell depends on how the last one ended")
    tried = config.task.lengths
    console.print(
        f"{len(config.models) * len(config.task.names)} searches among {len(tried)} lengths, "
        f"{tried[0]} to {tried[-1]}; {len(folder.results)} probes are there"
    )
    with GridProgress() as progress:
        for task_name, model_name in itertools.product(config.task.names, config.models):
            search(config, folder, progress, task_name, model_name)
    result = found(config, folder)
    folder.write_study(STUDY, result)
    close(folder, console, closing_table(result))
