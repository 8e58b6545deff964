"""Values that cannot be are refused where they are given, each naming its key."""

import pytest

from lstm_attn.training import TrainingConfig


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"seeds": 0}, "training.seeds: expected at least 1, got 0"),
        ({"steps": 0}, "training.steps: expected at least 1"),
        ({"learning_rates": ()}, "training.learning_rates: expected at least one, got none"),
        ({"learning_rates": (1e-3, -1.0)}, "learning_rates: expected finite and > 0, got -1.0"),
        ({"learning_rates": (float("nan"),)}, "learning_rates: expected finite and > 0, got nan"),
        ({"learning_rates": (1e-3, 1e-3)}, "learning_rates: 0.001 is given twice"),
        ({"clip_norm": 0.0}, "clip_norm: expected finite and > 0, got 0.0"),
        ({"weight_decay": -0.1}, "weight_decay: expected finite and >= 0, got -0.1"),
        ({"schedule": "cosin"}, "did you mean cosine"),
        ({"trials_on_device": "pmap"}, "unknown training.trials_on_device 'pmap'"),
        ({"warmup_steps": 2000}, "warmup_steps: expected 0 to steps - 1 = 1999, got 2000"),
        ({"evaluate_every": 300}, "evaluate_every: expected a divisor of steps=2000, got 300"),
    ],
)
def test_a_bad_value_is_one_line(values, message):
    """Catches a value that would fail hours later, or deep in a trace."""
    with pytest.raises(ValueError, match=message) as caught:
        TrainingConfig(**values)
    assert "\n" not in str(caught.value)


def test_trials_are_seeds_times_rates():
    """Oracle: multiplication."""
    assert TrainingConfig(seeds=3, learning_rates=(1e-3, 1e-2)).trials == 6
