"""Gradient reach on adding: untrained at T = 500; before and after training at T = 100.

    python -m experiments.gradient_reach --config=configs/gradient_reach.py \
        --workdir=runs/gradient_reach

lstm, gru, transformer and lstm_attention of about 17,000 parameters, six seeds each; and the LSTM
started with forget bias 0, 1 (that of the models' lstm) and chrono over 2 to T steps.

Cost: not yet measured; 8 to 10 minutes on two quiet cores, by the milliseconds a step of
`configs/adding.py`.

Seen 2026-11-23: not yet run.
"""

import dataclasses

from ml_collections import ConfigDict

from configs import adding
from lstm_attn.models import ModelConfig


def get_config() -> ConfigDict:
    training = adding.get_config().training.to_dict()
    return ConfigDict(
        {
            "models": ("lstm", "gru", "transformer", "lstm_attention"),
            "forget_biases": (0.0, 1.0),
            "task": {
                "name": "adding",
                "variant": "arjovsky2016",
                "length": 100,
                "untrained_length": 500,
            },
            "model": dataclasses.asdict(ModelConfig(features=64, num_heads=2, num_layers=1)),
            "training": {
                **training,
                "steps": 3000,
                "seeds": 6,
                "learning_rates": (1e-2,),
            },
            "sequences": 64,
        }
    )
