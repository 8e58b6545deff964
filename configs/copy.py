"""Copy over delays of 50, 100, 200 and 500, models of about 20,000 parameters: the full study.

    python -m experiments.compare --config=configs/copy.py --workdir=runs/copy

Cost: on two cores (Intel Xeon, shared) at most an evening of 5 hours, counted from measured
milliseconds a step and trial (two trials at a time; lstm, gru, transformer, lstm_attention):
delay 50 3, 3, 8, 6; 200 10, 11, 51, 34; 500 26, 29, 255, 159. Cells whose trials have all solved
end early, as those of the attention models did. On a GPU: not measured.

Seen 2026-11-22, `--config.task.lengths=50,` alone, 6 minutes on two busy cores; six trials, three
seeds at each of two learning rates; files in results/copy-50. Solved, with the 95 % Wilson
interval, and the median of steps to solve:
  lstm 0/6 (.00 to .39); gru 0/6 (.00 to .39); transformer 6/6 (.61 to 1.00) 300;
  lstm_attention 6/6 (.61 to 1.00) 800.
Delays of 100, 200 and 500 have not been run.
"""

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
