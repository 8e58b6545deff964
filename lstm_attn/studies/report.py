"""One page of one run folder or of several, and where these differ beyond noise.

    python -m experiments.report RUN [RUN ...] [--page=PAGE.html]

Of one run, the page is RUN/report.html, its pictures beside it. Of several, it is report.html where
the command is given, and begins with each further run compared with the first; no folder is
written to, and neither is it with --page.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from absl import flags

from lstm_attn import report
from lstm_attn.analysis import compare_records
from lstm_attn.errors import UsageError
from lstm_attn.flat import MISSING, flatten
from lstm_attn.history import NO_CRITERION
from lstm_attn.report.page import PAGE
from lstm_attn.runner.terminal import Terminal

PAGE_FLAG = flags.DEFINE_string(
    "page", None, f"The page. Of one run RUN/{PAGE} if not given, of several {PAGE} here."
)
SAME = ("cell", "task", "variant", "length", "model")  # what two cells agree in that are compared


def compared(first: report.Run, second: report.Run, names: Sequence[str]) -> dict[str, Any]:
    """What `report.two_runs.section` draws of two runs, in the order of the first's cells."""
    there = {_cell(record): record for record in _solvable(second)}
    here = {_cell(record): record for record in _solvable(first)}

    def beside(key: tuple) -> dict[str, Any]:
        budget = min(_budget(first, here[key]), _budget(second, there[key]))
        compared = compare_records(here[key], there[key], budget)
        return {"cell": here[key]["cell"], "compared": compared}

    return {
        "first": names[0],
        "second": names[1],
        "cells": [beside(key) for key in here if key in there],
        "left_out": [
            f"{record['cell']} ({name})"
            for name, mine, others in ((names[0], here, there), (names[1], there, here))
            for key, record in mine.items()
            if key not in others
        ],
        "settings": _settings(first, second),
    }


def _budget(run: report.Run, record: dict[str, Any]) -> int:
    """The steps within which it is known of every trial of the record whether it solves."""
    # Runs of before 2026-11-23 have one training config for all cells.
    training = record.get("training_config") or run.config.get("training")
    steps = training.get("steps") if isinstance(training, dict) else None
    if not isinstance(steps, int):
        raise UsageError(f"{run.folder.path}: expected training.steps in its config, got {steps!r}")
    # A search for the horizon ends a cell once it is settled: of the others nothing is known after.
    is_open = any(
        trial["steps_to_solve"] is None and trial["diverged_by"] is None
        for trial in record["per_trial"]
    )
    return min(steps, record["steps"]) if is_open else steps


def _solvable(run: report.Run) -> list[dict[str, Any]]:
    """Of text no trial solves anything, so that counts would be alike whatever was trained."""
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


def draw(paths: Sequence[Path], output: str | None) -> Path:
    """The page of the runs, at `output` or where it belongs without.

    Raises:
      UsageError: no folder, one given twice, missing or damaged, or a page that can't be written.
    """
    if not paths:
        raise UsageError("expected at least one run folder, such as runs/quick")
    places = [path.resolve() for path in paths]
    for path, place in zip(paths, places, strict=True):
        if places.count(place) > 1:
            raise UsageError(f"{path} is given twice")
    if len(paths) == 1 and output is None:
        return report.write(paths[0])
    runs, names = [report.read(path) for path in paths], report.labels(paths)
    comparisons = [
        compared(runs[0], run, (names[0], name))
        for run, name in zip(runs[1:], names[1:], strict=True)
    ]
    return report.write_several(paths, output or PAGE, comparisons)


def main(arguments: Sequence[str]) -> int:
    console = Terminal()
    with console.status(f"drawing {', '.join(arguments)}"):
        page = draw([Path(argument) for argument in arguments], PAGE_FLAG.value)
    console.print(f"report: {page}", soft_wrap=True)
    return 0
