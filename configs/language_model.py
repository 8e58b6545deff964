"""Four models of about 200,000 parameters on the text that every Python has, by characters.

    python -m experiments.language_model --config=configs/language_model.py \\
        --workdir=runs/language_model

Cost: not yet measured.

Seen 2026-11-23: not yet run.
"""

import dataclasses

from ml_collections import ConfigDict

from lstm_attn.models import ModelConfig
from lstm_attn.training import TrainingConfig


def get_config() -> ConfigDict:
    return ConfigDict(
        {
            "models": ("lstm", "gru", "transformer", "lstm_attention"),
            "length": 256,
            "data": {"path": "", "level": "character", "vocabulary_size": 1000, "held_out": 0.1},
            "memory": {
                "contexts": (16, 64, 256, 1024),
                "tokens": 500,
                "passage": 16,
                "distances": (16, 64, 256, 1024),
                "passages": 100,
            },
            "model": dataclasses.asdict(
                ModelConfig(features=192, num_heads=4, num_layers=2, positions="rotary")
            ),
            "training": dataclasses.asdict(
                TrainingConfig(
                    steps=1500,
                    batch_size=8,
                    seeds=1,
                    learning_rates=(6e-3,),
                    evaluate_every=50,
                    evaluation_sequences=80,
                )
            ),
        }
    )
