"""Adding at T = 50 to 1,000, models of about 4,000 parameters: the full study.

    python -m experiments.compare --config=configs/adding.py --workdir=runs/adding

Two blocks in the Transformer. LSTM, GRU and the hybrid tune the bias of their gates (1, or
chrono), the Transformer its positions (sinusoidal or rotary), all of them their learning rate; the
worse half of the rates ends at a quarter of the 2,000 steps, and longer lengths try the best two
rates of the next shorter one. Sixteen other seeds are tested.

Cost: 15 to 20 minutes for the first two lengths on two cores; the longer ones are not measured.

Seen 2026-11-30: nothing yet by the protocol (docs/protocol.md).
"""

import dataclasses

from ml_collections import ConfigDict

from lstm_attn.runner.configs import RATES, SMALL, CompareConfig, TaskConfig
from lstm_attn.runner.tune import TuningConfig
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
