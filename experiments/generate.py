"""A trained language model writes on from a prompt, as it draws.

    python -m experiments.generate --run=runs/language_model --prompt="The statement"

The same seed writes the same text.
"""

import codecs
import sys
import time

import jax
import jax.numpy as jnp
import numpy as np
from absl import flags

from experiments import border
from experiments.look_at_text import SAMPLE_CHUNK, context_of
from lstm_attn import trained
from lstm_attn.errors import UsageError, check_whole, unknown_name
from lstm_attn.generation import generate, make_generator
from lstm_attn.ops.sampling import Sampling
from lstm_attn.runs import RunFolder
from lstm_attn.tasks import TextPrediction
from lstm_attn.text import Vocabulary, encode_known

RUN = flags.DEFINE_string("run", None, "A run folder of experiments.language_model.", required=True)
CELL = flags.DEFINE_string("cell", "", "Which of its models; the first where none is named.")
TRIAL = flags.DEFINE_integer("trial", 0, "Which of its trials.")
PROMPT = flags.DEFINE_string("prompt", "\n", "What the text begins with.")
LENGTH = flags.DEFINE_integer("length", 500, "Tokens to write.")
SAMPLES = flags.DEFINE_integer("samples", 1, "Texts to write, all at once.")
TEMPERATURE = flags.DEFINE_float("temperature", 0.8, "0 takes the likeliest token.")
TOP_K = flags.DEFINE_integer("top_k", 0, "Only so many of the likeliest tokens; 0 for all.")
TOP_P = flags.DEFINE_float("top_p", 1.0, "Only the likeliest tokens that reach this probability.")
PENALTY = flags.DEFINE_float("repetition_penalty", 1.0, "Of tokens that were there; 1 for none.")
SEED = flags.DEFINE_integer("seed", 0, "Of the draws.", lower_bound=0)


class Writer:
    """Ids to text as they come: a sign waits until all of its bytes are there."""

    def __init__(self, vocabulary: Vocabulary) -> None:
        self._vocabulary = vocabulary
        self._decoder = codecs.getincrementaldecoder("utf-8")(errors="replace")

    def __call__(self, ids: np.ndarray, *, last: bool = False) -> str:
        return self._decoder.decode(self._vocabulary.decode(ids), final=last)


def chosen_cell(run: str, name: str) -> trained.TrainedCell:
    """The cell of that name, or the first of the run.

    Raises:
      UsageError: a run without a language model, or an unknown name.
    """
    names = [record["cell"] for record in RunFolder(run).results if record["task"] == "text"]
    if not names:
        raise UsageError(f"--run: expected a run of experiments.language_model, got {run!r}")
    if name and name not in names:
        raise unknown_name("cell", name, names)
    return trained.load(run, name or names[0])


def main() -> int:
    sampling = Sampling(TEMPERATURE.value, TOP_K.value, TOP_P.value, PENALTY.value)
    for flag in (LENGTH, SAMPLES):
        check_whole(f"--{flag.name}", flag.value)
    cell = chosen_cell(RUN.value, CELL.value)
    task = cell.task
    assert isinstance(task, TextPrediction)
    if not 0 <= TRIAL.value < len(cell.seeds):
        raise UsageError(f"--trial: expected 0 to {len(cell.seeds) - 1}, got {TRIAL.value}")
    vocabulary = task.text.vocabulary
    pieces = generate(
        make_generator(cell.model, sampling, SAMPLE_CHUNK),
        jax.tree.map(jnp.asarray, cell.trial(TRIAL.value)),
        encode_known(vocabulary, PROMPT.value),
        samples=SAMPLES.value,
        length=LENGTH.value,
        seed=SEED.value,
        context=context_of(cell),
    )
    write = Writer(vocabulary)
    if SAMPLES.value > 1:
        print("[1]")
    print(PROMPT.value, end="")
    written, began = [], 0.0
    for ids in pieces:
        # The first piece waits for the programs to be compiled.
        began = began or time.monotonic()
        written.append(ids)
        print(write(ids[0]), end="", flush=True)
    print(write(np.zeros(0, int), last=True))
    texts = np.concatenate(written, axis=1)
    for number, ids in enumerate(texts[1:], 2):
        print(f"\n[{number}]\n{PROMPT.value}{Writer(vocabulary)(ids, last=True)}")
    clocked = texts.size - written[0].size
    if clocked:
        rate = clocked / (time.monotonic() - began)
        print(f"\n{rate:,.0f} tokens a second", file=sys.stderr)
    return 0


if __name__ == "__main__":
    border.run(main)
