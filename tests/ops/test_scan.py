"""Sequence lengths, resets and reversal against a plain loop over single sequences."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from jax.test_util import check_grads

from lstm_attn import ops
from tests import oracles
from tests.ops import test_gru, test_lstm

BATCH, LENGTH = 4, 5


def lstm_case(seed, implementation):
    """Function, parameters, inputs, state as arrays, and the equations for one step of one row."""
    params, inputs, state = test_lstm.random_case(seed, BATCH, LENGTH, 3, 2)

    def step(x, h, c):
        _, h, c = oracles.lstm(*params, x[None, None], h[None], c[None])
        return h[0], c[0]

    def run(params, inputs, state, **options):
        outputs, last = ops.lstm(
            params, inputs, ops.LSTMState(*state), implementation=implementation, **options
        )
        return outputs, tuple(last)

    return run, params, inputs, tuple(state), step


def gru_case(seed, implementation):
    params, inputs, state = test_gru.random_case(seed, BATCH, LENGTH, 3, 2)

    def step(x, h):
        _, h = oracles.gru(*params, x[None, None], h[None])
        return (h[0],)

    def run(params, inputs, state, **options):
        outputs, last = ops.gru(params, inputs, *state, implementation=implementation, **options)
        return outputs, (last,)

    return run, params, inputs, (state,), step


CASES = {
    f"{cell} {implementation}": partial(case, implementation=implementation)
    for cell, case in (("lstm", lstm_case), ("gru", gru_case))
    for implementation in ("scan", "fused")
}


def loop(step, inputs, state, lengths, resets, reverse):
    """Each sequence alone, step by step, up to its own end."""
    outputs = np.zeros((BATCH, LENGTH, state[0].shape[-1]))
    final = [np.array(leaf) for leaf in state]
    for b in range(BATCH):
        row = [leaf[b] for leaf in state]
        order = range(lengths[b])
        for t in reversed(order) if reverse else order:
            if resets[b, t]:
                row = [np.zeros_like(leaf) for leaf in row]
            row = step(inputs[b, t], *row)
            outputs[b, t] = row[0]
        for leaf, value in zip(final, row, strict=True):
            leaf[b] = value
    return outputs, final


@pytest.mark.parametrize("cell", CASES)
@given(
    seed=st.integers(0, 2**16),
    extra=st.lists(st.integers(0, LENGTH), min_size=1, max_size=1),
    with_resets=st.booleans(),
    reverse=st.booleans(),
)
@pytest.mark.full_but("lstm scan", "gru fused")
def test_values_are_those_of_a_loop_over_each_sequence(cell, seed, extra, with_resets, reverse):
    """Oracle: the equations in float64, for lengths 0, 1, T and a random one. Catches a state that
    runs on past the end, a reset one step late, a reversal that starts in the padding."""
    run, params, inputs, state, step = CASES[cell](seed)
    rng = np.random.default_rng(seed)
    lengths = rng.permutation([0, 1, LENGTH, *extra])
    resets = (rng.random((BATCH, LENGTH)) < 0.3) & with_resets
    expected, final = loop(step, inputs, state, lengths, resets, reverse)
    with jax.enable_x64(True):
        options = {"seq_lengths": jnp.asarray(lengths), "reverse": reverse}
        if with_resets:
            options["resets"] = jnp.asarray(resets)
        outputs, last = run(params, jnp.asarray(inputs), tuple(map(jnp.asarray, state)), **options)
    np.testing.assert_allclose(outputs, expected, rtol=1e-12, atol=1e-14)
    for ours, theirs in zip(last, final, strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize("cell", CASES)
def test_resets_and_reversal_without_lengths(cell, float64):
    """Oracle: the same loop with every length T. Catches options that work only in combination."""
    run, params, inputs, state, step = CASES[cell](1)
    resets = np.random.default_rng(1).random((BATCH, LENGTH)) < 0.4
    whole = np.full(BATCH, LENGTH)
    outputs, _ = run(params, jnp.asarray(inputs), state, resets=resets, reverse=True)
    expected, _ = loop(step, inputs, state, whole, resets, True)
    np.testing.assert_allclose(outputs, expected, rtol=1e-12)


@pytest.mark.full_but("lstm scan-True", "gru fused-True")
@pytest.mark.parametrize("reverse", [False, True])
@pytest.mark.parametrize("cell", CASES)
def test_gradients_match_finite_differences(cell, reverse, float64):
    """Oracle: central differences in float64. Catches a gradient across a reset or an end."""
    run, params, inputs, state, _ = CASES[cell](2)
    resets = jnp.asarray(np.random.default_rng(2).random((BATCH, LENGTH)) < 0.3)
    lengths = jnp.array([0, 1, LENGTH, 3])

    def scalar(params, inputs, state):
        outputs, last = run(
            params, inputs, state, seq_lengths=lengths, resets=resets, reverse=reverse
        )
        return jnp.sum(jnp.sin(outputs)) + sum(jnp.sum(jnp.cos(leaf)) for leaf in last)

    case = jax.tree.map(jnp.asarray, (params, inputs, state))
    check_grads(scalar, case, order=1, modes=["fwd", "rev"], eps=1e-6)


@pytest.mark.parametrize("cell", CASES)
@pytest.mark.full_but("lstm scan", "lstm fused")
def test_nothing_in_the_padding_reaches_values_or_gradients(cell):
    """Identity: NaN in the padding changes nothing. Catches 0 x NaN in the backward pass."""
    run, params, inputs, state, _ = CASES[cell](3)
    params, inputs, state = jax.tree.map(
        lambda a: jnp.asarray(a, jnp.float32), (params, inputs, state)
    )
    lengths = jnp.array([0, 1, LENGTH, 3])
    padded = jnp.arange(LENGTH)[None] >= lengths[:, None]

    def scalar(params, inputs):
        outputs, last = run(params, inputs, state, seq_lengths=lengths)
        return jnp.sum(outputs**2) + sum(jnp.sum(leaf**2) for leaf in last)

    clean = jax.value_and_grad(scalar)(params, inputs)
    dirty = jax.value_and_grad(scalar)(params, jnp.where(padded[..., None], jnp.nan, inputs))
    jax.tree.map(np.testing.assert_array_equal, clean, dirty)


def scans(jaxpr):
    """Every scan of a traced program, those inside other operations too."""
    for equation in jaxpr.eqns:
        if equation.primitive.name == "scan":
            yield equation
        for inner in jax.tree.leaves(list(equation.params.values()), is_leaf=is_program):
            if is_program(inner):
                yield from scans(getattr(inner, "jaxpr", inner))


def is_program(value):
    return hasattr(value, "eqns") or hasattr(value, "jaxpr")


@pytest.mark.parametrize("cell", CASES)
def test_the_final_state_is_not_picked_from_a_stack_of_all(cell):
    """Oracle: the traced program, whose scan stacks one array over time, the outputs. Catches T
    states kept to pick the last real one, which costs O(T B H)."""
    run, params, inputs, state, _ = CASES[cell](4)
    arrays = jax.tree.map(lambda a: jnp.asarray(a, jnp.float32), (params, inputs, state))
    lengths = jnp.array([0, 1, 4, 3])
    traced = jax.make_jaxpr(lambda *case: run(*case, seq_lengths=lengths))(*arrays)
    (scan,) = scans(traced.jaxpr)
    stacked = [v for v in scan.outvars if v.aval.shape[:2] == (LENGTH, BATCH)]
    assert len(stacked) == 1
    assert all(v.aval.shape == (BATCH, 2) for v in scan.outvars if v not in stacked)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"seq_lengths": np.zeros(3, np.int32)}, r"lstm: seq_lengths \[B\] expected shape \(4\), got \(3,\)"),
        ({"seq_lengths": np.zeros(4, np.float32)}, "lstm: seq_lengths expected integers, got float32"),
        ({"resets": np.zeros((4, 6), bool)}, r"lstm: resets \[B, T\] expected shape \(4, 5\)"),
        ({"resets": np.zeros((4, 5), np.float32)}, "lstm: resets expected boolean, got float32"),
    ],
)  # fmt: skip
def test_options_that_do_not_fit_are_one_line(options, message):
    """Catches a mask that is silently broadcast."""
    params, inputs, _ = test_lstm.random_case(0, BATCH, LENGTH, 3, 2, np.float32)
    with pytest.raises(ValueError, match=message):
        ops.lstm(params, inputs, **options)


@pytest.mark.parametrize("name", ["lstm", "gru", "pooling"])
def test_ops_run_inside_shard_map_as_outside(name):
    """Oracle: no mesh. Catches zeros that shard_map takes to be the same on every device."""
    mesh = jax.make_mesh((4,), ("batch",), axis_types=(jax.sharding.AxisType.Auto,))
    functions = {
        "lstm": lambda x: ops.lstm(test_lstm.random_case(0, 4, 5, 3, 2, np.float32)[0], x)[0],
        "gru": lambda x: ops.gru(test_gru.random_case(0, 4, 5, 3, 2, np.float32)[0], x)[0],
        "pooling": lambda x: ops.attention_pooling(x[..., 0], x)[0],
    }
    inputs = jnp.asarray(test_lstm.random_case(0, 4, 5, 3, 2, np.float32)[1])
    along = jax.sharding.PartitionSpec("batch")
    sharded = jax.shard_map(functions[name], mesh=mesh, in_specs=along, out_specs=along)
    np.testing.assert_allclose(
        jax.jit(sharded)(inputs), functions[name](inputs), atol=oracles.LAYER
    )
