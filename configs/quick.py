from ml_collections import ConfigDict


def get_config() -> ConfigDict:
    return ConfigDict(
        {
            "models": ("lstm", "gru", "transformer", "lstm_attention"),
            "task": {
                "names": ("adding", "copy"),
                "variant": "arjovsky2016",
                "lengths": (10, 50),
            },
            "model": {"features": 32, "num_heads": 2, "num_layers": 1},
            "training": {
                "steps": 2000,
                "batch_size": 32,
                "seeds": 4,
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
        }
    )
