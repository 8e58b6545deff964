"""Filling what limits hide with NaN, inf and large numbers: nothing that is returned may change."""

import inspect

import jax
import numpy as np

FILLINGS = (np.nan, np.inf, -np.inf, 1e30)
# An argument of this name hides something.
LIMITS = ("mask", "seq_lengths", "resets", "query_seq_lengths", "key_value_seq_lengths")


def takes_a_limit(function):
    return bool(set(inspect.signature(function).parameters) & set(LIMITS))


def filled(arrays, hidden, filling):
    return jax.tree.map(
        lambda array, where: np.where(where, array.dtype.type(filling), array), arrays, hidden
    )


def check(function, arrays, hidden, unread):
    """Asserts that values and gradients are those of zeros in what is hidden, bit for bit.

    Args:
      function: arrays, a pytree -> outputs, a pytree.
      hidden: a tree of booleans like the arrays, True where a limit hides; there gradients are zero.
      unread: a tree of booleans like the outputs, True where their cotangents are filled too.
    """

    @jax.jit
    def run(arrays, cotangents):
        outputs, pull_back = jax.vjp(function, arrays)
        return outputs, pull_back(cotangents)[0]

    shapes = jax.eval_shape(function, arrays)
    rng = np.random.default_rng(0)
    cotangents = jax.tree.map(lambda one: rng.normal(size=one.shape).astype(one.dtype), shapes)

    def of(filling):
        return run(filled(arrays, hidden, filling), filled(cotangents, unread, filling))

    expected = of(0)
    assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(expected))
    jax.tree.map(
        lambda slope, where: np.testing.assert_array_equal(slope[where], 0), expected[1], hidden
    )
    for filling in FILLINGS:
        jax.tree.map(np.testing.assert_array_equal, of(filling), expected)
