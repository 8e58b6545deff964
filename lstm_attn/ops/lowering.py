"""A function in two forms: a kernel of a CPU, and JAX operations for all other platforms."""

import functools
from collections.abc import Callable
from typing import Any

from jax import lax


def by_lowering(
    kernel: Callable[..., Any], portable: Callable[..., Any], *arrays: Any, **options: Any
) -> Any:
    """kernel(*arrays, **options) in a program for a CPU, portable(*arrays, **options) in any other.

    What is traced on a CPU may be lowered for another platform, as by `jax.export`.
    """
    return lax.platform_dependent(
        *arrays,
        cpu=functools.partial(kernel, **options),
        default=functools.partial(portable, **options),
    )
