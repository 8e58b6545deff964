"""Adding at T = 100, 200, 400 and 750, models of about 17,000 parameters: the full study.

    python -m experiments.compare --config=configs/adding.py --workdir=runs/adding

Cost: on two cores (Intel Xeon, shared) at most a night of 10 hours, counted from measured
milliseconds a step and trial (two trials at a time; lstm, gru, transformer, lstm_attention):
T = 100: 4, 5, 21, 7; T = 400: 24, 22, 143, 83; T = 750: 38, 41, 521, 284. Cells whose trials have
all solved end early. On a GPU: not measured.

Seen 2026-11-22, `--config.task.lengths=100,` alone, 12 minutes on two busy cores; six trials, three
seeds at each of two learning rates; files in results/adding-100. Solved, with the 95 % Wilson
interval, and the median of steps to solve:
  lstm 3/6 (.19 to .81) 2,500; gru 3/6 (.19 to .81) 1,200; transformer 6/6 (.61 to 1.00) 1,700;
  lstm_attention 6/6 (.61 to 1.00) 750.
lstm and gru solved at the learning rate .01 with every seed, at .003 with none.
T = 200, 400 and 750 have not been run.
"""

import dataclasses

from ml_collections import ConfigDict

from lstm_attn.models import ModelConfig
from lstm_attn.runner.configs import CompareConfig, TaskConfig
from lstm_attn.training import TrainingConfig


def get_config() -> ConfigDict:
    return ConfigDict(
        dataclasses.asdict(
            CompareConfig(
                task=TaskConfig(("adding",), (100, 200, 400, 750)),
                model=ModelConfig(features=64, num_heads=2, num_layers=2),
                training=TrainingConfig(
                    steps=4000, seeds=3, learning_rates=(3e-3, 1e-2), stop_when_solved=True
                ),
            )
        )
    )
