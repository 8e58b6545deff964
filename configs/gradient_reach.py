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

from lstm_attn.studies.gradient_reach import GradientReachConfig


def get_config() -> ConfigDict:
    return ConfigDict(dataclasses.asdict(GradientReachConfig()))
