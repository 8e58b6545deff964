"""How far back do gradients reach, before and after training, and why does chrono work?

For parameters in memory or of another run folder, see `lstm_attn.analysis.norms_of_trials` and
`lstm_attn.trained.load`.
"""

import dataclasses
import json
import math
from typing import Any

import jax

from lstm_attn import report, tasks, trained
from lstm_attn.analysis import norms_of_trials, reach
from lstm_attn.errors import UsageError, check_whole
from lstm_attn.models import REFERENCE, ModelConfig
from lstm_attn.report.gradient_reach import MODELS, STARTS, reach_table
from lstm_attn.report.section import AFTER, BEFORE
from lstm_attn.runner.cell import Cell
from lstm_attn.runner.configs import COMPARED, check_lists, check_models
from lstm_attn.runner.session import Session
from lstm_attn.runs import RunFolder
from lstm_attn.studies.result import Result, Table
from lstm_attn.studies.study import Names, Numbers, Study, Workdir
from lstm_attn.training import TrainingConfig, multihost

SHORTEST_TIME_SCALE = 2.0  # of chrono, in steps


def gradient_reach(
    models: Names | None = None,
    task: str | None = None,
    length: int | None = None,
    untrained_length: int | None = None,
    *,
    forget_biases: Numbers | None = None,
    sequences: int | None = None,
    workdir: Workdir = None,
    **settings: Any,
) -> Result:
    """Measures how the gradient of the last step's loss decays over earlier steps.

        studies.gradient_reach("lstm", "adding", 100, steps=3000, seeds=6)

    Args:
      models: names in `models.MODELS`, or one.
      task: in `tasks.TASKS`, with a variant as in "adding:arjovsky2016".
      length: T of training, and of measurements before and after it.
      untrained_length: T of measurements at initialisation alone.
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
        "task.untrained_length": untrained_length,
        "sequences": sequences,
    }
    return STUDY.call(workdir, fields, settings)


@dataclasses.dataclass(frozen=True)
class ReachTask:
    """name: of the task; length: T of training, and of measurements before and after it;
    untrained_length: T of measurements at initialisation alone."""

    name: str = "adding"
    length: int = 100
    untrained_length: int = 500


@dataclasses.dataclass(frozen=True)
class GradientReachConfig:
    """models: names in MODELS; forget_biases: the LSTM is trained from each of these, and from
    chrono over 2 to T steps; sequences: of each measurement; task, model, training: see their
    classes."""

    models: tuple[str, ...] = COMPARED
    forget_biases: tuple[float, ...] = (0.0, 1.0)
    task: ReachTask = ReachTask()
    model: ModelConfig = ModelConfig(features=64, num_heads=2, num_layers=1)
    training: TrainingConfig = TrainingConfig(steps=3000, seeds=6, stop_when_solved=True)
    sequences: int = 64

    def __post_init__(self) -> None:
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
        check_whole("task.untrained_length", self.task.untrained_length, 2)
        if self.model.chrono_steps:
            raise UsageError(
                f"model.chrono_steps: expected (), since the study sets it, "
                f"got {self.model.chrono_steps}"
            )
        lines(self, self.task.length)
        lines(self, self.task.untrained_length)


@dataclasses.dataclass(frozen=True)
class Line:
    """One line of a figure.

    group: the figure. label: in its legend. cell: whose gradients it shows.
    """

    group: str
    label: str
    cell: Cell


def lines(config: GradientReachConfig, length: int) -> list[Line]:
    """The models side by side, and the starts of the LSTM side by side.

    Raises:
      ValueError: an unknown task or variant, or a length too short for it, on one line.
    """
    task = tasks.build(config.task.name, length)
    stem = f"{task.name}-{length}"

    def line(group: str, label: str, ending: str, model_name: str, model: ModelConfig) -> Line:
        # The same start in two figures is one cell.
        if model_name == REFERENCE and model == config.model and REFERENCE in config.models:
            ending = REFERENCE
        cell = Cell(f"{stem}-{ending}", model_name, task, model, config.training)
        return Line(group, label, cell)

    chrono = dataclasses.replace(config.model, chrono_steps=(SHORTEST_TIME_SCALE, float(length)))
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
    solved = None
    if phase == AFTER:
        loaded = trained.load(folder.path, cell.name)
        params, solved = loaded.params, report.tables.count(loaded.record)
    else:
        params = multihost.whole(cell.make_program().start().params)
    norms = norms_of_trials(cell.build(), params, cell.task, sequences=config.sequences)
    return {
        "cell": cell.name,
        "phase": phase,
        "settings": _settings(config, cell),
        "length": cell.task.length,
        "trials": cell.training.trials,
        "solved": solved,
        "gradients": {name: reach(of_one) for name, of_one in norms.items()},
    }


def _settings(config: GradientReachConfig, cell: Cell) -> dict[str, Any]:
    """What a measurement depends on besides the name of its cell, as JSON values.

    A cell that is measured before training alone has the same name whatever its settings.
    """
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
    inputs = jax.eval_shape(lambda: cell.task.sample(key, 1).inputs)
    try:
        jax.eval_shape(model.hidden, jax.eval_shape(model.init, key), inputs, {})
    except UsageError as error:
        raise UsageError(
            f"models: {cell.model_name!r} shows no hidden states; expected a model that is or has "
            "a modules.Recurrent, as in examples/your_model.py"
        ) from error


def work(config: GradientReachConfig, session: Session) -> list[Table | str]:
    """Trains what the folder lacks, and measures before and after."""
    folder, console = session.folder, session.console
    untrained = lines(config, config.task.untrained_length)
    compared = lines(config, config.task.length)
    asked = list(dict.fromkeys(line.cell for line in compared))
    for cell in asked:
        _check_states(cell)
    grid = session.train(asked)
    # The folder may have a cell under another name.
    own = dict(zip(asked, grid, strict=True))
    compared = [dataclasses.replace(line, cell=own[line.cell]) for line in compared]

    every_line = list(dict.fromkeys([*untrained, *compared]))
    before = dict.fromkeys(line.cell for line in every_line)
    plan = [*((cell, BEFORE) for cell in before), *((cell, AFTER) for cell in grid)]
    earlier = folder.study(STUDY.name) or {"measured": []}
    settings = {cell.name: _settings(config, cell) for cell, _ in plan}
    measured = {
        (entry["cell"], entry["phase"]): entry
        for entry in earlier["measured"]
        if entry["cell"] not in settings or entry.get("settings") == settings[entry["cell"]]
    }
    result: dict[str, Any] = {
        "task": compared[0].cell.task.name,
        "lines": [
            {"group": line.group, "label": line.label, "cell": line.cell.name}
            for line in every_line
        ],
    }
    for number, (cell, phase) in enumerate(plan, 1):
        if (cell.name, phase) not in measured:
            console.print(f"measuring {number} of {len(plan)}: {cell.name} {phase} training")
            measured[cell.name, phase] = measure(config, cell, phase, folder)
            folder.write_study(STUDY.name, {**result, "measured": list(measured.values())})
    return [medians_table({**result, "measured": list(measured.values())})]


STUDY = Study("gradient_reach", GradientReachConfig, work)


def medians_table(result: dict[str, Any]) -> Table:
    """Medians alone; the report has their intervals."""
    shown = reach_table(result, intervals=False)
    return Table(
        "First lag at which gradients have halved, and are under 1e-6 of the last step's",
        shown.headings,
        shown.rows,
        left=shown.headings[:1],
    )
