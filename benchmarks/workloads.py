"""What is timed: the cases of each benchmark, and the arithmetic and memory traffic of a case that
no implementation can avoid.

Sizes by axis letter as in `lstm_attn.ops`. A product of [M, K] and [K, N] counts 2 M K N floating
point operations. Traffic counts every input array and every result once, in float32; intermediate
values could stay in caches.
"""

import dataclasses
from typing import ClassVar, Literal

BYTES = 4
GATES = {"lstm": 4, "gru": 3}
Direction = Literal["forward", "forward and backward"]
DIRECTIONS: tuple[Direction, ...] = ("forward", "forward and backward")
# How much of a benchmark runs: "tiny" shows that it works, in seconds.
SETS = ("tiny", "short", "all")
# B, T, D, H: the adding problem at three sizes, then wider.
ADDING = [(32, 1000, 10, 128), (50, 200, 2, 128)]
SHAPES = {
    "tiny": [(2, 3, 2, 4)],
    "short": ADDING,
    "all": [*ADDING, (128, 300, 10, 128), (64, 256, 256, 256), (16, 512, 128, 512)],
}
# B, T, H of language models: the width of configs/language_model.py, and as many tokens a step.
TEXT_SHAPES: dict[str, list[tuple[int, int, int]]] = {
    "tiny": [],
    "short": [(16, 128, 192)],
    "all": [(16, 128, 192)],
}
HEADS, HEAD_FEATURES = 4, 32
# B, T, N, K of attention: two lengths with heads of three sizes; then as models of the adding
# problem have them; then long.
SQUARES = [(4, length, HEADS, features) for length in (512, 2048) for features in (16, 32, 64)]
ADDING_HEADS = [(32, 50, 2, 13), (32, 200, 2, 13), (32, 750, 2, 13)]
ATTENTION_SHAPES = {
    "tiny": [(1, 8, HEADS, HEAD_FEATURES)],
    "short": [*SQUARES, *ADDING_HEADS],
    "all": [
        *SQUARES,
        *ADDING_HEADS,
        (4, 8192, HEADS, HEAD_FEATURES),
        (1, 16384, HEADS, HEAD_FEATURES),
    ],
}
# T of an LSTM with B = 8, D = 10, H = 128; then T of attention.
LONG_LENGTHS = {"tiny": [16], "short": [5_000], "all": [5_000, 100_000]}
LONG_ATTENTION = {"tiny": 16, "short": 16_384, "all": 16_384}
# The most positions of a decoded sequence (what a key-value cache has room for), and B.
ROOMS = {"tiny": [16], "short": [256, 1024], "all": [256, 1024, 4096]}
DECODING_BATCHES = (1, 16)


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
        sizes = f"B={self.batch} T={self.length} N={self.heads} K={self.features}"
        return f"attention, {self.direction}{causal}, {sizes}"

    @property
    def flops(self) -> int:
        """Two products [T, S, K] a head, four more for the gradients; half of it if causal.

        An exponential for each pair, of 11 operations, and a fifth product of the gradients, which
        recomputes the logits where [T, S] is not kept, are left out.
        """
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
    """Steps of a model of `lstm_attn.models`, one at a time, on sequences of at most `room`
    positions: the size of a key-value cache.

    `features` is the LSTM's width H; the others have as many parameters.
    """

    batch: int
    room: int
    features: int
    flops: ClassVar[None] = None  # no floor is shown

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
    flops: ClassVar[None] = None  # no floor is shown

    @property
    def title(self) -> str:
        return f"{self.model} on text, B={self.batch} T={self.length} H={self.features}"


def recurrent(chosen: str) -> list[Recurrent]:
    """Both cells, forward and with gradients, at each shape of a set."""
    return [
        Recurrent(cell, *shape, direction)
        for cell in GATES
        for direction in DIRECTIONS
        for shape in SHAPES[chosen]
    ]


def training(chosen: str) -> list[Training | LanguageModel]:
    """Steps of an LSTM at each shape of a set, then of language models."""
    return [
        *(Training("lstm", *shape) for shape in SHAPES[chosen]),
        *(LanguageModel("lstm", *shape) for shape in TEXT_SHAPES[chosen]),
        *(LanguageModel("transformer", *shape) for shape in TEXT_SHAPES[chosen]),
    ]


def attention(chosen: str) -> list[Attention]:
    """Each direction, with and without a mask, at each size of a set."""
    return [
        Attention(*shape, is_causal, direction)
        for direction in DIRECTIONS
        for is_causal in (False, True)
        for shape in ATTENTION_SHAPES[chosen]
    ]


def memory(chosen: str) -> list[Training | Attention]:
    """A training step of an LSTM at each long T of a set, then attention with its gradients."""
    heads = (LONG_ATTENTION[chosen], HEADS, HEAD_FEATURES)
    return [
        *(Training("lstm", 8, length, 10, 128) for length in LONG_LENGTHS[chosen]),
        Attention(1, *heads, True, "forward and backward"),
    ]


def decoding(chosen: str) -> list[Decoding]:
    """Each batch size with each room of a set."""
    return [Decoding(batch, room, 128) for batch in DECODING_BATCHES for room in ROOMS[chosen]]
