"""The memory horizon on adding, T from 15 to 170, models of about 10,000 parameters.

    python -m experiments.horizon --config=configs/horizon.py --workdir=runs/horizon

For each model the longest T that at least two of four trials solve within 1,500 steps, on a scale
of two lengths to a doubling. The learning rate is constant after its warm-up, so that a smaller
budget, read off the same histories, is what training under it would have given.

Cost: 11 minutes on two busy cores (Intel Xeon, shared).

Seen 2026-11-23, four trials a length, from uncommitted code, hence on no page:
lstm 42 <= T < 60; gru,
transformer, lstm_attention and attention_pooling T >= 170, the longest tried, which half of their
trials solved after 1,200, 700, 600 and 300 steps.
"""

import dataclasses

from ml_collections import ConfigDict

from lstm_attn.studies.horizon import HorizonConfig


def get_config() -> ConfigDict:
    return ConfigDict(dataclasses.asdict(HorizonConfig()))
