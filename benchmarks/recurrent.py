"""How fast are the LSTM and GRU layers, forward and with their gradients?

python -m benchmarks.recurrent --peers --output=results/benchmarks/recurrent.json
"""

from absl import flags
from rich.table import Table

from benchmarks import command, lineup, pictures, shapes, tables
from benchmarks.workloads import DIRECTIONS, Recurrent

CELLS = flags.DEFINE_list("cells", "lstm,gru", "lstm, gru or both.")


def cases() -> list[Recurrent]:
    return [
        Recurrent(cell, *shape, direction=direction)
        for cell in shapes.chosen_cells(CELLS.value)
        for direction in DIRECTIONS
        for shape in shapes.chosen_shapes()
    ]


def show(record: dict) -> list[Table]:
    """A table a case, and ours against the peers for each cell and direction."""
    shown = tables.case_tables(record)
    for cell, direction in dict.fromkeys((r["cell"], r["direction"]) for r in record["rows"]):
        rows = [r for r in record["rows"] if (r["cell"], r["direction"]) == (cell, direction)]
        shown += tables.summaries(rows, f"{cell}, {direction}")
    return shown


if __name__ == "__main__":
    command.run(
        "recurrent",
        cases,
        lambda case: lineup.layers(case.cell, command.PEERS.value),
        show,
        pictures.distances_by_contender,
    )
