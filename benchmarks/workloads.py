"""What is timed: the cases, and the arithmetic and memory traffic that no implementation can avoid.

Sizes by axis letter as in `lstm_attn.ops`. A product of [M, K] and [K, N] counts 2 M K N floating
point operations. Traffic counts every input array and every result once, in float32; intermediate
values could stay in caches.
"""

import dataclasses
from typing import Literal

BYTES = 4
GATES = {"lstm": 4, "gru": 3}
Direction = Literal["forward", "forward and backward"]
DIRECTIONS: tuple[Direction, ...] = ("forward", "forward and backward")
# B, T, D, H: the adding problem at three sizes, then wider.
SHAPES: list[tuple[int, ...]] = [
    (32, 1000, 10, 128),
    (50, 200, 2, 128),
    (128, 300, 10, 128),
    (64, 256, 256, 256),
    (16, 512, 128, 512),
]
SHORT_SHAPES = SHAPES[:2]
# B, T, H: the width of configs/language_model.py, and as many tokens a step.
TEXT_SHAPE = (16, 128, 192)
HEADS, HEAD_FEATURES = 4, 32


@dataclasses.dataclass(frozen=True)
class Layer:
    """Sizes of one recurrent layer [B, T, D] -> [B, T, H] with G gates; cell: a key of GATES."""

    cell: str
    batch: int
    length: int
    inputs: int
    features: int

    @property
    def sizes(self) -> str:
        return f"B={self.batch} T={self.length} D={self.inputs} H={self.features}"

    @property
    def layer_parameters(self) -> int:
        """Kernel, recurrent kernel and one bias."""
        return GATES[self.cell] * self.features * (self.inputs + self.features + 1)

    @property
    def layer_flops(self) -> int:
        """2 B T (D + H) G H of the products forward; the backward pass has two of each size."""
        width = GATES[self.cell] * self.features
        return 2 * self.batch * self.length * (self.inputs + self.features) * width


@dataclasses.dataclass(frozen=True)
class Recurrent(Layer):
    """A layer `forward`; or `forward and backward` with the gradients of its parameters and inputs
    of mean(h_T^2).
    """

    direction: Direction

    @property
    def title(self) -> str:
        return f"{self.cell}, {self.direction}, {self.sizes}"

    @property
    def flops(self) -> int:
        return self.layer_flops * (1 if self.direction == "forward" else 3)

    @property
    def bytes(self) -> int:
        read = self.batch * self.length * self.inputs + self.layer_parameters
        if self.direction == "forward":
            return BYTES * (read + self.batch * self.length * self.features)
        return BYTES * 2 * read  # the gradients are as large


@dataclasses.dataclass(frozen=True)
class Training(Layer):
    """A training step: new data, a layer, a linear readout of its last step, mean squared error,
    Adam. Inputs are standard normal, the target is the mean over time of the first feature.
    """

    @property
    def title(self) -> str:
        return f"{self.cell}, {self.sizes}"

    @property
    def flops(self) -> int:
        """3 x 2 B T (D + H) G H, the products of the layer; the rest is left out."""
        return 3 * self.layer_flops

    @property
    def bytes(self) -> int:
        """The data once; parameters and Adam's two moments read and written."""
        parameters = self.layer_parameters + self.features + 1  # of the readout to one number
        return BYTES * (self.batch * self.length * self.inputs + 6 * parameters)


@dataclasses.dataclass(frozen=True)
class Attention:
    """Dot-product attention of N heads of K features with T queries and keys, `forward`; or with
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
    """Steps of a model of `lstm_attn.models`, one after another, with room for so many positions.

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
    recurrent model starts from the last state of the segment before.

    `features` is the LSTM's width H; the Transformer has as many parameters.
    """

    model: Literal["lstm", "transformer"]
    batch: int
    length: int
    features: int

    @property
    def title(self) -> str:
        return f"{self.model} on text, B={self.batch} T={self.length} H={self.features}"
