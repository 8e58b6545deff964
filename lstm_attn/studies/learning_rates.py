"""How much does success hang on the learning rate? Solve rate against it, a line a model.

    python -m experiments.learning_rates --config=configs/learning_rates.py \
        --workdir=runs/learning_rates

All rates and seeds of a model are one program. The same command on an interrupted run folder goes
on where it stopped.
"""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

from rich import box
from rich.console import Console
from rich.table import Table

from lstm_attn import report
from lstm_attn.analysis import by_learning_rate
from lstm_attn.errors import UsageError
from lstm_attn.models import ModelConfig
from lstm_attn.runner.cell import Cell
from lstm_attn.runner.configs import OneTaskConfig, check_lists, check_models
from lstm_attn.runner.launchers import HERE, Options
from lstm_attn.runner.train_grid import train_missing
from lstm_attn.runs import RunFolder
from lstm_attn.studies.finish import close
from lstm_attn.training import TrainingConfig

STUDY = "learning_rates"


@dataclasses.dataclass(frozen=True)
class LearningRatesConfig:
    """models: names in MODELS; task: the one task; model, training: as their classes say, with two
    learning rates or more."""

    models: tuple[str, ...]
    task: OneTaskConfig
    model: ModelConfig
    training: TrainingConfig

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
    """Every model's trials by rate, as JSON values; see `analysis.by_learning_rate`."""
    by_cell = {record["cell"]: record for record in records}
    mine = [by_cell[cell.name] for cell in cells(config)]
    return {
        "task": config.task.name,
        "variant": config.task.variant,
        "length": config.task.length,
        "criterion": mine[0]["criterion"],
        "budget": config.training.steps,
        "models": [
            {
                "model": record["model"],
                "cell": record["cell"],
                "parameters": record["parameters"],
                "rates": by_learning_rate(record),
            }
            for record in mine
        ],
    }


def closing_table(found: Mapping[str, Any]) -> Table:
    """A row a rate, a column a model: how many solved, and their median of steps."""
    table = Table(
        title=f"{found['task']}, T = {found['length']}: trials that solve, median of steps",
        box=box.SIMPLE_HEAD,
        padding=(0, 1, 0, 0),
    )
    table.add_column("learning rate", justify="right")
    for of_model in found["models"]:
        table.add_column(of_model["model"], justify="right")
    for at_rate in zip(*(of_model["rates"] for of_model in found["models"]), strict=True):
        table.add_row(
            f"{at_rate[0]['learning_rate']:g}",
            *(f"{report.tables.count(one)} {report.tables.steps(one):>6}" for one in at_rate),
        )
    return table


def learning_rates(
    config: LearningRatesConfig, folder: RunFolder, console: Console, options: Options = HERE
) -> None:
    """Trains what the folder lacks, notes the findings, and writes the report."""
    train_missing(cells(config), folder, console, options)
    found = findings(config, folder.results)
    folder.write_study(STUDY, found)
    close(folder, console, closing_table(found))
