"""Attention against its equation, jax.nn, and finite differences."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from jax.test_util import check_grads

from lstm_attn import ops
from tests import oracles


def random_case(seed, batch=2, queries=4, keys=5, heads=3, features=6, dtype=np.float64):
    rng = np.random.default_rng(seed)
    shapes = [(batch, length, heads, features) for length in (queries, keys, keys)]
    return tuple(rng.normal(size=shape).astype(dtype) for shape in shapes)


@given(
    sizes=st.tuples(*[st.integers(1, 5)] * 5),
    seed=st.integers(0, 2**16),
    causal=st.booleans(),
    with_mask=st.booleans(),
    with_bias=st.booleans(),
    scale=st.one_of(st.none(), st.floats(0.1, 3)),
)
def test_attention_matches_its_equation_in_float64(
    sizes, seed, causal, with_mask, with_bias, scale
):
    """Oracle: softmax over the allowed keys, query by query. Catches a mask that is off by one,
    a softmax over the wrong axis, a scale on the bias, NaN where nothing is allowed."""
    query, key, value = random_case(seed, *sizes)
    batch, queries, keys, heads, _ = sizes
    rng = np.random.default_rng(seed)
    mask = rng.random((batch, heads, queries, keys)) < 0.6 if with_mask else None
    bias = rng.normal(size=(1, heads, queries, keys)) if with_bias else None
    allowed = np.ones((batch, heads, queries, keys), bool) if mask is None else mask.copy()
    if causal:
        for t in range(queries):
            allowed[:, :, t, t + 1 :] = False
    with jax.enable_x64(True):
        arrays = [None if a is None else jnp.asarray(a) for a in (query, key, value, bias, mask)]
        out = ops.dot_product_attention(*arrays, scale=scale, is_causal=causal)
    expected = oracles.attention(query, key, value, allowed, bias, scale)
    np.testing.assert_allclose(out, expected, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("causal", [False, True])
def test_attention_matches_jax_nn(causal):
    """Oracle: jax.nn.dot_product_attention, whose names and shapes ours are."""
    query, key, value = random_case(1, dtype=np.float32)
    rng = np.random.default_rng(1)
    mask = rng.random((2, 1, 4, 5)) < 0.7
    mask[..., 0] = True  # jax.nn leaves a row with nothing to attend to undefined
    bias = rng.normal(size=(2, 3, 4, 5)).astype(np.float32)
    expected = jax.nn.dot_product_attention(
        query, key, value, bias, mask, scale=0.3, is_causal=causal
    )
    out = ops.dot_product_attention(query, key, value, bias, mask, scale=0.3, is_causal=causal)
    np.testing.assert_allclose(out, expected, atol=oracles.LAYER)


def test_a_query_with_nothing_to_attend_to_gives_zeros_and_finite_gradients():
    """Catches the NaN of a softmax over no keys, forward and backward."""
    query, key, value = random_case(2, dtype=np.float32)
    mask = np.ones((4, 5), bool)
    mask[1] = False

    def scalar(*arrays):
        return jnp.sum(jnp.square(ops.dot_product_attention(*arrays, mask=jnp.asarray(mask))))

    out = ops.dot_product_attention(query, key, value, mask=jnp.asarray(mask))
    assert np.all(np.asarray(out)[:, 1] == 0)
    for gradient in jax.grad(scalar, argnums=(0, 1, 2))(query, key, value):
        assert np.isfinite(gradient).all()


def test_gradients_match_finite_differences(float64):
    """Oracle: central differences in float64. Catches a gradient through later keys."""
    case = tuple(map(jnp.asarray, random_case(3, queries=3, keys=3, heads=1, features=2)))

    def scalar(query, key, value):
        return jnp.sum(jnp.sin(ops.dot_product_attention(query, key, value, is_causal=True)))

    check_grads(scalar, case, order=1, modes=["fwd", "rev"], eps=1e-6)


def test_bfloat16_keeps_its_softmax_in_float32():
    """Oracle: float64 on the same numbers. Catches a bfloat16 softmax, which errs by more."""
    arrays = [jnp.asarray(a, jnp.bfloat16) for a in random_case(4, 1, 2, 512, 1, 16)]
    out = ops.dot_product_attention(*arrays)
    assert out.dtype == jnp.bfloat16
    expected = oracles.attention(*(np.asarray(a, np.float64) for a in arrays))
    np.testing.assert_allclose(np.asarray(out, np.float64), expected, atol=2e-3)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"value": (2, 4, 3, 6)}, r"value \[B, S, M, K\] expected shape \(2, 5, 3, 6\)"),
        ({"key": (2, 5, 2, 6), "value": (2, 5, 2, 6)}, "expected M to divide N = 3"),
        ({"key_value_seq_lengths": (2,)}, "key_value_seq_lengths .B. expected 2 integers, got bool"),
        ({"mask": (4, 4)}, r"mask expected a shape broadcastable to \[B, N, T, S\] = \(2, 3, 4, 5\)"),
    ],
)  # fmt: skip
def test_a_size_that_does_not_fit_is_one_line(change, message):
    """Catches an error that names neither the array nor what was expected."""
    query, key, value = random_case(0, dtype=np.float32)
    arrays = {"query": query, "key": key, "value": value}
    arrays |= {name: np.zeros(shape, bool) for name, shape in change.items()}
    with pytest.raises(ValueError, match=message) as caught:
        ops.dot_product_attention(**arrays)
    assert "\n" not in str(caught.value)


def test_a_mask_of_numbers_is_refused():
    """Catches an additive mask given as a boolean one, which would attend to what it forbids."""
    with pytest.raises(ValueError, match="mask expected boolean, got float32"):
        ops.dot_product_attention(*random_case(0, dtype=np.float32), mask=jnp.zeros((4, 5)))


@given(
    seed=st.integers(0, 2**16),
    window=st.one_of(st.none(), st.integers(0, 3), st.tuples(st.integers(0, 3), st.integers(0, 3))),
    causal=st.booleans(),
    groups=st.sampled_from([1, 2, 4]),
    with_lengths=st.booleans(),
)
def test_windows_lengths_and_groups_match_the_equation(seed, window, causal, groups, with_lengths):
    """Oracle: the equation over the keys that each query may see, each head with its own copy of
    the shared keys. Catches a window on the wrong side, a length off by one, a wrong group."""
    rng = np.random.default_rng(seed)
    query = rng.normal(size=(3, 5, 4, 2))
    key, value = rng.normal(size=(2, 3, 6, groups, 2))
    lengths = rng.integers(0, 6, 3), rng.integers(0, 7, 3)
    left, right = (9, 9) if window is None else np.broadcast_to(window, 2)
    allowed = np.zeros((3, 1, 5, 6), bool)
    for b, t, s in np.ndindex(3, 5, 6):
        allowed[b, 0, t, s] = t - left <= s <= t + right
        allowed[b, 0, t, s] &= s <= t or not causal
        if with_lengths:
            allowed[b, 0, t, s] &= t < lengths[0][b] and s < lengths[1][b]
    copies = (np.repeat(array, 4 // groups, axis=2) for array in (key, value))
    expected = oracles.attention(query, *copies, allowed)
    options = {"is_causal": causal, "local_window_size": window}
    if with_lengths:
        options |= {"query_seq_lengths": lengths[0], "key_value_seq_lengths": lengths[1]}
    with jax.enable_x64(True):
        out = ops.dot_product_attention(*map(jnp.asarray, (query, key, value)), **options)
    np.testing.assert_allclose(out, expected, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize(
    "options",
    [
        {"local_window_size": (1, 2)},
        {"local_window_size": 2, "is_causal": True},
        {"key_value_seq_lengths": np.array([3, 5]), "query_seq_lengths": np.array([4, 2])},
    ],
    ids=str,
)
def test_options_mean_what_they_mean_in_jax_nn(options):
    """Oracle: jax.nn, with two query heads for a key head. Catches a name with another meaning."""
    query, *_ = random_case(5, queries=5, heads=4, dtype=np.float32)
    _, key, value = random_case(6, keys=5, heads=2, dtype=np.float32)
    expected = np.array(jax.nn.dot_product_attention(query, key, value, **options))
    out = np.asarray(ops.dot_product_attention(query, key, value, **options))
    for b, length in enumerate(options.get("query_seq_lengths", [5, 5])):
        np.testing.assert_allclose(out[b, :length], expected[b, :length], atol=oracles.LAYER)
        np.testing.assert_array_equal(out[b, length:], 0)


def test_a_window_below_zero_is_one_line():
    """Catches a window that silently hides everything."""
    with pytest.raises(
        ValueError, match=r"local_window_size expected .* at least 0, got \(-1, 2\)"
    ):
        ops.dot_product_attention(*random_case(0, dtype=np.float32), local_window_size=(-1, 2))


def test_an_additive_mask_is_a_boolean_one(float64):
    """Oracle: the boolean mask, with a row that allows nothing. Catches NaN from a row of -inf,
    forward and backward."""
    query, key, value = map(jnp.asarray, random_case(7))
    mask = np.random.default_rng(7).random((2, 3, 4, 5)) < 0.5
    mask[0, 1, 2] = False
    additive = jnp.where(mask, 0.0, -jnp.inf)
    expected = ops.dot_product_attention(query, key, value, mask=jnp.asarray(mask))
    out = ops.dot_product_attention(query, key, value, bias=additive)
    np.testing.assert_allclose(out, expected, atol=1e-12)
    for gradient in jax.grad(
        lambda *arrays: jnp.sum(ops.dot_product_attention(*arrays, bias=additive) ** 2), (0, 1, 2)
    )(query, key, value):
        assert np.isfinite(gradient).all()


@pytest.mark.parametrize("shape", [(0, 4, 5), (2, 0, 5), (2, 4, 0)], ids=str)
def test_empty_axes_give_empty_arrays_or_zeros(shape):
    """Oracle: a sum over nothing. Catches a division by the size of an axis."""
    batch, queries, keys = shape
    out = ops.dot_product_attention(
        *random_case(0, batch, queries, keys, dtype=np.float32), is_causal=True
    )
    np.testing.assert_array_equal(out, np.zeros((batch, queries, 3, 6)))


@pytest.mark.parametrize("window", [(1, 2, 3), 1.5, (1, 2.0)], ids=str)
def test_an_invalid_window_is_one_line(window):
    """Catches a TypeError from inside attention."""
    with pytest.raises(ValueError, match="local_window_size expected one or two whole numbers"):
        ops.dot_product_attention(*random_case(0, dtype=np.float32), local_window_size=window)
