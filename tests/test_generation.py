"""Generated text is what drawing token by token from the whole text gives."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from lstm_attn import models
from lstm_attn.errors import UsageError
from lstm_attn.generation import generate, make_generator
from lstm_attn.models import Model
from lstm_attn.ops.sampling import Sampling, sample_token

SIZE, B, SEED, ROOM = 11, 2, 4, 20
PROMPT = np.array([3, 1, 4, 1, 5], np.int32)
TABLE = 3 * np.random.default_rng(0).normal(size=(SIZE, SIZE)).astype(np.float32)
SAMPLING = Sampling(top_k=6, repetition_penalty=1.5)


class Tokens:
    """The part of a task that building a model reads."""

    input_features = None
    output_features = SIZE
    sequence_length = 8


def built(name):
    return models.build(name, Tokens(), models.ModelConfig(features=8, positions="rotary"))


def of_sums():
    """Predicts from the sum of the ids so far and from how many there were; it carries both."""

    def segment(params, state, ids):
        total, count = state
        sums = total[:, None] + jnp.cumsum(ids, axis=1)
        counts = count + jnp.arange(1, ids.shape[1] + 1, dtype=jnp.int32)
        return (sums[:, -1], counts[-1]), params[(sums + 3 * counts[None]) % SIZE]

    def initial_state(batch_size, length):
        return jnp.zeros(batch_size, jnp.int32), jnp.int32(0)

    def step(params, state, ids):
        state, logits = segment(params, state, ids[:, None])
        return state, logits[:, 0]

    def apply(params, ids):
        return segment(params, initial_state(ids.shape[0], 0), ids)[1]

    model = Model(lambda key: None, apply, initial_state=initial_state, segment=segment, step=step)
    return model, jnp.asarray(TABLE)


def written(model, params, sampling, chunk, length=13, **options):
    generator = make_generator(model, sampling, chunk)
    pieces = generate(generator, params, PROMPT, samples=B, length=length, seed=SEED, **options)
    return np.concatenate(list(pieces), axis=1)


def drawn_from_the_whole(model, params, sampling, length, looked_at=lambda text: text):
    """Oracle: `apply` on the whole text for each token; the padding after it has no effect."""
    text = np.tile(PROMPT, (B, 1))

    @jax.jit
    def next_of(params, filled, last, seen, number):
        key = jax.random.fold_in(jax.random.key(SEED), number)
        return sample_token(key, model.apply(params, filled)[:, last], seen, sampling)

    for number in range(length):
        seen_by_model = looked_at(text)
        last = seen_by_model.shape[1] - 1
        filled = np.pad(seen_by_model, ((0, 0), (0, ROOM - last - 1)))
        seen = np.array([np.isin(np.arange(SIZE), row) for row in text])
        ids = next_of(params, filled, last, seen, number)
        text = np.concatenate([text, np.asarray(ids)[:, None]], axis=1)
    return text[:, len(PROMPT) :]


def test_tokens_are_those_drawn_from_the_whole_text():
    """For a model with a carry and a cache. Catches a state of one step too few, a key used twice,
    a penalty that forgets the prompt, and samples that are all the same."""
    model = built("lstm_attention")
    # Far from uniform, so that a wrong state shows.
    params = jax.tree.map(lambda leaf: 2 * leaf, jax.jit(model.init)(jax.random.key(1)))
    expected = drawn_from_the_whole(model, params, SAMPLING, 13)
    np.testing.assert_array_equal(written(model, params, SAMPLING, 4), expected)
    assert not np.array_equal(expected[0], expected[1])


@pytest.mark.full
def test_the_chunk_changes_nothing():
    """Oracle: drawing from the whole text. Catches a key for each chunk instead of each token, and
    a last chunk that writes too much or is lost."""
    expected = drawn_from_the_whole(*of_sums(), Sampling(), 13)
    for chunk in (1, 5, 64):
        np.testing.assert_array_equal(written(*of_sums(), Sampling(), chunk), expected)


@pytest.mark.parametrize("length", [4, 13])
@pytest.mark.full
def test_a_full_context_is_read_again_from_its_later_half(length):
    """Oracle: `apply` on what the model may still see. Catches a cache that overflows, and
    positions beyond those of training."""
    chunk, context = 2, 8

    def looked_at(text):
        # Read at 5 tokens; after every chunk that no longer fits, the last 4 are read.
        held, start = len(PROMPT), 0
        for length in range(len(PROMPT), text.shape[1] + 1, chunk):
            if held + chunk > context:
                start, held = length - context // 2, context // 2
            held += chunk
        return text[:, start:]

    expected = drawn_from_the_whole(*of_sums(), SAMPLING, length, looked_at)
    found = written(*of_sums(), SAMPLING, chunk, length, context=context)
    np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize("context", [None, 8])
def test_each_program_is_compiled_once_and_before_the_first_piece(context):
    """Oracle: JAX's count of traces. Catches a program for each piece, and one that is compiled
    while the text is being shown."""
    traced = []
    model, params = of_sums()

    def counted(name, function):
        def call(*arguments):
            traced.append(name)
            return function(*arguments)

        return call

    model = model._replace(
        segment=counted("read", model.segment), step=counted("write", model.step)
    )
    generator = make_generator(model, Sampling(), 2)
    pieces = generate(generator, params, PROMPT, samples=B, length=100, seed=SEED, context=context)
    next(pieces)
    # The prompt and, where a context can be full, the later half of it.
    assert sorted(traced) == ["read"] * (2 if context else 1) + ["write"]
    assert len(list(pieces)) == 49
    assert len(traced) == (3 if context else 2)


def test_a_recurrent_model_remembers_no_more_for_a_longer_text():
    """Oracle: bytes of the state, by the sizes of carry and cache. Catches a cache in a model that
    needs none."""

    def size(name, room):
        state = jax.eval_shape(lambda: built(name).initial_state(B, room))
        return sum(leaf.size * leaf.dtype.itemsize for leaf in jax.tree.leaves(state))

    assert size("lstm", 10) == size("lstm", 10_000) == B * 2 * 8 * 4
    assert size("transformer", 10_000) == pytest.approx(2 * size("transformer", 5_000), rel=0.01)


def test_wrong_calls_are_one_line():
    """Catches an index error for an empty prompt."""
    model, params = of_sums()
    generator = make_generator(model, Sampling(), 4)
    for wrong, message in (
        ({"prompt": PROMPT[:0]}, "prompt expected at least one token, got none"),
        ({"samples": 0}, "samples: expected at least 1, got 0"),
        ({"length": -1}, "length: expected at least 1, got -1"),
        ({"seed": 2**31}, "seed: expected at most 2147483647, got 2147483648"),
        ({"context": 7}, r"context expected at least 2 \* chunk = 8, got 7"),
    ):
        arguments = {"prompt": PROMPT, "samples": 1, "length": 1} | wrong
        with pytest.raises(UsageError, match=message):
            next(generate(generator, params, **arguments))
