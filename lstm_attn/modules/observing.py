"""Observations of a model: states and gates of recurrent layers, weights of attention.

Layers sow them into Flax's collection "intermediates" where it is mutable, as in
`module.apply(variables, inputs, mutable="intermediates")`; elsewhere nothing is computed.
"""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from flax import linen as nn
from jax import Array

COLLECTION = "intermediates"
GATES, WEIGHTS, STATES = "gates", "weights", "states"


class Observations(NamedTuple):
    """By the name of the layer, such as "lstm" or "block_0/attention"; "body" if there is only one.

    gates: of recurrent layers whose step gives any, a NamedTuple of arrays [B, T, H].
    weights: of attention, [B, N, T, S]; each row, one query t, sums to one over the keys s.
    states: h_1 ... h_T [B, T, H] of every recurrent layer.
    """

    gates: dict[str, Any]
    weights: dict[str, Array]
    states: dict[str, Array]


def show(module: nn.Module, name: str, make: Callable[[], Any]) -> None:
    """Sows make() under the name if it is not None and the collection is mutable."""
    if module.is_mutable_collection(COLLECTION) and (value := make()) is not None:
        module.sow(COLLECTION, name, value, reduce_fn=lambda _, new: new, init_fn=lambda: None)


def observations(sown: Mapping[str, Any]) -> Observations:
    """What the layers of a `models.Network` have sown."""
    result = Observations({}, {}, {})
    fields = {GATES: result.gates, WEIGHTS: result.weights, STATES: result.states}

    def collect(tree: Mapping[str, Any], path: tuple[str, ...]) -> None:
        # The network has a body: a layer is named by its place in it.
        layer = "/".join(path[1:] or path)
        for name, value in tree.items():
            if name in fields:
                fields[name][layer] = value
            elif isinstance(value, Mapping):
                collect(value, (*path, name))

    collect(sown, ())
    return result
