"""Multi-query associative recall: pairs of a key and a value, then each key asks for its value."""

import dataclasses
import math

import jax
import jax.numpy as jnp
from jax import Array

from lstm_attn.errors import UsageError, check_whole
from lstm_attn.plain_numbers import make_plain
from lstm_attn.tasks.base import Batch, check_lengths, right_answers
from lstm_attn.tasks.symbols import SymbolTask, by_octave, octaves, one_hot, put, shuffled

POWER = 0.01  # of zoology: a gap g, counted from 0, is as likely as (g + 1)^(POWER - 1)


@dataclasses.dataclass(frozen=True)
class Mqar(SymbolTask):
    """K keys with their values, then each key once more, at which its value is due.

    V symbols: keys are 1 ... V/2 - 1, values V/2 ... V - 1, the K of each distinct. The pairs take
    the first 2K of `length` steps. After them key j comes at step 2K + 2 g_j, where the g_j are
    distinct. All other steps hold filler, uniform on all V symbols, so that filler may equal a key.
    Loss: cross-entropy at the keys that ask. Baseline: ln(V - V//2), a guess at one of the values.

    For V = 12, length = 16, K = 2, with filler as 0:

        input    2 8 4 7 0 0 4 0 0 0 0 0 2 0 0 0
        target   - - - - - - 7 - - - - - 8 - - -

    `power_law`: g is drawn as (g + 1)^-.99 without replacement, so that most keys ask soon.
    `uniform`: all gaps are equally likely, so that distance is not confounded with load.
    `overwriting`: after the pairs, (K + 1)//2 of the keys come again with another value, which is
    the one due; gaps by the power law. With filler as 0:

        input    2 8 4 7 2 9 0 0 4 0 2 0
        target   - - - - - - - - 7 - 9 -

    Metrics: accuracy; counts by gap, steps from the value to the question, and by load, K.

    pairs: K; None for length // 16, as in the first three cells of zoology's figure 2, at least 1.
      Over a range of lengths each sequence has the K of its own.
    vocabulary: V; 256 as in zoology's small example, 8192 in its figure 2.
    random_filler: zoology's `random_non_queries`, on by default; off in its figure 2.

    Solved: at least 99 % of the values right, at which zoology stops training.

    Source: Arora et al. 2023; `multiquery_ar` and `forgetting_mqar` of HazyResearch/zoology. There
    an updated value differs from that of pair j, which need not be the pair that is updated; here
    it differs from the pair's own. An odd length ends with one more step of filler.
    """

    length: int
    variant: str = "power_law"
    pairs: int | None = None
    vocabulary: int = 256
    random_filler: bool = True
    variants = ("power_law", "uniform", "overwriting")
    name = "mqar"
    criterion = "at least 99 % of values right"

    def __post_init__(self) -> None:
        make_plain(self)
        if self.pairs is not None:
            check_whole("mqar: pairs", self.pairs)
        check_whole("mqar: vocabulary", self.vocabulary, 4)
        super().__post_init__()
        if self.most_pairs > self.vocabulary // 2 - 1:
            raise UsageError(
                f"mqar: vocabulary: expected at least {2 * self.most_pairs + 2} for "
                f"{self.most_pairs} pairs, got {self.vocabulary}"
            )

    @property
    def most_pairs(self) -> int:
        """K of a sequence of the full length."""
        return self.pairs or max(1, self.length // 16)

    @property
    def least_length(self) -> int:  # type: ignore[override]
        pairs = self.pairs or 1
        return 4 * pairs + 2 * int(self._updates(pairs))

    @property
    def sequence_length(self) -> int:
        return self.length

    @property
    def input_features(self) -> int:
        return self.vocabulary

    @property
    def output_features(self) -> int:
        return self.vocabulary

    @property
    def values(self) -> int:
        """How many there are to choose from."""
        return self.vocabulary - self.vocabulary // 2

    @property
    def baseline(self) -> float:
        return math.log(self.values)

    @property
    def chance(self) -> float:
        return 1 / self.values

    def _updates(self, pairs: Array | int) -> Array | int:
        return (pairs + 1) // 2 if self.variant == "overwriting" else 0 * pairs

    def sample_within(self, key: Array, lengths: Array) -> Batch:
        """A batch of fresh sequences, sequence b of lengths[b] steps."""
        check_lengths(self, lengths)
        names = ("keys", "values", "which", "new", "gaps", "filler")
        draw = dict(zip(names, jax.random.split(key, len(names)), strict=True))
        ends = lengths[:, None].astype(int)
        pairs = jnp.full_like(ends, self.pairs) if self.pairs else jnp.maximum(1, ends // 16)
        updates = jnp.broadcast_to(self._updates(pairs), pairs.shape)
        most, most_updates = self.most_pairs, int(self._updates(self.most_pairs))
        half = self.vocabulary // 2

        keys = 1 + shuffled(draw["keys"], half - 1, jnp.full_like(ends, half - 1), most)
        values = shuffled(draw["values"], self.values, jnp.full_like(ends, self.values), most)
        # The pairs that come again, and their values: another one each.
        again = shuffled(draw["which"], most, pairs, most_updates)
        old = jnp.take_along_axis(values, again, axis=1)
        other = jax.random.randint(draw["new"], again.shape, 1, self.values)
        new = (old + other) % self.values
        is_pair = jnp.arange(most)[None] < pairs
        is_update = jnp.arange(most_updates)[None] < updates
        due = half + put(values, again, new, is_update)
        values, new = half + values, half + new

        steps = jnp.arange(self.length)[None]
        filler = jax.random.randint(draw["filler"], (len(lengths), self.length), 0, self.vocabulary)
        tokens = filler if self.random_filler else jnp.zeros_like(filler)
        first = 2 * jnp.arange(most)[None] + jnp.zeros_like(pairs)
        tokens = put(put(tokens, first, keys, is_pair), first + 1, values, is_pair)
        second = 2 * (pairs + jnp.arange(most_updates)[None])
        keys_again = jnp.take_along_axis(keys, again, axis=1)
        tokens = put(put(tokens, second, keys_again, is_update), second + 1, new, is_update)

        context = 2 * (pairs + updates)
        asked = context + 2 * self._gaps(draw["gaps"], (ends - context) // 2, most)
        tokens = put(tokens, asked, keys, is_pair)
        targets = put(jnp.zeros_like(tokens), asked, due, is_pair)
        mask = put(jnp.zeros(tokens.shape, bool), asked, is_pair, is_pair)
        return Batch(one_hot(tokens, steps < ends, self.vocabulary), targets, mask)

    def _gaps(self, key: Array, space: Array, count: int) -> Array:
        """Distinct ones of 0, ..., space - 1, drawn one after another; [B, count]."""
        gap = jnp.arange(self.length // 2)[None]
        power = 0 if self.variant == "uniform" else POWER - 1
        weight = power * jnp.log1p(gap.astype(jnp.float32))
        # The order of weight + Gumbel noise is that of draws without replacement.
        noise = jax.random.gumbel(key, (len(space), gap.shape[1]), jnp.float32)
        score = jnp.where(gap < space, weight + noise, -jnp.inf)
        return jnp.argsort(-score, axis=1)[:, :count]

    def metrics(self, outputs: Array, batch: Batch) -> dict[str, Array]:
        """loss, accuracy, and counts by gap and by load."""
        tokens = batch.inputs.argmax(axis=-1)
        pairs = batch.mask.sum(axis=1, keepdims=True)
        most = self.most_pairs + int(self._updates(self.most_pairs))
        context = tokens[:, : 2 * most : 2]  # the keys
        place = jnp.arange(context.shape[1])[None, None]
        is_key = (context[:, None] == tokens[..., None]) & (
            place < (pairs + self._updates(pairs))[..., None]
        )
        value_step = 2 * jnp.max(jnp.where(is_key, place, 0), axis=-1) + 1  # of the latest one
        gaps = jnp.arange(self.length)[None] - value_step
        right = right_answers(outputs, batch.targets)
        return {
            "loss": self.loss(outputs, batch),
            "accuracy": jnp.mean(right, where=batch.mask),
            **by_octave("gap", gaps, octaves(self.length), outputs, batch),
            **by_octave("load", pairs, octaves(self.most_pairs), outputs, batch),
        }
