"""The same models on text: bits a byte, how far back they use it, and what they write.

The learning rate of each is tuned on other seeds, by the loss on the validation split.
"""

import dataclasses
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from lstm_attn import text, trained
from lstm_attn.analysis.intervals import or_null
from lstm_attn.errors import UsageError, check_numbers, check_whole, unknown_name
from lstm_attn.flat import difference
from lstm_attn.history import Evaluation
from lstm_attn.models import ModelConfig
from lstm_attn.report import language_model as text_section
from lstm_attn.runner import tuning_notes
from lstm_attn.runner.cell import TEST_SEED, Cell
from lstm_attn.runner.configs import COMPARED, check_lists, check_models, check_tuned
from lstm_attn.runner.session import Session
from lstm_attn.runner.tune import tune
from lstm_attn.runner.tuning_config import TuningConfig, is_tuned
from lstm_attn.runs import RunFolder
from lstm_attn.studies.result import Result, Table, goes_with, temporary_folder
from lstm_attn.studies.study import Names, Study, Workdir
from lstm_attn.studies.text_measures import SAMPLE_CHUNK, MemoryConfig, look_at, pairs
from lstm_attn.tasks import TextPrediction
from lstm_attn.training import TrainingConfig, multihost


@dataclasses.dataclass(frozen=True)
class DataConfig:
    """path: a text file or a folder of them; "" for the help topics of Python.

    level: what a token is, "byte", "character" or "bpe"; vocabulary_size: tokens of "bpe".
    held_out: share of the text for validation, and as much again for the test; 5 MB each at most.
    """

    path: str = ""
    level: str = "character"
    vocabulary_size: int = 1000
    held_out: float = 0.1

    def __post_init__(self) -> None:
        check_numbers(self, "data.")
        check_whole("data.vocabulary_size", self.vocabulary_size, 257)
        if self.level not in text.LEVELS:
            raise unknown_name("data.level", self.level, text.LEVELS)
        if not 0 < self.held_out < 0.5:
            raise UsageError(
                f"data.held_out: expected a share between 0 and 1/2, got {self.held_out}"
            )


@dataclasses.dataclass(frozen=True)
class LanguageModelConfig:
    """models: names in MODELS; length: tokens of a segment, through which gradients pass; data,
    memory, model, training, tuning: as their classes say."""

    models: tuple[str, ...] = COMPARED
    length: int = 256
    data: DataConfig = DataConfig()
    memory: MemoryConfig = MemoryConfig()
    model: ModelConfig = ModelConfig(features=192, num_heads=4, num_layers=2, positions="rotary")
    training: TrainingConfig = TrainingConfig(
        steps=700,
        batch_size=8,
        seeds=5,
        learning_rates=(1e-3, 3e-3, 1e-2, 3e-2),
        evaluation_sequences=80,
    )
    tuning: TuningConfig = TuningConfig(seeds=1)

    def __post_init__(self) -> None:
        check_numbers(self)
        check_lists(self, "models", "memory.contexts", "memory.distances")
        check_models(self.models)
        check_whole("length", self.length, 2)
        check_tuned(self.training, self.tuning)
        if self.memory.contexts[0] > self.length:
            raise UsageError(
                f"memory.contexts: expected the shortest to be at most length={self.length}, got "
                f"{self.memory.contexts[0]}"
            )
        # Found out here, not when all are trained: nothing of the config can be changed then.
        longest = max(self.memory.contexts[-1], self.memory.distances[-1] + self.memory.passage - 1)
        positions = (self.model.positions, *self.tuning.positions)
        if "learned" in positions and max(longest, 2 * SAMPLE_CHUNK) > self.length:
            raise UsageError(
                f"model.positions: learned ones reach as far as length={self.length}; expected "
                f"others, or length of at least {max(longest, 2 * SAMPLE_CHUNK)}, as "
                "memory.contexts, memory.distances and the samples ask for"
            )
        if self.training.stop_when_solved:
            raise UsageError("training.stop_when_solved: expected False, since text has no end")


def check_text(config: LanguageModelConfig, workdir: Path) -> None:
    """Raises UsageError for a text that can't be trained on, unless the run has one already."""
    if (workdir / trained.TEXT / text.DESCRIPTION).exists():
        differs = difference(RunFolder(workdir).config.get("data"), dataclasses.asdict(config.data))
        if differs:
            raise UsageError(f"workdir {workdir} has another text: data.{differs}; choose another")
        return
    validation = config.training.evaluation_sequences * config.length
    text.check(
        text.Source(config.data.path),
        config.data.level,
        held_out=config.data.held_out,
        longer_than={"train": config.length, "validation": validation, "test": config.length},
    )


def prepared(config: LanguageModelConfig, folder: RunFolder) -> TextPrediction:
    """The text that the run folder holds, put there if it is not, as a task.

    Of several processes each puts it into its own folder.

    Raises:
      UsageError: a text that can't be read or is damaged, or another one in another process.
    """
    try:
        written = _text(config.data, folder.path / trained.TEXT)
    except UsageError as error:
        # Of several processes the others must not wait for one that alone has no text.
        multihost.check_alike("text (or none that it can read)", str(error))
        raise
    digests = {name: split.sha256 for name, split in written.splits.items()}
    multihost.check_alike(
        "text (or none that it can read)", [written.vocabulary.to_json(), digests]
    )
    return TextPrediction(written, config.length)


def _text(data: DataConfig, place: Path) -> text.Text:
    if not (place / text.DESCRIPTION).exists():
        return text.prepare(
            place,
            text.Source(data.path),
            data.level,
            vocabulary_size=data.vocabulary_size,
            held_out=data.held_out,
        )
    loaded = text.load(place)
    text.check_intact(place, loaded)
    return loaded


def cells(config: LanguageModelConfig, task: TextPrediction) -> list[Cell]:
    """One a model."""
    return [
        Cell(f"text-{config.length}-{name}", name, task, config.model, config.training)
        for name in config.models
    ]


def planned_cells(config: LanguageModelConfig, workdir: Path) -> list[Cell]:
    """The cells on the text of the run folder, or on one that is read for as long as they live."""
    if (workdir / trained.TEXT / text.DESCRIPTION).exists():
        return cells(config, TextPrediction(text.load(workdir / trained.TEXT), config.length))
    folder = temporary_folder()
    task = TextPrediction(_text(config.data, folder / trained.TEXT), config.length)
    goes_with(task, folder)
    return cells(config, task)


def curve(evaluations: Sequence[Evaluation]) -> list[dict[str, Any]]:
    """Loss of the validation split after so many steps, of each seed in bits a token; null where it
    diverged."""
    return [
        {
            "step": evaluation.step,
            "bits": [or_null(loss / np.log(2)) for loss in evaluation.metrics["loss"]],
        }
        for evaluation in evaluations
    ]


def labels(records: Sequence[Mapping[str, Any]]) -> list[str]:
    """The model of each record. Where cells of one model differ in their settings, what the name of
    each cell adds follows."""
    models = [record["model"] for record in records]
    plain = [f"text-{record['length']}-{record['model']}" for record in records]
    return [
        f"{model} {record['cell'].removeprefix(start)}".strip()
        if models.count(model) > 1
        else model
        for model, start, record in zip(models, plain, records, strict=True)
    ]


def bits_table(result: Mapping[str, Any]) -> Table:
    """One row a model."""
    seeds = text_section.count_of_seeds(result["models"])
    return Table(
        f"Bits a byte of the test split, mean of {seeds} seeds",
        ("model", "bits a byte", "interval", "seeds", "rate", "s", "of tuning"),
        [
            (
                one["model"],
                *text_section.mean_and_interval(one["bits_per_byte"]),
                text_section.range_of_seeds(one),
                f"{one['learning_rate']:g}",
                f"{one['seconds']:.0f}",
                text_section.seconds_of_tuning(one),
            )
            for one in result["models"]
        ],
        left=("model",),
        caption="interval: 95 %, over seeds and blocks of the text; seeds: their range; "
        "rate: of learning, tuned on other seeds",
    )


def language_model(
    models: Names | None = None,
    path: str | os.PathLike | None = None,
    *,
    length: int | None = None,
    level: str | None = None,
    workdir: Workdir = None,
    **settings: Any,
) -> Result:
    """Trains every model on a text, then measures it on its test split.

        studies.language_model("lstm", "moby_dick.txt", steps=500, workdir="runs/text")

    Args:
      models: names in `models.MODELS`.
      path: a text file or a folder of them; None for the help topics of Python.
      length: tokens of a segment, through which gradients pass.
      level: what a token is: "character", "byte" or "bpe".
      workdir: a run folder to make or to extend; None for a temporary one.
      settings: fields of ModelConfig and TrainingConfig; data=, memory=, model=, training= with a
        dict, such as memory={"contexts": (16, 64)}.

    Returns:
      A result whose `measured` has bits a byte, losses by context, and samples of each model.

    Raises:
      UsageError: a name, a value, a text or a folder that does not fit, on one line.
    """
    fields = {"models": models, "length": length, "data.path": path, "data.level": level}
    return STUDY.call(workdir, fields, settings)


def work(config: LanguageModelConfig, session: Session) -> list[Table | str]:
    """Tunes and trains what the folder lacks, and measures each model on the test split."""
    folder, console = session.folder, session.console
    task = prepared(config, folder)
    step_tokens = config.training.batch_size * config.length
    console.print(
        f"{task.text.source}: {len(task.text.splits['train'].tokens):,} {task.variant} tokens to "
        f"train on, {task.output_features} of them different; {step_tokens:,} a step",
        soft_wrap=True,
    )
    asked = cells(config, task)
    tested = session.train(tune(asked, config.tuning, session))
    costs = costs_of_tuning(asked, tested, config.tuning, folder)
    records = [session.record(cell) for cell in tested]
    # Models that were trained by an earlier command at this length are measured with the others.
    records += [
        record
        for record in folder.results
        if record["length"] == config.length and record not in records
    ]
    result: dict[str, Any] = {
        "source": task.text.source,
        "level": task.variant,
        "vocabulary": task.output_features,
        "length": config.length,
        "budget": config.training.steps,
        "tokens_a_step": step_tokens,
        "baseline_bits": task.baseline / float(np.log(2)),
        "passage": config.memory.passage,
        "models": [],
        "pairs": [],
    }
    for number, (record, label) in enumerate(zip(records, labels(records), strict=True), 1):
        name = record["cell"]
        console.print(f"measuring {number} of {len(records)}: {name}")
        one = look_at(trained.load(folder.path, name), config.memory, TEST_SEED)
        result["models"].append(
            {
                "model": label,
                **one,
                "learning_rate": record["per_trial"][0]["learning_rate"],
                "tuning": costs.get(name),
                "curve": curve(folder.evaluations(name)),
            }
        )
        result["pairs"] = pairs(result["models"])
        folder.write_study(STUDY.name, result)
        written = one["samples"][-1]
        console.print(written["prompt"]["text"], end="", soft_wrap=True)
        console.print(written["text"], style="dim", soft_wrap=True)
    return [bits_table(result), text_section.verdicts(result)]


def costs_of_tuning(
    asked: Sequence[Cell], tested: Sequence[Cell], config: TuningConfig, folder: RunFolder
) -> dict[str, dict[str, Any]]:
    """Name of a tested cell -> trials, steps and seconds that its tuning took.

    Cells that were not tuned have none, nor have those of earlier commands: their notes may have
    given way to later ones.
    """
    notes = {note["cell"]: note for note in tuning_notes.records(folder)}
    return {
        after.name: {key: notes[before.name][key] for key in ("trials", "steps", "seconds")}
        for before, after in zip(asked, tested, strict=True)
        if is_tuned(before, config)
    }


STUDY = Study("language_model", LanguageModelConfig, work, planned_cells, check_text)
