"""Where the kernel is not run: for other platforms, in files, on batches that XLA splits."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.sharding import AxisType, NamedSharding
from jax.sharding import PartitionSpec as P

from lstm_attn import ops
from tests import meshed, oracles
from tests.native.test_in_the_op import NATIVE, arrays
from tests.ops import test_placement
from tests.ops.test_implementations import scalar_of
from tests.training import hlo

KERNEL = "lstm_attn_lstm_"


def gradient(**options):
    return jax.jit(jax.grad(scalar_of(ops.lstm, **options), (0, 1, 2)))


@pytest.mark.parametrize("options", [{}, NATIVE], ids=["auto", "native"])
def test_only_a_program_for_a_cpu_has_the_kernel(compiled, options):
    """Oracle: the lowered text. Catches a call in a program for a TPU that only a CPU has."""
    traced = gradient(**options).trace(*arrays())
    for platform, has_kernel in (("cpu", True), ("cuda", False), ("tpu", False)):
        text = traced.lower(lowering_platforms=(platform,)).as_text()
        assert (KERNEL in text) is has_kernel, platform


@pytest.mark.parametrize("order", ["values", "gradient"])
def test_a_batch_that_xla_splits_is_not_gathered(compiled, order):
    """Oracle: one device; the compiled text. At trace time nothing tells how these arrays will lie.
    Catches a kernel for which XLA gathers the batch on each device."""
    mesh = jax.make_mesh((4,), ("d",), axis_types=(AxisType.Auto,))
    rows, whole = NamedSharding(mesh, P("d")), NamedSharding(mesh, P())
    plain = gradient() if order == "gradient" else jax.jit(lambda *given: ops.lstm(*given))
    split = jax.jit(plain, in_shardings=(whole, rows, rows))
    given = jax.tree.map(np.asarray, arrays())
    program = split.lower(*given).compile()
    text = program.as_text()
    assert KERNEL not in text
    assert hlo.collectives(text) == ([("all-reduce", ())] if order == "gradient" else [])
    for ours, theirs in zip(
        jax.tree.leaves(program(*given)), jax.tree.leaves(plain(*arrays())), strict=True
    ):
        np.testing.assert_allclose(ours, theirs, atol=oracles.MODEL)


def test_the_kernel_is_not_exported_and_says_what_is(compiled):
    """Oracle: the numbers of the kernel. Catches JAX's `Cannot serialize code with custom calls`."""
    with pytest.raises(ValueError, match="expected 'auto', 'fused' or 'scan'") as caught:
        jax.export.export(gradient(**NATIVE), platforms=["cpu"])(*arrays())
    assert "\n" not in str(caught.value)
    exported = jax.export.export(gradient(), platforms=["cpu"])(*arrays())
    jax.tree.map(
        lambda ours, theirs: np.testing.assert_allclose(ours, theirs, atol=oracles.MODEL),
        exported.call(*arrays()),
        gradient(**NATIVE)(*arrays()),
    )


def test_trials_that_are_mapped_are_exported(compiled):
    """Oracle: one trial after another. Catches a portable form that lacks the mapped axis."""
    params, inputs, state = arrays()
    trials = jnp.stack([inputs, inputs / 2])

    def mapped(trials):
        return jax.vmap(lambda x: ops.lstm(params, x, state)[0])(trials)

    exported = jax.export.export(jax.jit(mapped), platforms=["cpu", "tpu"])(trials)
    for ours, x in zip(exported.call(trials), trials, strict=True):
        np.testing.assert_allclose(ours, ops.lstm(params, x, state)[0], atol=oracles.MODEL)


@pytest.mark.parametrize("kind", ["explicit", "manual"])
def test_each_device_runs_the_kernel_on_its_own_rows(compiled, kind):
    """Oracle: the compiled text. Catches the slower form where the kernel may run, as in training."""
    case = test_placement.CASES["lstm auto"]
    forward = meshed.programs(*case, kind, 4)[0]
    assert KERNEL in forward.as_text()
