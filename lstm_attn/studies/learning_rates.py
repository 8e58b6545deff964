"""How much does success hang on the learning rate? Solve rate against it, a line a model.

    python -m experiments.learning_rates --config=configs/learning_rates.py \
        --workdir=runs/learning_rates

All rates and seeds of a model are one program. The same command on an interrupted run folder goes
on where it stopped.
"""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

from lstm_attn import report
from lstm_attn.analysis import by_learning_rate
from lstm_attn.errors import UsageError
from lstm_attn.models import ModelConfig
from lstm_attn.runner.cell import Cell
from lstm_attn.runner.configs import COMPARED, SMALL, OneTaskConfig, check_lists, check_models
from lstm_attn.runner.session import Session
from lstm_attn.studies.result import Table
from lstm_attn.studies.study import Study
from lstm_attn.training import TrainingConfig


@dataclasses.dataclass(frozen=True)
class LearningRatesConfig:
    """models: names in MODELS; task: the one task; model, training: as their classes say, with two
    learning rates or more."""

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
    """Every model's trials by rate, as JSON values; see `analysis.by_learning_rate`."""
    by_cell = {record["cell"]: record for record in records}
    mine = [by_cell[cell.name] for cell in cells(config)]
    return {
        "task": mine[0]["task"],
        "variant": mine[0]["variant"],
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


def solved_table(found: Mapping[str, Any]) -> Table:
    """A row a rate, a column a model: how many solved, and their median of steps."""
    of_models = found["models"]
    return Table(
        f"{found['task']}, T = {found['length']}: trials that solve, median of steps",
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
    found = findings(config, [session.record(cell) for cell in trained])
    session.folder.write_study(STUDY.name, found)
    return [solved_table(found)]


STUDY = Study("learning_rates", LearningRatesConfig, work)
