"""The flip-flop language: at each read, give the bit that was written last."""

import dataclasses
import math

import jax
import jax.numpy as jnp
from jax import Array, lax

from lstm_attn.tasks.base import Batch, check_lengths, right_answers
from lstm_attn.tasks.symbols import SymbolTask, by_octave, octaves, one_hot

WRITE, READ, IGNORE = 0, 1, 2
BIT = 3  # the symbol of a bit of 0
IGNORED = {"p80": 0.8, "p98": 0.98, "p10": 0.1}


@dataclasses.dataclass(frozen=True)
class FlipFlop(SymbolTask):
    """Instructions, write (0), read (1) or ignore (2), each followed by a bit (3 or 4).

    The first is to write, the last to read; the others are ignored with probability p, written or
    read with (1 - p)/2 each. Bits after write and ignore are fair. Due at each read is the bit
    written last, as class 0 or 1; it is the next symbol too. `length` counts symbols, two an
    instruction: 512 in the paper. An odd length is one less.

        input    0 4 2 3 1 4 1 4
        target   - - - - 1 - 1 -

    p is .8 in `p80`, on which the paper trains; .98 in `p98`, with few reads and long gaps; .1 in
    `p10`, where reads are dense. Loss: cross-entropy at the reads. Baseline ln 2. Solved: every
    read of an evaluation right, since what the paper counts are errors; the threshold is ours.

    Source: Liu, Ash, Goel, Krishnamurthy & Zhang 2023, section 3, and the card of
    synthseq/flipflop.
    """

    length: int
    variant: str = "p80"
    variants = tuple(IGNORED)
    name = "flip_flop"
    least_length = 4
    input_features = 5
    output_features = 2
    baseline = math.log(2)
    solved_accuracy = 1.0
    criterion = "every read right"

    @property
    def chance(self) -> float:
        return 1 / 2

    @property
    def sequence_length(self) -> int:
        return self.length // 2 * 2

    def sample_within(self, key: Array, lengths: Array) -> Batch:
        """A batch of fresh sequences, sequence b of lengths[b] symbols."""
        check_lengths(self, lengths)
        kind_key, bit_key = jax.random.split(key)
        ends = lengths[:, None].astype(int) // 2
        shape = len(lengths), self.length // 2
        place = jnp.broadcast_to(jnp.arange(shape[1]), shape)
        draws = jax.random.uniform(kind_key, shape, jnp.float32)
        ignored = IGNORED[self.variant]
        kinds = jnp.where(draws < (1 - ignored) / 2, WRITE, READ)
        kinds = jnp.where(draws >= 1 - ignored, IGNORE, kinds)
        kinds = jnp.where(place == 0, WRITE, jnp.where(place == ends - 1, READ, kinds))
        bits = jax.random.bernoulli(bit_key, shape=shape).astype(jnp.int32)
        written = jnp.take_along_axis(bits, _last(kinds == WRITE, place), axis=1)
        bits = jnp.where(kinds == READ, written, bits)
        tokens = jnp.stack([kinds, bits + BIT], axis=-1).reshape(shape[0], -1)
        real = jnp.repeat(place < ends, 2, axis=1)
        due = (
            jnp.stack([kinds == READ, jnp.zeros(shape, bool)], axis=-1).reshape(shape[0], -1) & real
        )
        targets = jnp.where(due, jnp.repeat(bits, 2, axis=1), 0)
        return Batch(one_hot(tokens, real, self.input_features), targets, due)

    def metrics(self, outputs: Array, batch: Batch) -> dict[str, Array]:
        """loss, accuracy at the reads, and counts by gap: steps from the bit written to its
        read."""
        steps = jnp.broadcast_to(jnp.arange(self.sequence_length), batch.mask.shape)
        # An instruction to write is one at an even step, where no bit stands.
        gaps = steps - _last(batch.inputs[..., WRITE] == 1, steps) - 1
        right = right_answers(outputs, batch.targets)
        return {
            "loss": self.loss(outputs, batch),
            "accuracy": jnp.mean(right, where=batch.mask),
            **by_octave("gap", gaps, octaves(self.length), outputs, batch),
        }


def _last(marked: Array, place: Array) -> Array:
    """The greatest place so far that is marked, [B, T]; 0 where none is."""
    return lax.cummax(jnp.where(marked, place, 0), axis=1)
