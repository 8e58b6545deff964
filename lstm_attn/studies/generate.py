"""A trained language model writes on from a prompt, as it draws.

    python -m experiments.generate --run=runs/language_model --prompt="The statement"

The same seed writes the same text.
"""

import codecs
import io
import os
import sys
import time

import jax
import jax.numpy as jnp
import numpy as np
from absl import flags

from lstm_attn import report, trained
from lstm_attn.errors import UsageError, check_whole, readable, unknown_name
from lstm_attn.generation import generate, make_generator
from lstm_attn.ops.sampling import Sampling
from lstm_attn.runner import memory_check
from lstm_attn.runs import RunFolder
from lstm_attn.studies.text_measures import SAMPLE_CHUNK, context_of
from lstm_attn.tasks import TextPrediction
from lstm_attn.text import Vocabulary, encode_known

RUN = flags.DEFINE_string("run", "", "A run folder of experiments.language_model.")
CELL = flags.DEFINE_string("cell", "", "Which of its models; the first where none is named.")
TRIAL = flags.DEFINE_integer("trial", 0, "Which of its trials.")
PROMPT = flags.DEFINE_string("prompt", "\n", "What the text begins with.")
TOKENS = flags.DEFINE_integer("tokens", 500, "How many to write.")
SAMPLES = flags.DEFINE_integer("samples", 1, "Texts to write, all at once.")
TEMPERATURE = flags.DEFINE_float("temperature", 0.8, "0 takes the likeliest token.")
TOP_K = flags.DEFINE_integer("top_k", 0, "Only so many of the likeliest tokens; 0 for all.")
TOP_P = flags.DEFINE_float("top_p", 1.0, "Only the likeliest tokens that reach this probability.")
PENALTY = flags.DEFINE_float("repetition_penalty", 1.0, "Of tokens that were there; 1 for none.")
SEED = flags.DEFINE_integer("seed", 0, "Of the draws.")


# As a shell has it of a program whose reader has gone.
NO_READER_STATUS = 141


class Writer:
    """Ids to text as they come: a sign waits until all of its bytes are there."""

    def __init__(self, vocabulary: Vocabulary) -> None:
        self._vocabulary = vocabulary
        self._decoder = codecs.getincrementaldecoder("utf-8")(errors="replace")

    def __call__(self, ids: np.ndarray, *, last: bool = False) -> str:
        return readable(self._decoder.decode(self._vocabulary.decode(ids), final=last))


def chosen_cell(run: str, name: str) -> trained.TrainedCell:
    """The cell of that name, or the first of the run.

    Raises:
      UsageError: a run without a language model, or with none that is trained yet, an unknown name.
    """
    folder = RunFolder(run)
    if not run or not (folder.path / trained.TEXT).is_dir():
        raise UsageError(f"--run: expected a run of experiments.language_model, got {run!r}")
    names = [record["cell"] for record in report.checked_results(folder)]
    if not names:
        raise UsageError(f"--run: {run} has no trained model yet; its command goes on with it")
    if name and name not in names:
        raise unknown_name("--cell", name, names)
    return trained.load(run, name or names[0])


def write_on(cell: trained.TrainedCell, sampling: Sampling) -> int:
    """Writes to stdout what the cell makes of --prompt, and how fast to stderr."""
    task = cell.task
    assert isinstance(task, TextPrediction)
    vocabulary = task.text.vocabulary
    pieces = generate(
        make_generator(cell.model, sampling, SAMPLE_CHUNK),
        jax.tree.map(jnp.asarray, cell.trial(TRIAL.value)),
        encode_known(vocabulary, PROMPT.value),
        samples=SAMPLES.value,
        length=TOKENS.value,
        seed=SEED.value,
        context=context_of(cell),
    )
    write, several = Writer(vocabulary), SAMPLES.value > 1
    # Programs are compiled before the first piece is there, which is not clocked.
    first = next(pieces)
    began, others = time.monotonic(), [first[1:]]
    print("[1]\n" * several + readable(PROMPT.value), end="")
    print(write(first[0]), end="", flush=True)
    for ids in pieces:
        print(write(ids[0]), end="", flush=True)
        others += [ids[1:]] * several
    seconds = time.monotonic() - began
    print(write(first[0, :0], last=True))
    for number, ids in enumerate(np.concatenate(others, axis=1), 2):
        print(f"\n[{number}]\n{readable(PROMPT.value)}{Writer(vocabulary)(ids, last=True)}")
    clocked = SAMPLES.value * TOKENS.value - first.size
    if clocked:
        print(f"\n{clocked / seconds:,.0f} tokens a second", file=sys.stderr)
    return 0


def main() -> int:
    if isinstance(sys.stdout, io.TextIOWrapper):
        # A terminal that has no such sign is given its number.
        sys.stdout.reconfigure(errors="backslashreplace")
    sampling = Sampling(TEMPERATURE.value, TOP_K.value, TOP_P.value, PENALTY.value)
    for flag, least in ((TOKENS, 1), (SAMPLES, 1), (SEED, 0)):
        check_whole(f"--{flag.name}", flag.value, least)
    if not PROMPT.value:
        raise UsageError("--prompt: expected at least one character, got none")
    cell = chosen_cell(RUN.value, CELL.value)
    if not 0 <= TRIAL.value < len(cell.seeds):
        raise UsageError(f"--trial: expected 0 to {len(cell.seeds) - 1}, got {TRIAL.value}")
    # JAX would end the process with a stack of C++.
    logits, there = (
        memory_check.FLOAT32 * SAMPLES.value * cell.task.output_features,
        memory_check.machine_bytes(),
    )
    if there is not None and logits > there:
        raise UsageError(
            f"--samples: so many texts at once need more than {logits / memory_check.GIB:,.0f} "
            f"GiB of memory, this machine has {there / memory_check.GIB:,.0f}"
        )
    try:
        return write_on(cell, sampling)
    except BrokenPipeError:
        # Or else the exit would write the rest, and say that it can't.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return NO_READER_STATUS
    except KeyboardInterrupt:
        print(flush=True)
        raise
