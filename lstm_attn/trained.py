"""What a run folder trained, ready for analysis: a model and the parameters of each trial."""

import os
from pathlib import Path
from typing import Any, NamedTuple

import jax
import numpy as np

from lstm_attn import models, tasks, text
from lstm_attn.errors import UsageError, unknown_name
from lstm_attn.models import Model, ModelConfig, Params
from lstm_attn.runs import CONFIG, RESULTS, RunFolder
from lstm_attn.tasks import Task
from lstm_attn.training import checkpoints
from lstm_attn.training.checkpoints import Damaged

PURPOSE = (
    "model", "task", "variant", "length", "shortest", "model_config", "training_config"
)  # fmt: skip

# Where a run folder keeps the text that its models were trained on.
TEXT = "text"


class TrainedCell(NamedTuple):
    """One finished grid cell.

    params: of all R trials, stacked on a leading axis.
    seeds, learning_rates, solved: [R], of the trials.
    record: that of results.json.
    """

    model: Model
    task: Task
    params: Params
    seeds: np.ndarray
    learning_rates: np.ndarray
    solved: np.ndarray
    record: dict[str, Any]

    def trial(self, index: int) -> Params:
        """The parameters of one trial."""
        return jax.tree.map(lambda leaf: leaf[index], self.params)


def text_folder(folder: Path) -> Path:
    """Where the text of a run folder is: of one within another, such as tuning/, in the outer."""
    own, outer = folder / TEXT, folder.resolve().parent
    is_within = not own.is_dir() and (outer / CONFIG).exists()
    return outer / TEXT if is_within else own


def build_task(
    folder: Path, name: str, length: int, variant: str, shortest: int | None = None
) -> Task:
    """`tasks.build`, or where the name says so, prediction of the text in the run folder.

    Raises:
      ValueError: as `tasks.build`, or a text that can't be read, on one line.
    """
    if name == tasks.TextPrediction.name:
        return tasks.TextPrediction(text.load(text_folder(folder)), length)
    return tasks.build(name, length, variant, shortest)


def load(path: str | os.PathLike, cell: str) -> TrainedCell:
    """The finished cell of that name, such as "adding-50-lstm", from a run folder.

    Raises:
      UsageError: a name that results.json does not have, or a checkpoint that can't be read.
    """
    folder = RunFolder(path)
    records = {record["cell"]: record for record in folder.results}
    if cell not in records:
        raise unknown_name(f"cell of {folder.path}", cell, records)
    record = records[cell]
    settings: dict[str, Any] = {
        key: tuple(v) if isinstance(v, list) else v for key, v in record["model_config"].items()
    }
    purpose = {key: record[key] for key in PURPOSE}
    task = build_task(
        folder.path, record["task"], record["length"], record["variant"], record["shortest"]
    )
    trials = record["per_trial"]
    return TrainedCell(
        model=models.build(record["model"], task, ModelConfig(**settings)),
        task=task,
        params=_load_params(folder, cell, purpose),
        seeds=np.array([trial["seed"] for trial in trials]),
        learning_rates=np.array([trial["learning_rate"] for trial in trials]),
        solved=np.array([trial["steps_to_solve"] is not None for trial in trials]),
        record=record,
    )


def _load_params(folder: RunFolder, cell: str, purpose: dict[str, Any]) -> Params:
    try:
        return checkpoints.load_params(folder.checkpoint(cell), purpose)
    except Damaged as error:
        # The checkpoint before it is of an earlier step than the record.
        raise UsageError(
            f"{error}; take the cell out of {folder.path / RESULTS} and start the run's command "
            "again: it goes on from the checkpoint before"
        ) from error
