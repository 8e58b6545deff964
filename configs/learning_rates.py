"""Seven learning rates from .0001 to .1 for four models of about 4,500 parameters: adding, T = 50.

    python -m experiments.learning_rates --config=configs/learning_rates.py \\
        --workdir=runs/learning_rates

Cost: 6 minutes on two busy cores (Intel Xeon, shared); four seeds, so that two cores share the 28
trials of a model evenly.

Seen 2026-11-23, four trials a rate, 1,500 steps; files in results/learning_rates. None solves at
.003 or below. At .01, .03 and .1: lstm 0, 2 and 3 of 4; gru 1, 4 and 4; transformer 3, 4 and 1;
lstm_attention 2, 1 and 2 (95 % intervals of 0/4, 2/4, 4/4: 0 to .49, .15 to .85, .51 to 1). What
suits the Transformer is too low for the LSTM.
"""

import dataclasses

from ml_collections import ConfigDict

from lstm_attn.models import ModelConfig
from lstm_attn.training import TrainingConfig


def get_config() -> ConfigDict:
    return ConfigDict(
        {
            "models": ("lstm", "gru", "transformer", "lstm_attention"),
            "task": {"name": "adding", "variant": "arjovsky2016", "length": 50},
            "model": dataclasses.asdict(ModelConfig(features=32, num_heads=2, num_layers=1)),
            "training": dataclasses.asdict(
                TrainingConfig(
                    steps=1500,
                    seeds=4,
                    learning_rates=(1e-4, 3e-4, 1e-3, 3e-3, 1e-2, 3e-2, 1e-1),
                    stop_when_solved=True,
                )
            ),
        }
    )
