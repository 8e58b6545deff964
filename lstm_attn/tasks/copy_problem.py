"""The copy-memory problem: keep ten symbols over a delay and give them back in order."""

import dataclasses
import math

import jax
import jax.numpy as jnp
from jax import Array

from lstm_attn.tasks.base import Batch, Task, check_lengths, cross_entropy

SYMBOLS = 8
RECALLED = 10
BLANK = 0
DELIMITER = SYMBOLS + 1


@dataclasses.dataclass(frozen=True)
class Copy(Task):
    """Ten symbols of 1..8, a delay of `length` steps, and the ten symbols again.

    A sequence has length + 20 steps: ten symbols, length - 1 blanks (0), a delimiter (9), ten
    blanks. Due are length + 10 blanks and then the symbols. For length = 3 and four symbols
    instead of ten:

        input    5 2 2 7  0 0  9  0 0 0 0
        target   0 0 0 0  0 0  0  5 2 2 7

    Inputs are one-hot [B, length + 20, 10], outputs are logits over the symbols 0..8.
    Loss: cross-entropy averaged over ALL steps. Baseline: blanks known, symbols guessed, so
    10 ln 8 / (length + 20). Solved: at least 99 % of the recalled symbols right.

    Source: variant `arjovsky2016`, Arjovsky, Shah & Bengio 2016, section 5.1 and its code.
    """

    length: int
    variant: str = "arjovsky2016"
    variants = (variant,)
    name = "copy"
    solved_accuracy = 0.99
    criterion = "at least 99 % of recalled symbols right"
    input_features = SYMBOLS + 2
    output_features = SYMBOLS + 1
    chance = 1 / SYMBOLS

    @property
    def sequence_length(self) -> int:
        return self.length + 2 * RECALLED

    @property
    def baseline(self) -> float:
        return RECALLED * math.log(SYMBOLS) / self.sequence_length

    def sample(self, key: Array, batch_size: int) -> Batch:
        """A batch of fresh sequences: inputs float32 [B, T, 10], targets int32 [B, T]."""
        inputs, targets, mask = self.sample_within(key, jnp.full(batch_size, self.length))
        # A mask that the compiler knows: a loss divides by a constant, as it did before ranges.
        return Batch(inputs, targets, jnp.ones_like(mask))

    def sample_within(self, key: Array, lengths: Array) -> Batch:
        """A batch as of `sample`, sequence b with a delay of lengths[b]; [B] integers of 1 to T.

        Padding is no blank: its inputs are zeros.
        """
        check_lengths(self, lengths)
        symbols = jax.random.randint(key, (len(lengths), RECALLED), 1, SYMBOLS + 1)
        blanks = jnp.zeros((len(lengths), self.sequence_length), symbols.dtype)
        steps = jnp.arange(self.sequence_length)[None]
        recall = lengths[:, None].astype(int) + RECALLED  # the first step at which a symbol is due
        real = steps < recall + RECALLED
        tokens = blanks.at[:, :RECALLED].set(symbols)
        tokens = jnp.where(steps == recall - 1, DELIMITER, tokens)
        due = jnp.take_along_axis(symbols, jnp.clip(steps - recall, 0, RECALLED - 1), axis=1)
        targets = jnp.where(real & (steps >= recall), due, BLANK)
        # One-hot of a number outside the symbols is all zeros.
        inputs = jax.nn.one_hot(jnp.where(real, tokens, -1), self.input_features, dtype=jnp.float32)
        return Batch(inputs, targets, real)

    def loss(self, outputs: Array, batch: Batch) -> Array:
        """Cross-entropy of logits [B, T, 9], in nats, averaged over the steps in the mask."""
        return cross_entropy(outputs, batch)

    def metrics(self, outputs: Array, batch: Batch) -> dict[str, Array]:
        """loss; accuracy over the recalled symbols; accuracy_by_position [10], first to last."""
        ends = batch.mask.sum(axis=1, keepdims=True)
        last = ends - RECALLED + jnp.arange(RECALLED)[None]  # [B, 10]
        answers = jnp.take_along_axis(outputs, last[:, :, None], axis=1).argmax(axis=-1)
        recalled = answers == jnp.take_along_axis(batch.targets, last, axis=1)
        by_position = recalled.mean(axis=0)
        return {
            "loss": self.loss(outputs, batch),
            "accuracy": by_position.mean(),
            "accuracy_by_position": by_position,
        }
