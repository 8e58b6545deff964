"""A trained language model continues a prompt, and shows the text while it draws."""

import codecs
import io
import os
import sys
import time
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from lstm_attn import report, trained
from lstm_attn.errors import UsageError, check_whole, readable, unknown_name
from lstm_attn.generation import generate, make_generator
from lstm_attn.ops.sampling import Sampling
from lstm_attn.runner import memory_check
from lstm_attn.runs import RunFolder
from lstm_attn.studies.text_measures import SAMPLE_CHUNK, context_of
from lstm_attn.tasks import TextPrediction
from lstm_attn.text import Vocabulary, encode_known

# What a shell reports of a program whose reader has gone.


class Writer:
    """Turns ids into text as they come: a character is shown once all of its bytes are there."""

    def __init__(self, vocabulary: Vocabulary) -> None:
        self._vocabulary = vocabulary
        self._decoder = codecs.getincrementaldecoder("utf-8")(errors="replace")

    def __call__(self, ids: np.ndarray, *, last: bool = False) -> str:
        return readable(self._decoder.decode(self._vocabulary.decode(ids), final=last))


def chosen_cell(run: str | os.PathLike, name: str) -> trained.TrainedCell:
    """The cell of that name, or the first of the run.

    Raises:
      UsageError: a run without a language model, or with none that is trained yet, an unknown name.
    """
    folder = RunFolder(run)
    if not str(run) or not trained.text_folder(folder.path).is_dir():
        raise UsageError(f"run: expected a run folder of language_model, got {str(run)!r}")
    names = [record["cell"] for record in report.checked_results(folder)]
    if not names:
        raise UsageError(f"run: {run} has no trained model yet; its command goes on with it")
    if name and name not in names:
        raise unknown_name("cell", name, names)
    return trained.load(run, name or names[0])


def write_text(
    run: str | os.PathLike,
    prompt: str = "\n",
    *,
    cell: str = "",
    trial: int = 0,
    tokens: int = 500,
    samples: int = 1,
    temperature: float = 0.8,
    top_k: int = 0,
    top_p: float = 1.0,
    repetition_penalty: float = 1.0,
    seed: int = 0,
) -> None:
    """Writes to stdout how a language model continues the prompt, and its speed to stderr.

    The first sample is shown while it is drawn. The same seed writes the same text.

    Args:
      run: a run folder of `studies.language_model`.
      cell: which of its models; "" for the first. trial: which of its trials.
      tokens: how many to write; samples: how many texts, all at once.
      temperature, top_k, top_p, repetition_penalty: as in `ops.sampling.Sampling`.
      seed: of the draws.

    Raises:
      UsageError: a value that does not fit, on one line.
    """
    if isinstance(sys.stdout, io.TextIOWrapper):
        # A terminal that lacks a character shows its number.
        sys.stdout.reconfigure(errors="backslashreplace")
    sampling = Sampling(temperature, top_k, top_p, repetition_penalty)
    for name, value, least in (("tokens", tokens, 1), ("samples", samples, 1), ("seed", seed, 0)):
        check_whole(name, value, least)
    if not prompt:
        raise UsageError("prompt: expected at least one character, got none")
    chosen = chosen_cell(run, cell)
    if not 0 <= trial < len(chosen.seeds):
        raise UsageError(f"trial: expected 0 to {len(chosen.seeds) - 1}, got {trial}")
    _check_memory(samples, chosen.task.output_features)
    task = chosen.task
    assert isinstance(task, TextPrediction)
    vocabulary = task.text.vocabulary
    pieces = generate(
        make_generator(chosen.model, sampling, SAMPLE_CHUNK),
        jax.tree.map(jnp.asarray, chosen.trial(trial)),
        encode_known(vocabulary, prompt),
        samples=samples,
        length=tokens,
        seed=seed,
        context=context_of(chosen),
    )
    write, several = Writer(vocabulary), samples > 1
    # Programs are compiled before the first piece is there, which is not timed.
    first = next(pieces)
    began, others = time.monotonic(), [first[1:]]
    print("[1]\n" * several + readable(prompt), end="")
    print(write(first[0]), end="", flush=True)
    for ids in pieces:
        print(write(ids[0]), end="", flush=True)
        others += [ids[1:]] * several
    seconds = time.monotonic() - began
    print(write(first[0, :0], last=True))
    for number, ids in enumerate(np.concatenate(others, axis=1), 2):
        print(f"\n[{number}]\n{readable(prompt)}{Writer(vocabulary)(ids, last=True)}")
    timed = samples * tokens - first.size
    if timed:
        print(f"\n{timed / seconds:,.0f} tokens a second", file=sys.stderr)


def _check_memory(samples: int, vocabulary_size: int) -> None:
    """Raises UsageError where JAX would end the process with a stack of C++."""
    logits, there = memory_check.FLOAT32 * samples * vocabulary_size, memory_check.machine_bytes()
    if there is not None and logits > there:
        raise UsageError(
            f"samples: so many texts at once need more than {logits / memory_check.GIB:,.0f} "
            f"GiB of memory, this machine has {there / memory_check.GIB:,.0f}"
        )


def command(**given: Any) -> int:
    """`write_text` as a program."""
    try:
        write_text(**given)
    except KeyboardInterrupt:
        print(flush=True)
        raise
    return 0
