"""How fast is a training step: new data, one recurrent layer, a readout of its last step, Adam?
And how many characters a second does a language model train on, through `lstm_attn.training`?

    python -m benchmarks.training --peers --output=results/benchmarks/training.json

Ours and "one program": several steps in one jitted scan, data made on the device. The others: one
step a call, on data that are numpy arrays before the clock starts. A language model reads its text
in the same numpy slices on both sides, while the clock runs.
"""

from collections.abc import Sequence
from typing import Any

from absl import flags
from matplotlib.figure import Figure
from rich.table import Table

from benchmarks import command, lineup, pictures, shapes, tables
from benchmarks.contenders import Contender
from benchmarks.record import of_layers, of_text
from benchmarks.workloads import LanguageModel, Training

CELLS = flags.DEFINE_list("cells", "lstm", "lstm, gru or both.")
TEXT_SHAPE = flags.DEFINE_string("text_shape", None, "B,T,H of language models, and no layers.")
# A run has as many steps as keep it near a second, between these.
FEWEST_STEPS, MOST_STEPS = 2, 5
FLOPS_A_RUN = 5e10
# Of a run of a language model; configs/language_model.py has fifty between two evaluations.
TEXT_STEPS = 10
Case = Training | LanguageModel


def cases() -> list[Case]:
    """Layers and language models; with --shape or --text_shape only what that speaks of."""
    layers: list[Case] = [
        Training(cell, *shape)
        for cell in shapes.chosen_cells(CELLS.value)
        for shape in shapes.chosen_shapes()
    ]
    batch, length, features = shapes.TEXT_SHAPE
    if TEXT_SHAPE.value:
        batch, length, features = command.whole_numbers("text_shape", TEXT_SHAPE.value, "BTH")
    texts: list[Case] = [
        LanguageModel("lstm", batch, length, features),
        LanguageModel("transformer", batch, length, features),
    ]
    if TEXT_SHAPE.value and not shapes.SHAPE.value:
        return texts
    return layers if shapes.SHAPE.value and not TEXT_SHAPE.value else [*layers, *texts]


def contenders(case: Case) -> Sequence[Contender]:
    """Of every contender the steps of one run are the same."""
    if isinstance(case, LanguageModel):
        return lineup.language_models(case, TEXT_STEPS, command.PEERS.value)
    steps = min(max(int(FLOPS_A_RUN / case.flops), FEWEST_STEPS), MOST_STEPS)
    return lineup.training_loops(case, steps, command.PEERS.value)


def show(record: dict[str, Any]) -> list[Table]:
    """A table a case, ours against the peers, and what language models take in."""
    layers = of_layers(record["rows"])
    return [
        *tables.case_tables(record),
        *tables.summaries(layers, "all layers"),
        *tables.tokens_tables(of_text(record["rows"])),
    ]


def picture(record: dict[str, Any]) -> Figure:
    """The layers', which have their contenders in common; or else the language models'."""
    return pictures.bars_by_case({**record, "rows": of_layers(record["rows"]) or record["rows"]})


if __name__ == "__main__":
    command.run("training", cases, contenders, show, picture)
