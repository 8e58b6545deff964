"""A function in two forms: a kernel of this machine's CPU, and JAX operations for all else.

What is traced here may be lowered for another platform, split over devices, or serialised by
`jax.export`; none of this is known at trace time. A kernel works in none of these places:
`lax.platform_dependent` sees only the platform.
"""

import functools
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
from jax.extend.core import Primitive
from jax.interpreters import batching, mlir

from lstm_attn.errors import UsageError

Form = Callable[..., Any]


class Forms(NamedTuple):
    """kernel, portable: functions of a module, called with arrays and `options`, of equal results.

    to_export: why the kernel can't be exported, for the error; None to export the portable form.
    axes: for each `jax.vmap` around the call, the mapped axis of each leaf.
    """

    kernel: Form
    portable: Form
    options: tuple[tuple[str, Any], ...]
    tree: Any
    to_export: str | None
    axes: tuple[tuple[int | None, ...], ...] = ()

    def flat(self, form: Form) -> Callable[..., list]:
        """A form as a function of leaves."""

        def run(*leaves: Any) -> list:
            return jax.tree.leaves(
                form(*jax.tree.unflatten(self.tree, leaves), **dict(self.options))
            )

        for axes in self.axes:
            run = jax.vmap(run, axes)
        return run


def by_lowering(
    kernel: Form, portable: Form, *arrays: Any, to_export: str | None = None, **options: Any
) -> Any:
    """kernel(*arrays, **options) in a program for one CPU device, or for the inside of
    `jax.shard_map` on several, that is run here; portable(*arrays, **options) in every other.

    Args:
      kernel: a function of a module; its results must not be Explicitly sharded.
      portable: a function of a module, whose results have the kernel's structure and types.
      arrays: pytrees.
      to_export: the line of the error that `jax.export` for a CPU raises; None if it takes the
        portable form.
      options: hashable.
    """
    leaves, tree = jax.tree.flatten(arrays)
    forms = Forms(kernel, portable, tuple(sorted(options.items())), tree, to_export)
    results = jax.tree.structure(jax.eval_shape(functools.partial(kernel, **options), *arrays))
    return jax.tree.unflatten(results, kernel_p.bind(*leaves, forms=forms))


kernel_p = Primitive("lstm_attn_kernel")
kernel_p.multiple_results = True


@functools.cache
def _compiled(forms: Forms) -> Callable[..., list]:
    return jax.jit(functools.partial(kernel_p.bind, forms=forms))


@kernel_p.def_impl
def _run(*leaves: Any, forms: Forms) -> list:
    if jax.config.jax_disable_jit:  # type: ignore[attr-defined]
        return forms.flat(forms.portable)(*leaves)
    return _compiled(forms)(*leaves)


@kernel_p.def_abstract_eval
def _types(*types: Any, forms: Forms) -> list:
    return jax.make_jaxpr(forms.flat(forms.kernel))(*types).out_avals


def _batch(leaves: Any, axes: Any, *, forms: Forms) -> tuple[list, list]:
    axes = tuple(None if axis is None else int(axis) for axis in axes)
    results = kernel_p.bind(*leaves, forms=forms._replace(axes=(*forms.axes, axes)))
    return results, [0] * len(results)


batching.primitive_batchers[kernel_p] = _batch


def _lower(context: Any, *operands: Any, forms: Forms) -> Any:
    return mlir.lower_fun(forms.flat(forms.portable), multiple_results=True)(context, *operands)


def _lower_for_cpu(context: Any, *operands: Any, forms: Forms) -> Any:
    if getattr(context.module_context.lowering_parameters, "for_export", False):
        if forms.to_export:
            raise UsageError(forms.to_export)
        return _lower(context, *operands, forms=forms)
    if not _is_whole(context.module_context.axis_context):
        return _lower(context, *operands, forms=forms)
    return mlir.lower_fun(forms.flat(forms.kernel), multiple_results=True)(context, *operands)


def _is_whole(where: Any) -> bool:
    """Whether arrays are whole here: on one device, or inside `jax.shard_map` over all axes."""
    if isinstance(where, mlir.SPMDAxisContext):
        split = set(where.mesh.axis_names) - set(where.manual_axes)
        return all(where.mesh.shape[axis] == 1 for axis in split)
    return getattr(where, "num_devices", 1) == 1


mlir.register_lowering(kernel_p, _lower)
mlir.register_lowering(kernel_p, _lower_for_cpu, platform="cpu")
