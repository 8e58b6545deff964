"""A linear function with a custom transpose, for forward and reverse mode."""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax.extend.core import Primitive, jaxpr_as_fun
from jax.interpreters import ad, batching, mlir

from lstm_attn.ops.placement import vary_alike

Linear = Callable[[Any, Any], Any]


class _Call(NamedTuple):
    """A linear function of flat lists, (held, point) to results, and its transpose.

    held: the number of leaves that both hold.
    """

    apply: Callable[[list, list], list]
    transpose: Callable[[list, list], list]
    held: int

    def transposed(self) -> "_Call":
        return _Call(self.transpose, self.apply, self.held)

    def split(self, leaves: Any) -> tuple[list, list]:
        return list(leaves[: self.held]), list(leaves[self.held :])

    def run(self, *leaves: Any) -> list:
        return self.apply(*self.split(leaves))


def with_transpose(apply: Linear, transpose: Linear, held: Any, tangents: Any) -> Any:
    """apply(held, tangents), which reverse mode transposes by calling `transpose`.

    `jax.custom_vjp` would rule out forward mode, and JAX's own transpose of a scan stores the
    intermediates of each step. `jax.custom_derivatives.linear_call` can't be differentiated with
    respect to what it holds, nor mapped; a linear solve, which can, needs all tangents in one
    vector, where no axis of the batch is left to be split over devices.

    Args:
      apply: L, linear in its second argument, made of operations that JAX can differentiate with
        respect to the first (it does, for gradients of gradients). It closes over no arrays.
      transpose: L^T of the same `held`: from cotangents of the result to those of the tangents.
      held: a pytree of arrays.
      tangents: a pytree of floating arrays.
    """
    held_leaves, held_tree = jax.tree.flatten(held)
    points, point_tree = jax.tree.flatten(tangents)
    # In `jax.shard_map` the transpose of this cast sums over devices what is one array on all.
    points = vary_alike(points, by=held_leaves)
    result_tree = jax.tree.structure(
        jax.eval_shape(apply, held, jax.tree.unflatten(point_tree, points))
    )

    def flat(function: Linear, tree: Any) -> Callable[[list, list], list]:
        def run(held: list, point: list) -> list:
            arguments = jax.tree.unflatten(held_tree, held), jax.tree.unflatten(tree, point)
            return jax.tree.leaves(function(*arguments))

        return run

    call = _Call(flat(apply, point_tree), flat(transpose, result_tree), len(held_leaves))
    return jax.tree.unflatten(result_tree, _bind(call, *held_leaves, *points))


linear_p = Primitive("lstm_attn_linear")
linear_p.multiple_results = True


def _bind(call: _Call, *leaves: Any) -> list:
    # As a jaxpr too, which JAX lowers, and whoever counts operations reads.
    return linear_p.bind(*leaves, call=call, jaxpr=jax.make_jaxpr(call.run)(*leaves))


def _lowered(*leaves: Any, call: _Call, jaxpr: Any) -> list:
    return jaxpr_as_fun(jaxpr)(*leaves)


linear_p.def_impl(lambda *leaves, call, jaxpr: call.run(*leaves))
linear_p.def_abstract_eval(lambda *_, call, jaxpr: jaxpr.out_avals)
mlir.register_lowering(linear_p, mlir.lower_fun(_lowered, multiple_results=True))


def _jvp(primals: Any, tangents: Any, *, call: _Call, jaxpr: Any) -> tuple[Any, Any]:
    (held, points), (of_held, of_points) = call.split(primals), call.split(tangents)
    values, changes = linear_p.bind(*primals, call=call, jaxpr=jaxpr), []
    if not all(isinstance(tangent, ad.Zero) for tangent in of_points):
        filled = map(ad.instantiate_zeros, of_points)
        changes.append(linear_p.bind(*held, *filled, call=call, jaxpr=jaxpr))
    moving = {n: tangent for n, tangent in enumerate(of_held) if not isinstance(tangent, ad.Zero)}
    if moving:

        def moved(leaves: dict[int, Any]) -> list:
            return call.apply([leaves.get(n, leaf) for n, leaf in enumerate(held)], points)

        changes.append(jax.jvp(moved, ({n: held[n] for n in moving},), (moving,))[1])
    return values, changes[0] if len(changes) == 1 else list(map(jnp.add, *changes))


def _transpose(cotangents: Any, *leaves: Any, call: _Call, jaxpr: Any) -> list:
    held, _ = call.split(leaves)
    filled = map(ad.instantiate_zeros, cotangents)
    return [None] * call.held + _bind(call.transposed(), *held, *filled)


def _batch(leaves: Any, axes: Any, *, call: _Call, jaxpr: Any) -> tuple[list, list]:
    """Every point gets the mapped axis, so that its cotangent has it too."""
    size = next(
        leaf.shape[axis] for leaf, axis in zip(leaves, axes, strict=True) if axis is not None
    )
    held, points = call.split(leaves)
    of_held, of_points = call.split(axes)
    points = [
        jnp.broadcast_to(leaf, (size, *leaf.shape)) if axis is None else jnp.moveaxis(leaf, axis, 0)
        for leaf, axis in zip(points, of_points, strict=True)
    ]

    def mapped(function: Callable[[list, list], list]) -> Callable[[list, list], list]:
        return lambda held, points: jax.vmap(function, (of_held, 0), 0)(held, points)

    call = _Call(mapped(call.apply), mapped(call.transpose), call.held)
    results = _bind(call, *held, *points)
    return results, [0] * len(results)


ad.primitive_jvps[linear_p] = _jvp
ad.primitive_transposes[linear_p] = _transpose
batching.primitive_batchers[linear_p] = _batch
