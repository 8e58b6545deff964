"""How fast is a training step: new data, one recurrent layer, a readout of its last step, Adam?

    python -m benchmarks.training --peers --output=results/benchmarks/training.json

Ours and "one program": several steps in one jitted scan, data made on the device. The others: one
step a call, on data that are numpy arrays before the clock starts.
"""

from absl import flags
from rich.table import Table

from benchmarks import command, lineup, pictures, shapes, tables
from benchmarks.workloads import Training

CELLS = flags.DEFINE_list("cells", "lstm", "lstm, gru or both.")
# A run has as many steps as keep it near a second, between these.
FEWEST_STEPS, MOST_STEPS = 2, 5
FLOPS_A_RUN = 5e10


def cases() -> list[Training]:
    return [
        Training(cell, *shape)
        for cell in shapes.chosen_cells(CELLS.value)
        for shape in shapes.chosen_shapes()
    ]


def steps(case: Training) -> int:
    """Of one run; of every contender the same."""
    return min(max(int(FLOPS_A_RUN / case.flops), FEWEST_STEPS), MOST_STEPS)


def show(record: dict) -> list[Table]:
    """A table a case, and ours against the peers."""
    return [*tables.case_tables(record), *tables.summaries(record["rows"])]


if __name__ == "__main__":
    command.run(
        "training",
        cases,
        lambda case: lineup.training_loops(case, steps(case), command.PEERS.value),
        show,
        pictures.bars_by_case,
    )
