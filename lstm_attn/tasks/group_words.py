"""Words over a group: at each step, the product of all elements so far."""

import dataclasses
import functools
import itertools
import math
from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array, lax

from lstm_attn.tasks.base import Batch, check_lengths, right_answers
from lstm_attn.tasks.symbols import SymbolTask, by_octave, octaves, one_hot


def _permutations(size: int, *, even: bool) -> np.ndarray:
    """The table of products of the permutations of that size, or of the even ones, in lexicographic
    order: [g, h] is the permutation that takes i to g[h[i]]."""
    elements = np.array(list(itertools.permutations(range(size))))
    if even:
        pairs = itertools.combinations(range(size), 2)
        inversions = sum((elements[:, i] > elements[:, j]).astype(int) for i, j in pairs)
        elements = elements[inversions % 2 == 0]
    products = elements[:, elements]  # [g, h, i]
    weights = size ** np.arange(size)
    number = {code: index for index, code in enumerate((elements @ weights).tolist())}
    return np.vectorize(number.__getitem__)(products @ weights)


def _cyclic(size: int) -> np.ndarray:
    return np.add.outer(np.arange(size), np.arange(size)) % size


def _direct_product(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Of two tables: the pair (a, b) is the element a * len(second) + b."""
    table = first[:, None, :, None] * len(second) + second[None, :, None, :]
    return table.reshape(len(first) * len(second), -1)


GROUPS: dict[str, Callable[[], np.ndarray]] = {
    "S3": lambda: _permutations(3, even=False),
    "A5": lambda: _permutations(5, even=True),
    "S5": lambda: _permutations(5, even=False),
    "A4xZ5": lambda: _direct_product(_permutations(4, even=True), _cyclic(5)),
    "Z60": lambda: _cyclic(60),
}
ORDERS = {"S3": 6, "A5": 60, "S5": 120, "A4xZ5": 60, "Z60": 60}


@functools.cache
def multiplication(group: str) -> np.ndarray:
    """The multiplication table of a group: [g, h] is g h, int32; element 0 is the identity."""
    return GROUPS[group]().astype(np.int32)


@dataclasses.dataclass(frozen=True)
class Words(SymbolTask):
    """`length` uniform elements g_1, g_2, ... of a group; due at step t is g_1 g_2 ... g_t.

    Elements are numbered: permutations in lexicographic order, of which A4 and A5 have the even
    ones; in g h, h acts first; an element (a, z) of A4 x Z5 is 5 a + z. In S3, 1 exchanges the last
    two of three, 2 the first two, and 3 and 4 are the rotations:

        S3
        input    1 2 3 5
        target   1 4 0 5

    Loss: cross-entropy over all steps. Baseline: only the element of the step is known, which is
    the answer at the first step: (1 - 1/length) ln |G|. The word problems of A5 and S5 are
    NC1-complete; those of A4xZ5 and Z60, of 60 elements too, are the controls.

    Metrics: accuracy over all steps, and counts by gap: how many elements the product has.
    Solved: at least 99 % of the products right, which is ours.

    Source: Merrill, Petty & Sabharwal 2024, `generate_data.py` of jopetty/word-problem. It numbers
    the elements by another library, and draws distinct sequences, here independent ones.
    """

    length: int
    variant: str = "S3"
    variants = tuple(GROUPS)
    name = "words"
    least_length = 2
    criterion = "at least 99 % of products right"

    @property
    def order(self) -> int:
        """How many elements the group has."""
        return ORDERS[self.variant]

    @property
    def input_features(self) -> int:
        return self.order

    @property
    def output_features(self) -> int:
        return self.order

    @property
    def sequence_length(self) -> int:
        return self.length

    @property
    def baseline(self) -> float:
        return (1 - 1 / self.length) * math.log(self.order)

    @property
    def chance(self) -> float:
        return 1 / self.order

    @property
    def accuracy_without_memory(self) -> float:
        return (1 + (self.length - 1) / self.order) / self.length

    def sample_within(self, key: Array, lengths: Array) -> Batch:
        """A batch of fresh sequences, sequence b of lengths[b] elements."""
        check_lengths(self, lengths)
        table = jnp.asarray(multiplication(self.variant))
        elements = jax.random.randint(key, (self.length, len(lengths)), 0, self.order)

        def step(product: Array, element: Array) -> tuple[Array, Array]:
            product = table[product, element]
            return product, product

        _, products = lax.scan(step, jnp.zeros_like(elements[0]), elements)
        real = jnp.arange(self.length)[None] < lengths[:, None].astype(int)
        inputs = one_hot(elements.T, real, self.order)
        return Batch(inputs, jnp.where(real, products.T, 0), real)

    def metrics(self, outputs: Array, batch: Batch) -> dict[str, Array]:
        """loss, accuracy, and counts by gap."""
        gaps = jnp.arange(1, self.length + 1)[None]
        right = right_answers(outputs, batch.targets)
        return {
            "loss": self.loss(outputs, batch),
            "accuracy": jnp.mean(right, where=batch.mask),
            **by_octave("gap", gaps, octaves(self.length), outputs, batch),
        }
