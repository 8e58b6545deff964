"""A call of the compiled library from JAX: threads, and the types of results."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array, lax
from jax.sharding import NamedSharding, PartitionSpec

from lstm_attn import host


def thread_count() -> int:
    """Threads of one call: the cores divided by the host's devices, which run concurrently."""
    return max(1, host.usable_cores() // jax.local_device_count(backend="cpu"))


def call(
    target: str,
    operands: list[Array],
    shapes: list[tuple],
    *,
    vmap_method: str = "sequential",
    **attributes: Any,
) -> Any:
    """Calls an FFI target; its results are float32.

    In `jax.shard_map` results vary between devices if any operand does.

    Args:
      target: a name in `library.TARGETS`.
      operands: its arrays.
      shapes: of the results.
      vmap_method: as of `jax.ffi.ffi_call`; with "broadcast_all" the target takes further leading
        axes.
      attributes: the target's own, in addition to the number of threads.
    """
    varying = [jax.typeof(operand).manual_axis_type.varying for operand in operands]
    everywhere = frozenset[str]().union(*varying)
    alike = [
        lax.pcast(operand, tuple(sorted(everywhere - axes)), to="varying")
        for operand, axes in zip(operands, varying, strict=True)
    ]
    like = jax.typeof(alike[0])
    # Result types need the mesh if there are varying axes, and must not have one otherwise.
    mesh = NamedSharding(like.sharding.mesh, PartitionSpec()) if everywhere else None
    results = [
        jax.ShapeDtypeStruct(
            shape, jnp.float32, sharding=mesh, manual_axis_type=like.manual_axis_type
        )
        for shape in shapes
    ]
    threads = np.int32(thread_count())
    function = jax.ffi.ffi_call(target, results, vmap_method=vmap_method)
    return function(*alike, threads=threads, **attributes)
