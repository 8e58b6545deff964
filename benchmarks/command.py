"""The command line of the benchmarks, their table, and what they leave: NAME.json and NAME.png."""

import dataclasses
import datetime
import json
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from absl import flags
from matplotlib.figure import Figure
from rich.markdown import Markdown

from benchmarks import (
    contenders,
    figures,
    recurrences,
    resident_size,
    sections,
    trial_layouts,
    whole_job,
    workloads,
)
from benchmarks.comparison import compare
from benchmarks.contenders import Contender
from benchmarks.progress import Progress, make_console
from lstm_attn.errors import UsageError, unknown_name
from lstm_attn.runner import command_line, machine

DPI = 160
# Whose versions matter; null for one that is not installed.
PEERS = ("dm-haiku", "equinox", "torch")
Record = dict[str, Any]


class Settings(NamedTuple):
    """What the flags say: which set of cases, whether peers take part, how many timed runs (None
    for as many as there is time for), and how long a run of `resident_size` is."""

    cases: str = "short"
    peers: bool = False
    rounds: int | None = None
    minutes: float = 60.0


class Benchmark(NamedTuple):
    """measure(settings): the record; section(record): Markdown of it; figure(record), if any."""

    measure: Callable[[Settings], Record]
    section: Callable[[Record], str]
    figure: Callable[[Record], Figure] | None = None


def comparison(
    cases: Callable[[str], Sequence[Any]],
    lineup: Callable[[Any, bool], Sequence[Contender]],
    section: Callable[[Record], str],
    figure: Callable[[Record], Figure],
) -> Benchmark:
    """A benchmark in which all contenders of each case take turns.

    Args:
      cases(set): what is measured.
      lineup(case, with_peers): who takes part in a case.
      section, figure: as of Benchmark.
    """

    def measure(given: Settings) -> Record:
        chosen = cases(given.cases)
        compared = compare(
            chosen, lambda case: lineup(case, given.peers), Progress(len(chosen)), given.rounds
        )
        return dataclasses.asdict(compared)

    return Benchmark(measure, section, figure)


BENCHMARKS = {
    "recurrent": comparison(
        workloads.recurrent, contenders.layers, sections.recurrent_section, figures.distance_by_case
    ),
    "recurrences": comparison(
        recurrences.cases, recurrences.lineup, recurrences.section, figures.time_by_case
    ),
    "training": comparison(
        workloads.training, contenders.training, sections.training_section, figures.time_by_case
    ),
    "attention": comparison(
        workloads.attention,
        contenders.attention,
        sections.attention_section,
        figures.attention_by_length,
    ),
    "memory": comparison(
        workloads.memory, contenders.memory, sections.memory_section, figures.memory_and_time
    ),
    "decoding": comparison(
        workloads.decoding, contenders.decoding, sections.decoding_section, figures.tokens_by_room
    ),
    "whole_job": Benchmark(
        lambda given: whole_job.measure(given.cases), whole_job.section, whole_job.figure
    ),
    "trial_layouts": Benchmark(lambda given: trial_layouts.measure(), trial_layouts.section),
    "resident_size": Benchmark(
        lambda given: resident_size.measure(given.cases, given.minutes),
        resident_size.section,
        resident_size.figure,
    ),
}


def main() -> None:
    """Runs the benchmarks that are named, one after another."""
    cases = flags.DEFINE_enum("cases", "short", workloads.SETS, "How much of each benchmark.")
    peers = flags.DEFINE_bool("peers", False, "Other libraries too, those that are installed.")
    rounds = flags.DEFINE_integer(
        "rounds", None, "Timed runs of each; by default as many as there is time for.",
        lower_bound=1,
    )  # fmt: skip
    minutes = flags.DEFINE_float("minutes", 60.0, "How long resident_size runs.", lower_bound=0.01)
    output = flags.DEFINE_string("output", None, "The folder for NAME.json and NAME.png.")

    def run(names: Sequence[str]) -> None:
        if not names:
            raise UsageError(f"name a benchmark, of {', '.join(BENCHMARKS)}")
        for name in names:
            if name not in BENCHMARKS:
                raise unknown_name("benchmark", name, BENCHMARKS)
        if "resident_size" in names and len(names) > 1:
            raise UsageError(
                "resident_size: expected no other benchmark with it, since it limits the memory of "
                f"the process, got {', '.join(names)}"
            )
        folder = writable_folder(output.value)
        given = Settings(cases.value, peers.value, rounds.value, minutes.value)
        for name in names:
            run_benchmark(name, BENCHMARKS[name], given, folder)

    command_line.run_on_arguments(run)


def run_benchmark(name: str, benchmark: Benchmark, given: Settings, folder: Path | None) -> None:
    """Measures, prints the tables, and writes record and figure into the folder.

    The record is what was measured, with the benchmark's name, the settings, the time, the machine
    and the versions.
    """
    measured = benchmark.measure(given)
    finished = datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
    about = {"benchmark": name, "settings": given._asdict(), "finished": finished}
    record = {**about, **machine.describe(PEERS), **measured}
    console = make_console()
    if "skipped" in record:
        console.print(Markdown(sections.every_contender(record)))
    console.print(Markdown(benchmark.section(record)))
    if folder:
        written = [folder / f"{name}.json"]
        written[0].write_text(json.dumps(record, indent=1) + "\n")
        if benchmark.figure:
            written.append(folder / f"{name}.png")
            benchmark.figure(record).savefig(written[-1], dpi=DPI)
        console.print(f"written: {' and '.join(map(str, written))}", soft_wrap=True)


def writable_folder(value: str | None) -> Path | None:
    """The folder of --output, made before anything is measured; None for no output."""
    if value is None:
        return None
    folder = Path(value)
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UsageError(f"--output {folder} can't be written: {error.strerror}") from error
    if not os.access(folder, os.W_OK):
        raise UsageError(f"--output {folder} can't be written: no permission")
    return folder
