"""Gradient reach on adding: untrained at T = 500; before and after training at T = 100.

    python -m experiments.gradient_reach --config=configs/gradient_reach.py \
        --workdir=runs/gradient_reach

lstm, gru, transformer and lstm_attention of about 17,000 parameters, six seeds each; and the LSTM
started with forget bias 0, 1 (that of the models' lstm) and chrono over 2 to T steps.

Cost: 7 minutes on two busy cores (Intel Xeon, shared).

Seen 2026-11-23, six trials of each; files in results/gradient_reach. The first lag at which
|d loss / d h_t| is under 1e-6 of that at the last step, untrained, T = 500, medians: forget bias 0,
40; forget bias 1, 211; chrono, not within 500; gru, 44; lstm_attention, not within 500. Trained at
T = 100, no model's falls so low. Solved: gru, transformer, lstm_attention and the LSTM with chrono
6/6 (.61 to 1.00), the LSTM with forget bias 0 or 1 1/6 (.03 to .56).
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
