"""How far back do gradients reach, before and after training at that length?

Models are compared, and starts of the LSTM: forget biases, and chrono. Each has a learning rate of
its own, tuned on other seeds. Starts are tested against each other on the same seeds. For
parameters in memory or of another run folder, see `lstm_attn.analysis.norms_of_trials` and
`lstm_attn.trained.load`.
"""

import dataclasses
import json
import math
from collections.abc import Mapping, Sequence
from typing import Any

import jax

from lstm_attn import trained
from lstm_attn.analysis import norms_of_trials, reach
from lstm_attn.analysis.gradient_reach import INPUTS, Start, compare_starts
from lstm_attn.errors import UsageError, check_numbers, check_whole
from lstm_attn.models import REFERENCE, ModelConfig
from lstm_attn.report.gradient_reach import MODELS, STARTS, reach_table
from lstm_attn.report.section import AFTER, STAGES
from lstm_attn.runner.cell import Cell
from lstm_attn.runner.configs import (
    COMPARED,
    RATES,
    SMALL,
    OneTaskConfig,
    check_lists,
    check_models,
    check_one_rate,
    check_tuned,
)
from lstm_attn.runner.session import Session
from lstm_attn.runner.tune import tune
from lstm_attn.runner.tuning_config import TuningConfig
from lstm_attn.runs import RunFolder
from lstm_attn.studies.records import remembered
from lstm_attn.studies.result import Result, Table
from lstm_attn.studies.study import Names, Numbers, Study, Workdir
from lstm_attn.training import TrainingConfig, multihost

SHORTEST_TIME_SCALE = 2.0  # of chrono, in steps


def gradient_reach(
    models: Names | None = None,
    task: str | None = None,
    length: int | None = None,
    *,
    forget_biases: Numbers | None = None,
    sequences: int | None = None,
    workdir: Workdir = None,
    **settings: Any,
) -> Result:
    """Measures how the gradient of the last step's loss decays over earlier steps.

        studies.gradient_reach("lstm", "adding", 100, steps=1000, seeds=16)

    Args:
      models: names in `models.MODELS`, or one.
      task: in `tasks.TASKS`, with a variant as in "adding:arjovsky2016".
      length: T of training, and of the measurements before and after it.
      forget_biases: the LSTM is trained from each of these, and from chrono initialisation.
      sequences: fresh sequences for each measurement.
      workdir, settings: see `studies.compare`.

    Returns:
      The records, the table of reaches, and with a workdir its page.

    Raises:
      UsageError: a name, a value or a folder that does not fit, on one line.
    """
    fields = {
        "models": models,
        "forget_biases": forget_biases,
        "task.name": task,
        "task.length": length,
        "sequences": sequences,
    }
    return STUDY.call(workdir, fields, settings)


@dataclasses.dataclass(frozen=True)
class GradientReachConfig:
    """models: names in MODELS; forget_biases: the LSTM is trained from each of these, and from
    chrono over 2 to T steps; sequences: fresh ones for each measurement; task, model, training,
    tuning: see their classes."""

    models: tuple[str, ...] = COMPARED
    forget_biases: tuple[float, ...] = (0.0, 1.0)
    task: OneTaskConfig = OneTaskConfig("adding", 100)
    model: ModelConfig = SMALL
    training: TrainingConfig = TrainingConfig(
        steps=1000,
        seeds=16,
        learning_rates=RATES,
        evaluation_sequences=500,
        stop_when_solved=True,
    )
    tuning: TuningConfig = TuningConfig()
    sequences: int = 64

    def __post_init__(self) -> None:
        check_numbers(self)
        check_models(self.models)
        check_lists(self, "models", "forget_biases")
        # The names of cells have six digits of each.
        if len({f"{bias:g}" for bias in self.forget_biases}) < len(self.forget_biases):
            raise UsageError(
                "forget_biases: expected ones that differ in their first six digits, got "
                f"{self.forget_biases}"
            )
        if not all(map(math.isfinite, self.forget_biases)):
            raise UsageError(f"forget_biases: expected finite ones, got {self.forget_biases}")
        check_whole("sequences", self.sequences)
        # Chrono's longest time scale is T, and it begins at two steps.
        check_whole("task.length", self.task.length, 2)
        if self.model.chrono_steps:
            raise UsageError(
                f"model.chrono_steps: expected (), since the study sets it, "
                f"got {self.model.chrono_steps}"
            )
        if self.tuning.gate_bias:
            raise UsageError(
                "tuning.gate_bias: expected False, since the study sets the bias, got True"
            )
        if self.tuning.carry:
            raise UsageError("tuning.carry: expected False, since there is one length, got True")
        check_tuned(self.training, self.tuning)
        lines(self)


@dataclasses.dataclass(frozen=True)
class Line:
    """One line of a figure.

    group: the figure. label: in its legend. cell: whose gradients it shows.
    """

    group: str
    label: str
    cell: Cell


def lines(config: GradientReachConfig) -> list[Line]:
    """The models side by side, and the starts of the LSTM side by side, as they are asked for.

    Raises:
      ValueError: an unknown task or variant, or a length too short for it, on one line.
    """
    task = config.task.build()
    stem = f"{task.name}-{task.length}"

    def line(group: str, label: str, ending: str, model_name: str, model: ModelConfig) -> Line:
        # The same start in two figures is one cell.
        if model_name == REFERENCE and model == config.model and REFERENCE in config.models:
            ending = REFERENCE
        cell = Cell(f"{stem}-{ending}", model_name, task, model, config.training)
        return Line(group, label, cell)

    time_scales = (SHORTEST_TIME_SCALE, float(task.length))
    chrono = dataclasses.replace(config.model, chrono_steps=time_scales)
    return [
        *(line(MODELS, name, name, name, config.model) for name in config.models),
        *(
            line(
                STARTS,
                f"forget bias {bias:g}",
                f"{REFERENCE}-forget-{bias:g}",
                REFERENCE,
                dataclasses.replace(config.model, forget_bias=bias),
            )
            for bias in config.forget_biases
        ),
        line(STARTS, "chrono", f"{REFERENCE}-chrono", REFERENCE, chrono),
    ]


def measure(
    config: GradientReachConfig, cell: Cell, phase: str, folder: RunFolder
) -> dict[str, Any]:
    """The reach of every gradient of the cell's trials, before training or after it."""
    if phase == AFTER:
        params = trained.load(folder.path, cell.name).params
    else:
        params = multihost.whole(cell.make_program().start().params)
    norms = norms_of_trials(cell.build(), params, cell.task, sequences=config.sequences)
    return {
        "cell": cell.name,
        "phase": phase,
        "settings": _settings(config, cell),
        "gradients": {name: reach(of_one) for name, of_one in norms.items()},
    }


def _settings(config: GradientReachConfig, cell: Cell) -> dict[str, Any]:
    """What a measurement depends on besides the name of its cell, as JSON values: the cell may have
    got more trials since."""
    settings = {
        "sequences": config.sequences,
        "seeds": list(cell.training.all_seeds),
        "learning_rates": cell.training.learning_rates,
        "variant": cell.task.variant,
        "model": dataclasses.asdict(cell.model),
    }
    return json.loads(json.dumps(settings))


def _check_states(cell: Cell) -> None:
    """Raises UsageError for a model whose hidden states can't be seen; nothing is computed."""
    model, key = cell.build(), jax.random.key(0)
    inputs = jax.eval_shape(lambda: cell.task.sample_held_out(key, 1).inputs)
    try:
        jax.eval_shape(model.hidden, jax.eval_shape(model.init, key), inputs, {})
    except UsageError as error:
        raise UsageError(
            f"models: {cell.model_name!r} shows no hidden states; expected a model that is or has "
            "a modules.Recurrent, as in examples/your_model.py"
        ) from error


def work(config: GradientReachConfig, session: Session) -> list[Table | str]:
    """Tunes and trains what the folder lacks, and measures before and after."""
    folder, console = session.folder, session.console
    asked = list(dict.fromkeys(line.cell for line in lines(config)))
    for cell in asked:
        _check_states(cell)
    grid = session.train(tune(asked, config.tuning, session))
    for cell in grid:
        check_one_rate(cell.name, cell.training)
    # The cells as they are tested, under their names in the folder.
    own = dict(zip(asked, grid, strict=True))
    drawn = [dataclasses.replace(line, cell=own[line.cell]) for line in lines(config)]
    records = [session.record(line.cell) for line in drawn]

    plan = [(cell, phase) for phase in STAGES for cell in grid]
    earlier = folder.study(STUDY.name) or {"measured": []}
    settings = {cell.name: _settings(config, cell) for cell, _ in plan}
    measured = {
        (entry["cell"], entry["phase"]): entry
        for entry in earlier["measured"]
        if entry["cell"] not in settings or entry.get("settings") == settings[entry["cell"]]
    }
    for number, (cell, phase) in enumerate(plan, 1):
        if (cell.name, phase) not in measured:
            console.print(f"measuring {number} of {len(plan)}: {cell.name} {phase} training")
            measured[cell.name, phase] = measure(config, cell, phase, folder)
            folder.write_study(STUDY.name, findings(config, drawn, records, [*measured.values()]))
    result = findings(config, drawn, records, [*measured.values()])
    folder.write_study(STUDY.name, result)
    return [medians_table(result)]


def findings(
    config: GradientReachConfig,
    drawn: Sequence[Line],
    records: Sequence[Mapping[str, Any]],
    measured: Sequence[Mapping[str, Any]],
) -> dict[str, Any]:
    """The lines with what their cells remember, the measurements, and once there are all of them
    the tests of starts, as JSON values.

    Args:
      records: of results.json, of the lines' cells.
    """
    entries = {(entry["cell"], entry["phase"]): entry for entry in measured}
    whole = entries.keys() >= {(line.cell.name, phase) for line in drawn for phase in STAGES}
    shown = [
        {"group": line.group, "label": line.label, **remembered(record)}
        for line, record in zip(drawn, records, strict=True)
    ]
    return {
        "task": drawn[0].cell.task.name,
        "length": config.task.length,
        "budget": config.training.steps,
        "lines": shown,
        "measured": [*measured],
        "tests": compare_starts(
            [_start(line, entries) for line in shown if whole and line["group"] == STARTS]
        ),
    }


def _start(line: Mapping[str, Any], entries: Mapping[tuple[str, str], Mapping]) -> Start:
    """What is tested of a start.

    Args:
      line: of the result.
      entries: (cell, phase) -> what was measured.
    """
    reaches = {}
    for phase in STAGES:
        entry = entries[line["cell"], phase]
        by_seed = zip(entry["settings"]["seeds"], _hidden_of(entry)["reach"]["values"], strict=True)
        reaches[phase] = {seed: lag for seed, lag in by_seed if lag is not None}
    remembers = {
        trial["seed"]: trial["steps_to_remember"] is not None for trial in line["per_trial"]
    }
    return Start(line["label"], reaches, remembers)


def _hidden_of(entry: Mapping[str, Any]) -> Mapping[str, Any]:
    """The norms of the one recurrent layer of a start."""
    return next(norms for name, norms in entry["gradients"].items() if name != INPUTS)


STUDY = Study(
    "gradient_reach",
    GradientReachConfig,
    work,
    lambda config, _: [line.cell for line in lines(config)],
)


def medians_table(result: dict[str, Any]) -> Table:
    """Medians alone; the report has every trial."""
    shown = reach_table(result, ranges=False)
    headings = [heading.replace(" ", "\n") for heading in shown.headings]
    return Table(
        f"{result['task']}, T = {result['length']}: lags that gradients reach, medians of trials",
        headings,
        shown.rows,
        left=headings[:1],
    )
