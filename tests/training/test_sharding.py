"""Sharded parameters against whole ones, in numpy, on the four devices of the tests."""

import jax
import numpy as np
import pytest
from jax.sharding import PartitionSpec

from lstm_attn.training.mesh import ParameterSharding, lay_out, split_axis

SHARDS = 4
RNG = np.random.default_rng(0)
TREE = {
    "kernel": RNG.normal(size=(8, 12)).astype(np.float32),
    "bias": RNG.normal(size=12).astype(np.float32),
    "odd": RNG.normal(size=(3, 5)).astype(np.float32),
}
SHARDING = ParameterSharding.of(TREE, SHARDS, sharded=True)
SPLIT = {
    "kernel": PartitionSpec(None, "batch"),
    "bias": PartitionSpec("batch"),
    "odd": PartitionSpec(),
}
EVERY = PartitionSpec("batch")


def on_devices(function, inputs, outputs):
    mesh = lay_out(1, SHARDS).mesh
    assert mesh.shape["batch"] == SHARDS
    return jax.jit(
        jax.shard_map(function, mesh=mesh, in_specs=(inputs,), out_specs=outputs, check_vma=False)
    )


@pytest.mark.parametrize(
    ("shape", "shards", "axis"),
    [
        ((8, 12), 4, 1),
        ((12, 8), 4, 0),
        ((8, 13), 4, 0),
        ((8, 8), 4, 0),
        ((3, 5), 4, None),
        ((), 4, None),
        ((0, 3), 4, None),
        ((8, 8), 1, None),
    ],
)
def test_the_largest_axis_that_can_be_is_split(shape, shards, axis):
    """Oracle: by hand. Catches an axis that the devices do not divide, and the smallest one."""
    assert split_axis(shape, shards) == axis


def test_the_norm_and_finiteness_are_those_of_the_whole():
    """Oracle: numpy on the whole tree. Catches a norm of one shard, one that counts unsharded
    leaves four times, and devices that do not agree about a NaN on one of them."""
    broken = TREE | {"bias": np.where(np.arange(12) == 11, np.nan, TREE["bias"])}
    measure = on_devices(
        lambda tree: (SHARDING.global_norm(tree).scaled[None], SHARDING.all_finite(tree)[None]),
        SPLIT,
        EVERY,
    )
    norms, finite = measure(TREE)
    expected = np.sqrt(sum(np.square(leaf.astype(float)).sum() for leaf in TREE.values()))
    np.testing.assert_allclose(norms, np.full(SHARDS, expected), rtol=1e-6)
    assert finite.tolist() == [True] * SHARDS
    assert measure(broken)[1].tolist() == [False] * SHARDS


def test_parts_gathered_are_the_whole_and_gradients_reduced_their_mean():
    """Oracle: numpy. Device d has d times the tree as its gradient, and d as its loss; their mean
    is 1.5 times it. Catches a sum for a mean, shards in another order, another device's shard."""

    def reduced(tree):
        device = jax.lax.axis_index("batch").astype(np.float32)
        whole = SHARDING.gather(tree)
        loss, means = SHARDING.reduce(device, jax.tree.map(lambda leaf: leaf * device, whole))
        return loss[None], means, whole

    loss, means, whole = on_devices(reduced, SPLIT, (EVERY, SPLIT, PartitionSpec()))(TREE)
    np.testing.assert_array_equal(loss, np.full(SHARDS, 1.5))
    for name, leaf in TREE.items():
        np.testing.assert_array_equal(whole[name], leaf)
        np.testing.assert_allclose(means[name], 1.5 * leaf, rtol=1e-6)
