"""What is tuned of a cell: its learning rate, and what else its model's field tunes."""

import dataclasses

from lstm_attn.errors import UsageError, check_numbers, check_whole, unknown_name
from lstm_attn.models import ModelConfig
from lstm_attn.modules.positions import POSITIONS
from lstm_attn.runner.cell import Cell

GATED = ("lstm", "gru", "lstm_attention")  # models whose gates have a bias to tune


@dataclasses.dataclass(frozen=True)
class TuningConfig:
    """How each cell's learning rate is chosen among `training.learning_rates`.

    seeds: how many try each rate; 0 for no tuning: all rates are then tested. A single rate is not
      tuned.
    first_seed: the tuning seeds are first_seed, first_seed + 1, ...
    halving: end the worse half of the rates at a quarter of the steps, see `TrainingConfig`.
    gate_bias: tune the bias of LSTM's forget and GRU's update gate too: 1, or chrono (2, T).
    positions: of the Transformer, tuned too; () for those of `model`.
    carry: at each length but the shortest of a task, try only the best two rates of the next
      shorter one, and what else was chosen there.
    """

    seeds: int = 2
    first_seed: int = 100
    halving: bool = True
    gate_bias: bool = False
    positions: tuple[str, ...] = ()
    carry: bool = False

    def __post_init__(self) -> None:
        check_numbers(self, "tuning.")
        check_whole("tuning.seeds", self.seeds, 0)
        check_whole("tuning.first_seed", self.first_seed, 0)
        for name in self.positions:
            if name not in POSITIONS:
                raise unknown_name("tuning.positions", name, POSITIONS)

    def check(self, first_seed: int, seeds: int) -> None:
        """Raises UsageError if a test seed is a tuning seed."""
        last = self.first_seed + self.seeds - 1
        if self.seeds and first_seed <= last and self.first_seed < first_seed + seeds:
            raise UsageError(
                f"tuning.first_seed: expected seeds that no test has, got {self.first_seed} to "
                f"{last}, and test seeds {first_seed} to {first_seed + seeds - 1}"
            )


def is_tuned(cell: Cell, config: TuningConfig) -> bool:
    """Whether there is anything to choose."""
    return bool(config.seeds) and (
        len(cell.training.learning_rates) > 1 or len(choices(cell, config)) > 1
    )


def choices(cell: Cell, config: TuningConfig) -> dict[str, ModelConfig]:
    """What is tuned of a model besides the learning rate: name -> its config."""
    if cell.model_name in GATED and config.gate_bias and cell.task.length > 1:
        chrono = dataclasses.replace(cell.model, chrono_steps=(2.0, max(2.0, cell.task.length)))
        one = dataclasses.replace(cell.model, forget_bias=1.0, update_bias=1.0, chrono_steps=())
        return {"bias_1": one, "chrono": chrono}
    if cell.model_name == "transformer" and config.positions:
        return {name: dataclasses.replace(cell.model, positions=name) for name in config.positions}
    return {"": cell.model}
