"""How a text is read for training and evaluation."""

import numpy as np
import pytest

from lstm_attn.errors import UsageError
from lstm_attn.tasks import StoredTask, TextPrediction
from lstm_attn.text import Split, Text
from lstm_attn.text.vocabulary import Bytes, Characters

N, T, B = 1000, 7, 4


def counting(length=T, train=N, validation=200):
    """A text whose tokens are their own positions."""
    splits = {
        name: Split(np.arange(size), size, 0)
        for name, size in (("train", train), ("validation", validation), ("test", 50))
    }
    return TextPrediction(Text(Characters(map(chr, range(1, N))), splits, "counted"), length)


def test_its_data_are_read_not_drawn():
    """By hand. Catches a trainer that asks it to sample, and sizes that are not those of ids."""
    task = counting()
    assert isinstance(task, StoredTask)
    assert (task.input_features, task.sequence_length, task.chance) == (None, T, 1 / N)
    with pytest.raises(UsageError, match="text: expected a task whose data are drawn, got stored"):
        task.sample(None, 1)


def test_each_place_goes_on_through_the_text():
    """Oracle: tokens that are their own positions. Catches a segment that begins one token late, so
    that a target is never an input, batches that restart, and a stop at the end of the text."""
    read = counting().read(np.array([0, 1]), 3, 200, B)
    assert read.shape == (2, 200, B, T + 1)
    # After the end of the split, position 999, comes position 0.
    assert (np.diff(read, axis=-1) % N == 1).all()
    assert read.max() == N - 1
    np.testing.assert_array_equal(read[:, 1:, :, 0], read[:, :-1, :, -1])


def test_each_trial_reads_the_whole_split():
    """Identity: an epoch's inputs are the split, each token once. Catches streams that overlap, and
    a remainder that is never read."""
    task = counting(length=5, train=1000)
    read = task.read(np.array([7]), 0, 50, B)[0, :, :, :-1]
    np.testing.assert_array_equal(np.sort(read.ravel()), np.arange(1000))


def test_what_is_read_depends_on_the_step_and_seed_alone():
    """Identity. Catches data that depend on where a run was resumed, and trials that read alike."""
    task = counting()
    seeds = np.array([3, 4])
    whole = task.read(seeds, 0, 20, B)
    np.testing.assert_array_equal(task.read(seeds, 12, 8, B), whole[:, 12:])
    np.testing.assert_array_equal(task.read(seeds[1:], 0, 20, B)[0], whole[1])
    assert not np.array_equal(whole[0], whole[1])


def test_held_out_streams_go_on_and_are_of_the_validation_split():
    """Oracle: positions. Catches windows that overlap, and a leak from the training split."""
    task = counting(validation=4 * 3 * T + 1)
    held_out = task.held_out(12, 4)
    assert held_out.shape == (3, 4, T + 1)
    np.testing.assert_array_equal(held_out[1:, :, 0], held_out[:-1, :, -1])
    assert len(np.unique(held_out[..., :-1])) == 4 * 3 * T
    with pytest.raises(UsageError, match=r"training.evaluation_sequences: 12 of length=7 expected"):
        counting(validation=4 * 3 * T).held_out(12, 4)


def test_the_baseline_is_that_of_frequencies():
    """By hand: three tokens seen 1, 2 and 5 times of 8, one more of each of 256. Catches
    frequencies of the held-out split, on which losses are measured."""
    splits = {
        "train": Split(np.array([0, 1, 1, 2, 2, 2, 2, 2]), 8, 0),
        "validation": Split(np.array([0, 2, 2, 9]), 4, 0),
        "test": Split(np.arange(9), 9, 0),
    }
    task = TextPrediction(Text(Bytes(), splits, "small"), 2)
    total = 8 + 256
    expected = -np.mean(np.log(np.array([2, 6, 6, 1]) / total))
    assert task.baseline == pytest.approx(expected)
    assert task.accuracy_without_memory == 0.5


def test_a_split_shorter_than_a_segment_is_one_line():
    """Catches an index error in the middle of a run."""
    with pytest.raises(
        UsageError,
        match=r"text counted: the test split has 50 tokens, expected more than length=50",
    ):
        counting(length=50)
