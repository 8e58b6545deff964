"""The clip of the global norm, where squares overflow too, against float64."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from lstm_attn.training import TrainingConfig
from lstm_attn.training.mesh import ParameterSharding
from lstm_attn.training.optimizer import make_optimizer

# A size in each dtype whose square is infinite there, one whose square is not, and a small one.
SIZES = {
    "float32": (1e38, 1e20, 1e3, 1e-3),
    "bfloat16": (1e38, 1e20, 1e3, 1e-3),
    "float16": (6e4, 300.0, 10.0, 1e-3),
}
CASES = [(dtype, size) for dtype, sizes in SIZES.items() for size in sizes]


@pytest.mark.parametrize(("dtype", "size"), CASES)
@pytest.mark.parametrize("sharded", [False, True])
def test_a_gradient_is_clipped_whatever_its_size(dtype, size, sharded):
    """Oracle: g min(1, c / |g|) in float64. Catches the norm of squares that overflow, over which
    every gradient is 0 and nothing is learned, and sums in 16 bits."""
    rng = np.random.default_rng(0)
    given = {"w": rng.uniform(-1, 1, (3, 50)), "b": rng.uniform(-1, 1, 7)}
    given = jax.tree.map(lambda leaf: jnp.asarray(leaf * size, dtype), given)
    exact = jax.tree.map(lambda leaf: np.asarray(leaf, np.float64), given)
    norm = np.sqrt(sum(np.square(leaf).sum() for leaf in exact.values()))
    expected = jax.tree.map(lambda leaf: leaf * min(1, 0.5 / norm), exact)
    config = TrainingConfig(steps=4, warmup_steps=0, schedule="constant", clip_norm=0.5)
    own = ParameterSharding.of(given, 1, sharded=True).global_norm if sharded else None
    one = make_optimizer(config, 1.0, own, lambda schedule: optax.identity())
    clipped, _ = jax.jit(one.update)(given, one.init(given))
    for name, leaf in clipped.items():
        assert leaf.dtype == dtype
        # A rounding of the quotient, one of the product, and those of a sum of 157 squares.
        bound = 2 * float(jnp.finfo(dtype).eps) + 160 * float(np.finfo(np.float32).eps)
        largest = np.abs(expected[name]).max()
        np.testing.assert_allclose(
            np.asarray(leaf, np.float64), expected[name], rtol=bound, atol=bound * largest
        )


def test_a_norm_of_float64_stays_one(float64):
    """Oracle: the same in float64, to its roundings. Catches a sum of float32."""
    given = {"w": jnp.asarray([3e100, 4e100])}
    config = TrainingConfig(steps=4, warmup_steps=0, schedule="constant", clip_norm=1.0)
    one = make_optimizer(config, 1.0, None, lambda schedule: optax.identity())
    clipped, _ = one.update(given, one.init(given))
    np.testing.assert_allclose(clipped["w"], [0.6, 0.8], rtol=8 * np.finfo(np.float64).eps)
