"""Whether a fresh quick run agrees with the committed one of another machine.

    python -m tools.check_quick runs/quick

Two runs agree in a cell if the 95 % intervals of the rates of trials that remember overlap. Exits
with 1 if fewer than AGREEING of the cells do.
"""

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from lstm_attn import report
from lstm_attn.errors import UsageError
from lstm_attn.report.tables import markdown, remember_interval, remembering
from lstm_attn.runs import RunFolder

COMMITTED = Path(__file__).parent.parent / "results" / "quick"
AGREEING = 0.95


def overlap(first: Mapping[str, Any], second: Mapping[str, Any]) -> bool:
    """Whether the intervals of two records have a rate in common."""
    return (
        first["remember_rate_low"] <= second["remember_rate_high"]
        and second["remember_rate_low"] <= first["remember_rate_high"]
    )


def compared(here: Path, there: Path) -> tuple[str, int, int]:
    """A table of all cells that both folders have, and how many agree of how many.

    Raises:
      UsageError: no run folder, or two without a cell in common.
    """
    mine, theirs = (
        {record["cell"]: record for record in report.checked_results(RunFolder(path))}
        for path in (here, there)
    )
    both = [cell for cell in theirs if cell in mine]
    if not both:
        raise UsageError(f"{here} and {there}: expected cells in common, got none")
    agree = {cell: overlap(mine[cell], theirs[cell]) for cell in both}
    rows = [
        [
            cell,
            *(f"{remembering(r)} ({remember_interval(r)})" for r in (theirs[cell], mine[cell])),
            "yes" if agree[cell] else "no",
        ]
        for cell in both
    ]
    table = markdown(["cell", "committed", "here", "overlap"], rows)
    return table, sum(agree.values()), len(both)


def main(arguments: list[str]) -> int:
    if len(arguments) != 1:
        print("error: expected one run folder, such as runs/quick", file=sys.stderr)
        return 2
    try:
        table, agree, count = compared(Path(arguments[0]), COMMITTED)
    except UsageError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    print(table)
    print(f"intervals overlap in {agree} of {count} cells")
    return int(agree < AGREEING * count)


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
