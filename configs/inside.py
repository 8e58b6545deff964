"""What goes on inside the models, on adding and copy at T = 30, about 4,500 parameters each.

    python -m experiments.inside --config=configs/inside.py --workdir=runs/inside

lstm, gru, transformer (two blocks) and lstm_attention. The learning rate of each cell is tuned on
two seeds and tested on sixteen others, with 1,000 steps. The paths through time of each trained
trial are then cut, and what it remembers is compared with the same trial without a cut.

Cost: about 8 minutes on two cores, counted from measured milliseconds a step and trial (adding and
copy; lstm 0.6 and 1, gru 0.9 and 1.8, transformer 2.5 and 4.5, lstm_attention 1.3 and 2.8) and 25
trials a cell, of which 9 tune.

Seen 2026-11-29: nothing. This config has not been run by the protocol (docs/protocol.md) yet.
"""

import dataclasses

from ml_collections import ConfigDict

from lstm_attn.runner.configs import RATES, CompareConfig, TaskConfig
from lstm_attn.training import TrainingConfig


def get_config() -> ConfigDict:
    return ConfigDict(
        dataclasses.asdict(
            CompareConfig(
                task=TaskConfig(("adding", "copy"), (30,)),
                training=TrainingConfig(
                    steps=1000,
                    seeds=16,
                    learning_rates=RATES,
                    evaluation_sequences=500,
                    stop_when_solved=True,
                ),
            )
        )
    )
