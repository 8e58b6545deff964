"""How a run folder grows: which cells it has already, and which trials of a cell it lacks.

A cell is the same as one in the folder if its model, task and settings are, but for the seeds and
learning rates that tell its trials apart. Asked for more of those, only the missing trials are
trained, as cells of their own, and then merged into the cell by `merge_trials`: on a CPU it is, bit
for bit, the cell that was asked for all of them at once. Asked for fewer, the cell stays as it is.
Asked for some that it has and some that it lacks, it grows to all its seeds by all its rates,
unless that takes more trials than a new cell. Any other cell of a name that is taken gets a name of
its own, such as adding-50-lstm+steps=4000.
"""

import dataclasses
import hashlib
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from lstm_attn.flat import flatten
from lstm_attn.runner.cell import Cell
from lstm_attn.runner.launchers import cell_folder
from lstm_attn.runs import RunFolder
from lstm_attn.trained import PURPOSE
from lstm_attn.training import TrainingConfig

TRIAL_KEYS = ("first_seed", "seeds", "learning_rates")
DIGITS = 6
LONGEST_WORDS = 40  # letters that a name may have of what differs
FOLLOW_STEPS = ("warmup_steps", "evaluate_every")  # where they are None


class Placed(NamedTuple):
    """A cell in a run folder.

    cell: under its name in the folder, with all trials that are to be there.
    parts: what it is merged from: the cell as the folder has it, then its missing trials. Empty for
      a cell that is trained as a whole.
    repeats: trials of a new cell that another cell of the folder has already.
    """

    cell: Cell
    parts: tuple[Cell, ...] = ()
    repeats: int = 0


def place(cells: Sequence[Cell], folder: RunFolder, *, merges: bool = True) -> list[Placed]:
    """Finds each cell in the folder, or notes it there under a name that is free.

    Args:
      merges: whether a cell may get more trials; False where cells end before their last step.
    """
    placed: list[Placed] = []
    for cell in cells:
        taken = [one.cell.name for one in placed]
        placed.append(_place(cell, folder, taken, merges=merges))
    return placed


def _place(cell: Cell, folder: RunFolder, taken: Sequence[str], *, merges: bool) -> Placed:
    purpose = as_json(cell.purpose)
    records = {record["cell"]: record for record in folder.results}
    known = folder.cells | {name: _purpose_of(record) for name, record in records.items()}
    # Of cells that were begun: the name of another one is free.
    mine = {
        name: there
        for name, there in known.items()
        if name == cell.name or name.startswith(f"{cell.name}+")
        if name in taken or _is_begun(name, folder)
    }
    for name, there in mine.items():
        if there == purpose:
            return Placed(dataclasses.replace(cell, name=name))
    alike = [
        _with_trials_of(there, dataclasses.replace(cell, name=name))
        for name, there in mine.items()
        if merges and name not in taken and _without_trials(there) == _without_trials(purpose)
    ]
    grown = [(has, whole) for has in alike if (whole := _grown(has.training, cell.training))]
    if grown:
        has, whole = min(grown, key=lambda pair: pair[1].trials - pair[0].training.trials)
        if whole.trials == has.training.trials:
            return Placed(has)
        larger = dataclasses.replace(has, training=whole)
        lacking = _parts(larger, has.training)
        parts = [_place(part, folder, (), merges=False).cell for part in lacking]
        return Placed(larger, (has, *parts))
    free = next(name for name in _names(cell, purpose, mine) if name not in mine)
    folder.note_cells({free: purpose})
    asked = _trials(cell.training)
    repeats = max((len(asked & _trials(has.training)) for has in alike), default=0)
    return Placed(dataclasses.replace(cell, name=free), repeats=repeats)


def _with_trials_of(there: dict[str, Any], cell: Cell) -> Cell:
    trials = {key: there["training_config"][key] for key in TRIAL_KEYS}
    trials["learning_rates"] = tuple(trials["learning_rates"])
    return dataclasses.replace(cell, training=dataclasses.replace(cell.training, **trials))


def _grown(has: TrainingConfig, asked: TrainingConfig) -> TrainingConfig | None:
    """The smallest grid, seeds in a row by rates, with the trials of both.

    None for two that share no trial, or where the grid lacks more trials than were asked for:
    a new cell then costs less.
    """
    if not _trials(has) & _trials(asked):
        return None
    pair = (asked, has) if set(asked.learning_rates) > set(has.learning_rates) else (has, asked)
    rates = tuple(dict.fromkeys(rate for one in pair for rate in one.learning_rates))
    first = min(has.first_seed, asked.first_seed)
    seeds = max(has.all_seeds.stop, asked.all_seeds.stop) - first
    if seeds * len(rates) - has.trials > asked.trials:
        return None
    return dataclasses.replace(asked, first_seed=first, seeds=seeds, learning_rates=rates)


def _names(cell: Cell, purpose: dict[str, Any], others: Mapping[str, Any]) -> Iterator[str]:
    """Names for a cell, the plainest first; the second says in what it differs."""
    name = cell.name
    yield name
    if name in others:
        there, here = flatten(others[name]), flatten(purpose)
        differs = {
            key.rpartition(".")[2]: value for key, value in here.items() if there.get(key) != value
        }
        if "steps" in differs:
            for key in FOLLOW_STEPS:
                if getattr(cell.training, key) is None:
                    differs.pop(key, None)
        words = ",".join(f"{key}={_plainly(value)}" for key, value in differs.items())
        if len(words) <= LONGEST_WORDS:
            yield f"{name}+{words}"
    yield f"{name}+{_digest(purpose)}"


def _plainly(value: Any) -> str:
    """A JSON value with the letters that a file name may have; 0.01_0.03 for several."""
    values = value if isinstance(value, list) else [value]
    return re.sub(r"[^\w.+-]+", "-", "_".join(map(str, values)))


def record_of(cell: Cell, folder: RunFolder) -> dict[str, Any] | None:
    """The record of this very cell, with these trials, whatever its name; None without one."""
    purpose = as_json(cell.purpose)
    return next((record for record in folder.results if _purpose_of(record) == purpose), None)


def in_words(placed: Placed, asked: Cell) -> str | None:
    """What happens to a cell that the folder has in another form, on one line; None if nothing."""
    name, training = placed.cell.name, placed.cell.training
    if placed.parts:
        line = f"{name}: {placed.parts[0].training.trials} of {training.trials} trials are there"
        if training.trials > asked.training.trials:
            line += f"; {_asked_for(asked)}, but each seed has each rate"
        return line
    if training.trials > asked.training.trials:
        return f"{name}: {training.trials} trials are there, {_asked_for(asked)}"
    if placed.repeats:
        return (
            f"{asked.name} is there with other seeds or learning rates; the new cell is {name}, "
            f"which trains {placed.repeats} of its trials again"
        )
    if name != asked.name:
        return f"{asked.name} is there with other settings; the new cell is {name}"
    return None


def _asked_for(cell: Cell) -> str:
    trials = cell.training.trials
    return f"{trials} {'was' if trials == 1 else 'were'} asked for"


def _parts(cell: Cell, has: TrainingConfig) -> list[Cell]:
    """The trials of the cell that are not there yet: each part is seeds in a row by some rates."""
    there = _trials(has)
    blocks: dict[tuple[int, int], list[float]] = {}
    for rate in cell.training.learning_rates:
        rows: list[list[int]] = []
        for seed in cell.training.all_seeds:
            if (seed, rate) not in there:
                if rows and rows[-1][-1] == seed - 1:
                    rows[-1].append(seed)
                else:
                    rows.append([seed])
        for row in rows:
            blocks.setdefault((row[0], len(row)), []).append(rate)
    settings = [
        dataclasses.replace(
            cell.training, first_seed=first, seeds=count, learning_rates=tuple(rates)
        )
        for (first, count), rates in blocks.items()
    ]
    parts = [dataclasses.replace(cell, training=one) for one in settings]
    return [
        dataclasses.replace(part, name=f"{cell.name}+{_trials_in_words(part)}") for part in parts
    ]


def _trials_in_words(part: Cell) -> str:
    seeds, rates = part.training.all_seeds, part.training.learning_rates
    words = f"seeds={seeds[0]}to{seeds[-1]},learning_rates={_plainly([*rates])}"
    return words if len(words) <= LONGEST_WORDS else _digest(as_json(part.purpose))


def _trials(config: TrainingConfig) -> set[tuple[int, float]]:
    return {(seed, rate) for rate in config.learning_rates for seed in config.all_seeds}


def _is_begun(name: str, folder: RunFolder) -> bool:
    """Whether anything would be lost of the cell if its name went to another."""
    return (
        folder.checkpoint(name).exists()
        or (folder.path / cell_folder.CELLS / name).exists()
        or name in {record["cell"] for record in folder.results}
    )


def _purpose_of(record: dict[str, Any]) -> dict[str, Any]:
    return {key: record[key] for key in PURPOSE}


def _without_trials(purpose: dict[str, Any]) -> dict[str, Any]:
    settings = purpose["training_config"]
    kept = {key: value for key, value in settings.items() if key not in TRIAL_KEYS}
    return {**purpose, "training_config": kept}


def _digest(purpose: dict[str, Any]) -> str:
    text = json.dumps(purpose, sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:DIGITS]


def as_json(purpose: dict[str, Any]) -> dict[str, Any]:
    """As it is read back from a file: lists in place of tuples."""
    return json.loads(json.dumps(purpose))
