"""Adding and copy at T = 8 and 24, models of about 4,500 parameters: a first look.

    python -m experiments.compare --config=configs/quick.py --workdir=runs/quick

By the protocol (docs/protocol.md), in five minutes: learning rates are tuned on two seeds, the
worse half of them for a quarter of the 400 steps; twelve other seeds are tested. Twelve trials tune
and twelve test, so that one compiled program serves both.
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
