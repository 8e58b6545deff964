"""What each choice does for an LSTM of 32 features on adding, T = 100: one key changed a column.

    python -m experiments.ablation --config=configs/ablation.py --workdir=runs/ablation

Cost: counted from steps a second of the quick run, about 8 minutes on two cores.

Seen 2026-11-23: not yet run.
"""

import dataclasses

from ml_collections import ConfigDict

from lstm_attn.models import ModelConfig


def get_config() -> ConfigDict:
    return ConfigDict(
        {
            "model_name": "lstm",
            "task": {"name": "adding", "variant": "arjovsky2016", "length": 100},
            "model": dataclasses.asdict(ModelConfig(features=32)),
            "training": {
                "steps": 3000,
                "batch_size": 32,
                "seeds": 6,
                "learning_rates": (1e-2,),
                "schedule": "cosine",
                "warmup_steps": 100,
                "clip_norm": 1.0,
                "weight_decay": 0.0,
                "evaluate_every": 100,
                "evaluation_sequences": 2000,
                "stop_when_solved": True,
                "trials_on_device": "auto",
            },
            "changes": (
                ("model.forget_bias", 0.0),
                ("model.forget_bias", 3.0),
                ("model.chrono_steps", (2.0, 100.0)),
                ("model.lstm_variant", "layer_norm"),
                ("model.recurrent_kernel_init", "glorot"),
                ("model.features", 16),
                ("model.features", 64),
                ("training.learning_rates", (3e-3,)),
                ("training.learning_rates", (3e-2,)),
                ("training.clip_norm", 100.0),
            ),
        }
    )
