"""Every library that the benchmarks time, against ours: outputs, gradients, losses in training."""

import numpy as np
import pytest
from jax.experimental import rnn

from benchmarks import contenders, jitted, ours
from benchmarks.peers import jax_libraries
from benchmarks.workloads import Attention, Recurrent, Training
from tests import oracles
from tests.benchmarks.test_comparison import run
from tests.benchmarks.test_ours import names

SIZES = (4, 6, 3, 5)
NAMES = ("input_size", "hidden_size", "num_layers", "dropout", "bidirectional")
# What may be left out, and why.
REASONS = (
    "needs a GPU",
    "torch.compile does not work here",
    "is not installed",
)


def took_part(everyone, comparison):
    """The contenders that ran; the others must have a known reason."""
    for skip in comparison.skipped:
        assert any(reason in skip["reason"] for reason in REASONS), skip
    skipped = {skip["name"] for skip in comparison.skipped}
    assert names(comparison) | skipped == {contender.name for contender in everyone}
    return names(comparison)


@pytest.mark.parametrize("cell", ["lstm", "gru"])
def test_layers(cell):
    """Oracle: the libraries themselves, by the check that every benchmark makes. Catches gates,
    biases or gradients in another order, which would time another function."""
    cases = [
        Recurrent(cell, *SIZES, direction="forward"),
        Recurrent(cell, *SIZES, direction="forward and backward"),
    ]
    everyone = contenders.layers(cases[0], with_peers=True)
    comparison, _ = run(*everyone, cases=cases, rounds=1)
    there = took_part(everyone, comparison)
    assert there >= {"torch", "equinox", f"linen {cell.upper()}Cell"}


def test_training_loops():
    """Oracle: the libraries' own losses over steps of Adam on the same data. Catches a loop that
    does not train, another learning rate or loss."""
    case = Training("lstm", *SIZES)
    everyone = contenders.training(case, with_peers=True, steps=3)
    comparison, _ = run(*everyone, cases=[case], rounds=1)
    assert took_part(everyone, comparison) >= {"torch", "equinox"}


def test_attention():
    """Oracle: jax.nn and torch. Catches heads and time exchanged on the way to torch."""
    case = Attention(2, 16, 4, 8, True, "forward and backward")
    everyone = contenders.attention(case, with_peers=True)
    comparison, _ = run(*everyone, cases=[case], rounds=1)
    assert "torch" in names(comparison)


def test_parameters_go_to_cudnn_and_back(monkeypatch):
    """Oracle: jax's reference of cuDNN's function, which runs without a GPU. Catches weights and
    biases in another order in cuDNN's one array."""
    case = Recurrent("lstm", *SIZES, direction="forward and backward")

    def reference(inputs, h, c, weights, lengths, **sizes):
        sizes = [sizes[name] for name in NAMES]
        parts = rnn.unpack_lstm_weights(weights, *sizes[:3], sizes[4])
        return rnn.lstm_ref(inputs, h, c, *parts, lengths, *sizes)

    monkeypatch.setattr(rnn, "lstm", reference)
    theirs = jitted.layer(case, jax_libraries.cudnn_network(case)).values
    mine = ours.layer(case, implementation="scan").values
    for name in ("kernel", "recurrent_kernel", "bias", "inputs"):
        np.testing.assert_allclose(theirs[name], mine[name], rtol=1e-4, atol=oracles.MODEL)
