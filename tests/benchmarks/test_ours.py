"""Our own contenders give equal results at a tiny size, on one device or several."""

import pytest

from benchmarks import contenders
from benchmarks.workloads import Attention, Recurrent, Training
from tests.benchmarks.test_comparison import run

SIZES = (4, 6, 3, 5)


def names(comparison):
    return {row["name"] for row in comparison.rows}


@pytest.mark.full
@pytest.mark.parametrize("cell", ["lstm", "gru"])
def test_layers_of_all_implementations(cell):
    """Oracle: `scan` on one device; outputs and gradients. Catches gradients of one device's batch,
    and another scale of the inputs' gradient."""
    cases = [
        Recurrent(cell, *SIZES, direction="forward"),
        Recurrent(cell, *SIZES, direction="forward and backward"),
    ]
    mine = contenders.layers(cases[0], with_peers=False)
    comparison, _ = run(*mine, cases=cases, rounds=1)
    assert names(comparison) == {contender.name for contender in mine}
    assert len(comparison.rows) == 2 * len(mine)
    assert all(row["compile_seconds"] > 0 for row in comparison.rows)


@pytest.mark.full
def test_training_of_all_implementations():
    """Oracle: `scan` on one device; losses of several steps. Catches gradients of one device's
    batch, and data that depend on the mesh."""
    case = Training("lstm", *SIZES)
    mine = contenders.training(case, with_peers=False, steps=3)
    comparison, _ = run(*mine, cases=[case], rounds=1)
    assert names(comparison) == {contender.name for contender in mine}


@pytest.mark.full
def test_attention_of_all_implementations_and_of_jax():
    """Oracle: the dense implementation, and jax.nn's. Catches a mask on one side only."""
    case = Attention(2, 16, 4, 8, True, "forward and backward")
    mine = contenders.attention(case, with_peers=False)
    comparison, _ = run(*mine, cases=[case], rounds=1)
    assert names(comparison) >= {"ours, dense", "ours, auto", "jax.nn"}


def test_dense_attention_stays_out_where_the_logits_would_not_fit():
    """Oracle: 4 B N T^2 against a gibibyte. Catches a benchmark that runs out of memory."""
    at = {
        length: [
            contender.name
            for contender in contenders.attention(
                Attention(1, length, 4, 32, True, "forward"), with_peers=True
            )
        ]
        for length in (8192, 16384)
    }
    assert at[8192] == ["ours, dense", "jax.nn", "ours, auto", "ours, chunked", "torch"]
    assert at[16384] == ["ours, chunked", "torch"]
