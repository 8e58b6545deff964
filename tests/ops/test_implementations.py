"""Every implementation of the recurrent layers, and segments, against the plain scan.

The plain scan is held to the equations by test_lstm.py, test_gru.py and test_scan.py.
"""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from lstm_attn import ops
from lstm_attn.ops import fused
from tests import oracles
from tests.ops import test_gru, test_lstm, test_scan
from tests.pairs import in_pairs

BATCH, LENGTH, FEATURES_IN, FEATURES = 4, 7, 3, 5
SCAN = {"implementation": "scan"}
OTHERS = {
    "fused": {"implementation": "fused"},
    "segments of 1": {"implementation": "scan", "segment": 1},
    "segments of 3": {"implementation": "scan", "segment": 3},
    "segments of T": {"implementation": "scan", "segment": LENGTH},
    "segments beyond T": {"implementation": "scan", "segment": LENGTH + 2},
    "fused segments": {"implementation": "fused", "segment": 3},
}
LENGTHS = np.array([0, 1, LENGTH, 4])
RESETS = np.random.default_rng(0).random((BATCH, LENGTH)) < 0.4
OPTIONS = {
    "plain": {},
    "lengths and resets": {"seq_lengths": LENGTHS, "resets": RESETS},
    "all, reversed": {"seq_lengths": LENGTHS, "resets": RESETS, "reverse": True},
}
CELLS = ("lstm", "gru")


def case(cell, dtype=np.float64):
    """The op, its parameters, inputs and state as arrays."""
    module = {"lstm": test_lstm, "gru": test_gru}[cell]
    arrays = module.random_case(0, BATCH, LENGTH, FEATURES_IN, FEATURES, dtype)
    return {"lstm": ops.lstm, "gru": ops.gru}[cell], *jax.tree.map(jnp.asarray, arrays)


def scalar_of(op, **options):
    """A sum of all outputs and states, each with its own weight."""

    def scalar(params, inputs, state):
        outputs, last = op(params, inputs, state, **options)
        leaves = [outputs.astype(ops.accumulator(outputs.dtype)), *jax.tree.leaves(last)]
        return sum(jnp.sum(jnp.sin(leaf + n)) for n, leaf in enumerate(leaves))

    return scalar


def assert_close(ours, theirs, **tolerance):
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, **tolerance), ours, theirs)


@in_pairs(
    ("lstm", "fused", "all, reversed"),
    ("gru", "fused segments", "lengths and resets"),
    cell=CELLS,
    other=OTHERS,
    options=OPTIONS,
)
def test_values_gradients_and_directional_derivatives_are_those_of_the_scan(
    cell, other, options, float64
):
    """Oracle: the plain scan and its transpose by JAX, in float64. Catches a wrong slope, a
    derivative that crosses a reset or an end, a segment that is lost or run twice."""
    op, *arrays = case(cell)
    results = []
    for choice in (SCAN, OTHERS[other]):
        scalar = scalar_of(op, **choice, **OPTIONS[options])
        outputs = op(*arrays, **choice, **OPTIONS[options])
        gradients = jax.grad(scalar, (0, 1, 2))(*arrays)
        _, slope = jax.jvp(scalar, tuple(arrays), tuple(jax.tree.map(jnp.cos, arrays)))
        results.append((outputs, gradients, slope))
    assert_close(*results, rtol=1e-10, atol=1e-12)


@pytest.mark.full
@pytest.mark.parametrize("cell", CELLS)
def test_second_derivatives_are_those_of_the_scan(cell, float64):
    """Oracle: JAX's derivative of the scan's gradient, forward and reverse. Catches a rule that
    holds constant what it should differentiate."""
    op, params, inputs, state = case(cell)

    def curvature(outer, **choice):
        scalar = scalar_of(op, **choice)
        return outer(jax.grad(lambda x: scalar(params, inputs * x, state)))(jnp.float64(0.7))

    for outer in (jax.jacfwd, jax.jacrev):
        expected = curvature(outer, **SCAN)
        np.testing.assert_allclose(curvature(outer, **OTHERS["fused"]), expected, rtol=1e-9)
        np.testing.assert_allclose(curvature(outer, **OTHERS["segments of 3"]), expected, rtol=1e-9)


@pytest.mark.full_but("lstm-bfloat16")
@pytest.mark.parametrize("dtype", [jnp.float16, jnp.bfloat16, jnp.float32])
@pytest.mark.parametrize("cell", CELLS)
def test_gradients_are_as_near_to_float64_as_the_scans(cell, dtype, float64):
    """Oracle: the scan in float64. Catches gradients summed in the compute dtype: the error of each
    array may be at most twice the scan's own, and parameters' gradients are float32."""
    op, *arrays = case(cell)
    exact = jax.grad(scalar_of(op, **SCAN), (0, 1))(*arrays)
    params, inputs, state = jax.tree.map(lambda a: a.astype(jnp.float32), tuple(arrays))
    errors = []
    for choice in (SCAN, OTHERS["fused"]):
        low = jax.grad(scalar_of(op, **choice), (0, 1))(params, inputs.astype(dtype), state)
        assert {leaf.dtype for leaf in jax.tree.leaves(low[0])} == {jnp.dtype("float32")}
        assert low[1].dtype == dtype
        distance = jax.tree.map(lambda a, b: np.abs(np.float64(a) - b).max(), low, exact)
        errors.append(jax.tree.leaves(distance))
    assert np.all(np.array(errors[1]) < 2 * np.array(errors[0]))


@pytest.mark.parametrize("dtype", [jnp.float16, jnp.bfloat16])
def test_gradients_of_the_weights_count_every_step(dtype):
    """Oracle: ones counted up to an odd number that the dtype can't represent. Catches gradients of
    the weights that are summed in the compute dtype, or rounded to it."""
    steps = 2 * round(2 / float(jnp.finfo(dtype).eps)) + 1
    ones = jnp.ones((steps, 1, 1), dtype)

    def products(change):
        return fused.along_products((ones, change), bias=jnp.zeros(1))

    (gradient,) = jax.linear_transpose(products, jnp.zeros((1, 1)))(jnp.ones((steps, 1, 1)))
    assert gradient == steps


@pytest.mark.full_but("gru-fused")
@pytest.mark.parametrize("other", ["fused", "fused segments"])
@pytest.mark.parametrize("cell", CELLS)
def test_mapped_over_trials_as_one_after_another(cell, other, float64):
    """Oracle: a Python loop. Catches a rule that mixes the axis of trials with time or batch."""
    op, params, inputs, state = case(cell)
    gradient = jax.grad(scalar_of(op, seq_lengths=LENGTHS, **OTHERS[other]), (0, 1))
    trials = jax.tree.map(lambda leaf: jnp.stack([leaf, leaf * 0.5, -leaf]), (params, inputs))
    mapped = jax.vmap(gradient, (0, 0, None))(*trials, state)
    for trial in range(3):
        one = jax.tree.map(lambda leaf, trial=trial: leaf[trial], trials)
        alone = gradient(*one, state)
        assert_close(jax.tree.map(lambda leaf, t=trial: leaf[t], mapped), alone, rtol=1e-10)


@pytest.mark.full
@pytest.mark.parametrize("check_vma", [False, True])
@pytest.mark.parametrize("other", ["fused", "fused segments"])
@pytest.mark.parametrize("cell", CELLS)
def test_gradients_inside_shard_map_are_those_outside(cell, other, check_vma):
    """Oracle: no mesh. Catches a zero tangent or state that shard_map takes for replicated."""
    op, params, inputs, _ = case(cell, np.float32)
    mesh = jax.make_mesh((4,), ("batch",), axis_types=(jax.sharding.AxisType.Auto,))
    along = jax.sharding.PartitionSpec("batch")

    def gradient(inputs):
        return jax.grad(lambda x: jnp.sum(op(params, x, **OTHERS[other])[0] ** 2))(inputs)

    sharded = jax.shard_map(
        gradient, mesh=mesh, in_specs=along, out_specs=along, check_vma=check_vma
    )
    np.testing.assert_allclose(jax.jit(sharded)(inputs), gradient(inputs), atol=oracles.MODEL)


@pytest.mark.parametrize("cell", CELLS)
def test_the_fused_gradient_of_the_weights_is_no_sum_inside_a_loop(cell):
    """Oracle: the traced program. Catches a product of the weights' shape in the body of a scan,
    which makes the plain scan's backward pass slow."""
    op, *arrays = case(cell, np.float32)

    def shapes_in_loops(choice):
        traced = jax.make_jaxpr(jax.grad(scalar_of(op, **choice)))(*arrays)
        return {
            variable.aval.shape
            for scan in test_scan.scans(traced.jaxpr)
            for equation in scan.params["jaxpr"].jaxpr.eqns
            for variable in equation.outvars
            if equation.primitive.name in ("dot_general", "add", "add_any")
        }

    recurrent_kernel = arrays[0].recurrent_kernel.shape
    assert recurrent_kernel in shapes_in_loops(SCAN)
    assert recurrent_kernel not in shapes_in_loops(OTHERS["fused"])


@pytest.mark.parametrize("implementation", ["scan", "fused"])
def test_segments_keep_less_than_all_steps(implementation):
    """Oracle: the compiled program's own account. Catches segments that are all stored at once."""
    params, inputs, _ = test_lstm.random_case(0, 2, 1024, 2, 8, np.float32)

    def temporary_bytes(segment):
        def last(params):
            _, state = ops.lstm(params, inputs, implementation=implementation, segment=segment)
            return jnp.sum(state.h)

        return jax.jit(jax.grad(last)).lower(params).compile().memory_analysis().temp_size_in_bytes

    assert temporary_bytes(32) < temporary_bytes(None) / 5


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"implementation": "fast"}, "unknown lstm: implementation 'fast': .*auto, scan, fused"),
        ({"segment": 0}, "lstm: segment: expected at least 1, got 0"),
        ({"segment": 2.0}, "lstm: segment: expected a whole number, got 2.0"),
    ],
)
def test_unknown_choices_are_one_line(options, message):
    """Catches a name that falls through to another implementation."""
    params, inputs, _ = test_lstm.random_case(0, 2, 3, 2, 2, np.float32)
    with pytest.raises(ValueError, match=message):
        ops.lstm(params, inputs, **options)


def test_a_form_without_a_fused_implementation_is_refused():
    """Catches the reset before the product computed as the reset after it."""
    params, inputs, _ = test_gru.random_case(0, 2, 3, 2, 2, np.float32)
    with pytest.raises(ValueError, match="gru: implementation='fused' has no form for reset_after"):
        ops.gru(params, inputs, reset_after=False, implementation="fused")
