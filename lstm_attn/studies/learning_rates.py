"""How much does a model depend on its learning rate? What it forgets against the rate, by model.

All rates and seeds of a model are one program.
"""

import dataclasses
from collections.abc import Mapping, Sequence, Set
from typing import Any

import numpy as np

from lstm_attn import report
from lstm_attn.analysis import by_learning_rate, learning_rate_window
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
    """Trains every model at several learning rates: how much each forgets, and how wide the window.

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
        steps=1000,
        seeds=8,
        learning_rates=(3e-4, 1e-3, 3e-3, 1e-2, 3e-2, 1e-1, 3e-1),
        evaluation_sequences=500,
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
        "budget": config.training.steps,
        "models": [_of_model(record, wanted) for record in records],
    }


def _of_model(record: Mapping[str, Any], wanted: Set[np.float32]) -> dict[str, Any]:
    rates = [
        at_rate
        for at_rate in by_learning_rate(record)
        if np.float32(at_rate["learning_rate"]) in wanted
    ]
    forgotten = np.array([one["median_forgotten"] for one in rates], float)  # NaN for null
    window = None
    if np.isfinite(forgotten).any():
        tried = np.array([one["learning_rate"] for one in rates])
        window = learning_rate_window(tried, forgotten)._asdict()
    return {
        "model": record["model"],
        "cell": record["cell"],
        "parameters": record["parameters"],
        "window": window,
        "rates": rates,
    }


def rates_table(result: Mapping[str, Any]) -> Table:
    """A row a rate, a column a model: how many trials remember, and the median share forgotten."""
    of_models = result["models"]
    return Table(
        f"{result['task']}, T = {result['length']}: trials that remember, median loss / baseline",
        ("learning rate", *(of_model["model"] for of_model in of_models)),
        [
            (
                f"{at_rate[0]['learning_rate']:g}",
                *(report.tables.remembering_and_forgotten(one) for one in at_rate),
            )
            for at_rate in zip(*(of_model["rates"] for of_model in of_models), strict=True)
        ],
        caption="window, in factors of ten: "
        + ", ".join(f"{m['model']} {report.tables.window(m['window'])}" for m in of_models),
    )


def work(config: LearningRatesConfig, session: Session) -> list[Table | str]:
    """Trains what the folder lacks, and sorts every model's trials by rate."""
    trained = session.train(cells(config))
    result = findings(config, [session.record(cell) for cell in trained])
    session.folder.write_study(STUDY.name, result)
    return [rates_table(result)]


STUDY = Study("learning_rates", LearningRatesConfig, work, lambda config, _: cells(config))
