"""The loss of every token of held-out text, and bits a byte of its blocks."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from lstm_attn.analysis.text_memory import bits_of, bits_per_byte, token_losses
from lstm_attn.models import Model, Params, carries_over
from lstm_attn.text import Part

BLOCKS = 20


def part_losses(
    model: Model, params: Params, tokens: np.ndarray, length: int, batch_size: int
) -> np.ndarray:
    """The loss of every token of a text but the first, in bits: [n - 1].

    A model with a carry reads the text in segments from its first token to its last.
    One with a cache sees from `length` / 2 to `length` tokens back, but at the beginning: windows
    of `length` overlap by half, and of each its later half counts.

    Args:
      tokens: ids [n].
      batch_size: windows at a time; a segment has as many tokens.
    """
    if carries_over(model, length):
        return _streamed(model, params, tokens, min(length * batch_size, len(tokens) - 1))
    half = max(length // 2, 1)
    last = len(tokens) - 1 - length
    starts = np.arange(0, last, half)
    # The last window ends with the text, and counts what no other has counted.
    starts = np.append(starts, max(last, 0))
    windows = np.stack([tokens[start : start + length + 1] for start in starts])
    losses = token_losses(model, params, windows, batch_size)
    found = np.full(len(tokens) - 1, np.nan)
    found[:half] = losses[0, :half]
    for start, window in zip(starts, losses, strict=True):
        fresh = np.arange(half, window.size) + start
        found[fresh] = np.where(np.isnan(found[fresh]), window[half:], found[fresh])
    return found


def _streamed(model: Model, params: Params, tokens: np.ndarray, length: int) -> np.ndarray:
    state, losses = model.initial_state(1, length), np.empty(len(tokens) - 1, np.float32)
    for start in range(0, len(tokens) - 1, length):
        ids = np.asarray(tokens[start : start + length + 1], np.int32)[None]
        # The last segment is filled up; what is in its filling counts nothing.
        filled = np.pad(ids, ((0, 0), (0, length + 1 - ids.shape[1])))
        state, found = _advanced(model, params, state, jnp.asarray(filled))
        losses[start : start + length] = np.asarray(found)[0, : ids.shape[1] - 1]
    return losses


# Jitted once for all that ask: every trial of a model is one program.
@functools.partial(jax.jit, static_argnums=0)
def _advanced(model: Model, params: Params, state: object, ids: Array) -> tuple[object, Array]:
    state, logits = model.segment(params, state, ids[:, :-1])
    return state, bits_of(logits, ids)


def block_bits(losses: np.ndarray, part: Part, blocks: int = BLOCKS) -> np.ndarray:
    """Bits a byte of equally long blocks of a part, in their order: [blocks].

    Student's interval over them takes them as independent; neighbours resemble each other, so it
    says how the figure would move with other text of the kind, not with another author. Of two
    models on the same blocks, the interval of the differences says more than that of each.

    Args:
      losses: of the part's tokens, in bits [n - 1].
    """
    of_blocks = [block.mean() for block in np.array_split(losses, min(blocks, len(losses)))]
    return bits_per_byte(np.array(of_blocks), len(part.tokens), part.bytes, part.unknown_bytes)
