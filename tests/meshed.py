"""A function of parameters and batches run on a mesh of one axis, for each kind of axis."""

import functools
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import AxisType, NamedSharding
from jax.sharding import PartitionSpec as P

from tests.training import hlo

AXIS = "d"
# `jax.make_mesh` makes Explicit axes; `jax.shard_map` makes them Manual inside.
KINDS = {
    "auto": AxisType.Auto,
    "explicit": AxisType.Explicit,
    "manual": AxisType.Auto,
    "manual, unchecked": AxisType.Auto,
}
MESHES = [(4, kind) for kind in KINDS] + [(2, "auto"), (2, "explicit"), (1, "explicit")]


class Measured(NamedTuple):
    """outputs and gradients, the axis of the mesh over which the rows of each output lie, and the
    collectives of the two programs."""

    outputs: list
    gradients: list
    rows: list
    forward: list
    backward: list


def moves(leaf):
    """Whether an array has a derivative."""
    return jnp.issubdtype(leaf.dtype, jnp.inexact)


def parts(leaf):
    """An array as real ones."""
    return (leaf.real, leaf.imag) if jnp.iscomplexobj(leaf) else (leaf,)


def weighed(outputs):
    """A scalar of all numbers of the outputs but integers, each with another weight."""
    leaves = [part for leaf in jax.tree.leaves(outputs) if moves(leaf) for part in parts(leaf)]
    return sum(jnp.sum(jnp.sin(leaf.astype(jnp.float32) + n)) for n, leaf in enumerate(leaves))


def slope(function, params, batch):
    """The gradients of `weighed` by the parameters and the arrays of the batch."""
    moving, rest = [], []
    leaves, tree = jax.tree.flatten(batch)
    for leaf in leaves:
        (moving if moves(leaf) else rest).append(leaf)

    def scalar(params, moving):
        pools = iter(moving), iter(rest)
        joined = [next(pools[not moves(leaf)]) for leaf in leaves]
        return weighed(function(params, jax.tree.unflatten(tree, joined)))

    return jax.grad(scalar, (0, 1))(params, moving)


def alone(function, params, batch):
    """Outputs and gradients on one device, without a mesh."""
    return (
        jax.tree.leaves(jax.jit(function)(params, batch)),
        jax.tree.leaves(jax.jit(functools.partial(slope, function))(params, batch)),
    )


def programs(function, params, batch, kind, devices):
    """The compiled programs of outputs and gradients, and their arguments on a mesh: parameters
    whole, each array of the batch split along its first axis."""
    mesh = jax.make_mesh(
        (devices,), (AXIS,), axis_types=(KINDS[kind],), devices=jax.devices()[:devices]
    )
    rows, whole = P(AXIS), P()
    grad = functools.partial(slope, function)
    if kind.startswith("manual"):
        mapped = functools.partial(
            jax.shard_map, mesh=mesh, in_specs=(whole, rows), check_vma=kind == "manual"
        )

        def slopes(params, batch):
            def local(params, batch):
                of_params, of_batch = grad(params, batch)
                if kind != "manual":  # unchecked, JAX can't know that the parameters are shared
                    of_params = jax.lax.psum(of_params, AXIS)
                return of_params, of_batch

            return mapped(local, out_specs=(whole, rows))(params, batch)

        forward, backward = mapped(function, out_specs=rows), slopes
    else:
        forward, backward = function, grad
    params = jax.device_put(params, NamedSharding(mesh, whole))
    batch = jax.device_put(batch, NamedSharding(mesh, rows))
    return *(jax.jit(f).lower(params, batch).compile() for f in (forward, backward)), params, batch


def measured(function, params, batch, kind, devices):
    *compiled, params, batch = programs(function, params, batch, kind, devices)
    outputs, gradients = (jax.tree.leaves(program(params, batch)) for program in compiled)
    return Measured(
        outputs,
        gradients,
        [leaf.sharding.spec[:1] for leaf in outputs],
        *(hlo.collectives(program.as_text()) for program in compiled),
    )


def check(case, expected, kind, devices, bound, reductions):
    """Asserts equal numbers and equal rows, no collective forward, and one in the gradient.

    reductions: the collectives of the gradient where there are any; None for sums at every step.
    """
    got = measured(*case, kind, devices)
    for ours, theirs in zip(
        [*got.outputs, *got.gradients], [*expected[0], *expected[1]], strict=True
    ):
        scale = max(1, np.abs(theirs).max(initial=0))
        np.testing.assert_allclose(ours, theirs, rtol=0, atol=bound * scale)
    assert set(got.rows) == {(AXIS,)}
    assert got.forward == []
    assert {what for what, _ in got.backward} <= {"all-reduce"}
    if reductions is not None:
        assert got.backward in ([], reductions)
