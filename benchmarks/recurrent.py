"""How fast are the LSTM and GRU layers, forward and with their gradients?

python -m benchmarks.recurrent --peers --output=results/benchmarks/recurrent.json
"""

from typing import Any

from absl import flags
from rich.table import Table

from benchmarks import command, figures, lineup, tables
from benchmarks.record import grouped
from benchmarks.workloads import DIRECTIONS, GATES, SHAPES, SHORT_SHAPES, Recurrent


def show(record: dict[str, Any]) -> list[Table]:
    """A table a case, and ours against the peers for each cell and direction."""
    shown = tables.case_tables(record)
    groups = grouped(record["rows"], lambda row: f"{row['cell']}, {row['direction']}")
    for title, rows in groups.items():
        shown += tables.summaries(rows, title)
    return shown


def main() -> None:
    cells = flags.DEFINE_multi_enum("cell", list(GATES), list(GATES), "May be repeated.")
    shape = flags.DEFINE_multi_string("shape", None, "B,T,D,H in place of the set; repeatable.")

    def cases(whole: bool) -> list[Recurrent]:
        shapes = command.sizes("shape", shape.value, "BTDH")
        return [
            Recurrent(cell, batch, length, inputs, features, direction)
            for cell in cells.value
            for direction in DIRECTIONS
            for batch, length, inputs, features in shapes or (SHAPES if whole else SHORT_SHAPES)
        ]

    command.run("recurrent", cases, lineup.layers, show, figures.distances_by_contender)


if __name__ == "__main__":
    main()
