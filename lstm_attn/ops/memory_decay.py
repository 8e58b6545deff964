"""How much a matrix memory keeps of itself at each step: a factor, or its logarithm."""

import jax.numpy as jnp
from jax import Array, lax

from lstm_attn.errors import UsageError
from lstm_attn.ops.checks import accumulator

# exp of it is 0, and sums of it are finite.
LOWEST_LOG = -1e30
# A decay below it has its logarithm: what is left is lost in rounding, and a slope is not.
LOWEST_DECAY = 1e-30


def check_one_decay(function: str, decay: Array | None, log_decay: Array | None) -> None:
    """Raises UsageError where both are given."""
    if decay is not None and log_decay is not None:
        raise UsageError(f"{function}: expected decay or log_decay, got both")


def factor_of(decay: Array | None, log_decay: Array | None) -> Array | None:
    """The factor of a step; None for 1."""
    return decay if log_decay is None else jnp.exp(log_decay)


def log_of(decay: Array | None, log_decay: Array | None) -> Array | None:
    """The logarithm in the accumulator's dtype, finite where the factor is 0; None for 0."""
    if log_decay is not None:
        return jnp.maximum(log_decay.astype(accumulator(log_decay.dtype)), LOWEST_LOG)
    if decay is None:
        return None
    decay = decay.astype(accumulator(decay.dtype))
    # Each step's derivative is the product of the others': at 0 it is taken at LOWEST_DECAY, with
    # the slope of the decay itself. NaN, and a decay below 0, which no logarithm has, give NaN.
    above, at_least_zero = decay > LOWEST_DECAY, decay >= 0
    lowest = LOWEST_DECAY + (decay - lax.stop_gradient(decay))
    safe = jnp.where(above, decay, jnp.where(at_least_zero, lowest, 1))
    return jnp.where(at_least_zero, jnp.log(safe), jnp.nan)
