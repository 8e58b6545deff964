"""Additive attention and pooling against their equations, step by step in float64."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from jax.test_util import check_grads

from lstm_attn import ops
from tests import oracles


def additive_case(seed, dtype=np.float64):
    rng = np.random.default_rng(seed)
    shapes = [(2, 3, 4), (2, 5, 4), (2, 5, 6), (4,)]
    return [rng.normal(size=shape).astype(dtype) for shape in shapes]


def additive_oracle(query, key, value, score, mask):
    out = np.zeros((*query.shape[:2], value.shape[-1]))
    for b, t in np.ndindex(query.shape[:2]):
        attended = [s for s in range(key.shape[1]) if mask[b, t, s]]
        if attended:
            weights = np.exp([score @ np.tanh(query[b, t] + key[b, s]) for s in attended])
            out[b, t] = weights / weights.sum() @ value[b, attended]
    return out


@given(seed=st.integers(0, 2**16), masked=st.sampled_from([None, "one for all", "each"]))
def test_additive_attention_matches_its_equation(seed, masked):
    """Oracle: appendix A.1.2 of Bahdanau et al., query by query. Catches tanh after the sum over
    features, a softmax over queries, NaN where nothing is allowed."""
    case = additive_case(seed)
    mask = np.random.default_rng(seed).random((2, 3, 5)) < 0.4
    mask = {None: np.ones_like(mask), "one for all": np.stack([mask[0]] * 2), "each": mask}[masked]
    given_mask = {None: None, "one for all": mask[0], "each": mask}[masked]
    with jax.enable_x64(True):
        out = ops.additive_attention(*map(jnp.asarray, case), given_mask)
    np.testing.assert_allclose(out, additive_oracle(*case, mask), rtol=1e-10, atol=1e-12)


def test_additive_gradients_match_finite_differences(float64):
    """Oracle: central differences in float64, with a row that has nothing to attend to. Catches NaN
    from that row."""
    mask = np.ones((3, 5), bool)
    mask[1] = False

    def scalar(*arrays):
        return jnp.sum(jnp.sin(ops.additive_attention(*arrays, jnp.asarray(mask))))

    check_grads(scalar, tuple(map(jnp.asarray, additive_case(0))), order=1, modes=["rev"], eps=1e-6)


def test_additive_attention_refuses_what_does_not_fit():
    """Catches a mask of numbers and a mask of another shape."""
    case = additive_case(0, np.float32)
    with pytest.raises(
        ValueError, match=r"mask \[B, T, S\] expected boolean \(2, 3, 5\) or \(3, 5\), got float32"
    ):
        ops.additive_attention(*case, np.ones((2, 3, 5), np.float32))
    with pytest.raises(
        ValueError, match=r"additive_attention: score \[D\] expected shape \(4\), got \(5,\)"
    ):
        ops.additive_attention(*case[:3], np.ones(5, np.float32))


@given(seed=st.integers(0, 2**16), length=st.integers(1, 9), spread=st.sampled_from([1.0, 1e4]))
def test_pooling_is_the_softmax_over_the_past(seed, length, spread):
    """Oracle: the softmax of each prefix. Catches a step that sees the future, a sum that
    overflows, and a largest logit that is not carried."""
    rng = np.random.default_rng(seed)
    logits, values = spread * rng.normal(size=(2, length)), rng.normal(size=(2, length, 3))
    with jax.enable_x64(True):
        outputs, state = ops.attention_pooling(jnp.asarray(logits), jnp.asarray(values))
        first, middle = ops.attention_pooling(*(jnp.asarray(a[:, :4]) for a in (logits, values)))
        second, end = first[:, :0], middle
        if length > 4:
            rest = (jnp.asarray(a[:, 4:]) for a in (logits, values))
            second, end = ops.attention_pooling(*rest, middle)
    for t in range(length):
        weights = np.exp(logits[:, : t + 1] - logits[:, : t + 1].max(axis=1, keepdims=True))
        expected = np.einsum("bs,bsh->bh", weights, values[:, : t + 1]) / weights.sum(1)[:, None]
        np.testing.assert_allclose(outputs[:, t], expected, rtol=1e-10, atol=1e-12)
    # In two segments, the state carried over.
    np.testing.assert_allclose(
        jnp.concatenate([first, second], axis=1), outputs, rtol=1e-10, atol=1e-12
    )
    for ours, expected in zip(end, state, strict=True):
        np.testing.assert_allclose(ours, expected, rtol=1e-10)


def test_pooling_gradients_match_finite_differences(float64):
    """Oracle: central differences in float64. Catches NaN from the empty state."""
    rng = np.random.default_rng(0)

    def scalar(logits, values):
        outputs, state = ops.attention_pooling(logits, values)
        return jnp.sum(jnp.sin(outputs)) + jnp.sum(state.weighted**2)

    case = tuple(map(jnp.asarray, (rng.normal(size=(2, 5)), rng.normal(size=(2, 5, 3)))))
    check_grads(scalar, case, order=1, modes=["rev"], eps=1e-6)


def test_masked_steps_have_no_weight():
    """Oracle: the sequence without them. Catches NaN before the first step that is not masked."""
    rng = np.random.default_rng(0)
    logits, values = (
        rng.normal(size=(1, 6)).astype(np.float32),
        rng.normal(size=(1, 6, 2)).astype(np.float32),
    )
    hidden = np.array([True, True, False, True, False, False])
    outputs, _ = ops.attention_pooling(jnp.where(hidden, -jnp.inf, logits), values)
    expected, _ = ops.attention_pooling(logits[:, ~hidden], values[:, ~hidden])
    np.testing.assert_allclose(outputs[:, ~hidden], expected, atol=oracles.LAYER)
    np.testing.assert_array_equal(outputs[:, :2], 0)


def test_a_state_of_another_kind_is_one_line():
    """Catches an error from inside the scan."""
    with pytest.raises(ValueError, match=r"initial_state expected PoolingState\(.*\), got tuple"):
        ops.attention_pooling(jnp.zeros((1, 2)), jnp.zeros((1, 2, 3)), (1, 2, 3))
