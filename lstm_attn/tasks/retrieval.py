"""One question at the end, what came after this symbol: induction heads, retrieval of a digit."""

import dataclasses
import math

import jax
import jax.numpy as jnp
from jax import Array

from lstm_attn.errors import UsageError
from lstm_attn.tasks.base import Batch, check_lengths, right_answers
from lstm_attn.tasks.symbols import SymbolTask, by_octave, octaves, one_hot, put, shuffled

LETTERS = 14
TRIGGER = LETTERS + 1  # safari's vocabulary of 16 has a sign for nothing too, which never occurs


@dataclasses.dataclass(frozen=True)
class Induction(SymbolTask):
    """Which symbol came after the trigger?

    `length` symbols of 0..13, uniform, of which one, not of the last two, is the trigger (15); then
    the trigger again, at which the symbol after the first one is due. Loss: cross-entropy there.
    Baseline ln 14.

        input    3 15 7 0 7 2 15
        target   - - - - - - 7

    Solved: at least 99 % right; none is published.

    Source: `generate_induction_head` of HazyResearch/safari with its default of one trigger, there
    with length 256; berlino/seq_icl trains on it. There every next symbol is trained on, here the
    answer alone.
    """

    length: int
    name = "induction"
    least_length = 3
    input_features = LETTERS + 2
    output_features = LETTERS + 2
    baseline = math.log(LETTERS)
    chance = 1 / LETTERS

    @property
    def sequence_length(self) -> int:
        return self.length + 1

    def sample_within(self, key: Array, lengths: Array) -> Batch:
        """A batch of fresh sequences, sequence b of lengths[b] symbols and the question."""
        check_lengths(self, lengths)
        token_key, place_key = jax.random.split(key)
        ends = lengths[:, None].astype(int)
        steps = jnp.arange(self.sequence_length)[None]
        tokens = jax.random.randint(token_key, (len(lengths), self.sequence_length), 0, LETTERS)
        place = jax.random.randint(place_key, ends.shape, 0, ends - 2)
        due = steps == ends
        answer = jnp.take_along_axis(tokens, place + 1, axis=1)
        tokens = jnp.where(due | (steps == place), TRIGGER, tokens)
        targets = jnp.where(due, answer, 0)
        return Batch(one_hot(tokens, steps <= ends, self.input_features), targets, due)

    def metrics(self, outputs: Array, batch: Batch) -> dict[str, Array]:
        """loss, accuracy, and counts by gap: steps from the answer to the question."""
        place = batch.inputs[..., TRIGGER].argmax(axis=1)[:, None]
        gaps = jnp.arange(self.sequence_length)[None] - place - 1
        right = right_answers(outputs, batch.targets)
        return {
            "loss": self.loss(outputs, batch),
            "accuracy": jnp.mean(right, where=batch.mask),
            **by_octave("gap", gaps, octaves(self.length), outputs, batch),
        }


ALPHABET, DIGITS = 26, 10
QUESTION = ALPHABET + DIGITS


@dataclasses.dataclass(frozen=True)
class Retrieval(SymbolTask):
    """Which digit came after this letter?

    `length` pairs of a letter (0..25) and a digit (26..35), the letters distinct, the digits
    uniform; then "??" (36, 36), and one of the letters, at which its digit is due. In the paper
    four pairs, so 11 steps: "c9k8j3f1??c" asks for 9. Loss: cross-entropy at that step. Baseline ln
    10.

        input    2 35 10 34 9 29 5 27 36 36 2
        target   - - - - - - - - - - 35

    Here `length` counts pairs, not steps, and is at most 26. Solved: at least 99 % right; none is
    published. Load is the number of pairs.

    Source: Ba, Hinton, Mnih, Leibo & Ionescu 2016, section 4.1, in the form of the public generator
    with 37 symbols.
    """

    length: int
    name = "retrieval"
    input_features = QUESTION + 1
    output_features = QUESTION + 1
    baseline = math.log(DIGITS)
    chance = 1 / DIGITS

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.length > ALPHABET:
            raise UsageError(
                f"retrieval: length: expected at most {ALPHABET}, a letter a pair, "
                f"got {self.length}"
            )

    @property
    def sequence_length(self) -> int:
        return 2 * self.length + 3

    def sample_within(self, key: Array, lengths: Array) -> Batch:
        """A batch of fresh sequences, sequence b of lengths[b] pairs."""
        check_lengths(self, lengths)
        letter_key, digit_key, asked_key = jax.random.split(key, 3)
        pairs = lengths[:, None].astype(int)
        steps = jnp.arange(self.sequence_length)[None]
        letters = shuffled(letter_key, ALPHABET, jnp.full_like(pairs, ALPHABET), self.length)
        digits = jax.random.randint(digit_key, letters.shape, ALPHABET, ALPHABET + DIGITS)
        asked = jax.random.randint(asked_key, pairs.shape, 0, pairs)
        tokens = jnp.full((len(lengths), self.sequence_length), QUESTION, letters.dtype)
        place = 2 * jnp.arange(self.length)[None] + jnp.zeros_like(pairs)
        is_pair = place < 2 * pairs
        tokens = put(put(tokens, place, letters, is_pair), place + 1, digits, is_pair)
        due = steps == 2 * pairs + 2
        tokens = jnp.where(due, jnp.take_along_axis(letters, asked, axis=1), tokens)
        targets = jnp.where(due, jnp.take_along_axis(digits, asked, axis=1), 0)
        real = steps <= 2 * pairs + 2
        return Batch(one_hot(tokens, real, self.input_features), targets, due)

    def metrics(self, outputs: Array, batch: Batch) -> dict[str, Array]:
        """loss, accuracy, and counts by gap, steps from the digit to the question, and by load."""
        tokens = batch.inputs.argmax(axis=-1)
        end = jnp.argmax(batch.mask, axis=1)[:, None]
        is_asked = tokens == jnp.take_along_axis(tokens, end, axis=1)
        gaps = end - jnp.argmax(is_asked, axis=1)[:, None] - 1
        right = right_answers(outputs, batch.targets)
        return {
            "loss": self.loss(outputs, batch),
            "accuracy": jnp.mean(right, where=batch.mask),
            **by_octave("gap", gaps, octaves(2 * self.length), outputs, batch),
            **by_octave("load", (end - 2) // 2, octaves(self.length), outputs, batch),
        }
