"""The command line that all benchmarks share, and what they leave behind."""

from collections.abc import Callable, Sequence
from typing import Any

from absl import flags
from matplotlib.figure import Figure
from rich.table import Table

from benchmarks.comparison import Comparison, compare
from benchmarks.contenders import Contender
from benchmarks.output import checked_output, stamp, write
from benchmarks.progress import Progress
from lstm_attn.errors import UsageError
from lstm_attn.runner import command_line

ALL = flags.DEFINE_bool("all", False, "Every case; without it a short set.")
PEERS = flags.DEFINE_bool("peers", False, "Other libraries too, those that are installed.")
ROUNDS = flags.DEFINE_integer(
    "rounds", None, "Timed runs of each; by default as many as there is time for.", lower_bound=1
)


def run(
    title: str,
    cases: Callable[[], Sequence[Any]],
    contenders: Callable[[Any], Sequence[Contender]],
    tables: Callable[[dict[str, Any]], Sequence[Table]],
    picture: Callable[[dict[str, Any]], Figure],
) -> None:
    """Measures, prints the tables, and writes JSON and PNG where --output says.

    Args:
      title: of the benchmark, one word: the key under which its figures are read.
      cases: what the flags ask for.
      contenders: who takes part in a case.
      tables: what is printed of a record.
      picture: the figure of a record.
    """

    def main() -> int:
        output = checked_output()
        chosen = cases()
        with Progress(len(chosen)) as progress:
            comparison = compare(chosen, contenders, progress, rounds=ROUNDS.value)
        record = make_record(title, comparison)
        for table in tables(record):
            progress.console.print(table, "")
        if output:
            write(output, record, picture(record), progress.console)
        return 0

    command_line.run(main)


def make_record(title: str, comparison: Comparison) -> dict[str, Any]:
    """The figures, with the machine and the versions that they depend on."""
    return {
        **stamp(title, PACKAGES),
        "device": comparison.device,
        "rows": comparison.rows,
        "skipped": comparison.skipped,
    }


PACKAGES = ("dm-haiku", "equinox", "keras", "torch")


def whole_numbers(flag: str, text: str, letters: str) -> list[int]:
    """The sizes in a flag such as --shape=32,1000,10,128, one for each axis letter."""
    parts = text.split(",")
    if len(parts) != len(letters) or not all(part.strip().isdecimal() for part in parts):
        expected = ",".join(letters)
        raise UsageError(f"--{flag}: expected {expected} as whole numbers, got {text!r}")
    sizes = [int(part) for part in parts]
    if min(sizes) < 1:
        raise UsageError(f"--{flag}: expected sizes of at least 1, got {text!r}")
    return sizes
