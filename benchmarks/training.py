"""How fast is a training step: new data, one recurrent layer, a readout of its last step, Adam?
And how many characters a second does a language model train on, through `lstm_attn.training`?

    python -m benchmarks.training --peers --output=results/benchmarks/training.json

Ours and "one program": several steps in one jitted scan, data drawn on the device. The others: one
step a call, on numpy arrays that are drawn before the clock starts. Language models read their text
in the same numpy slices on both sides, while the clock runs.
"""

from collections.abc import Sequence
from typing import Any

from absl import flags
from matplotlib.figure import Figure
from rich.table import Table

from benchmarks import command, figures, lineup, tables
from benchmarks.contenders import Contender
from benchmarks.record import of_layers, of_text
from benchmarks.workloads import GATES, SHAPES, SHORT_SHAPES, TEXT_SHAPE, LanguageModel, Training

# A run has as many steps as take about a second, between these.
FEWEST_STEPS, MOST_STEPS = 2, 5
FLOPS_A_RUN = 5e10
# Of a run of a language model; configs/language_model.py has fifty between two evaluations.
TEXT_STEPS = 10
Case = Training | LanguageModel


def contenders(case: Case, with_peers: bool) -> Sequence[Contender]:
    """All contenders of a case take the same number of steps a run."""
    if isinstance(case, LanguageModel):
        return lineup.language_models(case, TEXT_STEPS, with_peers)
    steps = min(max(int(FLOPS_A_RUN / case.flops), FEWEST_STEPS), MOST_STEPS)
    return lineup.training_loops(case, steps, with_peers)


def show(record: dict[str, Any]) -> list[Table]:
    """A table a case, ours against the peers, and the throughput of language models."""
    return [
        *tables.case_tables(record),
        *tables.summaries(of_layers(record["rows"]), "all layers"),
        *tables.tokens_tables(of_text(record["rows"])),
    ]


def figure(record: dict[str, Any]) -> Figure:
    """The layers', which share their contenders; the language models' where there are no layers."""
    return figures.bars_by_case({**record, "rows": of_layers(record["rows"]) or record["rows"]})


def main() -> None:
    cells = flags.DEFINE_multi_enum("cell", ["lstm"], list(GATES), "May be repeated.")
    shape = flags.DEFINE_multi_string("shape", None, "B,T,D,H in place of the set; repeatable.")
    text = flags.DEFINE_multi_string("text_shape", None, "B,T,H of language models, likewise.")

    def cases(whole: bool) -> list[Case]:
        shapes = command.sizes("shape", shape.value, "BTDH")
        texts = command.sizes("text_shape", text.value, "BTH")
        if not shapes and not texts:
            shapes, texts = (SHAPES if whole else SHORT_SHAPES), [TEXT_SHAPE]
        return [
            *(Training(cell, *sizes) for cell in cells.value for sizes in shapes),
            *(LanguageModel("lstm", *sizes) for sizes in texts),
            *(LanguageModel("transformer", *sizes) for sizes in texts),
        ]

    command.run("training", cases, contenders, show, figure)


if __name__ == "__main__":
    main()
