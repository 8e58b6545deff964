"""What is written is what drawing token by token from the whole text would write."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from lstm_attn import models
from lstm_attn.errors import UsageError
from lstm_attn.generation import generate, make_generator
from lstm_attn.ops.sampling import Sampling, sample_token

SIZE, B, SEED, ROOM = 11, 2, 4, 20
PROMPT = np.array([3, 1, 4, 1, 5], np.int32)


class Tokens:
    """Of a task, what building a model asks for."""

    input_features = None
    output_features = SIZE
    sequence_length = 8


@pytest.fixture(scope="module", params=["lstm", "transformer", "lstm_attention"])
def network(request):
    model = models.build(
        request.param, Tokens(), models.ModelConfig(features=8, positions="rotary")
    )
    params = jax.jit(model.init)(jax.random.key(1))
    # Far from uniform, so that a wrong state shows.
    return model, jax.tree.map(lambda leaf: 2 * leaf, params)


def written(model, params, sampling, chunk, length=13, **options):
    generator = make_generator(model, sampling, chunk)
    pieces = generate(generator, params, PROMPT, samples=B, length=length, seed=SEED, **options)
    return np.concatenate(list(pieces), axis=1)


def drawn_from_the_whole(model, params, sampling, length, looked_at=lambda text: text):
    """Oracle: `apply` on all of the text, anew for each token; what stands after it counts nothing."""
    text = np.tile(PROMPT, (B, 1))
    apply = jax.jit(model.apply)
    for number in range(length):
        seen_by_model = looked_at(text)
        last = seen_by_model.shape[1] - 1
        filled = np.pad(seen_by_model, ((0, 0), (0, ROOM - last - 1)))
        logits = apply(params, jnp.asarray(filled))[:, last]
        seen = np.array([np.isin(np.arange(SIZE), row) for row in text])
        key = jax.random.fold_in(jax.random.key(SEED), number)
        ids = sample_token(key, logits, jnp.asarray(seen), sampling)
        text = np.concatenate([text, np.asarray(ids)[:, None]], axis=1)
    return text[:, len(PROMPT) :]


@pytest.mark.parametrize(
    "sampling", [Sampling(temperature=0), Sampling(top_k=6, repetition_penalty=1.5)], ids=str
)
def test_tokens_are_those_drawn_from_the_whole_text(network, sampling):
    """Catches a state of one step too few, a key used twice, a penalty that forgets the prompt, and
    samples that are all the same."""
    expected = drawn_from_the_whole(*network, sampling, 13)
    np.testing.assert_array_equal(written(*network, sampling, 4), expected)
    if sampling.temperature:
        assert not np.array_equal(expected[0], expected[1])


def test_the_chunk_changes_nothing(network):
    """Identity. Catches a key that is made for each chunk, and a last chunk that writes too much."""
    sampling = Sampling()
    one = written(*network, sampling, 1)
    assert one.shape == (B, 13)
    np.testing.assert_array_equal(written(*network, sampling, 5), one)
    np.testing.assert_array_equal(written(*network, sampling, 64), one)


def test_a_full_context_is_read_anew_from_its_later_half(network):
    """Oracle: `apply` on what the model may still see. Catches a cache that writes past its room, and
    positions that go on where the model was never trained."""
    chunk, context = 2, 8

    def looked_at(text):
        # Read at 5 tokens; after every chunk that no longer fits, the last 4 are read.
        held, start = len(PROMPT), 0
        for length in range(len(PROMPT), text.shape[1] + 1, chunk):
            if held + chunk > context:
                start, held = length - context // 2, context // 2
            held += chunk
        return text[:, start:]

    sampling = Sampling(temperature=0)
    expected = drawn_from_the_whole(*network, sampling, 13, looked_at)
    np.testing.assert_array_equal(written(*network, sampling, chunk, context=context), expected)


def test_a_recurrent_model_remembers_no_more_for_a_longer_text(network):
    """Oracle: bytes of the state. Catches a cache in a model that needs none."""
    model, params = network

    def size(room):
        generator = make_generator(model, Sampling(), 2)
        state = generator.read(params, jnp.tile(PROMPT, (B, 1)), room).state
        return sum(leaf.nbytes for leaf in jax.tree.leaves(state))

    attends = any(leaf.ndim == 4 for leaf in jax.tree.leaves(model.initial_state(1, 9)))
    assert (size(100) == size(1000)) != attends


def test_wrong_calls_are_one_line(network):
    """Catches an empty prompt's index error."""
    model, params = network
    generator = make_generator(model, Sampling(), 4)
    for wrong, message in (
        ({"prompt": PROMPT[:0]}, "prompt expected at least one token, got none"),
        ({"samples": 0}, "samples: expected at least 1, got 0"),
        ({"length": -1}, "length: expected at least 1, got -1"),
        ({"context": 7}, r"context expected at least 2 \* chunk = 8, got 7"),
    ):
        arguments = {"prompt": PROMPT, "samples": 1, "length": 1} | wrong
        with pytest.raises(UsageError, match=message):
            next(generate(generator, params, **arguments))
