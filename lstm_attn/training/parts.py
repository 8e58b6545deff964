"""Parameters on the devices that share a batch: whole on each, or each holding its part (ZeRO-3).

What passes between those devices goes over the mesh axis `batch`, and all of it is here.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax import Array, lax
from jax.flatten_util import ravel_pytree
from jax.sharding import PartitionSpec


def split_axis(shape: Sequence[int], shards: int) -> int | None:
    """The largest axis that `shards` devices can split equally, the first of equals; None: none."""
    if shards == 1:
        return None
    fitting = [axis for axis, size in enumerate(shape) if size and size % shards == 0]
    return max(fitting, key=lambda axis: shape[axis], default=None)


def specs(one: Any, shards: int) -> Any:
    """Where the arrays of stacked trials lie: trials on one mesh axis, `split_axis` on the other.

    Args:
      one: the shapes of one trial, without the leading axis R.
    """

    def spec(leaf: Any) -> PartitionSpec:
        axis = split_axis(leaf.shape, shards)
        before = () if axis is None else (*[None] * axis, "batch")
        return PartitionSpec("trial", *before)

    return jax.tree.map(spec, one)


def mean(tree: Any, shards: int) -> Any:
    """The mean over the devices that share a batch: one all-reduce of one vector."""
    if shards == 1:
        return tree
    # XLA may join reductions of many leaves into one, up to a size that differs by backend.
    vector, as_tree = ravel_pytree(tree)
    return as_tree(lax.pmean(vector, "batch"))


class Parts(NamedTuple):
    """How one trial's parameters, and gradients like them, lie on `shards` devices.

    axes: of each leaf in order, the axis that is split; None for a leaf that is whole on each.
    """

    shards: int
    axes: tuple[int | None, ...]

    @classmethod
    def of(cls, params: Any, shards: int, *, sharded: bool) -> "Parts":
        """Of parameters with these shapes: split where `split_axis` says, or whole."""
        leaves = jax.tree.leaves(params)
        splits = [split_axis(leaf.shape, shards) if sharded else None for leaf in leaves]
        return cls(shards, tuple(splits))

    def gather(self, params: Any) -> Any:
        """Whole parameters from the parts: one all-gather for each leaf that is split."""
        leaves, structure = jax.tree.flatten(params)
        whole = [
            leaf if axis is None else lax.all_gather(leaf, "batch", axis=axis, tiled=True)
            for leaf, axis in zip(leaves, self.axes, strict=True)
        ]
        return jax.tree.unflatten(structure, whole)

    def reduce(self, loss: Array, gradients: Any) -> tuple[Array, Any]:
        """Means over the devices: of the loss, and of whole gradients, each keeping its part.

        One reduce-scatter for each leaf that is split, one all-reduce for all the rest.
        """
        leaves, structure = jax.tree.flatten(gradients)
        whole, split = self._sorted(leaves)
        loss, means = mean((loss, whole), self.shards)
        for index, leaf in split.items():
            axis = self.axes[index]
            total = lax.psum_scatter(leaf, "batch", scatter_dimension=axis, tiled=True)
            means[index] = total / self.shards
        return loss, jax.tree.unflatten(structure, [means[i] for i in range(len(leaves))])

    def global_norm(self, gradients: Any) -> Array:
        """The norm of all parts as of one vector."""
        whole, split = self._sorted(jax.tree.leaves(gradients))
        squares = _squares(split)
        if split:
            squares = lax.psum(squares, "batch")
        return jnp.sqrt(squares + _squares(whole))

    def all_finite(self, params: Any) -> Array:
        """Whether every part on every device is finite."""
        finite = jnp.all(
            jnp.stack([jnp.all(jnp.isfinite(leaf)) for leaf in jax.tree.leaves(params)])
        )
        if not any(axis is not None for axis in self.axes):
            return finite
        return lax.psum((~finite).astype(jnp.int32), "batch") == 0

    def _sorted(self, leaves: Sequence[Array]) -> tuple[dict[int, Array], dict[int, Array]]:
        """Leaves by their place in the tree: those that are whole, and those that are split."""
        whole: dict[int, Array] = {}
        split: dict[int, Array] = {}
        for index, (leaf, axis) in enumerate(zip(leaves, self.axes, strict=True)):
            (whole if axis is None else split)[index] = leaf
        return whole, split


def _squares(leaves: dict[int, Array]) -> Array | float:
    return sum((jnp.sum(jnp.square(leaf)) for leaf in leaves.values()), 0.0)
