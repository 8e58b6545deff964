"""Whether the C++ kernels of `lstm_attn.native` can run: for float32 on a CPU, once built."""

import functools
import warnings

import jax
import jax.numpy as jnp
from jax import Array

from lstm_attn import native
from lstm_attn.ops.dispatch import are_known
from lstm_attn.ops.placement import on_one_device

NOT_BUILT = "expected the kernel, which `python -m lstm_attn.native` builds"


def obstacle(inputs: Array) -> str | None:
    """Why the kernels can't run on these inputs, or None."""
    if jax.default_backend() != "cpu":
        return f"expected a CPU, but JAX computes on {jax.default_backend()!r} here"
    if inputs.dtype != jnp.float32:
        return f"expected inputs in float32, got {inputs.dtype}"
    if not are_known(inputs.shape):
        return f"expected sizes that are known, got {inputs.shape}"
    if not on_one_device(inputs):
        return "expected inputs that are whole on one device, or split by jax.shard_map"
    if not native.available():
        return NOT_BUILT
    return None


@functools.cache
def warn_not_built() -> None:
    """Warns, once in a process, that a kernel would be used if it were there."""
    warnings.warn(
        "the LSTM and attention run without their C++ kernels, which is slower; "
        "`python -m lstm_attn.native`, once on this machine, builds them with a C++ compiler",
        stacklevel=3,
    )
