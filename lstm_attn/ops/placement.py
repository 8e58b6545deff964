"""Where arrays lie on a mesh: arrays made inside an op lie, or vary, as its inputs do.

With Explicit axes the sharding is a part of an array's type, and inside `jax.shard_map` so are the
mesh axes along which it varies. The carry of a scan must have one type before and after a step.
"""

from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
from jax import Array, lax
from jax.sharding import AbstractMesh, AxisType, Mesh, NamedSharding, PartitionSpec


def varying(array: Array) -> frozenset[str]:
    """The mesh axes along which an array varies inside `jax.shard_map`."""
    return frozenset(jax.typeof(array).manual_axis_type.varying)


def vary_alike(arrays: Sequence[Array], by: Sequence[Array] = ()) -> list[Array]:
    """The arrays, varying along every mesh axis along which one of them, or one of `by`, varies."""
    everywhere = frozenset[str]().union(*map(varying, [*arrays, *by]))
    return [
        lax.pcast(array, tuple(sorted(missing)), to="varying") if missing else array
        for array in arrays
        for missing in [everywhere - varying(array)]
    ]


def on_one_device(array: Array) -> bool:
    """Whether an array is known to lie whole on one device, or inside `jax.shard_map` on each."""
    mesh = jax.typeof(array).sharding.mesh
    meshes = [mesh, jax.sharding.get_abstract_mesh()]
    return all(
        size == 1 or kind == AxisType.Manual
        for mesh in meshes
        for size, kind in zip(mesh.axis_sizes, mesh.axis_types, strict=True)
    )


def zeros_by_row(inputs: Array, *shape: int, dtype: jnp.dtype) -> Array:
    """Zeros [B, *shape] whose rows lie, or vary, as those of inputs [B, ...] do."""
    place, sharding = None, explicit_sharding(inputs)
    if sharding is not None:
        spec = PartitionSpec(*sharding.spec[:1], *[None] * len(shape))
        place = NamedSharding(mesh_of(inputs), spec)
    return jnp.zeros_like(inputs, shape=(inputs.shape[0], *shape), dtype=dtype, device=place)


def rows_alike(array: Array, inputs: Array) -> Array:
    """An array [B, ...] whose rows lie, or vary, as those of inputs [B, ...] do."""
    zeros = zeros_by_row(inputs, *array.shape[1:], dtype=array.dtype)
    same = explicit_sharding(array) == explicit_sharding(zeros) and varying(array) >= varying(zeros)
    return array if same else array + zeros


def explicit_sharding(array: Array) -> NamedSharding | None:
    """The sharding of an array on a mesh with Explicit axes, for `out_sharding`; else None."""
    sharding = jax.typeof(array).sharding
    return sharding if AxisType.Explicit in sharding.mesh.axis_types else None


def batch_axes(inputs: Array) -> tuple[str, ...]:
    """The Explicit mesh axes over which the first axis of an array, and no other, is split."""
    sharding = explicit_sharding(inputs)
    if sharding is None or not sharding.spec or any(sharding.spec[1:]):
        return ()
    names = sharding.spec[0]
    return names if isinstance(names, tuple) else (names,) if names else ()


def mesh_of(array: Array) -> Mesh | AbstractMesh:
    """The mesh of an array; outside of `jax.jit` with its devices."""
    typed: Any = jax.typeof(array) if isinstance(array, jax.core.Tracer) else array
    return typed.sharding.mesh


def is_split(tree: Any) -> bool:
    """Whether an array of the tree is split over Explicit mesh axes."""
    found = map(explicit_sharding, jax.tree.leaves(tree))
    return any(any(sharding.spec) for sharding in found if sharding is not None)
