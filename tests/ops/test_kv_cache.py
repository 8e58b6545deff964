"""The key-value cache: what was appended, where, and what happens past its end."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from lstm_attn import ops


def parts(*lengths):
    rng = np.random.default_rng(0)
    return [rng.normal(size=(2, 2, length, 3, 4)).astype(np.float32) for length in lengths]


def test_the_cache_holds_what_was_appended_in_order():
    """Oracle: numpy's concatenate. Catches entries that are overwritten, and a length that lags."""
    cache = ops.empty_cache(2, 6, 3, 4, jnp.float32)
    chunks = parts(1, 3, 2)
    for key, value in chunks:
        cache = ops.append(cache, key, value)
    keys, values = (np.concatenate(column, axis=1) for column in zip(*chunks, strict=True))
    np.testing.assert_array_equal(cache.key, keys)
    np.testing.assert_array_equal(cache.value, values)
    assert int(cache.length) == 6
    assert bool(ops.within(cache))


def test_a_step_too_many_is_one_line():
    """Catches a last entry that is silently overwritten."""
    cache = ops.append(ops.empty_cache(2, 4, 3, 4, jnp.float32), *parts(3)[0])
    message = (
        r"^key-value cache: expected at most 4 steps, got 3 \+ 2; make a state with room for more$"
    )
    with pytest.raises(ValueError, match=message):
        ops.append(cache, *parts(2)[0])


def test_a_step_too_many_under_jit_is_told_after_the_fact():
    """Catches a cache that claims to hold what it dropped."""
    cache = ops.empty_cache(2, 4, 3, 4, jnp.float32)
    append = jax.jit(ops.append)
    for expected in (True, False):
        cache = append(cache, *parts(3)[0])
        assert bool(ops.within(cache)) is expected


def test_sizes_that_do_not_fit_are_one_line():
    """Catches heads and features exchanged."""
    cache = ops.empty_cache(2, 4, 4, 3, jnp.float32)
    message = r"^append: key \[B, T, N, K\] expected shape \(2, 1, 4, 3\), got \(2, 1, 3, 4\)$"
    with pytest.raises(ValueError, match=message):
        ops.append(cache, *parts(1)[0])
