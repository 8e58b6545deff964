"""What a model shows of its inside: the gates of recurrent layers, the weights of attention.

Layers sow them into Flax's collection "intermediates" where it is mutable, as in
`module.apply(variables, inputs, mutable="intermediates")`; elsewhere nothing is computed.
"""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from flax import linen as nn
from jax import Array

from lstm_attn import ops

COLLECTION = "intermediates"
GATES, WEIGHTS = "gates", "weights"


class Observations(NamedTuple):
    """By the name of the layer, such as "lstm" or "block_0/attention"; "body" for a model of one.

    gates: of LSTM and GRU layers, each [B, T, H].
    weights: of attention, [B, N, T, S]; a row of queries t sums to one over keys s.
    """

    gates: dict[str, ops.LSTMGates | ops.GRUGates]
    weights: dict[str, Array]


def show(module: nn.Module, name: str, make: Callable[[], Any]) -> None:
    """Sows make() under the name, where somebody looks."""
    if module.is_mutable_collection(COLLECTION):
        module.sow(COLLECTION, name, make(), reduce_fn=lambda _, new: new, init_fn=lambda: None)


def observations(sown: Mapping[str, Any]) -> Observations:
    """What the layers of a `models.Network` have sown."""
    found = Observations({}, {})

    def collect(tree: Mapping[str, Any], path: tuple[str, ...]) -> None:
        # The network has a body: a layer is named by its place in it.
        layer = "/".join(path[1:] or path)
        for name, value in tree.items():
            if name == GATES:
                found.gates[layer] = value
            elif name == WEIGHTS:
                found.weights[layer] = value
            elif isinstance(value, Mapping):
                collect(value, (*path, name))

    collect(sown, ())
    return found
