"""Gradient reach on adding before and after training at T = 100: models of about 4,000 parameters.

    python -m experiments.gradient_reach --config=configs/gradient_reach.py \\
        --workdir=runs/gradient_reach

lstm, gru, transformer (two blocks) and lstm_attention; and the LSTM started with forget bias 0, 1
(that of the models' lstm) and chrono over 2 to T steps. The learning rate of each is tuned on two
seeds and tested on sixteen others, with 1,000 steps.

Cost: about 12 minutes on two cores, counted from measured milliseconds a step and trial (lstm 1.5,
gru 3, transformer 13, lstm_attention 7) and 25 trials a row, of which 9 tune.

Seen 2026-11-29: nothing. This config has not been run by the protocol (docs/protocol.md) yet. T
and the share of 1 % were set before any training, from gradients at initialisation on tuning seeds.
"""

import dataclasses

from ml_collections import ConfigDict

from lstm_attn.studies.gradient_reach import GradientReachConfig


def get_config() -> ConfigDict:
    return ConfigDict(dataclasses.asdict(GradientReachConfig()))
