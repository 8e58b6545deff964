"""The memory horizon: T50, the T that half of the trials remember, with its interval.

For each task and model, lengths are tried until T50 is inside their range and its neighbours are a
factor of sqrt(2) apart (`analysis.next_lengths`). Each length is a cell of the run folder, whose
learning rate is tuned. A logistic curve is fitted to all trials of all lengths.
"""

import dataclasses
import itertools
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from lstm_attn import tasks
from lstm_attn.analysis import BudgetFit, HorizonFit, fit_against_budget, fit_horizon, next_lengths
from lstm_attn.errors import UsageError, check_numbers, check_whole
from lstm_attn.models import ModelConfig
from lstm_attn.report import horizon as horizon_section
from lstm_attn.runner import tuning_notes
from lstm_attn.runner.cell import Cell
from lstm_attn.runner.configs import (
    COMPARED,
    RATES,
    SMALL,
    cell_name,
    check_lists,
    check_models,
    check_tuned,
)
from lstm_attn.runner.session import Session
from lstm_attn.runner.tune import tune
from lstm_attn.runner.tuning_config import TuningConfig
from lstm_attn.studies.result import Result, Table
from lstm_attn.studies.study import Names, Study, Workdir
from lstm_attn.training import TrainingConfig

BUDGETS = (1, 1 / 2, 1 / 4, 1 / 8)  # shares of the steps at which T50 is read off too


def horizon(
    models: Names | None = None,
    tasks: Names | None = None,
    first: int | None = None,
    *,
    shortest: int | None = None,
    longest: int | None = None,
    workdir: Workdir = None,
    **settings: Any,
) -> Result:
    """Finds T50, the T that half of the trials remember within the budget of steps.

        studies.horizon(("lstm", "gru"), "adding", first=20, longest=200, steps=1500, seeds=8)

    Args:
      models: names in `models.MODELS`, or one.
      tasks: names in `tasks.TASKS`, with a variant as in "adding:arjovsky2016".
      first: the first two lengths are `first` and twice that.
      shortest, longest: no length beyond them is tried; a T50 beyond them is reported as a bound.
      workdir, settings: see `studies.compare`.

    Returns:
      The records, the table of T50, and with a workdir its page.

    Raises:
      UsageError: a name, a value or a folder that does not fit, on one line.
    """
    fields = {
        "models": models,
        "task.names": tasks,
        "task.first": first,
        "task.shortest": shortest,
        "task.longest": longest,
    }
    return STUDY.call(workdir, fields, settings)


@dataclasses.dataclass(frozen=True)
class SearchedTask:
    """names: the tasks.

    first: the first two lengths T are `first` and twice that.
    shortest, longest: no length beyond them is tried.
    """

    names: tuple[str, ...] = ("adding",)
    first: int = 30
    shortest: int = 4
    longest: int = 240

    def __post_init__(self) -> None:
        check_numbers(self, "task.")
        check_whole("task.shortest", self.shortest)
        check_whole("task.first", self.first, self.shortest)
        check_whole("task.longest", self.longest, self.first + 1)

    @property
    def start(self) -> tuple[int, int]:
        return self.first, min(2 * self.first, self.longest)


@dataclasses.dataclass(frozen=True)
class HorizonConfig:
    """models: names in MODELS; task, model, training, tuning: as their classes say.

    The budget is `training.steps`. With a constant schedule, what smaller budgets give is read off
    the same trials.
    """

    models: tuple[str, ...] = COMPARED
    task: SearchedTask = SearchedTask()
    model: ModelConfig = SMALL
    training: TrainingConfig = TrainingConfig(
        steps=400,
        seeds=16,
        learning_rates=RATES,
        schedule="constant",
        evaluation_sequences=500,
        stop_when_solved=True,
    )
    tuning: TuningConfig = TuningConfig(halving=False, carry=True)

    def __post_init__(self) -> None:
        check_lists(self, "models", "task.names")
        check_models(self.models)
        for name in self.task.names:
            tasks.build(name, self.task.shortest)
        if self.training.seeds < 2:
            raise UsageError("training.seeds: expected at least 2, which are resampled, got 1")
        check_tuned(self.training, self.tuning)


class Search(NamedTuple):
    """What has been tried for one task and model: the cells as they were tested, by length."""

    task: str
    model: str
    tested: dict[int, Cell]

    def asked(self, config: HorizonConfig, length: int) -> Cell:
        return Cell(
            cell_name(self.task, length, self.model),
            self.model,
            tasks.build(self.task, length),
            config.model,
            config.training,
        )

    def fit(self, session: Session, share: float = 1.0) -> HorizonFit:
        """The fit over all lengths, within a share of the budget."""
        lengths, remembers, seeds = [], [], []
        for length, cell in self.tested.items():
            for trial in session.record(cell)["per_trial"]:
                end = trial["steps_to_remember"]
                lengths.append(length)
                remembers.append(end is not None and end <= share * cell.training.steps)
                seeds.append(trial["seed"])
        return fit_horizon(np.array(lengths), np.array(remembers), np.array(seeds))


def first_cells(config: HorizonConfig, _: Path) -> list[Cell]:
    """Those of the first two lengths; which others are tried depends on what these remember."""
    return [
        Search(task, model, {}).asked(config, length)
        for task in config.task.names
        for model in config.models
        for length in config.task.start
    ]


def work(config: HorizonConfig, session: Session) -> list[Table | str]:
    """Tries lengths, those of all searches at once, until no fit asks for more."""
    searches = [
        Search(task, model, {})
        for task, model in itertools.product(config.task.names, config.models)
    ]
    wanted: dict[tuple[str, str], tuple[int, ...]] = {
        (search.task, search.model): config.task.start for search in searches
    }
    while any(wanted.values()):
        asked = [
            (search, length, search.asked(config, length))
            for search in searches
            for length in wanted[search.task, search.model]
        ]
        tuned = tune([cell for _, _, cell in asked], config.tuning, session)
        for (search, length, _), cell in zip(asked, session.train(tuned), strict=True):
            search.tested[length] = cell
        for search in searches:
            fit = search.fit(session)
            wanted[search.task, search.model] = next_lengths(
                fit, config.task.shortest, config.task.longest
            )
        session.folder.write_study(STUDY.name, findings(config, searches, session))
    result = findings(config, searches, session)
    session.folder.write_study(STUDY.name, result)
    return [horizon_table(result)]


def findings(config: HorizonConfig, searches: Sequence[Search], session: Session) -> dict[str, Any]:
    """The fits over the finished cells, as JSON values."""
    return {
        "budget": config.training.steps,
        "schedule": config.training.schedule,
        "seeds": config.training.seeds,
        "searches": [_search_findings(config, search, session) for search in searches],
    }


def _search_findings(config: HorizonConfig, search: Search, session: Session) -> dict[str, Any]:
    shares = BUDGETS if config.training.schedule == "constant" else BUDGETS[:1]
    fits = {share * config.training.steps: search.fit(session, share) for share in shares}
    records = {length: session.record(search.tested[length]) for length in sorted(search.tested)}
    asked = [search.asked(config, length) for length in records]
    tuning = [tuning_notes.record_of(cell, session.folder) for cell in asked]
    spent = [record for record in tuning if record is not None]
    return {
        "task": search.task,
        "model": search.model,
        "parameters": max(record["parameters"] for record in records.values()),
        **fits[config.training.steps].as_json(),
        "by_budget": [{"budget": budget, **fit.as_json()} for budget, fit in fits.items()],
        "against_budget": _line(fits),
        "steps_of_tuning": sum(one["steps"] for one in spent),
        "seconds_of_tuning": sum(one["seconds"] for one in spent),
        "seconds": sum(record["seconds"] for record in records.values()),
        "lengths": [
            {
                "length": length,
                **{
                    key: record[key]
                    for key in (
                        "cell", "trials", "remembers", "remember_rate", "remember_rate_low",
                        "remember_rate_high", "solved", "seconds",
                    )
                },
                "learning_rate": search.tested[length].training.learning_rates[0],
            }
            for length, record in records.items()
        ],
    }  # fmt: skip


def _line(fits: dict[float, HorizonFit]) -> dict[str, float | None] | None:
    """The slope of log T50 on log steps; None with fewer than three T50 inside their lengths."""
    if sum(fit.bounded == "inside" for fit in fits.values()) < 3:
        return None
    line: BudgetFit = fit_against_budget([*fits], [*fits.values()])
    return {key: value if math.isfinite(value) else None for key, value in line._asdict().items()}


def horizon_table(result: dict[str, Any]) -> Table:
    """One row a task and model."""
    headings, rows = horizon_section.horizon_table(result["searches"], with_task=True)
    title = f"T50, which half of {result['seeds']} seeds remember within {result['budget']:,} steps"
    return Table(title, headings, rows, left=("task", "model"))


STUDY = Study("horizon", HorizonConfig, work, first_cells)
