"""What goes on inside the models, on adding and copy at T = 30, about 4,500 parameters each.

    python -m experiments.inside --config=configs/inside.py --workdir=runs/inside

lstm, gru, transformer (two blocks) and lstm_attention. The learning rate of each cell is tuned on
two seeds and tested on sixteen others, with 1,000 steps. The paths through time of each trained
trial are then cut, and what it remembers is compared with the same trial without a cut.

Cost: 13 minutes on two cores (Intel Xeon) that the tests kept busy besides.

Seen 2026-11-30; files in results/inside. A path is cut once, in the middle; share remembered,
median of sixteen trials, without the cut and with it:
  adding, 16/16 remember: lstm 1.00, .16 without recurrence; gru 1.00, .15; transformer 1.00, .00
    without attention; lstm_attention 1.00, 1.00 without recurrence, .05 without attention.
  copy: transformer (16/16) .99, .00 without attention; lstm_attention (11/16, .44 to .86) .98, .00
    without either path; lstm and gru (0/16, 0 to .19) .02 and .21, .00 without recurrence.
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
