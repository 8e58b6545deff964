"""What a trained language model does on the test split of its text, as JSON values."""

import dataclasses
import itertools
from collections.abc import Mapping, Sequence
from typing import Any

import jax
import numpy as np

from lstm_attn.analysis import Interval, hierarchical_bootstrap, text_memory
from lstm_attn.analysis.intervals import as_json, or_null
from lstm_attn.errors import UsageError, check_numbers, check_whole
from lstm_attn.generation import generate, make_generator
from lstm_attn.models import Model, Params, carries_over
from lstm_attn.ops.sampling import Sampling
from lstm_attn.tasks import TextPrediction
from lstm_attn.trained import TrainedCell

# Tokens of a forward pass at most: it bounds what it takes of memory.
TOKENS_AT_ONCE = 16_384
# Places of the test split after which it writes, tokens that it is given and that it writes.
SAMPLES, PROMPT_TOKENS, SAMPLE_TOKENS, SAMPLE_CHUNK = 3, 64, 200, 16
SAMPLE_TEMPERATURE = 0.7
FEWEST_SEEDS = 5  # of each of two models, for a sentence on them


@dataclasses.dataclass(frozen=True)
class MemoryConfig:
    """How the memory of a trained model is measured; all in tokens.

    contexts: what it may look back at when one token is predicted; tokens: how many are predicted.
    passage: length of a random passage that comes twice; distances: from its first token to the
      same token of the second; passages: how many at each distance.
    """

    contexts: tuple[int, ...] = (16, 64, 256, 1024)
    tokens: int = 500
    passage: int = 16
    distances: tuple[int, ...] = (16, 64, 256, 1024)
    passages: int = 100

    def __post_init__(self) -> None:
        check_numbers(self, "memory.")
        for field in ("tokens", "passage", "passages"):
            check_whole(f"memory.{field}", getattr(self, field), 2)
        for field, least in (("contexts", 1), ("distances", self.passage)):
            values = getattr(self, field)
            for value in values:
                check_whole(f"memory.{field}", value, least)
            if list(values) != sorted(values):
                raise UsageError(f"memory.{field}: expected them to rise, got {values}")


def look_at(cell: TrainedCell, asked: MemoryConfig, seed: int) -> dict[str, Any]:
    """Bits a byte, loss by position and by context, induction by distance, and samples.

    Each figure is a mean over seeds and places of the text, as `over_seeds` gives it.
    """
    task, model = cell.task, cell.model
    assert isinstance(task, TextPrediction)
    split, size = task.text.splits["test"], task.output_features
    trials = [cell.trial(index) for index in range(len(cell.seeds))]
    blocks = np.array(
        [
            text_memory.block_bits(
                text_memory.split_losses(
                    model, params, split.tokens, task.length, at_once(task.length)
                ),
                split,
            )
            for params in trials
        ]
    )
    return {
        "cell": cell.record["cell"],
        "parameters": cell.record["parameters"],
        "seconds": cell.record["seconds"],
        "seeds": cell.seeds.tolist(),
        "bits_per_byte": over_seeds(blocks),
        "blocks": [list(map(or_null, of_seed)) for of_seed in blocks],
        "by_context": by_context(model, trials, split.tokens, asked),
        "by_position": by_position(model, trials, split.tokens, asked),
        "induction": by_distance(model, trials, split.tokens, size, asked, seed),
        "samples": samples_of(cell, seed),
    }


def over_seeds(values: np.ndarray) -> dict[str, Any]:
    """The mean of values [R, N] over seeds and N places of the text, with its interval, and that of
    each seed, as JSON values."""
    return {
        **as_json(hierarchical_bootstrap(values)),
        "by_seed": list(map(or_null, values.mean(axis=1))),
    }


def pairs(models: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Every two models: bits per byte of the second minus those of the first, as JSON values.

    Args:
      models: with `model`, its name, and `blocks` [R, B], as `look_at` gives them.
    """
    compared = []
    for first, second in itertools.combinations(models, 2):
        blocks = (np.array(model["blocks"], float) for model in (second, first))
        apart = hierarchical_bootstrap(*blocks)
        seeds = min(len(first["blocks"]), len(second["blocks"]))
        compared.append(
            {
                "first": first["model"],
                "second": second["model"],
                **as_json(apart),
                "verdict": verdict(first["model"], second["model"], apart, seeds),
            }
        )
    return compared


def verdict(first: str, second: str, apart: Interval, seeds: int) -> str | None:
    """A sentence on which of two models needs fewer bits; None where the interval of the second
    minus the first holds 0, or one of them has fewer than FEWEST_SEEDS."""
    if seeds < FEWEST_SEEDS or not (apart.low > 0 or apart.high < 0):
        return None
    better, worse = (first, second) if apart.mean > 0 else (second, first)
    low, high = sorted(map(abs, (apart.low, apart.high)))
    return (
        f"{better} needs {abs(apart.mean):.3f} ({low:.3f} to {high:.3f}) fewer bits per byte "
        f"than {worse}"
    )


def at_once(length: int) -> int:
    return max(TOKENS_AT_ONCE // length, 1)


def by_context(
    model: Model, trials: list[Params], tokens: np.ndarray, asked: MemoryConfig
) -> list[dict[str, Any]]:
    """The loss of the same tokens, given more and more of the tokens before them.

    fall: by how much it is less than with the shortest context, token by token.
    """
    contexts = [context for context in asked.contexts if context < len(tokens)]
    longest = contexts[-1]
    ends = np.linspace(longest, len(tokens) - 1, asked.tokens).round().astype(int)
    windows = np.stack([tokens[end - longest : end + 1] for end in np.unique(ends)])
    of_trials = [
        text_memory.losses_by_context(model, params, windows, contexts, at_once(longest))
        for params in trials
    ]
    losses = {
        context: np.array([of_trial[context] for of_trial in of_trials]) for context in contexts
    }
    return [
        {
            "context": context,
            **over_seeds(of_tokens),
            "fall": over_seeds(losses[contexts[0]] - of_tokens),
        }
        for context, of_tokens in losses.items()
    ]


def by_position(
    model: Model, trials: list[Params], tokens: np.ndarray, asked: MemoryConfig
) -> list[dict[str, Any]]:
    """The loss of tokens by their position in a window, before which the model has no memory.

    Positions from one power of two up to the next are averaged.
    """
    longest = max(context for context in asked.contexts if context < len(tokens))
    windows = text_memory.windows_of(tokens, longest + 1, asked.tokens)
    losses = np.array(
        [text_memory.token_losses(model, params, windows, at_once(longest)) for params in trials]
    )
    edges = [0, *(2**power for power in range(int(np.log2(longest)) + 1)), longest]
    return [
        {
            "first": start + 1,
            "last": end,
            **over_seeds(losses[:, :, start:end].mean(axis=2)),
        }
        for start, end in itertools.pairwise(edges)
        if end > start
    ]


def by_distance(
    model: Model,
    trials: list[Params],
    tokens: np.ndarray,
    size: int,
    asked: MemoryConfig,
    seed: int,
) -> list[dict[str, Any]]:
    """By how much the loss of a random passage falls when it is repeated, in bits a token.

    loss: of the passage after another one.
    """
    measured = []
    for distance in asked.distances:
        if distance - asked.passage > len(tokens):
            continue
        texts = text_memory.repeated_passages(
            tokens, asked.passage, distance, asked.passages, size, seed
        )
        again, control = (
            np.array(
                [
                    text_memory.passage_losses(
                        model, params, one, asked.passage, at_once(one.shape[1])
                    )
                    for params in trials
                ]
            )
            for one in texts
        )
        falls = over_seeds(control - again)
        measured.append({"distance": distance, "loss": or_null(control.mean()), **falls})
    return measured


def samples_of(cell: TrainedCell, seed: int) -> list[dict[str, Any]]:
    """What the first trial writes after some prompts, which are passages of the test split."""
    task = cell.task
    assert isinstance(task, TextPrediction)
    tokens, vocabulary = task.text.splits["test"].tokens, task.text.vocabulary
    given = min(PROMPT_TOKENS, task.length)
    generator = make_generator(cell.model, Sampling(temperature=SAMPLE_TEMPERATURE), SAMPLE_CHUNK)
    params = jax.tree.map(jax.numpy.asarray, cell.trial(0))
    samples = []
    for place in np.linspace(0, len(tokens) - given, SAMPLES).astype(int):
        prompt = np.asarray(tokens[place : place + given])
        pieces = generate(
            generator, params, prompt,
            samples=1, length=SAMPLE_TOKENS, seed=seed, context=context_of(cell),
        )  # fmt: skip
        written = np.concatenate([piece[0] for piece in pieces])
        before, after = (
            {"text": vocabulary.decode(ids).decode(errors="replace")} for ids in (prompt, written)
        )
        samples.append({"prompt": before, **after})
    return samples


def context_of(cell: TrainedCell) -> int | None:
    """How many tokens back the model may look while it writes: as many as in training, and at least
    two chunks; None, which is all of them, for a model that carries its state over."""
    if carries_over(cell.model, cell.task.length):
        return None
    return max(cell.task.length, 2 * SAMPLE_CHUNK)
