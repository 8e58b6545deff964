"""The POSITIONS table: how a Transformer knows the order of its inputs."""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax import Array

from lstm_attn import ops
from lstm_attn.errors import UsageError, unknown_name
from lstm_attn.modules.initializers import normal

LEARNED = "positions"  # the name of the table among a module's parameters
LEARNED_INIT = normal(0.02)


class Positions(NamedTuple):
    """One scheme; a function that it does not use is None. Positions are integers [T] (keys [S]).

    vectors: (the module that owns any parameters, positions, the largest number of positions,
      features, dtype) -> [T, F], added to the embedded inputs.
    turn: (queries or keys [B, T, N, K], positions) -> the same shape.
    bias: (num_heads, query positions, key positions) -> [N, T, S], added to the logits.
    """

    vectors: Callable[[Any, Array, int, int, jnp.dtype], Array] | None = None
    turn: Callable[[Array, Array], Array] | None = None
    bias: Callable[[int, Array, Array], Array] | None = None


def _learned(module: Any, positions: Array, longest: int, features: int, dtype: jnp.dtype) -> Array:
    """A parameter [T, F], as long as the sequence that the module was initialised on.

    Source: Gehring et al. 2017, section 3.1.
    """
    table: Array
    if module.has_variable("params", LEARNED):
        table = module.get_variable("params", LEARNED)
    else:
        table = module.param(LEARNED, LEARNED_INIT, (longest, features), module.param_dtype)
    if longest > len(table):
        raise UsageError(
            f"learned positions: expected at most {len(table)} steps, as at initialisation, "
            f"got {longest}"
        )
    return table.astype(dtype)[positions]


POSITIONS: dict[str, Positions] = {
    "none": Positions(),
    "sinusoidal": Positions(
        vectors=lambda module, positions, longest, features, dtype: ops.sinusoidal_positions(
            positions, features, dtype
        )
    ),
    "learned": Positions(vectors=_learned),
    "rotary": Positions(turn=ops.rotary),
    "alibi": Positions(bias=ops.alibi_bias),
}


def find_positions(name: str) -> Positions:
    """The scheme of that name.

    Raises:
      ValueError: an unknown name, with the nearest ones.
    """
    if name not in POSITIONS:
        raise unknown_name("positions", name, POSITIONS)
    return POSITIONS[name]


def continue_positions(params: Any, steps: int, key: Array) -> Any:
    """Parameters whose learned positions reach over `steps`: new rows are as at initialisation.

    A table that had this length from the start would have the same rows, since no loss reaches the
    row of a step that never occurs (only weight decay would shrink it). So past the trained length
    such a model shows what untrained rows do. Other parameters do not change.

    Args:
      params: of a model; a table is [T, F], or [R, T, F] of R trials.
    """

    def longer(path: tuple[Any, ...], leaf: Array) -> Array:
        *trials, rows, features = leaf.shape if path[-1:] == (name,) else (steps, 0)
        if rows >= steps:
            return leaf
        new = LEARNED_INIT(key, (*trials, steps - rows, features), leaf.dtype)
        return jnp.concatenate([leaf, new], axis=-2)

    name = jax.tree_util.DictKey(LEARNED)
    return jax.tree_util.tree_map_with_path(longer, params)
