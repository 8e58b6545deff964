"""What does each choice do? One model on one task, with one key changed a column.

Every column has the seeds of the reference, so each difference is a difference over pairs.
"""

import dataclasses
import re
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple, cast

import numpy as np

from lstm_attn import report
from lstm_attn.analysis import (
    compare_records,
    paired_rate_test,
    paired_sign_test,
    restricted_mean,
    table_of_tests,
)
from lstm_attn.analysis.paired_tests import FEWER_STEPS, ON_MORE_SEEDS
from lstm_attn.errors import UsageError, unknown_name
from lstm_attn.models import MODELS, ModelConfig
from lstm_attn.runner import checked_config
from lstm_attn.runner.cell import Cell
from lstm_attn.runner.configs import OneTaskConfig, check_models, check_one_rate
from lstm_attn.runner.session import Session
from lstm_attn.studies.result import Result, Table
from lstm_attn.studies.study import Study, Workdir
from lstm_attn.training import TrainingConfig

# What `changes` may be: a single pair will do for a list.
Changes = Mapping[str, Any] | Sequence[tuple[str, Any]] | tuple[str, Any]
REFERENCE = "reference"
CHANGES = (
    ("model.forget_bias", 0.0),
    ("model.forget_bias", 3.0),
    ("model.chrono_steps", (2.0, 100.0)),
    ("model.lstm_variant", "layer_norm"),
    ("model.recurrent_kernel_init", "glorot"),
    ("model.features", 16),
    ("model.features", 64),
    ("training.learning_rates", (1e-2,)),
    ("training.learning_rates", (1e-1,)),
    ("training.clip_norm", 100.0),
)


def ablation(
    model_name: str | None = None,
    task: str | None = None,
    length: int | None = None,
    changes: Changes | None = None,
    *,
    workdir: Workdir = None,
    **settings: Any,
) -> Result:
    """Trains a model as it is and with one setting changed at a time, and compares the two.

        studies.ablation("lstm", "adding", 50, [("model.forget_bias", 0.0)], seeds=6)

    Args:
      model_name: in `models.MODELS`.
      task: in `tasks.TASKS`, with a variant as in "adding:arjovsky2016".
      length: its T, in steps.
      changes: (key, value) pairs, one pair, or a dict; a key is model.NAME or training.NAME.
      workdir, settings: see `studies.compare`.

    Returns:
      The records, a table with a row for each change, and with a workdir its page.

    Raises:
      UsageError: a name, a value or a folder that does not fit, on one line.
    """
    fields = {"model_name": model_name, "task.name": task, "task.length": length}
    return STUDY.call(workdir, {**fields, "changes": _pairs(changes)}, settings)


def _pairs(changes: Changes | None) -> Sequence[tuple[str, Any]] | None:
    if isinstance(changes, Mapping):
        return list(changes.items())
    if isinstance(changes, tuple | list) and len(changes) == 2 and isinstance(changes[0], str):
        return [(changes[0], changes[1])]
    if changes is None:
        return None
    pairs = changes if isinstance(changes, Sequence) and not isinstance(changes, str) else [changes]
    for pair in pairs:
        if not isinstance(pair, tuple | list) or len(pair) != 2:
            raise UsageError(
                "changes: expected (key, value) pairs or a dict, such as "
                f"{{'model.forget_bias': 0.0}}, got {pair!r}"
            )
    return cast(Sequence[tuple[str, Any]], pairs)


class Column(NamedTuple):
    """name: in words; key and value: the change, None for the reference."""

    name: str
    key: str | None
    value: Any
    cell: Cell


@dataclasses.dataclass(frozen=True)
class Settings:
    """The keys that a change may name."""

    model: ModelConfig
    training: TrainingConfig


@dataclasses.dataclass(frozen=True)
class AblationConfig:
    """model_name: in MODELS, the one model.
    task: the one task.
    model, training: those of the reference; one learning rate, so that a pair is a seed.
    changes: (key, value) of each other column, such as ("model.forget_bias", 0.0).

    model.features, and other keys that change the LSTM's size, change the width of every model: a
    model has about as many parameters as the LSTM.
    """

    model_name: str = "lstm"
    task: OneTaskConfig = OneTaskConfig("adding", 100)
    model: ModelConfig = ModelConfig(features=32)
    training: TrainingConfig = TrainingConfig(
        steps=2000,
        seeds=12,
        learning_rates=(3e-2,),
        evaluation_sequences=500,
        stop_when_solved=True,
    )
    changes: tuple[tuple[str, Any], ...] = CHANGES

    def __post_init__(self) -> None:
        check_models([self.model_name])
        check_one_rate("training", self.training)
        if not self.changes:
            raise UsageError("changes: expected at least one, got none")
        names = [column.name for column in columns(self)]
        for name in names:
            if names.count(name) > 1:
                raise UsageError(f"changes: {name} is given twice")


def columns(config: AblationConfig) -> list[Column]:
    """The reference and then the changes, in the order of the config.

    Raises:
      UsageError: an unknown key, a value that does not fit it or that is the reference's.
    """
    task = config.task.build()
    start = f"{task.name}-{task.length}-{config.model_name}"
    cell = Cell(start, config.model_name, task, config.model, config.training)
    listed = [Column(REFERENCE, None, None, cell)]
    for key, given in config.changes:
        changed = _changed(config, key, given)
        part, _, field = key.partition(".")
        value = getattr(getattr(changed, part), field)
        shown = _in_words(value)
        name = re.sub(r"[^\w.+-]+", "-", f"{start}-{key}-{shown}").strip("-")
        cell = Cell(name, config.model_name, task, changed.model, changed.training)
        listed.append(Column(f"{key} = {shown}", key, value, cell))
    return listed


def _changed(config: AblationConfig, key: str, value: Any) -> Settings:
    reference = {
        "model": dataclasses.asdict(config.model),
        "training": dataclasses.asdict(config.training),
    }
    known = [f"{part}.{field}" for part, fields in reference.items() for field in fields]
    # Pairs are seeds: every column has the same ones.
    known.remove("training.seeds")
    if key not in known:
        raise unknown_name("key in changes", key, known)
    part, _, field = key.partition(".")
    try:
        changed = checked_config.checked(
            Settings, {**reference, part: {**reference[part], field: value}}
        )
        check_one_rate(key, changed.training)
    except UsageError as error:
        raise UsageError(f"changes: {error}") from error
    if changed == Settings(config.model, config.training):
        raise UsageError(f"changes: {key} = {_in_words(value)} is what the reference has already")
    if part == "model" and field not in _reads(config.model_name, changed.model):
        raise UsageError(f"changes: {key} does not act on {config.model_name}")
    return changed


def _reads(model_name: str, settings: ModelConfig) -> set[str]:
    """The keys that the model's constructor in MODELS reads, and features, which sizes it."""
    read = {"features"}

    class Reading:
        def __getattr__(self, key: str) -> Any:
            read.add(key)
            return getattr(settings, key)

    MODELS[model_name](settings.features, cast(ModelConfig, Reading()))
    return read


def _in_words(value: Any) -> str:
    if isinstance(value, tuple | list):
        return " to ".join(map(_in_words, value)) or "none"
    return f"{value:g}" if isinstance(value, float) else str(value)


def findings(config: AblationConfig, records: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Every column compared with the reference, as JSON values: the differences with their
    intervals (`analysis.compare_records`), and exact tests over the same seeds, whose p is after
    Holm over all of them.

    Args:
      records: of the cells of `columns(config)`, in their order.
    """
    budget = config.training.steps
    listed = columns(config)
    ends = [_ends(record, budget) for record in records]
    tests = []
    for column, mine in zip(listed[1:], ends[1:], strict=True):
        remember = (np.isfinite(ends[0]), np.isfinite(mine))
        sides = REFERENCE, column.name
        tests.append((*sides, ON_MORE_SEEDS, paired_rate_test(*remember)))
        tests.append((*sides, FEWER_STEPS, paired_sign_test(ends[0], mine)))
    tested = table_of_tests(tests)

    def described(column: Column, record: Mapping[str, Any], mine: np.ndarray) -> dict[str, Any]:
        compared = compare_records(records[0], record, budget)
        mean, low, high = restricted_mean(mine, budget)
        return {
            "name": column.name,
            "key": column.key,
            "cell": record["cell"],
            # Within the budget of the reference, whatever that of the column is.
            **compared["second"],
            "mean_steps_to_remember": mean,
            "mean_steps_low": low,
            "mean_steps_high": high,
            "per_trial": [
                {"share_remembered": trial["share_remembered"]} for trial in record["per_trial"]
            ],
            "parameters": record["parameters"],
            "features": record["features"],
            "diverged": sum(trial["diverged_by"] is not None for trial in record["per_trial"]),
            "to_reference": compared if column.key else None,
            "tests": [test for test in tested if test["second"] == column.name],
        }

    return {
        "model": config.model_name,
        "task": records[0]["task"],
        "variant": records[0]["variant"],
        "length": config.task.length,
        "budget": budget,
        "learning_rate": config.training.learning_rates[0],
        "columns": [
            described(column, record, mine)
            for column, record, mine in zip(listed, records, ends, strict=True)
        ],
    }


def _ends(record: Mapping[str, Any], budget: int) -> np.ndarray:
    """The steps to remember of each seed; NaN where it took more than the budget."""
    trials = sorted(record["per_trial"], key=lambda trial: trial["seed"])
    ends = np.array([trial["steps_to_remember"] for trial in trials], float)
    return np.where(ends <= budget, ends, np.nan)


def remembers_table(result: Mapping[str, Any]) -> Table:
    """One row a column of the ablation."""
    return Table(
        f"{result['model']} on {result['task']}, T = {result['length']}: one key changed a row",
        ("changed", "remember", "p", "share remembered", "steps", "p "),
        [
            (
                column["name"],
                report.tables.remembering(column),
                report.ablation.p_value(column, 0),
                report.tables.share_remembered(column),
                f"{column['mean_steps_to_remember']:,.0f}",
                report.ablation.p_value(column, 1),
            )
            for column in result["columns"]
        ],
        left=("changed",),
        caption="steps: mean to remember, up to the budget; p: exact tests against the reference "
        "over the same seeds, after Holm",
    )


def work(config: AblationConfig, session: Session) -> list[Table | str]:
    """Trains what the folder lacks, and compares every column with the reference."""
    cells = session.train([column.cell for column in columns(config)])
    result = findings(config, [session.record(cell) for cell in cells])
    session.folder.write_study(STUDY.name, result)
    return [remembers_table(result)]


STUDY = Study(
    "ablation", AblationConfig, work, lambda config, _: [column.cell for column in columns(config)]
)
