"""How far back a language model makes use of text: loss by position, by context, and induction."""

import functools
from collections.abc import Sequence

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax import Array

from lstm_attn.errors import UsageError, check_whole
from lstm_attn.models import Model, Params, carries_over
from lstm_attn.text import Part, token_counts

LOG_2 = float(np.log(2))


def token_losses(model: Model, params: Params, windows: np.ndarray, batch_size: int) -> np.ndarray:
    """Each token's loss given those before it in its window, in bits: [W, T] from ids [W, T + 1].

        -log2 p(x_t | x_0 ... x_{t-1}),  t = 1 ... T

    Args:
      windows: ids; nothing is carried from one to the next.
      batch_size: windows at a time, for the sake of memory.
    """
    count = len(windows)
    batch_size = min(batch_size, count)
    # The last batch is filled up, so that all of them are one program.
    filled = np.resize(
        np.asarray(windows, np.int32), (-(-count // batch_size) * batch_size, windows.shape[1])
    )
    batches = filled.reshape(-1, batch_size, windows.shape[1])
    return np.concatenate([np.asarray(_losses(model, params, batch)) for batch in batches])[:count]


# Jitted once for all that ask: windows of one shape and model are one program.
@functools.partial(jax.jit, static_argnums=0)
def _losses(model: Model, params: Params, ids: Array) -> Array:
    return bits_of(model.apply(params, ids[:, :-1]), ids)


def bits_of(logits: Array, ids: Array) -> Array:
    """The loss of each id but the first, in bits: [W, T] from logits [W, T, V], ids [W, T + 1]."""
    return optax.softmax_cross_entropy_with_integer_labels(logits, ids[:, 1:]) / LOG_2


def windows_of(tokens: np.ndarray, length: int, count: int) -> np.ndarray:
    """At most `count` windows [W, length], spread evenly over the tokens; none overlap.

    Raises:
      UsageError: fewer tokens than one window has.
    """
    check_whole("windows: length", length)
    check_whole("windows: count", count)
    fitting = len(tokens) // length
    if not fitting:
        raise UsageError(f"windows: expected at least {length} tokens, got {len(tokens)}")
    starts = np.linspace(0, fitting - 1, min(count, fitting)).round().astype(int) * length
    return np.stack([tokens[start : start + length] for start in starts])


def losses_by_context(
    model: Model, params: Params, windows: np.ndarray, contexts: Sequence[int], batch_size: int
) -> dict[int, np.ndarray]:
    """The loss of each window's last token given only so many tokens before it, in bits: [W] each.

    The same tokens are predicted for every context, so that differences are those of memory.

    Args:
      windows: ids [W, S + 1], S at least the longest context.
    """
    return {
        context: token_losses(model, params, windows[:, -context - 1 :], batch_size)[:, -1]
        for context in contexts
    }


def repeated_passages(
    tokens: np.ndarray, passage: int, distance: int, count: int, size: int, seed: int
) -> tuple[np.ndarray, np.ndarray]:
    """Texts in which a random passage p comes twice, and texts that differ from them in one thing,
    another random passage q in the place of the first: ids [count, distance + passage] each.

        p_1 ... p_P   text   p_1 ... p_P
        q_1 ... q_P   text   p_1 ... p_P        the last begins `distance` after the first

    Passages' tokens are drawn one by one from those of the text, as often as they are there, so
    nothing but the first occurrence tells what the second will be. Between them stands text.

    Args:
      tokens: of the text.
      passage: P, tokens.
      distance: from a token to its repetition, at least P.
      size: of the vocabulary.
      seed: of numpy's generator; it gives the same passages for every distance.

    Raises:
      UsageError: a distance that is too short, or too few tokens, on one line.

    Source: the induction test of Olsson et al. 2022; the text in between and the control are ours.
    """
    if distance < passage:
        raise UsageError(f"induction: distance expected at least passage={passage}, got {distance}")
    rng = np.random.default_rng(seed)
    counts = token_counts(tokens, size)
    repeated, others = rng.choice(size, (2, count, passage), p=counts / counts.sum())
    between = distance - passage
    if between > len(tokens):
        raise UsageError(f"induction: expected at least {between} tokens, got {len(tokens)}")
    starts = rng.integers(0, len(tokens) - between + 1, count)
    middle = np.stack([tokens[start : start + between] for start in starts])
    again, control = (
        np.concatenate([first, middle, repeated], axis=1) for first in (repeated, others)
    )
    return again, control


def passage_losses(
    model: Model, params: Params, texts: np.ndarray, passage: int, batch_size: int
) -> np.ndarray:
    """Mean loss of the tokens of the passage at the end of each text, in bits: [W].

    A passage's first token is left out: nothing before it says that the passage begins.

    Args:
      texts: of `repeated_passages`.
    """
    return token_losses(model, params, texts, batch_size)[:, -(passage - 1) :].mean(axis=1)


def bits_per_byte(
    losses: np.ndarray, tokens: int, text_bytes: int, unknown_bytes: int = 0
) -> np.ndarray:
    """Bits a byte of text, from losses in bits a token.

        (mean loss * tokens + 8 * unknown bytes) / bytes

    The characters that the vocabulary lacks must follow as they are the token that stands for them.
    """
    return (losses * tokens + 8 * unknown_bytes) / text_bytes


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
