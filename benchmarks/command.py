"""The command line of benchmarks, and what they leave behind: tables, NAME.json and NAME.png.

Flags are defined where a command runs, never when a module is imported: any two can be imported in
one process.
"""

import dataclasses
import datetime
import json
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NoReturn

from absl import flags
from matplotlib.figure import Figure
from rich.table import Table

from benchmarks.comparison import compare
from benchmarks.contenders import Contender
from benchmarks.progress import Progress, make_console
from lstm_attn.errors import UsageError
from lstm_attn.runner import command_line, machine

DPI = 160
# Whose versions matter, of those that are installed.
PEERS = ("dm-haiku", "equinox", "keras", "torch")


def run(
    title: str,
    cases: Callable[[bool], Sequence[Any]],
    contenders: Callable[[Any, bool], Sequence[Contender]],
    tables: Callable[[dict[str, Any]], Sequence[Table]],
    figure: Callable[[dict[str, Any]], Figure],
) -> NoReturn:
    """Measures, prints the tables, and writes JSON and PNG where --output says.

    Args:
      title: of the benchmark, one word: its record has it as `benchmark`.
      cases(whole): what is measured; all cases or a short set.
      contenders(case, with_peers): who takes part in a case.
      tables(record): what is printed.
      figure(record): what is drawn.
    """
    whole = flags.DEFINE_bool("all", False, "Every case; without it a short set.")
    with_peers = flags.DEFINE_bool("peers", False, "Other libraries too, those that are installed.")
    rounds = flags.DEFINE_integer(
        "rounds", None, "Timed runs of each; by default as many as there is time for.",
        lower_bound=1,
    )  # fmt: skip

    def measure() -> dict[str, Any]:
        chosen = cases(whole.value)
        with Progress(len(chosen)) as progress:
            comparison = compare(
                chosen, lambda case: contenders(case, with_peers.value), progress, rounds.value
            )
        return dataclasses.asdict(comparison)

    run_measurement(title, measure, tables, figure)


def run_measurement(
    title: str,
    measure: Callable[[], dict[str, Any]],
    tables: Callable[[dict[str, Any]], Sequence[Table | str]],
    figure: Callable[[dict[str, Any]], Figure] | None = None,
) -> NoReturn:
    """Defines --output and runs one function: its result is the record, with the benchmark's name,
    the time, the machine and the versions. Else as `run`."""
    output = flags.DEFINE_string(
        "output", None, "Where the figures go, NAME.json; the chart goes to NAME.png."
    )

    def main() -> int:
        path = checked_output(output.value)
        measured = measure()
        finished = datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
        stamp = {"benchmark": title, "finished": finished, **machine.describe(PEERS)}
        record = {**stamp, **measured}
        console = make_console()
        for table in tables(record):
            console.print(table, "")
        if path:
            path.write_text(json.dumps(record, indent=1) + "\n")
            written = [path]
            if figure:
                written.append(path.with_suffix(".png"))
                figure(record).savefig(written[-1], dpi=DPI)
            console.print(f"written: {' and '.join(map(str, written))}", soft_wrap=True)
        return 0

    command_line.run(main)


def checked_output(value: str | None) -> Path | None:
    """The path of --output, checked before anything is measured; None for no output."""
    if value is None:
        return None
    path = Path(value)
    if path.suffix != ".json":
        raise UsageError(f"--output: expected NAME.json, got {value!r}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UsageError(f"--output {path} can't be written: {error.strerror}") from error
    if not os.access(path.parent, os.W_OK):
        raise UsageError(f"--output {path} can't be written: no permission in {path.parent}")
    return path


def sizes(flag: str, texts: Sequence[str] | None, letters: str) -> list[tuple[int, ...]]:
    """The values of a flag such as --shape=32,1000,10,128, one size for each axis letter."""
    chosen = []
    for text in texts or ():
        parts = text.split(",")
        if len(parts) != len(letters) or not all(part.strip().isdecimal() for part in parts):
            expected = ",".join(letters)
            raise UsageError(f"--{flag}: expected {expected} as whole numbers, got {text!r}")
        chosen.append(tuple(map(int, parts)))
        if min(chosen[-1]) < 1:
            raise UsageError(f"--{flag}: expected sizes of at least 1, got {text!r}")
    return chosen
