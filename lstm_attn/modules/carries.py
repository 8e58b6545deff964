"""How modules hand what they remember from one call to the next.

A module that can go on where it stopped takes `initial_carry`, gives (carry, outputs) for
`return_carry=True`, and has `empty_carry(batch_size, length)` for the carry before the first step
of at most `length` (an attention by itself must also be told its features). One step at a time is
such a call with T = 1.
"""

from collections.abc import Callable
from typing import Any

from jax import Array

from lstm_attn.errors import UsageError


def continued(module: Callable[..., Any], inputs: Array, carry: Any) -> tuple[Any, Array]:
    """(carry after, outputs) of a module that goes on from a carry; (None, outputs) from none."""
    if carry is None:
        return None, module(inputs)
    return module(inputs, initial_carry=carry, return_carry=True)


def check_carry(where: str, initial_carry: Any, return_carry: bool) -> None:
    """Raises UsageError where a cache is asked for and its room is not known."""
    if return_carry and initial_carry is None:
        raise UsageError(f"{where}: return_carry expected an initial_carry; see empty_carry")
