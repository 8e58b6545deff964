"""Text generation by a language model, in chunks of tokens that can be shown as they come."""

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array, lax

from lstm_attn.errors import UsageError, check_whole
from lstm_attn.models import Model, Params
from lstm_attn.ops.sampling import Sampling, sample_token


class Writing(NamedTuple):
    """B texts that are being written.

    state: of the model. logits: [B, V], of the next token. seen: bool [B, V], the tokens that
    occurred. drawn: int32 [], tokens drawn so far.
    """

    state: Any
    logits: Array
    seen: Array
    drawn: Array


class Generator(NamedTuple):
    """read(params, ids [B, T], room) reads a prompt and gives `Writing`, with room for `room` ids;
    write(params, key, writing) draws the next `chunk` ids, [B, chunk]."""

    read: Callable[[Params, Array, int], Writing]
    write: Callable[[Params, Array, Writing], tuple[Writing, Array]]
    chunk: int


def make_generator(model: Model, sampling: Sampling, chunk: int = 16) -> Generator:
    """The two jitted functions of generation.

    The key of a draw is the key of the text folded with the number of the token, so the ids do not
    depend on the chunk. A recurrent model stores only its carry, however long the text; attention
    stores its keys and values.

    Raises:
      UsageError: a chunk that is not a whole number of at least 1.
    """
    chunk = check_whole("generate: chunk", chunk)

    @partial(jax.jit, static_argnums=2)
    def read(params: Params, ids: Array, room: int) -> Writing:
        state, logits = model.segment(params, model.initial_state(ids.shape[0], room), ids)
        seen = jax.nn.one_hot(ids, logits.shape[-1], dtype=jnp.bool_).any(axis=1)
        return Writing(state, logits[:, -1], seen, jnp.int32(0))

    @partial(jax.jit, donate_argnums=2)
    def write(params: Params, key: Array, writing: Writing) -> tuple[Writing, Array]:
        def one(before: Writing, _: None) -> tuple[Writing, Array]:
            token_key = jax.random.fold_in(key, before.drawn)
            ids = sample_token(token_key, before.logits, before.seen, sampling)
            state, logits = model.step(params, before.state, ids)
            seen = before.seen | jax.nn.one_hot(ids, logits.shape[-1], dtype=jnp.bool_)
            return Writing(state, logits, seen, before.drawn + 1), ids

        writing, ids = lax.scan(one, writing, length=chunk)
        return writing, ids.T

    return Generator(read, write, chunk)


def generate(
    generator: Generator,
    params: Params,
    prompt: np.ndarray,
    *,
    samples: int,
    length: int,
    seed: int = 0,
    context: int | None = None,
) -> Iterator[np.ndarray]:
    """Continues a prompt, in several samples at once.

    Args:
      prompt: ids [T], at least one.
      samples: B, the number of continuations.
      length: new ids of each.
      seed: the same seed gives the same ids.
      context: how many ids the model may look back at; None for all. When the context is full, the
        model reads its later half again and continues, so positions stay in the trained range.

    Yields:
      The next ids of each, [B, n], n at most the generator's chunk.

    Raises:
      UsageError: an empty prompt, or a context of less than two chunks, on one line.
    """
    samples = check_whole("generate: samples", samples)
    length = check_whole("generate: length", length)
    seed = check_whole("generate: seed", seed, 0)
    context = None if context is None else check_whole("generate: context", context)
    if not len(prompt):
        raise UsageError("generate: prompt expected at least one token, got none")
    if context is not None and context < 2 * generator.chunk:
        raise UsageError(
            f"generate: context expected at least 2 * chunk = {2 * generator.chunk}, got {context}"
        )
    # Room for whole chunks, the last one too.
    room = context or len(prompt) + length + generator.chunk
    text = np.tile(np.asarray(prompt, np.int32), (samples, 1))
    begun = text[:, -(room - generator.chunk) :] if context else text
    if context and begun.shape[1] - (-length // generator.chunk) * generator.chunk > room:
        # Every later read has this many ids; it is compiled now, so that no chunk waits for it.
        generator.read(params, jnp.zeros((samples, room // 2), jnp.int32), room)
    writing = generator.read(params, jnp.asarray(begun), room)
    held = begun.shape[1]
    key, left = jax.random.key(seed), length
    while left > 0:
        if held + generator.chunk > room:
            begun = text[:, -(room // 2) :]
            writing = generator.read(params, jnp.asarray(begun), room)._replace(
                drawn=writing.drawn, seen=writing.seen
            )
            held = begun.shape[1]
        writing, ids = generator.write(params, key, writing)
        new = np.asarray(ids)[:, :left]
        if context:
            text = np.concatenate([text, new], axis=1)[:, -room:]
        held, left = held + generator.chunk, left - new.shape[1]
        yield new
