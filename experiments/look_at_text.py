"""What a trained language model does on the test part of its text, as JSON values."""

import itertools
from typing import Any, Protocol

import jax
import numpy as np

from lstm_attn.analysis import mean_interval, text_loss, text_memory
from lstm_attn.analysis.means import Interval
from lstm_attn.generation import generate, make_generator
from lstm_attn.models import Model, Params
from lstm_attn.ops.sampling import Sampling
from lstm_attn.tasks import TextPrediction
from lstm_attn.trained import TrainedCell

# Tokens of a forward pass at most: it bounds what it takes of memory.
TOKENS_AT_ONCE = 16_384
SAMPLE_TOKENS, SAMPLE_CHUNK = 300, 16


class Asked(Protocol):
    """What is asked of its memory; see `experiments.language_model.MemoryConfig`."""

    @property
    def contexts(self) -> tuple[int, ...]: ...
    @property
    def tokens(self) -> int: ...
    @property
    def passage(self) -> int: ...
    @property
    def distances(self) -> tuple[int, ...]: ...
    @property
    def passages(self) -> int: ...


def look_at(cell: TrainedCell, asked: Asked, seed: int) -> dict[str, Any]:
    """Bits a byte, loss by position and by context, induction by distance, and a sample.

    Of several trials each figure is the mean over them, its interval that over blocks of text.
    """
    task, model = cell.task, cell.model
    assert isinstance(task, TextPrediction)
    part, size = task.text.parts["test"], task.output_features
    trials = [cell.trial(index) for index in range(len(cell.seeds))]

    def over_trials(measure: Any) -> np.ndarray:
        return np.mean([measure(params) for params in trials], axis=0)

    losses = over_trials(
        lambda params: text_loss.part_losses(
            cell.model, params, part.tokens, task.length, at_once(task.length)
        )
    )
    return {
        "model": cell.record["model"],
        "cell": cell.record["cell"],
        "parameters": cell.record["parameters"],
        "seconds": cell.record["seconds"],
        "trials": len(trials),
        "carries": text_loss.carries(cell.model, task.length),
        "bits_per_byte": text_loss.block_interval(losses, part)._asdict(),
        "by_context": by_context(model, trials, part.tokens, asked),
        "by_position": by_position(model, trials, part.tokens, asked),
        "induction": by_distance(model, trials, part.tokens, size, asked, seed),
        "sample": sample_of(cell, seed),
    }


def at_once(length: int) -> int:
    return max(TOKENS_AT_ONCE // length, 1)


def by_context(
    model: Model, trials: list[Params], tokens: np.ndarray, asked: Asked
) -> list[dict[str, Any]]:
    """The loss of the same tokens given more and more of what stands before them."""
    contexts = [context for context in asked.contexts if context < len(tokens)]
    longest = contexts[-1]
    ends = np.linspace(longest, len(tokens) - 1, asked.tokens).round().astype(int)
    windows = np.stack([tokens[end - longest : end + 1] for end in np.unique(ends)])
    of_trials = [
        text_memory.losses_by_context(model, params, windows, contexts, at_once(longest))
        for params in trials
    ]
    return [
        {"context": context, **over_texts([found[context] for found in of_trials])._asdict()}
        for context in contexts
    ]


def by_position(
    model: Model, trials: list[Params], tokens: np.ndarray, asked: Asked
) -> list[dict[str, Any]]:
    """The loss of tokens with so many before them in a window that begins without memory.

    Positions are put together from each power of two up to the next.
    """
    longest = max(context for context in asked.contexts if context < len(tokens))
    windows = text_memory.windows_of(tokens, longest + 1, asked.tokens)
    losses = [
        text_memory.token_losses(model, params, windows, at_once(longest)) for params in trials
    ]
    edges = [0, *(2**power for power in range(int(np.log2(longest)) + 1)), longest]
    return [
        {
            "first": start + 1,
            "last": end,
            **over_texts([found[:, start:end].mean(axis=1) for found in losses])._asdict(),
        }
        for start, end in itertools.pairwise(edges)
        if end > start
    ]


def by_distance(
    model: Model, trials: list[Params], tokens: np.ndarray, size: int, asked: Asked, seed: int
) -> list[dict[str, Any]]:
    """How far the loss of a random passage falls when it comes again, in bits a token."""
    found = []
    for distance in asked.distances:
        if distance - asked.passage > len(tokens):
            continue
        texts = text_memory.repeated_passages(
            tokens, asked.passage, distance, asked.passages, size, seed
        )
        pairs = [
            text_memory.induction(model, params, texts, asked.passage, at_once(texts.shape[1]))
            for params in trials
        ]
        falls = over_texts([first - second for first, second in pairs])
        first = float(np.mean([first for first, _ in pairs]))
        found.append({"distance": distance, "first": first, **falls._asdict()})
    return found


def over_texts(of_trials: list[np.ndarray]) -> Interval:
    """Of trials x texts: the mean, its interval over texts."""
    return mean_interval(np.mean(of_trials, axis=0))


def sample_of(cell: TrainedCell, seed: int) -> str:
    """What the first trial writes after the first line of the test part."""
    task = cell.task
    assert isinstance(task, TextPrediction)
    vocabulary = task.text.vocabulary
    prompt = np.asarray(task.text.parts["test"].tokens[: task.length // 2])
    pieces = generate(
        make_generator(cell.model, Sampling(temperature=0.7), SAMPLE_CHUNK),
        jax.tree.map(jax.numpy.asarray, cell.trial(0)),
        prompt,
        samples=1,
        length=SAMPLE_TOKENS,
        seed=seed,
        context=context_of(cell),
    )
    written = np.concatenate([piece[0] for piece in pieces])
    return vocabulary.decode(written).decode(errors="replace")


def context_of(cell: TrainedCell) -> int | None:
    """How far back it may look while it writes: as far as it was trained to, unless it carries."""
    if text_loss.carries(cell.model, cell.task.length):
        return None
    return max(cell.task.length, 2 * SAMPLE_CHUNK)
