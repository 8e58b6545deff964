"""How fast are the LSTM and GRU layers, forward and with their gradients?

python -m benchmarks.recurrent --peers --output=results/benchmarks/recurrent.json
"""

from absl import flags

from benchmarks import command, lineup, pictures, shapes, tables
from benchmarks.workloads import DIRECTIONS, GATES, Recurrent

CELLS = flags.DEFINE_list("cells", "lstm,gru", "lstm, gru or both.")


def cases() -> list[Recurrent]:
    return [
        Recurrent(cell, *shape, direction=direction)
        for cell in shapes.chosen_cells(CELLS.value)
        for direction in DIRECTIONS
        for shape in shapes.chosen_shapes()
    ]


def show(record: dict) -> list:
    """A table a case, and the mean ratio to the peers of each cell and direction."""
    lines = []
    for cell in GATES:
        for direction in DIRECTIONS:
            rows = [
                row
                for row in record["rows"]
                if (row["cell"], row["direction"]) == (cell, direction)
            ]
            lines += [f"{cell}, {direction}: {line}" for line in tables.summary(rows)]
    return [*tables.case_tables(record), *lines]


if __name__ == "__main__":
    command.run(
        "recurrent",
        cases,
        lambda case: lineup.layers(case.cell, shapes.PEERS.value),
        show,
        pictures.bars_by_case,
    )
