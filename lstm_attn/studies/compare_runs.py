"""One page of one run folder or of several, and the differences that exact tests allow."""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from lstm_attn import report
from lstm_attn.analysis import compare_records, exact_tests
from lstm_attn.errors import UsageError
from lstm_attn.flat import MISSING, flatten
from lstm_attn.history import NO_CRITERION
from lstm_attn.report.page import PAGE

SAME = ("cell", "task", "variant", "length", "model")  # what two cells agree in that are compared


def compared(first: report.Run, second: report.Run, names: Sequence[str]) -> dict[str, Any]:
    """What `report.two_runs.section` draws of two runs, in the order of the first's cells."""
    there = {_cell(record): record for record in _solvable(second)}
    here = {_cell(record): record for record in _solvable(first)}

    both = [
        (here[key], there[key], min(_budget(here[key]), _budget(there[key])))
        for key in here
        if key in there
    ]
    tests = exact_tests(both, (names[0], names[1]))
    return {
        "first": names[0],
        "second": names[1],
        "cells": [
            {"cell": pair[0]["cell"], "compared": compare_records(*pair), "tests": of_pair}
            for pair, of_pair in zip(both, tests, strict=True)
        ],
        "left_out": [
            f"{record['cell']} ({name})"
            for name, mine, others in ((names[0], here, there), (names[1], there, here))
            for key, record in mine.items()
            if key not in others
        ],
        "settings": _settings(first, second),
    }


def _budget(record: dict[str, Any]) -> int:
    """The steps within which it is known of every trial of the record whether it remembers."""
    steps = record["training_config"]["steps"]
    # A search for the horizon ends a cell once it is settled: of the others nothing is known after.
    is_open = any(
        trial["steps_to_remember"] is None and trial["diverged_by"] is None
        for trial in record["per_trial"]
    )
    return min(steps, record["steps"]) if is_open else steps


def _solvable(run: report.Run) -> list[dict[str, Any]]:
    """Of text no trial remembers anything, so that counts would be alike whatever was trained."""
    return [record for record in run.records if record["criterion"] != NO_CRITERION]


def _cell(record: dict[str, Any]) -> tuple:
    return tuple(record[key] for key in SAME)


def _settings(first: report.Run, second: report.Run) -> list[dict[str, str]]:
    """The keys of the configs that differ."""
    configs = [flatten(run.config) for run in (first, second)]
    pairs = {
        key: [config.get(key, MISSING) for config in configs]
        for key in dict.fromkeys([*configs[0], *configs[1]])
    }
    return [
        {"key": key, "first": str(values[0]), "second": str(values[1])}
        for key, values in pairs.items()
        if values[0] != values[1]
    ]


def compare_runs(*runs: str | os.PathLike, page: str | os.PathLike | None = None) -> Path:
    """Draws a page of the runs, which begins with each further run compared with the first.

    Args:
      runs: run folders.
      page: where it goes. None: for one run its own report.html, with figures next to it; for
        several report.html in the current folder.

    Returns:
      Where the page is.

    Raises:
      UsageError: no folder, one given twice, missing or damaged, or a page that can't be written.
    """
    paths = [Path(run) for run in runs]
    if not paths:
        raise UsageError("expected at least one run folder, such as runs/quick")
    places = [path.resolve() for path in paths]
    for path, place in zip(paths, places, strict=True):
        if places.count(place) > 1:
            raise UsageError(f"{path} is given twice")
    if len(paths) == 1 and page is None:
        return report.write(paths[0])
    read, names = [report.read(path) for path in paths], report.labels(paths)
    comparisons = [
        compared(read[0], run, (names[0], name))
        for run, name in zip(read[1:], names[1:], strict=True)
    ]
    return report.write_several(paths, page or PAGE, comparisons)
