"""What the linear recurrences and matrix memories are known to do: closed forms and identities."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from lstm_attn import ops
from lstm_attn.ops import dispatch
from tests import memory_oracles, oracles

# No two sizes are one number, so that no exchanged axes fit.
BATCH, LENGTH, HEADS, KEYS, VALUES = 2, 7, 3, 4, 5
FORMS = [{"implementation": "scan"}, {"chunk": 3}, {"chunk": 16}]
each_form = pytest.mark.parametrize("form", FORMS, ids=["scan", "3", "16"])


def compiled(op, form, **options):
    """The op in this form, as one program."""
    return jax.jit(lambda *arrays, **named: op(*arrays, **named, **form, **options))


def drawn(seed, *shape):
    return np.random.default_rng(seed).normal(size=shape)


def unit(array):
    return array / np.linalg.norm(array, axis=-1, keepdims=True)


def as_float32(*arrays):
    return [jnp.asarray(array, jnp.float32) for array in arrays]


# In one chunk of 3, and over two.
@pytest.mark.parametrize(("form", "apart"), [(0, 1), (1, 2), (1, 5), (2, 5)])
@pytest.mark.parametrize("rule", ["delta", "RWKV7", "products"])
@pytest.mark.full_but("delta-1-2", "RWKV7-1-5")
def test_a_key_written_twice_gives_its_second_value(form, rule, apart):
    """Oracle: the second value. Catches an erasure on the side of the values, which leaves an error
    of about the first value, in one chunk and over two."""
    key = unit(drawn(0, BATCH, LENGTH, HEADS, KEYS))
    value, beta = drawn(1, BATCH, LENGTH, HEADS, VALUES), np.zeros((BATCH, LENGTH, HEADS))
    key[:, apart] = key[:, 0]
    key[:, -1] = key[:, 0]  # read, not written
    beta[:, [0, apart]] = 1
    query, removal = key, None
    if rule == "RWKV7":  # what is not to be written has no value
        removal, value = key, value * beta[..., None]
    if rule == "products":  # the first micro-step of each step writes nothing
        key, value, beta = (
            np.stack([array * size, array], axis=2)
            for array, size in ((key, 1), (value, 1), (beta, 0))
        )
    arrays, form = as_float32(query, key, value, beta), FORMS[form]
    options = {} if removal is None else {"removal_key": jnp.asarray(removal, jnp.float32)}
    outputs, _ = compiled(ops.delta_rule, form)(*arrays, **options)
    second = value[:, apart] if rule != "products" else value[:, apart, -1]
    assert np.abs(outputs[:, -1] - second).max() < 1e-5


@pytest.mark.full_but("3")
@each_form
def test_beta_zero_forgets_nothing_and_decay_one_is_none(form):
    """Oracle: the initial state, read. Catches an erasure without beta, and a decay that acts
    though its logarithm is 0."""
    query, key = drawn(0, BATCH, LENGTH, HEADS, KEYS), drawn(1, BATCH, LENGTH, HEADS, KEYS)
    value, state = drawn(2, BATCH, LENGTH, HEADS, VALUES), drawn(3, BATCH, HEADS, VALUES, KEYS)
    nothing = np.zeros((BATCH, LENGTH, HEADS))
    *arrays, state, none, one = as_float32(query, key, value, nothing, state, nothing, nothing + 1)
    expected = np.einsum("bnvk,btnk->btnv", state, query)
    for decay in ({}, {"decay": one}, {"log_decay": none}):
        outputs, last = compiled(ops.delta_rule, form)(*arrays, **decay, initial_state=state)
        np.testing.assert_array_equal(last, state)
        np.testing.assert_allclose(outputs, expected, atol=oracles.LAYER * np.abs(expected).max())


@pytest.mark.full_but("3")
@each_form
def test_beta_two_reflects_and_keeps_the_norm(form, float64):
    """Oracle: a reflection is orthogonal, and its own inverse. Catches an eigenvalue of -1 that is
    0 or 1."""
    key, state = unit(drawn(0, BATCH, LENGTH, HEADS, KEYS)), drawn(3, BATCH, HEADS, VALUES, KEYS)
    key[:, 1] = key[:, 0]
    value, beta = np.zeros((BATCH, LENGTH, HEADS, VALUES)), np.full((BATCH, LENGTH, HEADS), 2.0)
    run = compiled(ops.delta_rule, form)
    _, last = run(key, key, value, beta, initial_state=state)
    norms = np.linalg.norm(last, axis=(2, 3))
    np.testing.assert_allclose(norms, np.linalg.norm(state, axis=(2, 3)), rtol=1e-12)
    twice_only = beta * (np.arange(LENGTH) < 2)[None, :, None]
    _, twice = run(key, key, value, twice_only, initial_state=state)
    np.testing.assert_allclose(twice, state, rtol=1e-12, atol=1e-13)


@pytest.mark.full_but("3")
@each_form
def test_micro_steps_are_steps_of_their_own(form, float64):
    """Oracle: the same rule over T M steps, where only a step's first one decays. Catches a decay at
    each micro-step, and a query that misses the last of them."""
    micro = 6
    query, decay = drawn(0, BATCH, LENGTH, HEADS, KEYS), -np.abs(drawn(4, BATCH, LENGTH, HEADS))
    key = unit(drawn(1, BATCH, LENGTH, micro, HEADS, KEYS))
    value = drawn(2, BATCH, LENGTH, micro, HEADS, VALUES)
    beta = 2 * oracles.sigmoid(drawn(3, BATCH, LENGTH, micro, HEADS))
    outputs, last = compiled(ops.delta_rule, form)(query, key, value, beta, log_decay=decay)

    def spread(array, place):
        whole = np.zeros((BATCH, LENGTH, micro, *array.shape[2:]))
        whole[:, :, place] = array
        return whole

    def flat(array):
        return array.reshape(BATCH, LENGTH * micro, *array.shape[3:])

    arrays = (spread(query, -1), key, value, beta, spread(np.exp(decay) - 1, 0) + 1)
    expected, final = compiled(ops.delta_rule, FORMS[0])(*map(flat, arrays))
    np.testing.assert_allclose(outputs, expected[:, micro - 1 :: micro], rtol=1e-10, atol=1e-12)
    np.testing.assert_allclose(last, final, rtol=1e-10, atol=1e-12)


@pytest.mark.full_but("3")
@each_form
def test_linear_attention_without_decay_is_causal_attention_without_softmax(form, float64):
    """Oracle: the lower triangle of Q K^T, times V. Catches a step that does not see itself."""
    query, key = drawn(0, BATCH, LENGTH, HEADS, KEYS), drawn(1, BATCH, LENGTH, HEADS, KEYS)
    value = drawn(2, BATCH, LENGTH, HEADS, VALUES)
    scores = np.tril(np.einsum("bink,bjnk->bnij", query, key))
    expected = np.einsum("bnij,bjnv->binv", scores, value)
    per_head, per_key = np.zeros((BATCH, LENGTH, HEADS)), np.zeros_like(key)
    for decay in (None, 1 + per_head, 1 + per_key):
        outputs, _ = compiled(ops.gated_linear_attention, form)(query, key, value, decay)
        np.testing.assert_allclose(outputs, expected, rtol=1e-12, atol=1e-12)
    for decay in (per_head, per_key):
        run = compiled(ops.gated_linear_attention, form)
        outputs, _ = run(query, key, value, log_decay=decay)
        np.testing.assert_allclose(outputs, expected, rtol=1e-12, atol=1e-12)


def parallel_m_lstm(query, key, value, log_decay, log_input_gate):
    """The quadratic form with the maximum of each row, in float64, [T, ...] of one row and head."""
    length = len(query)
    logs = np.full((length, length), -np.inf)
    for i in range(length):
        for j in range(i + 1):
            logs[i, j] = log_decay[j + 1 : i + 1].sum() + log_input_gate[j]
    largest = logs.max(axis=1, keepdims=True)
    weights = query @ key.T * np.exp(logs - largest)
    with np.errstate(over="ignore"):
        least = np.exp(-largest[:, 0])
    return weights @ value / np.maximum(np.abs(weights.sum(axis=1)), least)[:, None]


@pytest.mark.parametrize(("form", "size"), [(0, 1e4), (1, 1e4), (1, 1), (2, 1e4)])
@pytest.mark.full_but("1-10000.0")
def test_the_m_lstm_is_its_parallel_form_at_any_scale(form, size):
    """Oracle: the quadratic form in float64, whose maximum is over other terms than ours. Catches a
    normaliser that is missing, a stabiliser that changes an output, and an overflow."""
    shape = (BATCH, LENGTH, HEADS)
    query, key, value = drawn(0, *shape, KEYS), drawn(1, *shape, KEYS), drawn(2, *shape, VALUES)
    gate, log_input_gate = size * drawn(3, *shape), size * drawn(4, *shape)
    log_decay = -np.logaddexp(0, -gate)
    arrays = as_float32(query, key, value, log_decay, log_input_gate)

    def total(*arrays):
        *three, decay, gate = arrays
        gates = {"log_decay": decay, "log_input_gate": gate}
        outputs, _ = ops.gated_linear_attention(*three, **gates, **FORMS[form])
        return jnp.sum(outputs), outputs

    gradients, outputs = jax.jit(jax.grad(total, range(5), has_aux=True))(*arrays)
    exact = [np.asarray(array, np.float64) for array in arrays]
    for b in range(BATCH):
        for n in range(HEADS):
            expected = parallel_m_lstm(*(array[b, :, n] for array in exact))
            np.testing.assert_allclose(outputs[b, :, n], expected, rtol=1e-3, atol=1e-5)
    assert all(np.isfinite(gradient).all() for gradient in gradients)


@pytest.mark.parametrize("op", ["attention", "attention per key", "delta", "delta per key"])
@pytest.mark.full_but("delta per key")
def test_a_strong_decay_leaves_the_digits_of_the_weak_ones_after_it(op):
    """Oracle: float64 numpy on the same numbers. Catches a decay as the difference of two sums from
    the start of the chunk, which has lost its digits after a decay of exp(-10,000)."""
    shape = (BATCH, LENGTH, HEADS)
    query, value = drawn(0, *shape, KEYS), drawn(2, *shape, VALUES)
    key, beta = unit(drawn(1, *shape, KEYS)), oracles.sigmoid(drawn(3, *shape))
    decay = np.where(np.arange(LENGTH) == 2, -1e4, -0.01)[None, :, None] * (1 + 0 * beta)
    decay = np.repeat(decay[..., None], KEYS, axis=-1) if "per key" in op else decay
    if "delta" in op:
        arrays, function = (
            {"query": query, "key": key, "value": value, "beta": beta},
            ops.delta_rule,
        )
        step = memory_oracles.delta_rule
    else:
        arrays, function = {"query": query, "key": key, "value": value}, ops.gated_linear_attention
        step = memory_oracles.gated_linear_attention
    arrays = {n: np.asarray(a, np.float32) for n, a in (arrays | {"log_decay": decay}).items()}
    outputs, _ = compiled(function, {"chunk": LENGTH})(**arrays)
    expected, _ = memory_oracles.over_time(
        step,
        {name: np.asarray(array, np.float64) for name, array in arrays.items()},
        np.zeros((BATCH, HEADS, VALUES, KEYS)),
        np.full(BATCH, LENGTH),
        np.zeros((BATCH, LENGTH), bool),
        reverse=False,
    )
    assert_close = oracles.assert_close
    assert_close(outputs, expected, KEYS + VALUES, LENGTH, cancelled=4.0)


@pytest.mark.full_but("1-decay")
@pytest.mark.parametrize(
    ("form", "given"), [(0, "decay"), (1, "decay"), (1, "log_decay"), (2, "log_decay")]
)
def test_a_decay_of_zero_is_a_fresh_start(form, given):
    """Oracle: a reset. Catches NaN from the logarithm of 0, in values or gradients."""
    shape = (BATCH, LENGTH, HEADS)
    query, value = drawn(0, *shape, KEYS), drawn(2, *shape, VALUES)
    key, beta = unit(drawn(1, *shape, KEYS)), oracles.sigmoid(drawn(3, *shape))
    resets = np.tile(np.arange(LENGTH) == 4, (BATCH, 1))
    decay = np.where(resets[..., None], 0, 0.9 + 0 * beta)
    with np.errstate(divide="ignore"):
        decay = np.log(decay) if given == "log_decay" else decay
    *arrays, decay = as_float32(query, key, value, beta, decay)

    def slopes(decay, **options):
        def total(*arrays):
            options[given] = decay
            return jnp.sum(ops.delta_rule(*arrays, **options, **FORMS[form])[0] ** 2)

        return jax.jit(jax.value_and_grad(total, (0, 1, 2, 3)))(*arrays)

    ours = slopes(decay)
    theirs = slopes(jnp.broadcast_to(decay[:1, :1], decay.shape), resets=resets)
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-5), ours, theirs)


@pytest.mark.full_but("1-attention")
@pytest.mark.parametrize(("form", "op"), [(0, "delta"), (1, "delta"), (1, "attention")])
def test_the_slope_of_a_decay_of_zero_is_what_it_erased(form, op):
    """Oracle: central differences of the scan in float64, which takes decays below 0. Catches a
    slope of 0, or of NaN, from the logarithm of 0 in a chunk."""
    shape = (BATCH, LENGTH, HEADS)
    arrays = [drawn(0, *shape, KEYS), unit(drawn(1, *shape, KEYS)), drawn(2, *shape, VALUES)]
    arrays += [oracles.sigmoid(drawn(3, *shape))] if op == "delta" else []
    function = ops.delta_rule if op == "delta" else ops.gated_linear_attention
    state, weights = drawn(4, BATCH, HEADS, VALUES, KEYS), drawn(5, *shape, VALUES)
    decay = np.where(np.arange(LENGTH) == 4, 0, 0.9)[None, :, None] * np.ones(shape)
    direction = (decay == 0) * drawn(6, *shape)

    def total(decay, **form):
        *ours, decay, start = (jnp.asarray(a, decay.dtype) for a in (*arrays, decay, state))
        return jnp.sum(function(*ours, decay, start, **form)[0] * weights.astype(decay.dtype))

    slope = jax.grad(lambda decay: total(decay, **FORMS[form]))(jnp.asarray(decay, jnp.float32))
    with jax.enable_x64(True):
        up, down = (
            float(total(jnp.asarray(decay + size * direction), implementation="scan"))
            for size in (1e-6, -1e-6)
        )
    ours = np.sum(np.asarray(slope) * direction)
    np.testing.assert_allclose(ours, (up - down) / 2e-6, rtol=1e-4)


@pytest.mark.full_but("fused")
@pytest.mark.parametrize("implementation", ["scan", "fused", "chunked"])
def test_a_decay_on_the_unit_circle_keeps_the_norm(implementation, float64):
    """Oracle: h_t = lambda^t h_0 in closed form, and a geometric sum. Catches a conjugate, and a
    decay that is applied once too often."""
    angle = drawn(0, BATCH, 1, HEADS)
    decay, state = np.exp(1j * np.repeat(angle, LENGTH, axis=1)), drawn(1, BATCH, HEADS) + 0j
    inputs = np.zeros_like(decay)
    run = compiled(ops.linear_recurrence, {"implementation": implementation})
    outputs, last = run(decay, inputs, state)
    steps = np.arange(1, LENGTH + 1)[:, None]
    np.testing.assert_allclose(outputs, np.exp(1j * angle * steps) * state[:, None], rtol=1e-12)
    np.testing.assert_allclose(np.abs(last), np.abs(state), rtol=1e-13)
    ones, _ = run(decay, inputs + 1, 0 * state)
    powers = np.exp(1j * angle * steps)
    np.testing.assert_allclose(ones, (1 - powers) / (1 - np.exp(1j * angle)), rtol=1e-10)


def test_a_decay_near_one_is_not_rounded_to_the_dtype_of_the_inputs():
    """Oracle: 0.999^T. Catches a decay of 1 in bfloat16."""
    decay = jnp.full((BATCH, LENGTH, HEADS), 0.999)
    inputs = jnp.zeros((BATCH, LENGTH, HEADS), jnp.bfloat16)
    _, last = ops.linear_recurrence(decay, inputs, jnp.ones((BATCH, HEADS)))
    np.testing.assert_allclose(last, 0.999**LENGTH, rtol=1e-6)


def test_auto_takes_what_was_measured(monkeypatch):
    """Oracle: by hand. Catches a form that is taken where nobody measured it, and chunks of nothing
    or of an unknown number of steps."""
    (unknown,) = jax.export.symbolic_shape("t")

    def choose(implementation, chunk=None, length=9):
        known, measured = ("scan", "fused", "chunked"), {"cpu": best}
        sizes = {"B": 2, "T": length}
        return dispatch.choose_form("f", implementation, chunk, sizes, known, measured)

    for best in ("fused", "chunked"):
        assert choose("auto") == (best, None)
        assert choose("auto", np.int64(8)) == ("chunked", 8)
        assert choose("scan") == ("scan", None)
        assert choose("chunked", length=0) == ("scan", None)
        assert choose("auto", 8, unknown) == ("scan", None)
        assert choose("auto", None, unknown) == ("fused" if best == "fused" else "scan", None)
        with pytest.raises(ValueError, match="f: .*'chunked' expected sizes that are known, got"):
            choose("chunked", None, unknown)
    monkeypatch.setattr(jax, "default_backend", lambda: "tpu")
    assert choose("auto") == ("scan", None)
