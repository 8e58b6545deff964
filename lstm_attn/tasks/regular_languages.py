"""Regular languages: of a string of symbols, the state of a small automaton at its end."""

import abc
import dataclasses
import functools
import math

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array, lax

from lstm_attn.tasks.base import Batch, check_lengths
from lstm_attn.tasks.symbols import SymbolTask, one_hot

MODULUS = 5
PLUS, MINUS, TIMES = MODULUS, MODULUS + 1, MODULUS + 2


@dataclasses.dataclass(frozen=True)
class RegularLanguage(SymbolTask):
    """One answer, due at the last symbol.

    Published: trained on lengths 1 to 40, each batch of one; scored by the mean accuracy over the
    lengths 41 to 500; the best of ten seeds. Ours are `tasks.build(name, 40, shortest=2)`, each
    sequence of its own length, and `studies.length_generalisation`. A length of 1, whose answer
    needs no memory, is left out.

    Baseline: only the last symbol is known.

    Source: Delétang et al. 2023, tasks/regular of
    google-deepmind/neural_networks_chomsky_hierarchy.
    """

    length: int
    least_length = 2

    @property
    def chance(self) -> float:
        return 1 / self.output_features

    @property
    def sequence_length(self) -> int:
        return int(self._steps(self.length))

    def _steps(self, lengths: Array | int) -> Array | int:
        return lengths

    def _draw(self, key: Array, shape: tuple[int, int]) -> Array:
        assert self.input_features is not None
        return jax.random.randint(key, shape, 0, self.input_features)

    @abc.abstractmethod
    def answer(self, tokens: Array, real: Array) -> Array:
        """The state after the real ones of tokens [B, T]; [B]."""

    def sample_within(self, key: Array, lengths: Array) -> Batch:
        """A batch of fresh sequences, sequence b of lengths[b] symbols."""
        check_lengths(self, lengths)
        ends = self._steps(lengths.astype(int))[:, None]  # type: ignore[index]
        steps = jnp.arange(self.sequence_length)[None]
        tokens = self._draw(key, (len(lengths), self.sequence_length))
        real = steps < ends
        answers = self.answer(tokens, real)[:, None]
        due = steps == ends - 1
        assert self.input_features is not None
        inputs = one_hot(tokens, real, self.input_features)
        return Batch(inputs, jnp.where(due, answers, 0), due)


@dataclasses.dataclass(frozen=True)
class Parity(RegularLanguage):
    """Is the number of ones odd? Fair bits; class 0 or 1. Baseline ln 2.

    input    1 0 1 0 1 0 0
    target   - - - - - - 1
    """

    name = "parity"
    input_features = 2
    output_features = 2
    baseline = math.log(2)

    def answer(self, tokens: Array, real: Array) -> Array:
        return jnp.sum(tokens, axis=1, where=real) % 2


@dataclasses.dataclass(frozen=True)
class EvenPairs(RegularLanguage):
    """Is the number of unequal neighbours odd? Fair bits; class 0 or 1. Baseline ln 2.

    It is odd if the first and the last bit differ.

        input    0 1 0 1 0 0 1
        target   - - - - - - 1
    """

    name = "even_pairs"
    input_features = 2
    output_features = 2
    baseline = math.log(2)

    def answer(self, tokens: Array, real: Array) -> Array:
        unequal = (tokens[:, 1:] != tokens[:, :-1]) & real[:, 1:]
        return unequal.sum(axis=1) % 2


@dataclasses.dataclass(frozen=True)
class CycleNavigation(RegularLanguage):
    """Where on a circle of five does a walk end that begins at 0? Symbols 0, 1, 2 are steps of -1,
    0 and +1, each with probability 1/3.

        input    2 0 1 0 0
        target   - - - - 3

    Baseline: the entropy of the sum of length - 1 steps, whose distribution is the inverse Fourier
    transform of ((1 + 2 cos(2 pi j / 5)) / 3)^(length - 1); for long walks ln 5.
    """

    name = "cycle_navigation"
    input_features = 3
    output_features = MODULUS

    def answer(self, tokens: Array, real: Array) -> Array:
        return jnp.sum(tokens - 1, axis=1, where=real) % MODULUS

    @functools.cached_property
    def _before_the_last(self) -> np.ndarray:
        """How likely each position is before the last step."""
        j = np.arange(MODULUS)
        damped = ((1 + 2 * np.cos(2 * np.pi * j / MODULUS)) / 3) ** (self.length - 1)
        waves = np.cos(2 * np.pi * np.outer(j, j) / MODULUS)
        return np.clip(waves @ damped / MODULUS, 0, 1)

    @property
    def baseline(self) -> float:
        return _entropy(self._before_the_last)

    @property
    def accuracy_without_memory(self) -> float:
        return float(self._before_the_last.max())


@dataclasses.dataclass(frozen=True)
class ModularArithmetic(RegularLanguage):
    """What is a sum of products modulo 5? A digit of 0..4, then operators + (5), - (6), * (7) and
    digits by turns; * binds tighter. All are equally likely. An even length is one less.

        input    1 5 2 7 3
        target   - - - - 2

    Baseline: the entropy of the value given the last digit, by following the distribution of the
    sum of the finished products and of the product at hand. The code's ninth input, a blank, never
    occurs in it, and is left out.
    """

    name = "modular_arithmetic"
    least_length = 3
    input_features = MODULUS + 3
    output_features = MODULUS

    def _steps(self, lengths: Array | int) -> Array | int:
        return lengths - 1 + lengths % 2

    def _draw(self, key: Array, shape: tuple[int, int]) -> Array:
        digit_key, operator_key = jax.random.split(key)
        digits = jax.random.randint(digit_key, shape, 0, MODULUS)
        operators = jax.random.randint(operator_key, shape, PLUS, TIMES + 1)
        return jnp.where(jnp.arange(shape[1])[None] % 2 == 0, digits, operators)

    def answer(self, tokens: Array, real: Array) -> Array:
        def step(carry: tuple[Array, Array], pair: tuple) -> tuple[tuple[Array, Array], None]:
            total, product = carry
            operator, digit, is_real = pair
            is_times = operator == TIMES
            signed = jnp.where(operator == MINUS, -digit, digit)
            after = (
                jnp.where(is_times, total, total + product) % MODULUS,
                jnp.where(is_times, product * digit, signed) % MODULUS,
            )
            return jax.tree.map(lambda new, old: jnp.where(is_real, new, old), after, carry), None

        start = jnp.zeros_like(tokens[:, 0]), tokens[:, 0]
        pairs = tokens[:, 1::2].T, tokens[:, 2::2].T, real[:, 2::2].T
        (total, product), _ = lax.scan(step, start, pairs)
        return (total + product) % MODULUS

    @functools.cached_property
    def _given_the_last(self) -> np.ndarray:
        """How likely each value is, [last digit, value]."""
        digits = np.arange(MODULUS)
        before = np.zeros((MODULUS, MODULUS))  # [sum of the finished products, product at hand]
        before[0] = 1 / MODULUS
        for _ in range((self.sequence_length - 1) // 2 - 1):
            after = np.zeros_like(before)
            for total, product in np.ndindex(before.shape):
                share = before[total, product] / (3 * MODULUS)
                for digit in digits:
                    after[total, product * digit % MODULUS] += share
                    after[(total + product) % MODULUS, digit] += 2 * share  # -digit is as likely
            before = after
        values = np.zeros((MODULUS, MODULUS))
        for total, product, digit in np.ndindex(MODULUS, MODULUS, MODULUS):
            for value in (
                total + product + digit,
                total + product - digit,
                total + product * digit,
            ):
                values[digit, value % MODULUS] += before[total, product] / 3
        return values

    @property
    def baseline(self) -> float:
        return float(np.mean([_entropy(values) for values in self._given_the_last]))

    @property
    def accuracy_without_memory(self) -> float:
        return float(self._given_the_last.max(axis=1).mean())


def _entropy(probabilities: np.ndarray) -> float:
    """In nats."""
    positive = probabilities[probabilities > 1e-12]
    return float(-positive @ np.log(positive))
