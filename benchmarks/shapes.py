"""The sizes at which layers and training steps are measured, and the flags that choose them."""

from typing import Any

from absl import flags

from benchmarks import command
from benchmarks.workloads import GATES
from lstm_attn.errors import unknown_name

# B, T, D, H: the adding problem at three sizes, then wider.
SHAPES = (
    (32, 1000, 10, 128),
    (50, 200, 2, 128),
    (128, 300, 10, 128),
    (64, 256, 256, 256),
    (16, 512, 128, 512),
)
SHORT = SHAPES[:2]
# B, T, H: the width of configs/language_model.py, and as many tokens a step.
TEXT_SHAPE = (16, 128, 192)

SHAPE = flags.DEFINE_multi_string("shape", None, "B,T,D,H in place of the set; may be repeated.")


def chosen_shapes() -> list[tuple[int, int, int, int]]:
    """As the flags --shape and --all say."""
    if SHAPE.value:
        sizes = [command.whole_numbers("shape", text, "BTDH") for text in SHAPE.value]
        return [(batch, length, inputs, features) for batch, length, inputs, features in sizes]
    return list(SHAPES if command.ALL.value else SHORT)


def chosen_cells(names: list[str]) -> list[Any]:
    """The value of --cells, checked."""
    for name in names:
        if name not in GATES:
            raise unknown_name("cell", name, GATES)
    return names
