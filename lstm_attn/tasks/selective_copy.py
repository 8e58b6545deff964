"""Selective copying: keep the letters that stand among blanks, and give them back in order."""

import dataclasses
import math
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import Array

from lstm_attn.tasks.base import Batch, check_lengths
from lstm_attn.tasks.symbols import SymbolTask, one_hot, put, right_at, shuffled

MARKER = 15  # of `mamba`; in `mad` the sign to copy


class _Variant(NamedTuple):
    """letters: in a sequence. kinds: of letters, from `first` on. blank: the symbol in between."""

    letters: int
    kinds: int
    first: int
    blank: int
    symbols: int


VARIANTS = {
    "slots": _Variant(letters=4, kinds=8, first=1, blank=0, symbols=9),
    "slots8": _Variant(letters=8, kinds=8, first=1, blank=0, symbols=9),
    "mamba": _Variant(letters=16, kinds=14, first=1, blank=0, symbols=16),
    "mad": _Variant(letters=16, kinds=14, first=0, blank=14, symbols=16),
}


@dataclasses.dataclass(frozen=True)
class SelectiveCopy(SymbolTask):
    """Letters at random places among blanks, due in their order.

    `slots`: `length` steps with four letters of 1..8 and blanks (0); `slots8` has eight. All are
    due at the last step, as K symbols with logits of their own, so no decoder is needed. As classes
    they are 0..7. Baseline: only a letter at the last step is known, (1 - 1 / length) ln 8.

        slots, length = 6
        input    0 3 8 0 1 3
        target   - - - - - 2,7,0,2

    `mamba`: 16 letters of 1..14 at random among length + 16 steps, blanks (0) elsewhere, then 16
    markers (15), at which the letters are due in turn. Baseline ln 14. With 2 letters instead of
    16:

        mamba, length = 3
        input    0 7 0 0 2 15 15
        target   - - - - - 7 2

    `mad`: `length` steps in all: 16 letters of 0..13 with blanks (14), each of which comes before a
    random letter, so that the last letter stands before the sign (15); then 16 blanks, at which the
    letters are due. Baseline ln 14. With 2 letters instead of 16:

        mad, length = 8
        input    14 7 14 14 2 15 14 14
        target   - - - - - - 7 2

    Solved: at least 99 % of the letters right, as in copy; none of the three sources has a
    criterion. `sequence_accuracy` is the fraction of sequences without an error, which is what the
    numbers published for `slots` are.

    Source: `mamba`: Gu & Dao 2023 and `torch_copying_data(variable=True)` of state-spaces/s4, M =
    16, A = 16, there with length 4096. `mad`: Poli et al. 2024,
    `generate_selective_copying_instance` of athms/mad-lab, there with length 256. `slots`: a note
    of 2026-07-25 on minGRU, there (32, 4), (32, 8) and (64, 4) for length and letters.
    """

    length: int
    variant: str = "slots"
    variants = tuple(VARIANTS)
    name = "selective_copy"
    criterion = "at least 99 % of letters right"

    @property
    def kind(self) -> _Variant:
        return VARIANTS[self.variant]

    @property
    def has_slots(self) -> bool:
        return self.variant.startswith("slots")

    @property
    def least_length(self) -> int:  # type: ignore[override]
        # mad-lab asks for a blank among the letters.
        return {"mamba": 1, "mad": 2 * self.kind.letters + 2}.get(self.variant, self.kind.letters)

    @property
    def sequence_length(self) -> int:
        return int(self._steps(self.length))

    @property
    def input_features(self) -> int:
        return self.kind.symbols

    @property
    def output_features(self) -> int:
        return self.kind.letters * self.kind.kinds if self.has_slots else self.kind.symbols

    @property
    def chance(self) -> float:
        return 1 / self.kind.kinds

    @property
    def known(self) -> float:
        """The fraction of answers that the current input is: of the letter at the last step."""
        return 1 / self.length if self.has_slots else 0.0

    @property
    def baseline(self) -> float:
        return (1 - self.known) * math.log(self.kind.kinds)

    @property
    def accuracy_without_memory(self) -> float:
        return self.known + (1 - self.known) * self.chance

    def sample_within(self, key: Array, lengths: Array) -> Batch:
        """A batch, sequence b as of length lengths[b]; targets int32 [B, T], of `slots` [B, T,
        K]."""
        check_lengths(self, lengths)
        letter_key, place_key = jax.random.split(key)
        kind, count = self.kind, len(lengths)
        lengths = lengths[:, None].astype(int)
        ends = self._steps(lengths)
        steps = jnp.arange(self.sequence_length)[None]
        letters = jax.random.randint(letter_key, (count, kind.letters), 0, kind.kinds) + kind.first
        places = self._places(place_key, lengths)
        blanks = jnp.full((count, self.sequence_length), kind.blank, letters.dtype)
        tokens = put(blanks, places, letters)
        if self.has_slots:
            due = steps == ends - 1
            targets = jnp.where(due[..., None], letters[:, None] - kind.first, 0)
        else:
            begin = ends - kind.letters  # of the answers
            due = (steps >= begin) & (steps < ends)
            marked = due if self.variant == "mamba" else steps == begin - 1
            tokens = jnp.where(marked, MARKER, tokens)
            turn = jnp.clip(steps - begin, 0, kind.letters - 1)
            targets = jnp.where(due, jnp.take_along_axis(letters, turn, axis=1), 0)
        return Batch(one_hot(tokens, steps < ends, kind.symbols), targets, due)

    def _steps(self, lengths: Array | int) -> Array | int:
        return lengths + 2 * self.kind.letters if self.variant == "mamba" else lengths

    def _places(self, key: Array, lengths: Array) -> Array:
        """Of the letters, [B, K], in order."""
        letters = self.kind.letters
        if self.variant != "mad":
            ahead = letters if self.variant == "mamba" else 0  # steps beyond the length
            chosen = shuffled(key, self.length + ahead, lengths + ahead, letters)
            return jnp.sort(chosen, axis=1)
        blanks = self.length - 2 * letters - 1
        before = jax.random.randint(key, (len(lengths), blanks), 0, letters)
        real = jnp.arange(blanks)[None] < lengths - 2 * letters - 1
        own = jnp.arange(letters)[None]
        passed = real[..., None] & (before[..., None] <= own[None])  # [B, blanks, K]
        return own + passed.sum(axis=1)

    def metrics(self, outputs: Array, batch: Batch) -> dict[str, Array]:
        """loss; accuracy over the letters; accuracy_by_position [K], first to last; and
        sequence_accuracy."""
        first = jnp.argmax(batch.mask, axis=1)[:, None]
        letters = self.kind.letters
        if self.has_slots:
            logits = jnp.take_along_axis(outputs, first[..., None], axis=1)
            answers = logits.reshape(len(outputs), letters, self.kind.kinds).argmax(axis=-1)
            right = answers == jnp.take_along_axis(batch.targets, first[..., None], axis=1)[:, 0]
        else:
            right = right_at(outputs, batch, first + jnp.arange(letters)[None])
        by_position = right.mean(axis=0)
        return {
            "loss": self.loss(outputs, batch),
            "accuracy": by_position.mean(),
            "accuracy_by_position": by_position,
            "sequence_accuracy": right.all(axis=1).mean(),
        }
