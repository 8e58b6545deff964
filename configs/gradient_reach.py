"""Gradient reach on adding before and after training at T = 100: models of about 4,000 parameters.

    python -m experiments.gradient_reach --config=configs/gradient_reach.py \\
        --workdir=runs/gradient_reach

lstm, gru, transformer (two blocks) and lstm_attention; and the LSTM started with forget bias 0, 1
(that of the models' lstm) and chrono over 2 to T steps. The learning rate of each is tuned on two
seeds and tested on sixteen others, with 1,000 steps.

T and the share of 1 % were set before any training, from gradients at initialisation on tuning
seeds.

Cost: 12 minutes on two cores (Intel Xeon), for the first half of which the tests kept them busy
besides.

Seen 2026-11-30; files in results/gradient_reach. The reach of d loss / d h, the first lag below 1 %
of the norm at lag 1, median of sixteen trials before and after training; 100 is "not below it":
  lstm 72.5 and 13.5; gru 15 and 100; lstm_attention 100 and 100. Trained LSTMs from forget bias 0:
    14 and 100; from chrono: 100 and 100. All but the Transformer (13/16, .57 to .93) and forget
    bias 0 (11/16, .44 to .86) remember 16/16 (.81 to 1).
  Before training chrono reaches farther than bias 1, and both farther than bias 0; after it, chrono
    farther than bias 1 (11 of 16 seeds against 1, p = .04 after Holm).
  d loss / d x does not fall below 1 % in the median trained trial of any model.
"""

import dataclasses

from ml_collections import ConfigDict

from lstm_attn.studies.gradient_reach import GradientReachConfig


def get_config() -> ConfigDict:
    return ConfigDict(dataclasses.asdict(GradientReachConfig()))
