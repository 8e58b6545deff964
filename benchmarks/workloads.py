"""What is computed: the cases, and the arithmetic and the memory traffic that none can avoid.

Sizes by axis letter as in `lstm_attn.ops`. A product of [M, K] and [K, N] counts 2 M K N floating
point operations. Traffic counts every array that comes in and every result once, in float32; what
is computed in between could stay in caches.
"""

import dataclasses
from typing import Literal

BYTES = 4
GATES = {"lstm": 4, "gru": 3}
Direction = Literal["forward", "forward and backward"]
DIRECTIONS: tuple[Direction, ...] = ("forward", "forward and backward")


@dataclasses.dataclass(frozen=True)
class Recurrent:
    """A layer [B, T, D] -> [B, T, H], as `forward`; or with the gradients of its parameters and
    inputs of mean(h_T^2), as `forward and backward`.
    """

    cell: Literal["lstm", "gru"]
    batch: int
    length: int
    inputs: int
    features: int
    direction: Direction

    @property
    def title(self) -> str:
        return f"{self.cell}, {self.direction}, {sizes_title(self)}"

    @property
    def parameters(self) -> int:
        """Kernel, recurrent kernel and one bias."""
        return GATES[self.cell] * self.features * (self.inputs + self.features + 1)

    @property
    def flops(self) -> int:
        """2 B T (D + H) G H of the products; the backward pass has two of each size."""
        width = GATES[self.cell] * self.features
        forward = 2 * self.batch * self.length * (self.inputs + self.features) * width
        return forward if self.direction == "forward" else 3 * forward

    @property
    def bytes(self) -> int:
        read = self.batch * self.length * self.inputs + self.parameters
        if self.direction == "forward":
            return BYTES * (read + self.batch * self.length * self.features)
        return BYTES * 2 * read  # the gradients are as large


@dataclasses.dataclass(frozen=True)
class Training:
    """A training step: new data, a layer, a linear readout of its last step, mean squared error,
    Adam. Inputs are standard normal, the target is the mean over time of the first feature.
    """

    cell: Literal["lstm", "gru"]
    batch: int
    length: int
    inputs: int
    features: int

    @property
    def title(self) -> str:
        return f"{self.cell}, {sizes_title(self)}"

    @property
    def parameters(self) -> int:
        """Those of the layer and of the readout to one number."""
        layer = GATES[self.cell] * self.features * (self.inputs + self.features + 1)
        return layer + self.features + 1

    @property
    def flops(self) -> int:
        """3 x 2 B T (D + H) G H, the products of the layer; the rest is left out."""
        width = GATES[self.cell] * self.features
        return 6 * self.batch * self.length * (self.inputs + self.features) * width

    @property
    def bytes(self) -> int:
        """The data once; parameters and Adam's two moments read and written."""
        return BYTES * (self.batch * self.length * self.inputs + 6 * self.parameters)


@dataclasses.dataclass(frozen=True)
class Attention:
    """Dot-product attention of N heads of K features with T queries and keys, as `forward`; or with
    the gradients of query, key and value of mean(out^2).
    """

    batch: int
    length: int
    heads: int
    features: int
    is_causal: bool
    direction: Direction

    @property
    def title(self) -> str:
        causal = ", causal" if self.is_causal else ""
        return f"attention, {self.direction}{causal}, B={self.batch} T={self.length}"

    @property
    def flops(self) -> int:
        """Two products [T, S, K] a head, four more for the gradients; half of it if causal."""
        pairs = self.length * (self.length + 1) // 2 if self.is_causal else self.length**2
        forward = 4 * self.batch * self.heads * pairs * self.features
        return forward if self.direction == "forward" else 3 * forward

    @property
    def bytes(self) -> int:
        """Query, key, value and out; with gradients, those of the first three as well."""
        array = BYTES * self.batch * self.length * self.heads * self.features
        return array * (4 if self.direction == "forward" else 7)


@dataclasses.dataclass(frozen=True)
class Decoding:
    """One step of a model of `lstm_attn.models` after another, with room for that many positions.

    `features` is the LSTM's width H; the others have as many parameters.
    """

    batch: int
    room: int
    features: int

    @property
    def title(self) -> str:
        return f"decoding, B={self.batch}, {self.room} positions, H={self.features}"


@dataclasses.dataclass(frozen=True)
class LanguageModel:
    """A training step of a model of `lstm_attn.models` on the characters of a text: embedding, the
    model, readout, cross-entropy of each next character, the gradient's norm clipped, Adam. A
    recurrent model goes on from the state that the segment before has left.

    `features` is the LSTM's width H; the Transformer has as many parameters.
    """

    model: Literal["lstm", "transformer"]
    batch: int
    length: int
    features: int

    @property
    def title(self) -> str:
        return f"{self.model} on text, B={self.batch} T={self.length} H={self.features}"


def sizes_title(case: Recurrent | Training) -> str:
    """The sizes by axis letter."""
    return f"B={case.batch} T={case.length} D={case.inputs} H={case.features}"
