"""Learned positions past the length of training."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from lstm_attn import modules
from tests import oracles


def test_learned_positions_are_continued_as_they_began():
    """Oracle: the trained rows themselves, and the N(0, .02) of a fresh table. Catches rows that
    are overwritten, repeated for each trial, or zero, and another parameter that is changed."""
    table, kernel = np.random.default_rng(0).normal(3, 1, (2, 3, 6, 8)).astype(np.float32)
    params = {"body": {"positions": jnp.asarray(table), "kernel": jnp.asarray(kernel)}}
    longer = modules.continue_positions(params, 500, jax.random.key(1))["body"]
    np.testing.assert_array_equal(longer["kernel"], kernel)
    np.testing.assert_array_equal(longer["positions"][:, :6], table)
    new = np.asarray(longer["positions"][:, 6:])
    assert new.shape == (3, 494, 8)
    assert np.std(new) == pytest.approx(0.02, rel=0.05)
    assert abs(np.corrcoef(new[0].ravel(), new[1].ravel())[0, 1]) < 0.1
    same = modules.continue_positions(params, 4, jax.random.key(1))
    assert same["body"]["positions"].shape == table.shape


@pytest.mark.full
def test_a_transformer_goes_past_its_table_once_it_is_continued():
    """Identity of the outputs at the steps of the old table. Catches a parameter of another name
    than the module's."""
    transformer = modules.Transformer(4, num_heads=1, num_layers=1, positions="learned")
    inputs = jax.random.normal(jax.random.key(0), (2, 9, 3))
    apply = jax.jit(transformer.apply)
    params = jax.jit(transformer.init)(jax.random.key(1), inputs[:, :6])
    with pytest.raises(ValueError, match="^learned positions: expected at most 6 steps"):
        apply(params, inputs)
    longer = modules.continue_positions(params, 9, jax.random.key(2))
    before, after = apply(params, inputs[:, :6]), apply(longer, inputs)
    np.testing.assert_allclose(after[:, :6], before, rtol=oracles.MODEL, atol=oracles.MODEL)
