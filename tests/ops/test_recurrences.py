"""The linear recurrences and matrix memories: every op, in every variant and implementation."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.test_util import check_grads

from lstm_attn import ops
from tests import memory_oracles, oracles, recurrence_cases
from tests.recurrence_cases import BEYOND, SIZES, VARIANTS

BATCH, LENGTH = SIZES["B"], SIZES["T"]
LENGTHS = np.array([0, 1, LENGTH, 4])
RESETS = np.random.default_rng(0).random((BATCH, LENGTH)) < 0.3
NO_RESETS, WHOLE = np.zeros((BATCH, LENGTH), bool), np.full(BATCH, LENGTH)
OPTIONS = ("plain", "all", "all, reversed")
# Each variant in chunks, and its other forms with each of the options in turn.
OF_VALUES = [(name, recurrence_cases.forms_of(name)[-1], OPTIONS[-1]) for name in VARIANTS]
OF_VALUES += [
    (name, form, OPTIONS[(number + number // 3) % 3])
    for number, (name, form) in enumerate(
        (name, form)
        for name in VARIANTS
        for form in (*recurrence_cases.forms_of(name)[:-1], BEYOND)
    )
]


def each(cases):
    """A table of (variant, form)."""
    return pytest.mark.parametrize(
        ("name", "form"), cases, ids=[f"{name}-{form}" for name, form in cases]
    )


def without_scan(cases):
    return [(name, form) for name, form in cases if form != "scan"]


each_form = each(recurrence_cases.each_form_once())


def random_case(name, dtype=np.float64):
    """Arrays [B, T, ...] by name, and the op's state."""
    drawn = recurrence_cases.draw(name, SIZES), recurrence_cases.draw_state(name, SIZES)
    return recurrence_cases.in_dtype(drawn, dtype)


def as_row(state, b):
    """A row of the op's state, as the oracle's."""
    if isinstance(state, ops.NormalisedMemory):
        scale = np.exp(np.asarray(state.log_scale[b], np.float64))
        memory, normaliser = (np.asarray(leaf[b], np.float64) for leaf in state[:2])
        return memory * scale[:, None, None], normaliser * scale[:, None]
    return np.asarray(state[b])


def run(name, form, arrays, state, **options):
    return recurrence_cases.called(name, form, arrays | {"initial_state": state}, **options)


def assert_is_loop(name, form, case, lengths, resets, reverse, rtol=1e-11):
    arrays, state = case
    before = tuple(state[:2]) if isinstance(state, ops.NormalisedMemory) else state
    exact = jax.tree.map(np.asarray, (arrays, before))
    expected, finals = memory_oracles.over_time(
        VARIANTS[name].oracle, *exact, lengths, resets, reverse
    )
    options = {"reverse": reverse}
    if lengths is not WHOLE:
        options["seq_lengths"] = lengths
    if resets is not NO_RESETS:
        options["resets"] = resets
    call = jax.jit(lambda arrays, state: run(name, form, arrays, state, **options))
    outputs, last = call(arrays, state)
    np.testing.assert_allclose(outputs, expected, rtol=rtol, atol=rtol)
    for b, final in enumerate(finals):
        for ours, theirs in zip(
            jax.tree.leaves(as_row(last, b)), jax.tree.leaves(final), strict=True
        ):
            np.testing.assert_allclose(ours, theirs, rtol=rtol, atol=rtol)


@pytest.mark.full_but(*(f"{name}-3-all, reversed" for name in VARIANTS))
@pytest.mark.parametrize(
    ("name", "form", "options"), OF_VALUES, ids=["-".join(map(str, case)) for case in OF_VALUES]
)
def test_values_are_those_of_a_loop_over_each_sequence(name, form, options, float64):
    """Oracle: the equations in float64 numpy. Catches an erasure on the side of the values, a decay
    after the write, a chunk off by one, a reset one step late, a reversal from the padding."""
    lengths, resets = (WHOLE, NO_RESETS) if options == "plain" else (LENGTHS, RESETS)
    assert_is_loop(name, form, random_case(name), lengths, resets, "reversed" in options)


def parts(array):
    """Real numbers of any array."""
    return (array.real, array.imag) if jnp.iscomplexobj(array) else (array,)


def scalar_of(name, form, **options):
    """A sum of all outputs and states, each with its own weight; real."""

    def scalar(arrays, state):
        outputs, last = run(name, form, arrays, state, **options)
        if isinstance(last, ops.NormalisedMemory):  # what any log_scale stands for
            scale = jnp.exp(last.log_scale)[..., None]
            last = (last.memory * scale[..., None], last.normaliser * scale)
        leaves = [part for leaf in jax.tree.leaves((outputs, last)) for part in parts(leaf)]
        carried = ops.accumulator(leaves[0].dtype)
        return sum(jnp.sum(jnp.sin(leaf.astype(carried) + n)) for n, leaf in enumerate(leaves))

    return scalar


@pytest.mark.full_but("delta decayed-False")
@pytest.mark.parametrize(
    ("name", "reverse"),
    [("delta decayed", False), ("complex", True), ("mLSTM", False), ("RWKV7", True)],
)
def test_the_scans_gradients_match_finite_differences(name, reverse, float64):
    """Oracle: central differences in float64, forward and reverse mode. Catches a gradient across a
    reset or an end."""
    scalar = scalar_of(name, "scan", seq_lengths=LENGTHS, resets=RESETS, reverse=reverse)
    check_grads(jax.jit(scalar), random_case(name), order=1, modes=["fwd", "rev"], eps=1e-6)


DIFFERENTIATED = [
    (name, form, number % 2 > 0)
    for number, (name, form) in enumerate(without_scan(recurrence_cases.one_form_each()))
]


@pytest.mark.full_but("real-fused", "delta products-3")
@pytest.mark.parametrize(
    ("name", "form", "reverse"), DIFFERENTIATED, ids=[f"{n}-{f}" for n, f, _ in DIFFERENTIATED]
)
def test_gradients_and_directional_derivatives_are_those_of_the_scan(name, form, reverse, float64):
    """Oracle: the scan's derivative in a random direction, in float64; and the direction's product
    with the gradient. Catches a transposed system that takes its own decay for its neighbour's, and
    a derivative that crosses a reset or an end."""
    case = random_case(name)
    rng = np.random.default_rng(2)
    way = jax.tree.map(lambda leaf: jnp.asarray(rng.normal(size=leaf.shape), leaf.dtype), case)
    ours, scan = (
        scalar_of(name, choice, seq_lengths=LENGTHS, resets=RESETS, reverse=reverse)
        for choice in (form, "scan")
    )

    @jax.jit
    def slopes(case, way):
        gradients = jax.grad(ours, (0, 1))(*case)
        products = jax.tree.map(lambda slope, by: jnp.sum((slope * by).real), gradients, way)
        return sum(jax.tree.leaves(products)), *(jax.jvp(f, case, way)[1] for f in (ours, scan))

    by_gradient, directional, expected = slopes(case, way)
    np.testing.assert_allclose(by_gradient, expected, rtol=1e-9)
    np.testing.assert_allclose(directional, expected, rtol=1e-9)


@pytest.mark.full_but("real-fused")
@each(without_scan(recurrence_cases.each_form_once()))
def test_gradients_of_gradients_match_finite_differences(name, form, float64):
    """Oracle: central differences of the gradient. Catches a rule for one order only."""
    arrays, state = random_case(name)

    def scalar(size):
        scaled = jax.tree.map(lambda array: array * size, arrays)
        return scalar_of(name, form, resets=RESETS)(scaled, state)

    slope = jax.jit(jax.grad(scalar))
    estimate = (slope(0.7 + 1e-5) - slope(0.7 - 1e-5)) / 2e-5
    for outer in (jax.jacfwd, jax.jacrev):
        np.testing.assert_allclose(jax.jit(outer(slope))(0.7), estimate, rtol=1e-6)


@pytest.mark.full_but("delta-3")
@each_form
def test_nan_does_not_pass_a_reset(name, form):
    """Identity: NaN changes nothing after a reset, in values or gradients; tests/ops/test_hidden.py
    has the padding and the states that no step reads. Catches 0 x NaN in a product over a chunk, or
    in the backward pass."""
    arrays, state = random_case(name, np.float32)
    at = 4  # in the middle of a chunk, and with the whole chunk before it
    resets = np.tile(np.arange(LENGTH) == at, (BATCH, 1))
    dirty = {key: array.at[:, :at].set(jnp.nan) for key, array in arrays.items()}

    @jax.jit
    def slopes(arrays):
        def scalar(arrays):
            outputs, last = run(name, form, arrays, state, resets=resets)
            leaves = jax.tree.leaves((outputs[:, at:], last))
            return sum(jnp.sum(jnp.abs(leaf) ** 2) for leaf in leaves)

        return jax.value_and_grad(scalar)(arrays)

    (value, gradients), (expected, expected_gradients) = slopes(dirty), slopes(arrays)
    assert np.isfinite(value)
    np.testing.assert_allclose(value, expected, rtol=1e-6)
    for key, theirs in expected_gradients.items():
        ours = gradients[key][:, at:]
        np.testing.assert_allclose(ours, theirs[:, at:], rtol=1e-5, atol=1e-6)


@pytest.mark.full_but("delta-3")
@each_form
def test_nan_at_a_step_is_seen_from_there_to_the_next_reset(name, form):
    """Oracle: the rows without NaN, and NaN elsewhere. Catches a shield that hides a divergence."""
    arrays, state = random_case(name, np.float32)
    resets = np.zeros((BATCH, LENGTH), bool)
    resets[:, 5] = True
    first = next(iter(arrays))
    array = arrays[first].at[1, 2].set(jnp.nan)
    call = jax.jit(lambda arrays: run(name, form, arrays, state, resets=resets)[0])
    outputs, usual = call(arrays | {first: array}), np.asarray(call(arrays))
    broken = np.isnan(outputs).reshape(BATCH, LENGTH, -1)
    # A query of NaN spoils its own step alone, a write all that read it.
    assert broken[1, 2].all()
    assert not broken[1, :2].any()
    assert not broken[1, 5:].any()
    assert not broken[[0, 2, 3]].any()
    np.testing.assert_allclose(outputs[:, 5:], usual[:, 5:], rtol=1e-5, atol=1e-6)


@pytest.mark.full_but("delta-3")
@each_form
def test_a_reset_is_a_fresh_start_and_a_state_goes_on(name, form):
    """Oracle: two runs. Catches a chunk that hands its state over a reset, and a final state that
    is not the initial one of what follows."""
    arrays, state = random_case(name, np.float32)
    call = jax.jit(lambda arrays, state, **options: run(name, form, arrays, state, **options))
    head, tail = (
        {key: array[:, part] for key, array in arrays.items()}
        for part in (slice(0, 4), slice(4, None))
    )
    first, between = call(head, state)
    near = functools.partial(np.testing.assert_allclose, rtol=1e-5, atol=1e-5)
    for resets, middle in (
        (None, between),
        (np.arange(LENGTH) == 4, jax.tree.map(jnp.zeros_like, between)),
    ):
        second, last = call(tail, middle)
        options = {} if resets is None else {"resets": np.tile(resets, (BATCH, 1))}
        whole, final = call(arrays, state, **options)
        near(whole, np.concatenate([first, second], axis=1))
        jax.tree.map(near, final, last)


@pytest.mark.full_but("real-fused", "delta-3")
@each_form
def test_bfloat16_inputs_are_read_and_not_computed_in(name, form):
    """Oracle: float32 on the same rounded numbers, whose outputs are rounded once. Catches a state
    or a product in bfloat16."""
    arrays, state = random_case(name, np.float32)
    low = {key: array.astype(jnp.bfloat16) for key, array in arrays.items()}
    high = {key: array.astype(np.float32) for key, array in low.items()}
    call = jax.jit(lambda arrays: run(name, form, arrays, state))
    (outputs, last), (expected, exact) = call(low), call(high)
    assert outputs.dtype == jnp.bfloat16
    assert {leaf.dtype.name for leaf in jax.tree.leaves(last)} == {"float32"}
    jax.tree.map(functools.partial(np.testing.assert_allclose, rtol=1e-5, atol=1e-6), last, exact)
    unit = oracles.UNITS["bfloat16"]
    np.testing.assert_allclose(
        np.asarray(outputs, np.float32), expected, rtol=1.01 * unit, atol=1e-5
    )


@pytest.mark.full_but("RWKV7", "mLSTM", "delta by factor")
@pytest.mark.parametrize("name", VARIANTS)
def test_one_step_at_a_time_equals_all_at_once(name):
    """Oracle: the op over time, which has its own tests. Catches a step with other checks or another
    order of its arguments, and a state of another dtype."""
    arrays, state = random_case(name, np.float32)
    expected, final = run(name, "scan", arrays, state)
    step = jax.jit(VARIANTS[name].step)
    for t in range(LENGTH):
        before = state
        state, output = step(before, **{key: array[:, t] for key, array in arrays.items()})
        np.testing.assert_allclose(output, expected[:, t], rtol=1e-5, atol=1e-5)
        assert {leaf.dtype.name for leaf in jax.tree.leaves(state)} <= {"float32", "complex64"}
    near = functools.partial(np.testing.assert_allclose, rtol=1e-5, atol=1e-5)
    jax.tree.map(near, state, final)


@pytest.mark.full_but("mLSTM")
@pytest.mark.parametrize("name", VARIANTS)
def test_without_an_initial_state_it_is_zero(name):
    """Oracle: zeros that are given. Catches a state of other sizes, and outputs without a state."""
    arrays, state = random_case(name, np.float32)
    zeros = jax.tree.map(jnp.zeros_like, state)
    with_zeros, without = (run(name, "scan", arrays, start) for start in (zeros, None))
    jax.tree.map(np.testing.assert_array_equal, with_zeros, without)


@pytest.mark.full
@each(without_scan(recurrence_cases.each_form_once()))
def test_mapped_over_trials_as_one_after_another(name, form, float64):
    """Oracle: a Python loop. Catches a rule that mixes the axis of trials with time or batch."""
    arrays, state = random_case(name)
    gradient = jax.grad(scalar_of(name, form, seq_lengths=LENGTHS, resets=RESETS))
    trials = jax.tree.map(lambda leaf: jnp.stack([leaf, leaf * 0.5]), arrays)
    mapped = jax.jit(jax.vmap(gradient, (0, None)))(trials, state)
    for trial in range(2):
        alone = jax.jit(gradient)(jax.tree.map(lambda leaf, t=trial: leaf[t], trials), state)
        one = jax.tree.map(lambda leaf, t=trial: leaf[t], mapped)
        jax.tree.map(
            functools.partial(np.testing.assert_allclose, rtol=1e-9, atol=1e-11), one, alone
        )


@pytest.mark.parametrize("name", VARIANTS)
def test_what_does_not_fit_is_one_line(name):
    """Catches a size that is silently broadcast, a name that falls through to another form, and a
    chunk that nothing would use."""
    arrays, state = random_case(name, np.float32)
    op, function = VARIANTS[name].op, VARIANTS[name].op.__name__
    for key in list(arrays)[1:]:
        for axis in range(1, arrays[key].ndim):
            short = arrays | {key: jnp.concatenate([arrays[key]] * 2, axis=axis)}
            with pytest.raises(ValueError, match=rf"{function}: \w+ \[.*\] expected"):
                op(**short, initial_state=state)
    with pytest.raises(ValueError, match=rf"{function}: \w+ \[.*\] expected shape"):
        op(**arrays, initial_state=jax.tree.map(lambda leaf: leaf[:, :1], state))
    with pytest.raises(
        ValueError, match=f"unknown {function}: implementation 'fast': .*auto, scan"
    ):
        op(**arrays, implementation="fast")
    with pytest.raises(ValueError, match=f"{function}: chunk: expected at least 1, got 0"):
        op(**arrays, chunk=0)
    with pytest.raises(ValueError, match=f"{function}: chunk=3 expected implementation='chunked'"):
        op(**arrays, chunk=3, implementation="scan")
    for key in arrays:
        whole = arrays | {key: jnp.ones_like(arrays[key], dtype=jnp.int32)}
        with pytest.raises(ValueError, match=f"{function}: .*{key}.* expected .*, got int32"):
            op(**whole)


@pytest.mark.full_but("delta decayed")
@pytest.mark.parametrize("name", ["mLSTM", "delta decayed", "delta products", "RWKV7"])
def test_chunks_keep_less_than_all_states(name):
    """Oracle: the compiled program's own account. Catches a backward pass that keeps a matrix memory
    for each step."""
    # Of memories that are larger than what is written to them.
    sizes = SIZES | {"T": 32 * LENGTH, "K": 8, "V": 9}
    drawn = recurrence_cases.draw(name, sizes), recurrence_cases.draw_state(name, sizes)
    arrays, state = recurrence_cases.in_dtype(drawn, np.float32)

    def temporary_bytes(form):
        gradient = jax.grad(lambda *case: jnp.sum(run(name, form, *case)[0]))
        compiled = jax.jit(gradient).lower(arrays, state).compile()
        return compiled.memory_analysis().temp_size_in_bytes

    assert temporary_bytes(16) < 0.7 * temporary_bytes("scan")
