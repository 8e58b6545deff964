"""tuning.json: the record of each cell that was tuned, and how to find that of a cell."""

import dataclasses
import json
from collections.abc import Mapping, Sequence
from typing import Any

from lstm_attn.runner.cell import Cell
from lstm_attn.runs import RunFolder

NAME = "tuning"  # of the file, and of the folder beside it


def records(folder: RunFolder) -> list[dict[str, Any]]:
    """Those of all cells that were tuned in the run folder."""
    return (folder.study(NAME) or {"cells": []})["cells"]


def add(folder: RunFolder, cells: Sequence[Cell], tuned: Sequence[dict[str, Any]]) -> None:
    """Adds a record for each cell, in place of the one that is there."""
    mine = list(map(identity, cells))
    others = [
        record
        for record in records(folder)
        if not any(one.items() <= record.items() for one in mine)
    ]
    folder.write_study(NAME, {"cells": [*others, *tuned]})


def record_of(cell: Cell, folder: RunFolder) -> dict[str, Any] | None:
    """The record of this very cell, as it was given to `tune`; None if it was not tuned.

    A cell of the same name may differ in its model's settings, such as its positions.
    """
    mine = identity(cell)
    return next((record for record in records(folder) if mine.items() <= record.items()), None)


def shorter(cell: Cell, among: Sequence[Mapping[str, Any]]) -> Mapping[str, Any] | None:
    """The record of the same model, budget and task at the next shorter length, trained over the
    same range: T alone, or from the same share of T on."""
    same = [
        record
        for record in among
        if kind(cell).items() <= record.items()
        if record["length"] < cell.task.length
        if _is_same_range(record, identity(cell))
    ]
    return max(same, key=lambda record: record["length"], default=None)


def identity(cell: Cell) -> dict[str, Any]:
    """What tells the records of cells apart, as JSON values."""
    return {
        "cell": cell.name,
        "length": cell.task.length,
        "shortest": cell.task.shortest,
        **kind(cell),
    }


def kind(cell: Cell) -> dict[str, Any]:
    """What a cell has in common with those of the same model at other lengths."""
    return {
        "task": cell.task.name,
        "variant": cell.task.variant,
        "model": cell.model_name,
        "model_config": json.loads(json.dumps(dataclasses.asdict(cell.model))),
        "budget": cell.training.steps,
    }


def _is_same_range(first: Mapping[str, Any], second: Mapping[str, Any]) -> bool:
    """Whether both are T alone, or a range from a share of T on, rounded to whole steps, that may
    be the same."""
    ranges = [(one["shortest"], one["length"]) for one in (first, second)]
    alone = [shortest == length for shortest, length in ranges]
    if any(alone):
        return all(alone)
    lowest = max((shortest - 0.5) / length for shortest, length in ranges)
    highest = min((shortest + 0.5) / length for shortest, length in ranges)
    return lowest <= highest
