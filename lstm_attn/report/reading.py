"""A run folder, read and checked for a report."""

import os
import reprlib
from collections import Counter
from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np

from lstm_attn.errors import UsageError
from lstm_attn.history import History, stack
from lstm_attn.report.escaping import harmless
from lstm_attn.runs import CONFIG, METRICS, RESULTS, RunFolder

NUMBER = int | float
BY_POSITION = "accuracy_by_position"  # a metric [R, positions] that some tasks have, such as copy
LARGEST = 1e18  # the largest number that can be drawn; NaN can't
# The fields of every record of results.json and their types; None is null.
FIELDS: dict[str, Any] = {
    "cell": str, "model": str, "task": str, "variant": str, "length": int, "criterion": str,
    "chance": NUMBER | None, "baseline": NUMBER, "parameters": int, "features": int,
    "trials": int, "remembers": int, "remember_rate": NUMBER, "remember_rate_low": NUMBER,
    "remember_rate_high": NUMBER, "mean_steps_to_remember": NUMBER, "mean_steps_low": NUMBER,
    "mean_steps_high": NUMBER, "training_config": dict, "solved": int, "solve_rate": NUMBER,
    "solve_rate_low": NUMBER, "solve_rate_high": NUMBER, "median_steps_to_solve": NUMBER | None,
    "median_steps_low": NUMBER | None, "median_steps_high": NUMBER | None,
    "median_confidence": NUMBER | None, "final_loss": NUMBER | None,
    "seconds": NUMBER, "steps": int, "per_trial": list,
}  # fmt: skip
TRIAL_FIELDS: dict[str, Any] = {
    "seed": int, "learning_rate": NUMBER, "share_remembered": NUMBER | None,
    "steps_to_remember": NUMBER | None, "steps_to_solve": NUMBER | None, "steps": int,
    "diverged_by": int | None,
}  # fmt: skip


class Run(NamedTuple):
    """What a report shows of a run folder; all strings are `harmless`.

    records: of all finished cells, in the order in which they ended.
    grid: the same, if the run is a grid, as `in_grid_order` gives them; else none.
    histories: cell -> history, of the cells in `grid`.
    """

    folder: RunFolder
    config: dict[str, Any]
    environment: dict[str, Any]
    records: list[dict[str, Any]]
    grid: list[dict[str, Any]]
    histories: dict[str, History]


def read(path: str | os.PathLike) -> Run:
    """Reads and checks a run folder.

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
    grid = in_grid_order(folder) if is_grid(folder) else []
    histories = {harmless(r["cell"]): _history(folder, r) for r in records if grid}
    return Run(folder, harmless(config), harmless(environment), harmless(records), grid, histories)


def checked_results(folder: RunFolder) -> list[dict[str, Any]]:
    """The records of results.json, each with all its fields."""
    path, records = folder.path / RESULTS, folder.results
    if not isinstance(records, list):
        raise UsageError(f"{path}: expected a list, got {type(records).__name__}")
    for number, record in enumerate(records, 1):
        _check(record, FIELDS, f"{path}: record {number}")
        where = f"{path}: training_config of record {number}"
        _check(record["training_config"], {"steps": int}, where)
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
    if not isinstance(task, dict):
        return False
    axes = (folder.config.get("models"), task.get("names"), task.get("lengths"))
    return all(isinstance(values, list) for values in axes)


def in_order(folder: RunFolder) -> list[dict[str, Any]]:
    """The records of the folder, safe to show: of a grid in its order, else as they ended."""
    return in_grid_order(folder) if is_grid(folder) else harmless(folder.results)


def in_grid_order(folder: RunFolder) -> list[dict[str, Any]]:
    """The records of a grid by task, length and model, safe to show.

    The folder may hold more than its config, which is that of the latest command. Tasks and models
    are in the order of the config, then in that of results.json; lengths rise. Where cells of one
    model have the same task and length, they differ in their settings: `model` is then followed by
    what each cell's name has after task, length and model.
    """
    config, records = folder.config, folder.results
    tasks = [*config["task"]["names"], *(record["task"] for record in records)]
    models = [*config["models"], *(record["model"] for record in records)]
    places = Counter((record["task"], record["length"], record["model"]) for record in records)
    several = {model for (_, _, model), cells in places.items() if cells > 1}

    def labelled(record: dict[str, Any]) -> dict[str, Any]:
        task, length, model = record["task"], record["length"], record["model"]
        ending = record["cell"].removeprefix(f"{task}-{length}-{model}").lstrip("-")
        return {**record, "model": f"{model} {ending}"} if model in several and ending else record

    ordered = sorted(
        records, key=lambda r: (tasks.index(r["task"]), r["length"], models.index(r["model"]))
    )
    return harmless([labelled(record) for record in ordered])


def _check(value: Any, fields: Mapping[str, Any], where: str) -> None:
    if not isinstance(value, dict):
        raise UsageError(f"{where}: expected an object, got {type(value).__name__}")
    for key, kind in fields.items():
        if key not in value:
            raise UsageError(f"{where} lacks {key!r}")
        entry = value[key]
        is_number = isinstance(entry, NUMBER) and not isinstance(entry, bool)
        if not isinstance(entry, kind) or (
            isinstance(entry, NUMBER) and not (is_number and -LARGEST <= entry <= LARGEST)
        ):
            raise UsageError(f"{where}: {key} is {reprlib.repr(entry)}")


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
