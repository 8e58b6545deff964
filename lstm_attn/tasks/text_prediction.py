"""Language modelling: of every token of a text, which one comes next."""

import dataclasses
import functools
import math

import jax.numpy as jnp
import numpy as np
from jax import Array

from lstm_attn.errors import UsageError, check_whole
from lstm_attn.plain_numbers import make_plain
from lstm_attn.tasks.base import Batch, StoredTask, cross_entropy
from lstm_attn.text import Text, token_counts


@dataclasses.dataclass(frozen=True, eq=False)
class TextPrediction(StoredTask):
    """Segments of `length` tokens, each to be predicted from those before it.

    A batch is read at B places of the training split, N / B tokens apart, where N is its length.
    The next batch goes on where this one ends, and from the end of the split to its start. The seed
    of a trial sets its first token. Inputs are ids [B, T], targets the ids one step later.

    Loss: cross-entropy in nats a token. Baseline: that of the frequencies of tokens in training,
    one more of each, on the validation split. There is no criterion, so no trial solves it.
    """

    text: Text
    length: int
    name = "text"
    continues = True

    def __post_init__(self) -> None:
        make_plain(self)
        check_whole("text: length", self.length)
        for name, split in self.text.splits.items():
            if len(split.tokens) <= self.length:
                raise UsageError(
                    f"text {self.text.source}: the {name} split has {len(split.tokens)} tokens, "
                    f"expected more than length={self.length}"
                )

    @property
    def variant(self) -> str:
        return self.text.vocabulary.to_json()["level"]

    @property
    def output_features(self) -> int:
        return self.text.vocabulary.size

    @functools.cached_property
    def _log_frequencies(self) -> np.ndarray:
        counts = self._counts("train") + 1
        return np.log(counts / counts.sum())

    @functools.cached_property
    def baseline(self) -> float:
        held_out = self._counts("validation")
        return float(-self._log_frequencies @ held_out / held_out.sum())

    @functools.cached_property
    def accuracy_without_memory(self) -> float:
        held_out = self._counts("validation")
        return float(held_out[self._log_frequencies.argmax()] / held_out.sum())

    def _counts(self, split: str) -> np.ndarray:
        return token_counts(self.text.splits[split].tokens, self.output_features)

    def read(self, seeds: np.ndarray, first_step: int, steps: int, batch_size: int) -> np.ndarray:
        """Ids [R, steps, B, T + 1]; the last of a segment is the first input of the next."""
        tokens = self.text.splits["train"].tokens
        begins = np.array([np.random.default_rng(int(s)).integers(len(tokens)) for s in seeds])
        places = begins[:, None] + np.arange(batch_size) * (len(tokens) // batch_size)
        segments = (first_step + np.arange(steps)) * self.length
        within = segments[:, None, None] + np.arange(self.length + 1)
        at = places[:, None, :, None] + within[None]
        return tokens[at % len(tokens)].astype(np.int32)

    def held_out(self, sequences: int, batch_size: int) -> np.ndarray:
        """Ids [sequences / B, B, T + 1] of the validation split, spread over all of it.

        Raises:
          UsageError: a split with fewer tokens than that.
        """
        tokens = self.text.splits["validation"].tokens
        count = sequences // batch_size
        apart = (len(tokens) - 1) // batch_size
        if apart < count * self.length:
            raise UsageError(
                f"training.evaluation_sequences: {sequences} of length={self.length} expected "
                f"more than {sequences * self.length} tokens, the validation split has "
                f"{len(tokens)}"
            )
        begins = np.arange(count)[:, None, None] * self.length
        at = begins + np.arange(batch_size)[:, None] * apart + np.arange(self.length + 1)
        return tokens[at].astype(np.int32)

    def batch(self, read: Array) -> Batch:
        return Batch(read[:, :-1], read[:, 1:], jnp.ones_like(read[:, 1:], jnp.bool_))

    def loss(self, outputs: Array, batch: Batch) -> Array:
        """Cross-entropy of logits [B, T, O], in nats a token."""
        return cross_entropy(outputs, batch)

    def loss_in_words(self, loss: float) -> str:
        return f"{loss / math.log(2):.3f} bits a token"
