"""Adding at T = 50 to 1,000, models of about 4,000 parameters: the full study.

    python -m experiments.compare --config=configs/adding.py --workdir=runs/adding

Two blocks in the Transformer. LSTM, GRU and the hybrid tune the bias of their gates (1, or
chrono), the Transformer its positions (sinusoidal or rotary), all of them their learning rate; the
worse half of the rates ends at a quarter of the 2,000 steps, and longer lengths try the best two
rates of the next shorter one. Sixteen other seeds are tested.

Cost: 16 minutes for T = 50 and 100 on two cores (Intel Xeon), 9 of them tuning. A cell's 16 test
trials took 14 and 14 s (lstm), 16 and 23 s (gru), 66 and 179 s (transformer), 23 and 84 s
(lstm_attention). The longer lengths are to be added by the same command; T costs a recurrent model
a factor of T and attention one of T squared, so that T = 1,000 of the Transformer is some 5 hours.

Seen 2026-11-30, of T = 50 and 100; files in results/adding:
  lstm and gru remember 16/16 (.81 to 1) at both, all of them exactly; transformer 15/16 (.72 to
    .99) at both, 14 and 12 exactly; lstm_attention 16/16 and 14/16 (.64 to .97), as many exactly.
  Chosen: rates of .1 for lstm and lstm_attention with chrono, .3 and .1 for gru with bias 1, .03
    for the transformer with rotary positions.
  T = 50: gru needs fewer steps than each other model (p < .006 after Holm). No other difference
    allows a sentence.
"""

import dataclasses

from ml_collections import ConfigDict

from lstm_attn.runner.configs import RATES, SMALL, CompareConfig, TaskConfig
from lstm_attn.runner.tuning_config import TuningConfig
from lstm_attn.training import TrainingConfig


def get_config() -> ConfigDict:
    return ConfigDict(
        dataclasses.asdict(
            CompareConfig(
                task=TaskConfig(("adding",), (50, 100, 200, 500, 1000)),
                model=SMALL,
                training=TrainingConfig(
                    steps=2000,
                    seeds=16,
                    learning_rates=RATES,
                    evaluation_sequences=500,
                    stop_when_solved=True,
                ),
                tuning=TuningConfig(gate_bias=True, positions=("sinusoidal", "rotary"), carry=True),
            )
        )
    )
