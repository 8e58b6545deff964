"""Whether the confirmed trials of a run meet their criterion on 40,000 fresh sequences.

    python -m tools.reevaluate runs/quick

Each trial that remembers, and each that is exact, is tested as its training left it. It is below
its criterion if it still is after two standard errors in its favour. Exits with 1 if more than
BELOW of them are.
"""

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import jax

from lstm_attn import report, trained
from lstm_attn.analysis import length_generalisation
from lstm_attn.errors import UsageError
from lstm_attn.runs import RunFolder

SEQUENCES = 40_000
BELOW = 1 / 50
FRESH = 0x40_000  # the seed of sequences that no training has seen


class Again(NamedTuple):
    """One criterion of one confirmed trial, measured again."""

    cell: str
    seed: int
    criterion: str
    loss: float
    accuracy: float
    below: bool


def reevaluated(path: Path, sequences: int) -> Iterator[Again]:
    """Every criterion of every confirmed trial of the run folder.

    Raises:
      UsageError: no run folder, or a checkpoint that can't be read.
    """
    for record in report.checked_results(RunFolder(path)):
        cell = trained.load(path, record["cell"])
        found = length_generalisation(
            cell.model,
            cell.params,
            cell.task,
            [cell.task.length],
            jax.random.key(FRESH),
            trials=record["trials"],
            sequences=sequences,
        )
        for number, trial in enumerate(record["per_trial"]):
            loss, accuracy, loss_error, accuracy_error = (
                float(values[0, number])
                for values in (
                    found.loss, found.accuracy, found.loss_error, found.accuracy_error
                )
            )  # fmt: skip
            best = {"loss": loss - 2 * loss_error, "accuracy": accuracy + 2 * accuracy_error}
            for key, name, holds in (
                ("steps_to_remember", "remembers", cell.task.remembers(best)),
                ("steps_to_solve", "exact", cell.task.is_solved(best)),
            ):
                if trial[key] is not None:
                    yield Again(cell.record["cell"], trial["seed"], name, loss, accuracy, not holds)


def main(arguments: list[str]) -> int:
    if len(arguments) != 1:
        print("error: expected one run folder, such as runs/quick", file=sys.stderr)
        return 2
    count = below = 0
    try:
        for again in reevaluated(Path(arguments[0]), SEQUENCES):
            count += 1
            below += again.below
            if again.below:
                print(
                    f"{again.cell}, seed {again.seed}: not {again.criterion} any more, loss "
                    f"{again.loss:.3g}, accuracy {again.accuracy:.4f}"
                )
    except UsageError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    print(f"{below} of {count} confirmed criteria are missed on {SEQUENCES:,} fresh sequences")
    return int(below > BELOW * count)


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
