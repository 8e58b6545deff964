"""Our own contenders give equal results at a tiny size, on one device or several."""

import pytest

from benchmarks import lineup
from benchmarks.workloads import Attention, Recurrent, Training
from tests.benchmarks.test_comparison import run


def names(comparison):
    return {row["name"] for row in comparison.rows}


@pytest.mark.full
@pytest.mark.parametrize("cell", ["lstm", "gru"])
def test_layers_and_training_of_all_implementations(cell):
    """Oracle: `scan` on one device; outputs, gradients, and losses of several steps. Catches
    gradients of one device's batch, another scale of the inputs' gradient, and data that depend on
    the mesh."""
    sizes = (4, 6, 3, 5)
    cases = [
        Recurrent(cell, *sizes, direction="forward"),
        Recurrent(cell, *sizes, direction="forward and backward"),
    ]
    mine = lineup.layers(cases[0], with_peers=False)
    comparison, _ = run(*mine, cases=cases, rounds=1)
    assert names(comparison) == {contender.name for contender in mine}
    assert len(comparison.rows) == 2 * len(mine)
    assert all(row["compile_seconds"] > 0 for row in comparison.rows)
    case = Training(cell, *sizes)
    mine = lineup.training_loops(case, steps=3, with_peers=False)
    comparison, _ = run(*mine, cases=[case], rounds=1)
    assert names(comparison) == {contender.name for contender in mine}


@pytest.mark.full
def test_attention_of_all_implementations_and_of_jax():
    """Oracle: the dense implementation, and jax.nn's. Catches a mask on one side only."""
    case = Attention(2, 16, 4, 8, True, "forward and backward")
    mine = lineup.attention(case, with_peers=False)
    comparison, _ = run(*mine, cases=[case], rounds=1)
    assert names(comparison) >= {"ours, dense", "ours, auto", "jax.nn"}


def test_dense_attention_stays_out_where_the_logits_would_not_fit():
    """Oracle: 4 B N T^2 against a gibibyte. Catches a benchmark that runs out of memory."""
    at = {
        length: [
            contender.name
            for contender in lineup.attention(
                Attention(1, length, 4, 32, True, "forward"), with_peers=True
            )
        ]
        for length in (8192, 16384)
    }
    assert at[8192] == ["ours, dense", "jax.nn", "ours, auto", "ours, chunked", "torch"]
    assert at[16384] == ["ours, chunked", "torch"]
