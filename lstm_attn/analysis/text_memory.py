"""How far back a language model uses text: loss by position and by context, induction, bits per
byte."""

import functools
from collections.abc import Sequence

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax import Array

from lstm_attn.errors import UsageError, check_whole
from lstm_attn.models import Model, Params, carries_over
from lstm_attn.text import Split, token_counts

LOG_2 = float(np.log(2))


def token_losses(model: Model, params: Params, windows: np.ndarray, batch_size: int) -> np.ndarray:
    """The loss of each token given those before it in its window, in bits: [W, T].

        -log2 p(x_t | x_0 ... x_{t-1}),  t = 1 ... T

    Args:
      windows: ids [W, T + 1]; nothing is carried from one to the next.
      batch_size: windows at a time, to bound memory.
    """
    count = len(windows)
    batch_size = min(batch_size, count)
    # The last batch is padded, so that all batches share one program.
    filled = np.resize(
        np.asarray(windows, np.int32), (-(-count // batch_size) * batch_size, windows.shape[1])
    )
    batches = filled.reshape(-1, batch_size, windows.shape[1])
    return np.concatenate([np.asarray(_losses(model, params, batch)) for batch in batches])[:count]


# Jitted at module level: all calls with one model and one shape of windows share a program.
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
    length = check_whole("windows: length", length)
    count = check_whole("windows: count", count)
    fitting = len(tokens) // length
    if not fitting:
        raise UsageError(f"windows: expected at least {length} tokens, got {len(tokens)}")
    starts = np.linspace(0, fitting - 1, min(count, fitting)).round().astype(int) * length
    return np.stack([tokens[start : start + length] for start in starts])


def losses_by_context(
    model: Model, params: Params, windows: np.ndarray, contexts: Sequence[int], batch_size: int
) -> dict[int, np.ndarray]:
    """The loss of the last token of each window, by how many tokens before it the model sees.

    The same tokens are predicted with every context, so differences come from memory alone.

    Args:
      windows: ids [W, S + 1], S at least the longest context.

    Returns:
      context -> losses in bits [W].
    """
    return {
        context: token_losses(model, params, windows[:, -context - 1 :], batch_size)[:, -1]
        for context in contexts
    }


def repeated_passages(
    tokens: np.ndarray, passage: int, distance: int, count: int, size: int, seed: int
) -> tuple[np.ndarray, np.ndarray]:
    """Texts that repeat a random passage p, and their controls, which begin with another one, q.

        repeated    p_1 ... p_P   text   p_1 ... p_P
        control     q_1 ... q_P   text   p_1 ... p_P

    The tokens of passages are drawn independently, with the frequencies of the text, so that the
    first occurrence alone predicts the second.

    Args:
      tokens: of the text.
      passage: P, tokens.
      distance: from a token to its repetition, at least P.
      count: how many texts.
      size: of the vocabulary.
      seed: of numpy's generator; one seed gives the same passages for every distance.

    Returns:
      Both, ids [count, distance + passage].

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
    """Mean loss of the passage at the end of each text, in bits: [W].

    The first token of the passage is left out: nothing before it says that the passage begins.

    Args:
      texts: of `repeated_passages`.
      passage: P, at least 2.

    Raises:
      UsageError: a passage of one token, of which nothing is left.
    """
    check_whole("passage_losses: passage", passage, 2)
    return token_losses(model, params, texts, batch_size)[:, -(passage - 1) :].mean(axis=1)


def bits_per_byte(
    losses: np.ndarray, tokens: int, text_bytes: int, unknown_bytes: int = 0
) -> np.ndarray:
    """Bits per byte of text, from losses in bits per token.

        (mean loss * tokens + 8 * unknown bytes) / bytes

    A character that is not in the vocabulary costs its bytes, besides the token that replaces it.
    """
    return (losses * tokens + 8 * unknown_bytes) / text_bytes


def split_losses(
    model: Model, params: Params, tokens: np.ndarray, length: int, batch_size: int
) -> np.ndarray:
    """The loss of every token of a text except the first, in bits: [n - 1].

    A model with a carry reads the text from beginning to end, in segments. A model with a cache
    reads windows of `length` that overlap by half, of which the later half counts: after the first
    window it sees `length` / 2 to `length` tokens back.

    Args:
      tokens: ids [n].
      batch_size: windows at a time; a segment has as many tokens as a batch.
    """
    if carries_over(model, length):
        return _streamed(model, params, tokens, min(length * batch_size, len(tokens) - 1))
    half = length // 2
    last = len(tokens) - 1 - length
    starts = np.arange(0, last, max(half, 1))
    # The last window ends with the text, and counts the tokens that no other has counted.
    starts = np.append(starts, max(last, 0))
    windows = np.stack([tokens[start : start + length + 1] for start in starts])
    losses = token_losses(model, params, windows, batch_size)
    by_token = np.full(len(tokens) - 1, np.nan)
    by_token[:half] = losses[0, :half]
    for start, window in zip(starts, losses, strict=True):
        fresh = np.arange(half, window.size) + start
        by_token[fresh] = np.where(np.isnan(by_token[fresh]), window[half:], by_token[fresh])
    return by_token


def _streamed(model: Model, params: Params, tokens: np.ndarray, length: int) -> np.ndarray:
    state, losses = model.initial_state(1, length), np.empty(len(tokens) - 1, np.float32)
    for start in range(0, len(tokens) - 1, length):
        ids = np.asarray(tokens[start : start + length + 1], np.int32)[None]
        # The last segment is padded; the losses of its padding are not used.
        padded = np.pad(ids, ((0, 0), (0, length + 1 - ids.shape[1])))
        state, segment = _advanced(model, params, state, jnp.asarray(padded))
        losses[start : start + length] = np.asarray(segment)[0, : ids.shape[1] - 1]
    return losses


# Jitted at module level: all trials of a model share one program.
@functools.partial(jax.jit, static_argnums=0)
def _advanced(model: Model, params: Params, state: object, ids: Array) -> tuple[object, Array]:
    state, logits = model.segment(params, state, ids[:, :-1])
    return state, bits_of(logits, ids)


def block_bits(losses: np.ndarray, split: Split, blocks: int = 20) -> np.ndarray:
    """Bits per byte of equally long blocks of a text, in their order: [blocks].

    `hierarchical_bootstrap` takes blocks as independent. Neighbours resemble each other, so its
    interval says how the figure would change with other text of the same kind, not with another
    author. Two models have the same blocks: give it both.

    Args:
      losses: of the tokens of the text, in bits [n - 1].
    """
    means = [block.mean() for block in np.array_split(losses, min(blocks, len(losses)))]
    return bits_per_byte(np.array(means), len(split.tokens), split.bytes, split.unknown_bytes)
