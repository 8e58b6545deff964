"""Impossible values are refused where they are given, with their key."""

import dataclasses

import pytest

from lstm_attn.training import TrainingConfig


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"seeds": 0}, "training.seeds: expected at least 1, got 0"),
        ({"steps": 0}, "training.steps: expected at least 1"),
        (
            {"learning_rates": ()},
            r"training.learning_rates: expected a number or a tuple of them, got \(\)",
        ),
        ({"learning_rates": (1e-3, -1.0)}, "learning_rates: expected finite and > 0, got -1.0"),
        ({"learning_rates": (float("nan"),)}, "learning_rates: expected finite and > 0, got nan"),
        ({"learning_rates": (1e-3, 1e-3)}, "learning_rates: expected different ones"),
        ({"learning_rates": (1e39,)}, "learning_rates: expected finite and > 0, got 1e\\+39"),
        ({"learning_rates": (1e-50,)}, "learning_rates: expected finite and > 0, got 1e-50"),
        ({"learning_rates": (0.1, 0.1 + 1e-12)}, "learning_rates: expected different ones"),
        (
            {"learning_rates": "0.1"},
            "learning_rates: expected a number or a tuple of them, got '0.1",
        ),
        ({"seeds": True}, "training.seeds: expected a whole number, got True"),
        ({"steps": 1e3}, "training.steps: expected a whole number, got 1000.0"),
        (
            {"evaluation_sequences": 1009},
            "evaluation_sequences: expected at most 200 or a multiple of a number from 100",
        ),
        ({"clip_norm": 0.0}, "clip_norm: expected finite and > 0, got 0.0"),
        ({"weight_decay": -0.1}, "weight_decay: expected finite and >= 0, got -0.1"),
        ({"schedule": "cosin"}, "did you mean cosine"),
        ({"trials_on_device": "pmap"}, "unknown training.trials_on_device 'pmap'"),
        ({"accumulation_steps": 0}, "training.accumulation_steps: expected at least 1, got 0"),
        (
            {"accumulation_steps": 5},
            "training.accumulation_steps: expected a divisor of batch_size=32, got 5",
        ),
        ({"parameters": "shard"}, "unknown training.parameters 'shard': did you mean sharded"),
        ({"deterministic": 1}, "training.deterministic: expected True or False, got 1"),
        ({"warmup_steps": 2000}, "warmup_steps: expected less than steps=2000, got 2000"),
        ({"evaluate_every": 300}, "evaluate_every: expected a divisor of steps=2000, got 300"),
    ],
)
def test_a_bad_value_is_one_line(values, message):
    """Catches a value that would fail hours later, or deep in a trace."""
    with pytest.raises(ValueError, match=message) as caught:
        TrainingConfig(**values)
    assert "\n" not in str(caught.value)


def test_trials_are_seeds_times_rates():
    """Oracle: multiplication. Catches a count of seeds alone."""
    assert TrainingConfig(seeds=3, learning_rates=(1e-3, 1e-2)).trials == 6


@pytest.mark.parametrize(
    ("steps", "warmup", "chunk"),
    [(2000, 100, 100), (12_000, 100, 100), (200, 100, 100), (100, 50, 50), (50, 25, 25),
     (1, 0, 1), (7, 3, 7), (750, 100, 125), (997, 100, 997)],
)  # fmt: skip
def test_warmup_and_evaluations_follow_the_steps(steps, warmup, chunk):
    """By hand. Catches a default that short runs can't have, one evaluation a step, and a derived
    value that stays when the steps are changed."""
    config = TrainingConfig(steps=steps)
    assert (config.warmup, config.chunk_steps) == (warmup, chunk)
    again = TrainingConfig(**dataclasses.asdict(config) | {"steps": 60})
    assert (again.warmup, again.chunk_steps) == (30, 30)


@pytest.mark.parametrize(
    ("sequences", "batch"), [(2000, 200), (500, 125), (200, 200), (40, 40), (197, 197), (1001, 143)]
)
def test_an_evaluation_is_cut_into_equal_batches(sequences, batch):
    """By hand: the largest divisor up to 200. Catches sequences that are left out."""
    assert TrainingConfig(evaluation_sequences=sequences).evaluation_batch == batch


def test_one_learning_rate_is_a_tuple_of_it():
    """Catches a number that stays a number, without a length."""
    assert TrainingConfig(learning_rates=0.01).learning_rates == (0.01,)
