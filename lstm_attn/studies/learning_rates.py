"""How much does success depend on the learning rate? The solve rate of each model against it.

All rates and seeds of a model are one program.
"""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from lstm_attn import report
from lstm_attn.analysis import by_learning_rate
from lstm_attn.errors import UsageError
from lstm_attn.models import ModelConfig
from lstm_attn.runner.cell import Cell
from lstm_attn.runner.configs import COMPARED, SMALL, OneTaskConfig, check_lists, check_models
from lstm_attn.runner.session import Session
from lstm_attn.studies.result import Result, Table
from lstm_attn.studies.study import Names, Study, Workdir
from lstm_attn.training import TrainingConfig


def learning_rates(
    models: Names | None = None,
    task: str | None = None,
    length: int | None = None,
    *,
    workdir: Workdir = None,
    **settings: Any,
) -> Result:
    """Trains every model at several learning rates, and says how many trials solve at each.

        studies.learning_rates("lstm", "adding", 50, learning_rates=(0.001, 0.01), seeds=2)

    Args:
      models: names in `models.MODELS`, or one.
      task: in `tasks.TASKS`, with a variant as in "adding:arjovsky2016".
      length: its T, in steps.
      workdir, settings: see `studies.compare`.

    Returns:
      The records, a table of rates by models, and with a workdir its page.

    Raises:
      UsageError: a name, a value or a folder that does not fit, on one line.
    """
    fields = {"models": models, "task.name": task, "task.length": length}
    return STUDY.call(workdir, fields, settings)


@dataclasses.dataclass(frozen=True)
class LearningRatesConfig:
    """models: names in MODELS; task: the one task; model, training: see their classes; training
    has at least two learning rates."""

    models: tuple[str, ...] = COMPARED
    task: OneTaskConfig = OneTaskConfig("adding", 50)
    model: ModelConfig = SMALL
    training: TrainingConfig = TrainingConfig(
        steps=1500,
        seeds=4,
        learning_rates=(1e-4, 3e-4, 1e-3, 3e-3, 1e-2, 3e-2, 1e-1),
        stop_when_solved=True,
    )

    def __post_init__(self) -> None:
        check_lists(self, "models")
        check_models(self.models)
        rates = self.training.learning_rates
        if len(rates) < 2:
            raise UsageError(f"training.learning_rates: expected at least two, got {rates}")
        cells(self)


def cells(config: LearningRatesConfig) -> list[Cell]:
    """One a model."""
    task = config.task.build()
    return [
        Cell(f"{task.name}-{task.length}-{name}", name, task, config.model, config.training)
        for name in config.models
    ]


def findings(config: LearningRatesConfig, records: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Every model's trials by rate, as JSON values; see `analysis.by_learning_rate`.

    Args:
      records: of the cells of the config, in their order; a cell may have more trials than that.
    """
    wanted = set(map(np.float32, config.training.learning_rates))  # as trials hold them
    return {
        "task": records[0]["task"],
        "variant": records[0]["variant"],
        "length": config.task.length,
        "criterion": records[0]["criterion"],
        "budget": config.training.steps,
        "models": [
            {
                "model": record["model"],
                "cell": record["cell"],
                "parameters": record["parameters"],
                "rates": [
                    at_rate
                    for at_rate in by_learning_rate(record)
                    if np.float32(at_rate["learning_rate"]) in wanted
                ],
            }
            for record in records
        ],
    }


def solved_table(result: Mapping[str, Any]) -> Table:
    """A row a rate, a column a model: how many solved, and their median of steps."""
    of_models = result["models"]
    return Table(
        f"{result['task']}, T = {result['length']}: trials that solve, median of steps",
        ("learning rate", *(of_model["model"] for of_model in of_models)),
        [
            (
                f"{at_rate[0]['learning_rate']:g}",
                *(f"{report.tables.count(one)} {report.tables.steps(one):>6}" for one in at_rate),
            )
            for at_rate in zip(*(of_model["rates"] for of_model in of_models), strict=True)
        ],
    )


def work(config: LearningRatesConfig, session: Session) -> list[Table | str]:
    """Trains what the folder lacks, and sorts every model's trials by rate."""
    trained = session.train(cells(config))
    result = findings(config, [session.record(cell) for cell in trained])
    session.folder.write_study(STUDY.name, result)
    return [solved_table(result)]


STUDY = Study("learning_rates", LearningRatesConfig, work)
