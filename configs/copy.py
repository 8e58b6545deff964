"""doc"""

from ml_collections import ConfigDict


def get_config() -> ConfigDict:
    return ConfigDict(
        {
            "models": ("lstm", "gru", "transformer", "lstm_attention"),
            "task": {
                "names": ("copy",),
                "variant": "arjovsky2016",
                "lengths": (50, 100, 200, 500),
            },
            "model": {"features": 64, "num_heads": 2, "num_layers": 2},
            "training": {
                "steps": 4000,
                "batch_size": 32,
                "seeds": 3,
                "learning_rates": (3e-3, 1e-2),
                "schedule": "cosine",
                "warmup_steps": 100,
                "clip_norm": 1.0,
                "weight_decay": 0.0,
                "evaluate_every": 100,
                "evaluation_sequences": 2000,
                "stop_when_solved": True,
                "trials_on_device": "auto",
            },
        }
    )
