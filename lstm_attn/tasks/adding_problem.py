"""The adding problem: remember two marked numbers and give their sum."""

import dataclasses
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import Array

from lstm_attn.tasks.base import ACCURACY_SLACK, Batch, Task, check_lengths, squared_error

TOLERANCE = 0.04
EARLY = 10  # pairs among which `hs1997` marks the first


class _Variant(NamedTuple):
    """baseline: the loss of the best answer without memory; accuracy: how often it is right."""

    baseline: float
    accuracy: float
    least_length: int = 2


# P(|X1 + X2| < 4 TOLERANCE) of two values from U[-1, 1), and with X1 = 0.
_OF_TWO = 4 * TOLERANCE - (4 * TOLERANCE) ** 2 / 4
_OF_ONE = 4 * TOLERANCE
VARIANTS = {
    "arjovsky2016": _Variant(1 / 6, 1 - (1 - TOLERANCE) ** 2),
    "tcn": _Variant(1 / 6, 1 - (1 - TOLERANCE) ** 2),
    # X1 is 0 in one of ten sequences: the first step is the marked one.
    "hs1997": _Variant((0.9 + 1) / 48, 0.9 * _OF_TWO + 0.1 * _OF_ONE, 2 * EARLY),
    "raffel2015": _Variant(1 / 24, _OF_TWO, 2 * EARLY),
}


@dataclasses.dataclass(frozen=True)
class Adding(Task):
    """Sum of the two marked values, due at the last step.

    `arjovsky2016`: input [B, T, 2]: a value drawn from U[0, 1), and a marker that is 1 at two
    steps, one uniform in the first half (steps 0 to T//2 - 1) and one uniform in the second. For
    T = 6:

        value   .3  .9  .1  .5  .2  .7
        marker   0   1   0   0   0   1      target .9 + .7 = 1.6 at the last step

    Loss: mean squared error at the last step. Baseline: always predicting 1, which gives
    Var(U + U) = 1/6. Correct: absolute error < .04. Solved: at least 99 % correct.

    `tcn`: the same with the two markers at distinct steps anywhere.

    `hs1997`: T to T + T//10 steps, uniform; values from U[-1, 1). X1 is the value at one of the
    first ten steps, X2 that at one of the first T//2 - 1 of the others; both are marked 1, and the
    first and the last step -1 where they are not. Where the first step is that of X1, its value is
    0. Target .5 + (X1 + X2)/4. Baseline: always .5, so (Var X1 + Var X2)/16 = (.9 + 1)/48. Solved:
    mean squared error < .01 and every sequence correct.

    `raffel2015`: values, target and ends as `hs1997`; X1 is the value at one of the steps 1 to 9,
    X2 that at one of the steps 1 to 1.1 T/2 - 2, one later where that is the same. Baseline: 1/24.
    Solved: every sequence correct.

    Source: Arjovsky, Shah & Bengio 2016, section 5.2; the criterion for one sequence is that of
    Hochreiter & Schmidhuber 1997, section 5.4, whose experiment 4 is `hs1997`; Bai, Kolter & Koltun
    2018, `adding_problem` of locuslab/TCN; Raffel & Ellis 2015, whose `toy_problems` call
    `lstm_problems.add` of craffel/lstm_problems.
    """

    length: int
    variant: str = "arjovsky2016"
    variants = tuple(VARIANTS)
    name = "adding"
    solved_accuracy = 0.99

    @property
    def has_early_marks(self) -> bool:
        return self.variant in ("hs1997", "raffel2015")

    @property
    def least_length(self) -> int:  # type: ignore[override]
        return VARIANTS[self.variant].least_length

    @property
    def baseline(self) -> float:
        return VARIANTS[self.variant].baseline

    @property
    def accuracy_without_memory(self) -> float:
        """P(|U + U - 1| < .04) = 1 - .96^2, where the values are U and U."""
        return VARIANTS[self.variant].accuracy

    @property
    def sequence_length(self) -> int:
        return self.length + self.length // 10 * self.has_early_marks

    @property
    def criterion(self) -> str:
        if self.variant == "hs1997":
            return "mean squared error < .01 and absolute error < .04 on every sequence"
        share = "every sequence" if self.has_early_marks else "at least 99 % of sequences"
        return f"absolute error < .04 on {share}"

    def is_solved(self, metrics: dict) -> bool:
        if not self.has_early_marks:
            return super().is_solved(metrics)
        is_near = self.variant != "hs1997" or metrics["loss"] < 0.01
        return bool(is_near and metrics["accuracy"] >= 1 - ACCURACY_SLACK)

    def sample(self, key: Array, batch_size: int) -> Batch:
        """A batch of fresh sequences: inputs float32 [B, T, 2], targets float32 [B, T]."""
        return self.sample_within(key, jnp.full(batch_size, self.length))

    def sample_within(self, key: Array, lengths: Array) -> Batch:
        """A batch as of `sample`, sequence b of lengths[b] steps; [B] integers of 2 to T."""
        check_lengths(self, lengths)
        lengths = lengths[:, None].astype(int)
        if self.has_early_marks:
            return self._early_within(key, lengths)
        value_key, first_key, second_key = jax.random.split(key, 3)
        ends = lengths
        values = jax.random.uniform(value_key, (len(lengths), self.length), jnp.float32)
        if self.variant == "tcn":
            first = jax.random.randint(first_key, ends.shape, 0, ends)
            second = jax.random.randint(second_key, ends.shape, 0, ends - 1)
            second = jnp.where(second >= first, second + 1, second)
        else:
            first = jax.random.randint(first_key, ends.shape, 0, ends // 2)
            second = jax.random.randint(second_key, ends.shape, ends // 2, ends)
        steps = jnp.arange(self.length)[None]
        marked = (steps == first) | (steps == second)
        total = jnp.sum(jnp.where(marked, values, 0), axis=1, keepdims=True)
        due = steps == ends - 1
        values = jnp.where(steps < ends, values, 0)
        inputs = jnp.stack([values, marked.astype(jnp.float32)], axis=-1)
        return Batch(inputs, jnp.where(due, total, 0), due)

    def _early_within(self, key: Array, lengths: Array) -> Batch:
        """`hs1997` and `raffel2015`."""
        value_key, first_key, second_key, end_key = jax.random.split(key, 4)
        shape = (len(lengths), self.sequence_length)
        values = jax.random.uniform(value_key, shape, jnp.float32, -1.0, 1.0)
        last = lengths - 1 + jax.random.randint(end_key, lengths.shape, 0, lengths // 10 + 1)
        if self.variant == "hs1997":
            first = jax.random.randint(first_key, lengths.shape, 0, EARLY)
            second = jax.random.randint(second_key, lengths.shape, 0, lengths // 2 - 1)
            second = jnp.where(second >= first, second + 1, second)
        else:
            first = jax.random.randint(first_key, lengths.shape, 1, EARLY)
            longest = lengths + (lengths + 9) // 10
            second = jax.random.randint(second_key, lengths.shape, 1, longest // 2 - 1)
            second = jnp.where(second == first, second + 1, second)
        steps = jnp.arange(self.sequence_length)[None]
        values = jnp.where((steps <= last) & ~((steps == first) & (steps == 0)), values, 0)
        marked = (steps == first) | (steps == second)
        is_end = (steps == 0) | (steps == last)
        markers = jnp.where(marked, 1.0, jnp.where(is_end, -1.0, 0.0)).astype(jnp.float32)
        total = jnp.sum(jnp.where(marked, values, 0), axis=1, keepdims=True)
        due = steps == last
        return Batch(jnp.stack([values, markers], axis=-1), jnp.where(due, 0.5 + total / 4, 0), due)

    def loss(self, outputs: Array, batch: Batch) -> Array:
        """Mean squared error of outputs [B, T, 1] over the steps in the mask."""
        return squared_error(outputs, batch)

    def metrics(self, outputs: Array, batch: Batch) -> dict[str, Array]:
        """loss, and accuracy: the fraction of sequences with an absolute error < .04."""
        correct = jnp.abs(outputs[..., 0] - batch.targets) < TOLERANCE
        accuracy = jnp.mean(correct, where=batch.mask)
        return {"loss": self.loss(outputs, batch), "accuracy": accuracy}
