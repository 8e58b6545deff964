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

from lstm_attn.studies.learning_rates import LearningRatesConfig


def get_config() -> ConfigDict:
    return ConfigDict(dataclasses.asdict(LearningRatesConfig()))
