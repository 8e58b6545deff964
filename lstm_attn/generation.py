"""Token after token from a language model, in chunks, so that they can be shown as they come."""

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
    """B texts being written.

    state: what the model remembers of them. logits: [B, V], of the next token. seen: bool [B, V],
    the tokens that were there. drawn: int32 [], tokens drawn so far.
    """

    state: Any
    logits: Array
    seen: Array
    drawn: Array


class Generator(NamedTuple):
    """read(params, ids [B, T], room) begins `Writing` after a prompt, with room for so many ids;
    write(params, key, writing) draws the next `chunk` ids, [B, chunk]."""

    read: Callable[[Params, Array, int], Writing]
    write: Callable[[Params, Array, Writing], tuple[Writing, Array]]
    chunk: int


def make_generator(model: Model, sampling: Sampling, chunk: int = 16) -> Generator:
    """The two jitted functions of generation.

    A draw's key is that of the text folded with the number of the token, so what is drawn does not
    depend on the chunk. A recurrent model remembers its carry alone, however much is
    written; attention its keys and values.

    Raises:
      UsageError: a chunk that is no whole number of at least 1.
    """
    check_whole("generate: chunk", chunk)

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
    """Continues a prompt, several times at once.

    Args:
      prompt: ids [T], at least one.
      samples: B, how many continuations.
      length: ids of each, beside the prompt.
      seed: the same one gives the same ids.
      context: how many ids the model may look back at; None for all. When they are full, the model
        reads the later half of them anew and goes on: positions stay among those it was trained on.

    Yields:
      The next ids of each, [B, n], n at most the generator's chunk.

    Raises:
      UsageError: no prompt, or a context with no room for it, on one line.
    """
    check_whole("generate: samples", samples)
    check_whole("generate: length", length)
    check_whole("generate: seed", seed, 0)
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
        # As many are read each time, and what reads them is compiled now, so that later nothing
        # waits for it.
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
