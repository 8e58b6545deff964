"""The memory horizon: the longest T that at least half of the trials solve within a budget.

For each task and model it searches over T (`lstm_attn.analysis.horizon`). Each length tried is a
cell of the run folder, which ends as soon as its trials decide whether it is solved.
"""

import dataclasses
import itertools
import math
from collections.abc import Sequence
from typing import Any

from lstm_attn import tasks, training
from lstm_attn.analysis import horizon as analysis
from lstm_attn.analysis.horizon import Budget, Probe
from lstm_attn.errors import UsageError, check_whole
from lstm_attn.history import stack
from lstm_attn.models import ModelConfig
from lstm_attn.report import horizon as horizon_section
from lstm_attn.runner import grow, launchers, memory_check, train_cells
from lstm_attn.runner.cell import Cell
from lstm_attn.runner.configs import COMPARED, cell_name, check_lists, check_models
from lstm_attn.runner.progress import GridProgress
from lstm_attn.runner.session import Session
from lstm_attn.runs import RunFolder
from lstm_attn.studies.result import Result, Table
from lstm_attn.studies.study import Names, Study, Workdir
from lstm_attn.training import TrainingConfig

FINEST = 100  # lengths from T to 2 T; a step of 0.7 %


def horizon(
    models: Names | None = None,
    tasks: Names | None = None,
    shortest: int | None = None,
    longest: int | None = None,
    *,
    lengths_per_doubling: int | None = None,
    budget_seconds: float | None = None,
    workdir: Workdir = None,
    **settings: Any,
) -> Result:
    """Searches the longest T that at least half of the trials solve within the budget.

        studies.horizon(("lstm", "gru"), "adding", 15, 170, steps=1500, seeds=4)

    The budget is `steps`, and with it budget_seconds.

    Args:
      models: names in `models.MODELS`, or one.
      tasks: names in `tasks.TASKS`, with a variant as in "adding:arjovsky2016".
      shortest, longest: the lengths T between which the horizon is searched, in steps.
      lengths_per_doubling: how many lengths may be tried from T to 2 T.
      budget_seconds: wall seconds of all trials of a length, compilation included; 0 for no limit.
      workdir, settings: see `studies.compare`.

    Returns:
      The records, the table of horizons, and with a workdir its page.

    Raises:
      UsageError: a name, a value or a folder that does not fit, on one line.
    """
    fields = {
        "models": models,
        "task.names": tasks,
        "task.shortest": shortest,
        "task.longest": longest,
        "task.lengths_per_doubling": lengths_per_doubling,
        "budget_seconds": budget_seconds,
    }
    return STUDY.call(workdir, fields, settings)


@dataclasses.dataclass(frozen=True)
class SearchedTask:
    """names: of tasks.

    shortest, longest: the lengths T between which the horizon is searched, in steps.
    lengths_per_doubling: how many lengths may be tried from T to 2 T.
    """

    names: tuple[str, ...] = ("adding",)
    shortest: int = 15
    longest: int = 170
    lengths_per_doubling: int = 2

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
        return analysis.geometric_lengths(self.shortest, self.longest, self.lengths_per_doubling)


@dataclasses.dataclass(frozen=True)
class HorizonConfig:
    """models: names in MODELS; task, model, training: as their classes say.

    The budget is `training.steps`, and with it
    budget_seconds: wall seconds of all trials of a length, compilation included; 0 for no limit.
    """

    models: tuple[str, ...] = (*COMPARED, "attention_pooling")
    task: SearchedTask = SearchedTask()
    budget_seconds: float = 0.0
    model: ModelConfig = ModelConfig(features=48, num_heads=2, num_layers=1)
    training: TrainingConfig = TrainingConfig(
        steps=1500,
        seeds=4,
        schedule="constant",
        evaluation_sequences=1000,
        stop_when_solved=True,
    )

    def __post_init__(self) -> None:
        check_lists(self, "models", "task.names")
        check_models(self.models)
        for name in self.task.names:
            tasks.build(name, self.task.shortest)
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
        cell_name(task_name, length, model_name),
        model_name,
        tasks.build(task_name, length),
        config.model,
        config.training,
    )


def probe(config: HorizonConfig, folder: RunFolder, cell: str) -> Probe:
    """The result of a finished cell of the folder under the budget."""
    history = stack(folder.evaluations(cell), *training.trial_settings(config.training))
    return analysis.judge(history, config.budget)


def search(
    config: HorizonConfig,
    folder: RunFolder,
    progress: GridProgress,
    task_name: str,
    model_name: str,
) -> None:
    """Tries lengths of a task by a model until its horizon is between two neighbours."""

    def settled(history: Any) -> bool:
        return analysis.judge(history, config.budget).verdict is not None

    def solves(length: int) -> bool:
        asked = probe_cell(config, task_name, model_name, length)
        # A cell that ended early has the trials that it ended with.
        cell = grow.place([asked], folder, merges=False)[0].cell
        record = grow.record_of(cell, folder)
        # One that an earlier budget of seconds has ended goes on.
        if record is None or probe(config, folder, cell.name).verdict is None:
            memory_check.check_fits([cell])
            train_cells.train_cell(cell, folder, progress, enough=settled)
            folder.write_study(STUDY.name, findings(config, folder))
        verdict = probe(config, folder, cell.name).verdict
        assert verdict is not None, f"{cell.name} has ended unsettled"
        return verdict

    stride = config.task.lengths_per_doubling  # so that lengths double until one is not solved
    verdicts = analysis.search(config.task.lengths, solves, stride=stride)
    words = horizon_section.in_words(analysis.interval(verdicts)._asdict())
    progress.console.print(f"{task_name}, {model_name}: horizon {words}")


def findings(config: HorizonConfig, folder: RunFolder) -> dict[str, Any]:
    """What the finished cells of the folder say, as JSON values."""
    searches = []
    for task_name, model_name in itertools.product(config.task.names, config.models):
        asked = [
            probe_cell(config, task_name, model_name, length) for length in config.task.lengths
        ]
        records = [record for cell in asked if (record := grow.record_of(cell, folder))]
        if records:
            # In the order in which they were tried.
            records.sort(key=folder.results.index)
            searches.append(_search_findings(config, folder, records))
    return {
        "budget": {"steps": config.budget.steps, "seconds": config.budget_seconds or None},
        "lengths": list(config.task.lengths),
        "trials": config.training.trials,
        "evaluate_every": config.training.chunk_steps,
        "schedule": config.training.schedule,
        "searches": searches,
    }


def _search_findings(
    config: HorizonConfig, folder: RunFolder, records: Sequence[dict]
) -> dict[str, Any]:
    probes = {record["length"]: probe(config, folder, record["cell"]) for record in records}
    verdicts = {length: bool(tried.verdict) for length, tried in probes.items()}
    return {
        "task": records[0]["task"],
        "model": records[0]["model"],
        "seconds": sum(record["seconds"] for record in records),
        "complete": analysis.next_length(config.task.lengths, verdicts, 1) is None,
        **analysis.interval(verdicts)._asdict(),
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
        for budget, interval in analysis.against_budget(costs)
    ]


def horizon_table(result: dict[str, Any]) -> Table:
    """One row a task and model."""
    headings, rows = horizon_section.horizon_table(result["searches"], with_task=True)
    title = f"Memory horizon within {horizon_section.budget_in_words(result)}"
    return Table(title, headings, rows, left=("task", "model"))


def work(config: HorizonConfig, session: Session) -> list[Table | str]:
    """Searches what the folder lacks."""
    launchers.check_local(
        session.launcher, "the length of each cell depends on how the last one ended"
    )
    folder, tried = session.folder, config.task.lengths
    session.console.print(
        f"searches: {len(config.models) * len(config.task.names)}; lengths: {len(tried)}, "
        f"{tried[0]} to {tried[-1]}; cells that are there: {len(folder.results)}"
    )
    with GridProgress() as progress:
        for task_name, model_name in itertools.product(config.task.names, config.models):
            search(config, folder, progress, task_name, model_name)
    result = findings(config, folder)
    folder.write_study(STUDY.name, result)
    return [horizon_table(result)]


STUDY = Study("horizon", HorizonConfig, work)
