"""The copy-memory problem: keep symbols over a delay and give them back in order."""

import dataclasses
import math
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import Array

from lstm_attn.tasks.base import Batch, Task, check_lengths, cross_entropy
from lstm_attn.tasks.symbols import right_at

SYMBOLS = 8
RECALLED = 10
BLANK = 0
DELIMITER = SYMBOLS + 1
BITS = 7  # of a step of `minimal-lru`


class _Variant(NamedTuple):
    """recalled: steps to be given back. choices: of each answer. extra: steps beyond `length`.
    every_step: whether blanks are due where nothing is recalled."""

    input_features: int
    output_features: int
    every_step: bool
    recalled: int = RECALLED
    choices: int = SYMBOLS
    extra: int = 2 * RECALLED


VARIANTS = {
    "arjovsky2016": _Variant(SYMBOLS + 2, SYMBOLS + 1, every_step=True),
    "tcn": _Variant(1, SYMBOLS + 2, every_step=True),
    "s4": _Variant(SYMBOLS + 2, SYMBOLS + 2, every_step=False),
    "minimal-lru": _Variant(
        BITS + 1, 2 * BITS, every_step=False, recalled=20, choices=2, extra=2 * 20 + 1
    ),
}


@dataclasses.dataclass(frozen=True)
class Copy(Task):
    """Ten symbols of 1..8, a delay of `length` steps, and the ten symbols again.

    `arjovsky2016`: a sequence has length + 20 steps: ten symbols, length - 1 blanks (0), a
    delimiter (9), ten blanks. Due are length + 10 blanks and then the symbols. For length = 3 and
    four symbols instead of ten:

        input    5 2 2 7  0 0  9  0 0 0 0
        target   0 0 0 0  0 0  0  5 2 2 7

    Inputs are one-hot [B, length + 20, 10], outputs are logits over the symbols 0..8. Loss:
    cross-entropy averaged over ALL steps. Baseline: blanks known, symbols guessed, so
    10 ln 8 / (length + 20).

    `tcn`: delimiters instead of the last ten blanks, eleven in all; inputs are the symbols as
    numbers [B, T, 1], outputs logits over 0..9. The rest as above.

    `s4`: length blanks, then a delimiter at each of the ten steps at which a symbol is due; nothing
    else is due, so the baseline is ln 8. Outputs are logits over 0..9.

    `minimal-lru`: 20 steps of seven fair bits each, length blank steps, a step whose eighth feature
    is 1, 20 blank steps, at which the bits are due: targets [B, length + 41, 7], outputs two logits
    a bit. Baseline ln 2. There the length is 7.

    Solved: at least 99 % of the recalled symbols or bits right.

    Source: Arjovsky, Shah & Bengio 2016, section 5.1 and its code; Bai, Kolter & Koltun 2018,
    `copy_memory` of locuslab/TCN; `np_copying_data` of state-spaces/s4 with its defaults M = 10,
    A = 10; `CopyTask` of NicolasZucchet/minimal-LRU, whose loader asks for a delay of 5 by a name
    that the class does not read, so that it is 7.
    """

    length: int
    variant: str = "arjovsky2016"
    variants = tuple(VARIANTS)
    name = "copy"
    solved_accuracy = 0.99
    criterion = "at least 99 % of recalled symbols right"

    @property
    def kind(self) -> _Variant:
        return VARIANTS[self.variant]

    @property
    def input_features(self) -> int:
        return self.kind.input_features

    @property
    def output_features(self) -> int:
        return self.kind.output_features

    @property
    def chance(self) -> float:
        return 1 / self.kind.choices

    @property
    def sequence_length(self) -> int:
        return self.length + self.kind.extra

    @property
    def baseline(self) -> float:
        guessed = math.log(self.kind.choices)
        return RECALLED * guessed / self.sequence_length if self.kind.every_step else guessed

    def sample(self, key: Array, batch_size: int) -> Batch:
        """A batch of fresh sequences: inputs float32 [B, T, D], targets int32 [B, T]."""
        inputs, targets, mask = self.sample_within(key, jnp.full(batch_size, self.length))
        # A mask that the compiler knows: a loss divides by a constant, as it did before ranges.
        return Batch(inputs, targets, jnp.ones_like(mask) if self.kind.every_step else mask)

    def sample_within(self, key: Array, lengths: Array) -> Batch:
        """A batch as of `sample`, sequence b with a delay of lengths[b]; [B] integers of 1 to T.

        Padding is no blank: its inputs are zeros.
        """
        check_lengths(self, lengths)
        if self.variant == "minimal-lru":
            return self._bits_within(key, lengths[:, None].astype(int))
        symbols = jax.random.randint(key, (len(lengths), RECALLED), 1, SYMBOLS + 1)
        blanks = jnp.zeros((len(lengths), self.sequence_length), symbols.dtype)
        steps = jnp.arange(self.sequence_length)[None]
        recall = lengths[:, None].astype(int) + RECALLED  # the first step at which a symbol is due
        real = steps < recall + RECALLED
        tokens = blanks.at[:, :RECALLED].set(symbols)
        if self.variant == "arjovsky2016":
            tokens = jnp.where(steps == recall - 1, DELIMITER, tokens)
        else:
            first = recall - 1 if self.variant == "tcn" else recall  # of the delimiters
            tokens = jnp.where(steps >= first, DELIMITER, tokens)
        due = jnp.take_along_axis(symbols, jnp.clip(steps - recall, 0, RECALLED - 1), axis=1)
        targets = jnp.where(real & (steps >= recall), due, BLANK)
        mask = real if self.kind.every_step else real & (steps >= recall)
        if self.variant == "tcn":
            return Batch(jnp.where(real, tokens, 0)[..., None].astype(jnp.float32), targets, mask)
        # One-hot of a number outside the symbols is all zeros.
        inputs = jax.nn.one_hot(jnp.where(real, tokens, -1), self.input_features, dtype=jnp.float32)
        return Batch(inputs, targets, mask)

    def _bits_within(self, key: Array, lengths: Array) -> Batch:
        """`minimal-lru`; targets int32 [B, T, 7]."""
        recalled = self.kind.recalled
        shape = (len(lengths), recalled, BITS)
        bits = jax.random.bernoulli(key, shape=shape).astype(jnp.int32)
        steps = jnp.arange(self.sequence_length)[None]
        recall = lengths + recalled + 1
        shown = jnp.pad(bits, ((0, 0), (0, self.sequence_length - recalled), (0, 0)))
        stop = (steps == recall - 1)[..., None]
        inputs = jnp.concatenate([shown, stop.astype(jnp.int32)], axis=-1).astype(jnp.float32)
        mask = (steps >= recall) & (steps < recall + recalled)
        turn = jnp.clip(steps - recall, 0, recalled - 1)[..., None]
        due = jnp.take_along_axis(bits, turn, axis=1)
        return Batch(inputs, jnp.where(mask[..., None], due, 0), mask)

    def answer_steps(self, batch: Batch) -> Array:
        """Those at which a symbol or bits are due, bool [B, T]; a blank needs no memory."""
        return batch.mask & (batch.targets != BLANK) if self.kind.every_step else batch.mask

    def loss(self, outputs: Array, batch: Batch) -> Array:
        """Cross-entropy of logits [B, T, O], in nats, averaged over the steps in the mask."""
        return cross_entropy(outputs, batch)

    def metrics(self, outputs: Array, batch: Batch) -> dict[str, Array]:
        """loss; accuracy over the recalled symbols; accuracy_by_position [10], first to last."""
        recalled, mask = self.kind.recalled, batch.mask
        if self.kind.every_step:
            ends = mask.sum(axis=1, keepdims=True)
        else:
            ends = jnp.argmax(mask, axis=1, keepdims=True) + recalled
        last = ends - recalled + jnp.arange(recalled)[None]  # [B, 10]
        by_position = right_at(outputs, batch, last).mean(axis=0)
        return {
            "loss": self.loss(outputs, batch),
            "accuracy": by_position.mean(),
            "accuracy_by_position": by_position,
        }
