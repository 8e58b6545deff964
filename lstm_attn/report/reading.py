"""A run folder read for a report: whole and of a known form, or one line that says what is not."""

import os
import reprlib
from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np

from lstm_attn.errors import UsageError
from lstm_attn.history import History, stack
from lstm_attn.report.escaping import harmless
from lstm_attn.runs import CONFIG, METRICS, RESULTS, RunFolder

NUMBER = int | float
BY_POSITION = "accuracy_by_position"  # a metric [R, positions] that some tasks have, such as copy
LARGEST = 1e18  # of a number that can be drawn; NaN is not within it
# What every record of results.json holds. None stands for null.
FIELDS: dict[str, Any] = {
    "cell": str, "model": str, "task": str, "variant": str, "length": int, "criterion": str,
    "chance": NUMBER | None, "baseline": NUMBER, "parameters": int, "features": int,
    "trials": int, "solved": int, "solve_rate": NUMBER, "solve_rate_low": NUMBER,
    "solve_rate_high": NUMBER, "median_steps_to_solve": NUMBER | None,
    "final_loss": NUMBER | None, "seconds": NUMBER, "steps": int, "per_trial": list,
}  # fmt: skip
# Those of records since 2026-11-23.
LATER_FIELDS: dict[str, Any] = dict.fromkeys(
    ("median_steps_low", "median_steps_high", "median_confidence"), NUMBER | None
)
TRIAL_FIELDS: dict[str, Any] = {
    "seed": int, "learning_rate": NUMBER, "steps_to_solve": NUMBER | None,
    "diverged_by": int | None,
}  # fmt: skip


class Run(NamedTuple):
    """records: of all finished cells, checked, as they ended. grid: those of a grid, in its order,
    none of another study. histories: cell -> history, of the grid's. All can be shown as it is:
    `harmless`."""

    folder: RunFolder
    config: dict[str, Any]
    environment: dict[str, Any]
    records: list[dict[str, Any]]
    grid: list[dict[str, Any]]
    histories: dict[str, History]


def read(path: str | os.PathLike) -> Run:
    """What a report shows of the folder.

    Raises:
      UsageError: no run folder, or a damaged one, naming the file and what is wrong with it.
    """
    folder = RunFolder(path)
    if not folder.path.is_dir():
        raise UsageError(f"expected a run folder, found none at {str(folder.path)!r}")
    if not (folder.path / CONFIG).exists():
        raise UsageError(f"{folder.path} is not a run folder: it has no {CONFIG}")
    config, environment = folder.config, folder.environment
    for name, value in ((CONFIG, config), ("environment.json", environment)):
        if not isinstance(value, dict):
            raise UsageError(
                f"{folder.path / name}: expected an object, got {type(value).__name__}"
            )
    records = checked_results(folder)
    grid = _in_grid_order(folder) if is_grid(folder) else []
    histories = {harmless(record["cell"]): _history(folder, record) for record in grid}
    return Run(
        folder,
        harmless(config),
        harmless(environment),
        harmless(records),
        harmless(grid),
        histories,
    )


def checked_results(folder: RunFolder) -> list[dict[str, Any]]:
    """The records of results.json, each with all its fields."""
    path, records = folder.path / RESULTS, folder.results
    if not isinstance(records, list):
        raise UsageError(f"{path}: expected a list, got {type(records).__name__}")
    for number, record in enumerate(records, 1):
        _check(record, FIELDS, f"{path}: record {number}")
        if LATER_FIELDS.keys() & record.keys():
            _check(record, LATER_FIELDS, f"{path}: record {number}")
        if not record["baseline"] > 0:
            raise UsageError(f"{path}: record {number}: baseline is {record['baseline']}")
        if not record["per_trial"]:
            raise UsageError(f"{path}: record {number}: expected trials, got none")
        for trial in record["per_trial"]:
            _check(trial, TRIAL_FIELDS, f"{path}: a trial of record {number}")
    return records


def is_grid(folder: RunFolder) -> bool:
    """Whether the run is a grid of models x tasks x lengths."""
    task = folder.config.get("task")
    return (
        "models" in folder.config and isinstance(task, dict) and {"names", "lengths"} <= set(task)
    )


def in_grid_order(folder: RunFolder) -> list[dict[str, Any]]:
    """The run's records in the order of its config, whatever order they were finished in; they
    can be shown as they are."""
    return harmless(_in_grid_order(folder))


def _in_grid_order(folder: RunFolder) -> list[dict[str, Any]]:
    config = folder.config
    axes = {
        "task": config["task"]["names"],
        "length": config["task"]["lengths"],
        "model": config["models"],
    }
    for record in folder.results:
        for key, values in axes.items():
            if record[key] not in values:
                raise UsageError(
                    f"{folder.path / RESULTS}: {key} {record[key]!r} of cell {record['cell']} is "
                    f"not in {CONFIG}"
                )
    return sorted(
        folder.results,
        key=lambda record: [values.index(record[key]) for key, values in axes.items()],
    )


def _check(value: Any, fields: Mapping[str, Any], where: str) -> None:
    if not isinstance(value, dict):
        raise UsageError(f"{where}: expected an object, got {type(value).__name__}")
    for key, kind in fields.items():
        if key not in value:
            raise UsageError(f"{where} lacks {key!r}")
        found = value[key]
        is_number = isinstance(found, NUMBER) and not isinstance(found, bool)
        if not isinstance(found, kind) or (
            isinstance(found, NUMBER) and not (is_number and -LARGEST <= found <= LARGEST)
        ):
            raise UsageError(f"{where}: {key} is {reprlib.repr(found)}")


def _history(folder: RunFolder, record: Mapping[str, Any]) -> History:
    trials, path = record["per_trial"], folder.path / METRICS
    try:
        evaluations = folder.evaluations(record["cell"])
    except UsageError:
        raise
    except (KeyError, TypeError, ValueError) as error:
        raise UsageError(f"{path}: a line is not that of an evaluation: {error!r}") from error
    for name in ("loss", *(evaluations[0].metrics if evaluations else ())):
        if not evaluations or any(name not in one.metrics for one in evaluations):
            raise UsageError(f"{path} lacks {name} of {record['cell']}")
    for one in evaluations:
        measured = (one.solved, one.diverged, *one.metrics.values())
        if any(values.shape[:1] != (len(trials),) for values in measured):
            raise UsageError(f"{path}: {record['cell']} has not {len(trials)} trials in each line")
        if any(values.ndim != 2 for name, values in one.metrics.items() if name == BY_POSITION):
            raise UsageError(
                f"{path}: {BY_POSITION} of {record['cell']} is not [trials, positions]"
            )
    return stack(
        evaluations,
        np.array([trial["seed"] for trial in trials]),
        np.array([trial["learning_rate"] for trial in trials]),
    )
