"""Tuning: the learning rate, and what else a model's field tunes, chosen on seeds that no test has.

Every model gets the same number of trials on each task and length. Tuning cells are trained in a
run folder of their own, WORKDIR/tuning; what was chosen is in WORKDIR/tuning.json.
"""

import dataclasses
import itertools
import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from lstm_attn.analysis import learning_rate_window
from lstm_attn.history import NO_CRITERION
from lstm_attn.models import ModelConfig
from lstm_attn.runner import tuning_notes
from lstm_attn.runner.cell import Cell
from lstm_attn.runner.session import Session
from lstm_attn.runner.tuning_config import TuningConfig, choices, is_tuned

SMALLEST, GREATEST = 1e-6, 10.0  # learning rates between which the grid grows


@dataclasses.dataclass(frozen=True)
class Tried:
    """One choice for a model at one learning rate.

    log_forgotten: median over the tuning seeds of log(loss / baseline) at the end; infinite for
      diverged trials.
    whole: whether its trials ran to the last step.
    """

    choice: str
    learning_rate: float
    log_forgotten: float
    whole: bool


@dataclasses.dataclass(frozen=True)
class Chosen:
    """cell: as it is tested; choice: its name among `choices`, "" where there is only one; tried:
    all that were compared; record: the same as JSON values, with the cost."""

    cell: Cell
    choice: str
    tried: tuple[Tried, ...]
    record: dict[str, Any]


def tuning_cell(
    cell: Cell, config: TuningConfig, choice: str, model: ModelConfig, rates: Sequence[float]
) -> Cell:
    """What is trained to compare these rates of a choice."""
    return dataclasses.replace(
        cell,
        name="-".join(filter(None, (cell.name, choice))),
        model=model,
        training=dataclasses.replace(
            cell.training,
            first_seed=config.first_seed,
            seeds=config.seeds,
            learning_rates=tuple(rates),
            stop_when_solved=False,
            halving=config.halving,
        ),
    )


def first_round(cells: Sequence[Cell], config: TuningConfig) -> dict[str, list[Cell]]:
    """The tuning cells that are known before any is trained, by the name of the cell they are for.

    Where rates are carried, cells after the shortest of their kind try one choice and two rates,
    whichever these will be; the first ones take their place.
    """
    planned = {}
    tuned = [cell for cell in cells if is_tuned(cell, config)]
    for place, batch in enumerate(_batches(tuned, config)):
        carried = config.carry and place > 0
        for cell in batch:
            options = list(choices(cell, config).items())[: 1 if carried else None]
            rates = sorted(cell.training.learning_rates)[: 2 if carried else None]
            planned[cell.name] = [tuning_cell(cell, config, *option, rates) for option in options]
    return planned


def tune(cells: Sequence[Cell], config: TuningConfig, session: Session) -> list[Cell]:
    """Chooses a learning rate for each cell, and returns the cells as they are tested.

    The choice is the rate with the lowest median of log(loss / baseline) at the end, diverged
    trials counting as the worst. If it is at an edge of the grid, the grid grows by one rate on
    that side, until it is inside.

    Raises:
      UsageError: a tuning seed that is a test seed.
    """
    for cell in cells:
        config.check(cell.training.first_seed, cell.training.seeds)
    tuned = [cell for cell in cells if is_tuned(cell, config)]
    if not tuned:
        return [*cells]
    inner = session.within(tuning_notes.NAME)
    chosen: dict[str, Chosen] = {}
    for batch in _batches(tuned, config):
        noted = tuning_notes.records(session.folder) if config.carry else []
        searches = [_Search(cell, config, tuning_notes.shorter(cell, noted)) for cell in batch]
        while open_ones := [search for search in searches if not search.is_done]:
            inner.console.print(f"tuning {len(open_ones)} of {len(tuned)} cells")
            asked = [search.cells() for search in open_ones]
            trained = iter(inner.train([cell for some in asked for cell in some]))
            for search, some in zip(open_ones, asked, strict=True):
                search.take([inner.record(next(trained)) for _ in some])
        for search in searches:
            chosen[search.cell.name] = search.chosen()
        tuning_notes.add(session.folder, batch, [chosen[cell.name].record for cell in batch])
    return [chosen[cell.name].cell if cell.name in chosen else cell for cell in cells]


def _batches(cells: Sequence[Cell], config: TuningConfig) -> Iterator[list[Cell]]:
    """Cells that are tuned together: all, or where rates are carried those of a place in the order
    of lengths."""
    if not config.carry:
        yield [*cells]
        return
    by_model: dict[str, list[Cell]] = {}
    for cell in sorted(cells, key=lambda cell: cell.task.length):
        is_range = cell.task.shortest < cell.task.length
        by_model.setdefault(f"{tuning_notes.kind(cell)} {is_range}", []).append(cell)
    for row in itertools.zip_longest(*by_model.values()):
        yield [cell for cell in row if cell is not None]


class _Search:
    """The tuning of one cell, round by round."""

    def __init__(self, cell: Cell, config: TuningConfig, shorter: Mapping | None) -> None:
        self.cell, self.config = cell, config
        self.choices = choices(cell, config)
        rates = sorted(cell.training.learning_rates)
        if shorter is not None and shorter["choice"] in self.choices:
            choice = shorter["choice"]
            self.choices = {choice: self.choices[choice]}
            mine = [_tried(one) for one in shorter["tried"] if one["choice"] == choice]
            rates = sorted(one.learning_rate for one in _ranked(mine)[:2])
        self.rates = dict.fromkeys(self.choices, rates)
        self.tried: dict[str, list[Tried]] = {}
        self.records: dict[str, dict[str, Any]] = {}
        self.waiting = list(self.choices)

    @property
    def is_done(self) -> bool:
        return not self.waiting

    def cells(self) -> list[Cell]:
        """What is to be trained next, one cell for each choice."""
        return [
            tuning_cell(self.cell, self.config, choice, self.choices[choice], self.rates[choice])
            for choice in self.waiting
        ]

    def take(self, records: Sequence[dict[str, Any]]) -> None:
        """Ranks the rates of the cells that have been trained, and lets grids grow."""
        growing = []
        for choice, record in zip(self.waiting, records, strict=True):
            self.records[choice] = record
            self.tried[choice] = tried(choice, record)
            rates = sorted(one.learning_rate for one in self.tried[choice])
            best = _ranked(self.tried[choice])[0].learning_rate
            if len(rates) > 1 and (more := _beyond(best, rates)) is not None:
                self.rates[choice] = sorted([*rates, more])
                growing.append(choice)
        self.waiting = growing

    def chosen(self) -> Chosen:
        everything = [one for choice in self.choices for one in self.tried[choice]]
        best = _ranked(everything)[0]
        cell = dataclasses.replace(
            self.cell,
            model=self.choices[best.choice],
            training=dataclasses.replace(self.cell.training, learning_rates=(best.learning_rate,)),
        )
        mine = sorted(self.tried[best.choice], key=lambda one: one.learning_rate)
        window = None  # where all trials diverged; and of a text, which nobody knows by heart
        if self.cell.task.criterion != NO_CRITERION and any(
            math.isfinite(one.log_forgotten) for one in mine
        ):
            window = learning_rate_window(
                np.array([one.learning_rate for one in mine]),
                np.exp([one.log_forgotten for one in mine]),
            )._asdict()
        steps = sum(
            trial["steps"] for record in self.records.values() for trial in record["per_trial"]
        )
        record = {
            **tuning_notes.identity(self.cell),
            "choice": best.choice,
            "learning_rate": best.learning_rate,
            "window": window,
            "trials": sum(record["trials"] for record in self.records.values()),
            "steps": steps,
            "seconds": round(sum(record["seconds"] for record in self.records.values()), 3),
            "tried": [
                {**dataclasses.asdict(one), "log_forgotten": _finite(one.log_forgotten)}
                for one in everything
            ],
        }
        return Chosen(cell, best.choice, tuple(everything), record)


def tried(choice: str, record: Mapping[str, Any]) -> list[Tried]:
    """The rates of a tuning cell, from its record in results.json."""
    by_rate: dict[float, list[Mapping[str, Any]]] = {}
    for trial in record["per_trial"]:
        by_rate.setdefault(trial["learning_rate"], []).append(trial)
    return [
        Tried(
            choice,
            rate,
            float(np.median([_log_forgotten(trial, record["baseline"]) for trial in trials])),
            # A trial that diverged has stopped earlier than the others.
            any(trial["steps"] == record["steps"] for trial in trials),
        )
        for rate, trials in by_rate.items()
    ]


def _tried(record: Mapping[str, Any]) -> Tried:
    """An entry of tuning.json."""
    log_forgotten = record["log_forgotten"]
    return Tried(
        **{**record, "log_forgotten": math.inf if log_forgotten is None else log_forgotten}
    )


def _log_forgotten(trial: Mapping[str, Any], baseline: float) -> float:
    loss = trial["final_loss"]
    return math.inf if loss is None else math.log(max(loss, np.finfo(np.float32).tiny) / baseline)


def _ranked(tried: Sequence[Tried]) -> list[Tried]:
    """The best first; a rate that ended early is worse than any other."""
    return sorted(tried, key=lambda one: (not one.whole, one.log_forgotten))


def _beyond(best: float, rates: Sequence[float]) -> float | None:
    """The next rate on the side on which the best one is at the edge; None if it is inside, or at
    the end of what is sensible. Rates go 1, 3, 10, 30, ..."""
    direction = (best == rates[-1]) - (best == rates[0])
    if not direction:
        return None
    half_decades = round(2 * math.log10(best)) + direction
    more = float(f"{10 ** (half_decades / 2):.0e}")
    return more if SMALLEST <= more <= GREATEST else None


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None
