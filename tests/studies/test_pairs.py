"""The paired tests of a comparison: which models are tested, on which seeds, after Holm."""

import dataclasses

import pytest

from lstm_attn import tasks
from lstm_attn.models import ModelConfig
from lstm_attn.runner.cell import Cell
from lstm_attn.studies.compare import pairs
from lstm_attn.training import TrainingConfig
from tests.study_fixtures import record_of

NEVER = None


def record(model, ends, task=None, **changes):
    """The record of a model whose seed k remembers at step ends[k]."""
    task = task or tasks.adding(5)
    training = TrainingConfig(steps=8, seeds=len(ends), warmup_steps=1, evaluate_every=1)
    training = dataclasses.replace(training, **changes)
    name = f"{task.name}-{task.length}-{model}"
    return record_of(Cell(name, model, task, ModelConfig(features=4, num_heads=2), training), ends)


def test_two_models_are_tested_on_the_same_seeds():
    """By hand. Of twelve seeds the GRU alone remembers eleven, the LSTM none: p = 2 / 2^11 for both
    tests, times two for Holm. Catches models exchanged, a trial that never remembers counted as
    fast, and p before Holm."""
    records = [record("gru", [3] * 11 + [NEVER]), record("lstm", [NEVER] * 12)]
    more, sooner = pairs(records)
    assert (more["first"], more["second"], more["task"], more["length"]) == (
        "gru", "lstm", "adding", 5,
    )  # fmt: skip
    for test in (more, sooner):
        assert (test["first_ahead"], test["second_ahead"], test["pairs"]) == (11, 0, 12)
        assert test["p"] == pytest.approx(4 / 2**11)
    assert more["verdict"].startswith("gru remembers on more seeds than lstm: 11 to 0 of 12 pairs")
    assert sooner["verdict"].startswith("gru needs fewer steps than lstm: 11 to 0 of 12 pairs")


def test_seeds_are_paired_by_their_number():
    """By hand: seeds 2 to 5 against 0 to 3 are no pairs. Catches trials that are paired by their
    place, and a test of trials at several rates."""
    four = [1, 2, 3, 4]
    assert pairs([record("gru", four), record("lstm", four, first_seed=2)]) == []
    two_rates = record("lstm", four, seeds=2, learning_rates=(0.1, 0.01))
    assert pairs([record("gru", [1, 2]), two_rates]) == []
    # Another rate of the other model is no hindrance: each has its own.
    assert len(pairs([record("gru", four), record("lstm", four, learning_rates=(0.1,))])) == 2


def test_only_models_on_the_same_task_and_length_are_tested():
    """By hand: three models on one length make three pairs of two tests each. Catches a pair across
    tasks or lengths, and Holm over each pair alone."""
    ends = [2] * 12
    never = [NEVER] * 12
    records = [
        record("gru", ends), record("lstm", ends), record("transformer", never),
        record("gru", ends, tasks.adding(6)), record("lstm", ends, tasks.copy(5)),
    ]  # fmt: skip
    found = pairs(records)
    assert [(test["first"], test["second"]) for test in found[::2]] == [
        ("gru", "lstm"), ("gru", "transformer"), ("lstm", "transformer"),
    ]  # fmt: skip
    # Two of six tests are of equal trials: p = 1. The other four: 2 / 2^12, times 6.
    assert [test["p"] for test in found[:2]] == [1.0, 1.0]
    assert [test["p"] for test in found[2:]] == pytest.approx([12 / 2**12] * 4)
    assert [bool(test["verdict"]) for test in found] == [False] * 2 + [True] * 4


def test_fewer_than_twelve_seeds_allow_no_sentence():
    """By the protocol: eleven of eleven, p = 2 / 2^11. Catches a verdict of few pairs."""
    found = pairs([record("gru", [1] * 11), record("lstm", [NEVER] * 11)])
    assert all(test["p"] < 0.01 for test in found)
    assert [test["verdict"] for test in found] == [None, None]
