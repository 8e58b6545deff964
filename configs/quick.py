"""Adding and copy at T = 8 and 24, models of about 4,500 parameters: a first look.

    python -m experiments.compare --config=configs/quick.py --workdir=runs/quick

By the protocol (docs/protocol.md), in five minutes: learning rates are tuned on two seeds, the
worse half of them for 200 of the 400 steps; twelve other seeds are tested. Twelve trials
tune and twelve test, so that one compiled program serves both. Tried before, and set by what five
minutes allow: ten seeds and 300 steps, T of 10 and 30, five rates up to .1, of which three cells
wanted more.

Cost: 3.6 minutes on two quiet cores (Intel Xeon, vectors of 512 bits), with an empty compilation
cache; two thirds of it tuning.

Seen 2026-11-30, twelve trials a cell; files in results/quick:
  adding: lstm, gru, transformer and lstm_attention remember 12/12 (.74 to 1.00) at T = 8 and at 24.
  copy: lstm and gru 0/12 (.00 to .26) at both delays; transformer 8/12 (.35 to .90) at 8 and 6/12
    (.21 to .79) at 24, lstm_attention 3/12 (.05 to .57) and 0/12 (.00 to .26).
"""

import dataclasses

from ml_collections import ConfigDict

from lstm_attn.runner.configs import CompareConfig, TaskConfig
from lstm_attn.training import TrainingConfig


def get_config() -> ConfigDict:
    default = CompareConfig()
    training: TrainingConfig = dataclasses.replace(
        default.training,
        steps=400,
        seeds=12,
        learning_rates=(1e-3, 3e-3, 1e-2, 3e-2, 1e-1, 3e-1),
        evaluate_every=50,
        evaluation_sequences=500,
    )
    task = TaskConfig(lengths=(8, 24))
    return ConfigDict(
        dataclasses.asdict(dataclasses.replace(default, task=task, training=training))
    )
