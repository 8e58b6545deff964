"""A cell that no memory can hold is refused before anything is compiled for it."""

import math

import jax
import pytest

from lstm_attn import tasks
from lstm_attn.errors import UsageError
from lstm_attn.models import MODELS, ModelConfig
from lstm_attn.runner import memory_check
from lstm_attn.runner.cell import Cell
from lstm_attn.training import TrainingConfig


def make_cell(name="lstm", features=32, length=4, **training):
    task, settings = tasks.adding(length), TrainingConfig(**training)
    return Cell(f"adding-{length}-{name}", name, task, ModelConfig(features=features), settings)


@pytest.mark.parametrize("name", ["lstm", "transformer"])
def test_the_bound_is_near_what_the_states_take_and_never_far_above(name):
    """Oracle: the sizes of the parameters, three times over, by JAX. Catches a cell refused
    although it fits: a gate, a moment or a trial counted twice."""
    cell = make_cell(name, features=64, seeds=3)
    params = jax.eval_shape(cell.build().init, jax.random.key(0))
    bytes_of_params = sum(4 * math.prod(leaf.shape) for leaf in jax.tree.leaves(params))
    states, batch = memory_check.least_bytes(cell)
    assert 0.8 < states / (3 * 3 * bytes_of_params) < 1.05
    assert batch == 32 * 4 * (2 + 1) * 4


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"features": 2**31 - 2}, "features=2147483646"),
        ({"features": 10**6}, "features=1000000"),
        ({"seeds": 2**31 - 1}, "2147483647 trials"),
        ({"batch_size": 2**31 - 1, "length": 10**5}, "batch of 2147483647 sequences"),
        ({"length": 2**31 - 1}, "T = 2147483647"),
    ],
)
def test_a_size_beyond_any_machine_is_one_line(settings, message):
    """Catches an hour of compilation, an overflow inside JAX, and a message without the size."""
    cell = make_cell(**settings)
    with pytest.raises(UsageError, match=f"{cell.name} needs more than .* GiB .*{message}.*; this"):
        memory_check.check_fits([make_cell(), cell])


def test_cells_of_a_usual_size_fit(monkeypatch):
    """On a machine of 1 GiB. Catches a wrong unit."""
    monkeypatch.setattr(memory_check, "machine_bytes", lambda: 2**30)
    memory_check.check_fits(
        [make_cell(name, features=256, length=1000, seeds=8) for name in MODELS]
    )
    with pytest.raises(UsageError):
        memory_check.check_fits([make_cell(features=4096, seeds=8)])


def test_memory_that_is_not_known_refuses_nothing(monkeypatch):
    """Catches a platform that reports no memory, on which nothing would run."""
    monkeypatch.setattr(memory_check, "machine_bytes", lambda: None)
    memory_check.check_fits([make_cell(features=10**6)])


def test_errors_that_mean_out_of_memory():
    """Oracle: JAX's own error, of an array that no machine holds. Catches another error taken for
    it, whose traceback would be lost."""
    with pytest.raises(jax.errors.JaxRuntimeError) as caught:
        jax.numpy.zeros((2**31 - 1, 2**20), "float32").block_until_ready()
    assert "out of memory" in str(memory_check.out_of_memory(caught.value))
    assert "\n" not in str(memory_check.out_of_memory(caught.value))
    assert memory_check.out_of_memory(MemoryError()) is not None
    assert memory_check.out_of_memory(jax.errors.JaxRuntimeError("INTERNAL: x")) is None
