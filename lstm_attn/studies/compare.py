"""How far back can each model remember, and at what cost? A grid of models x tasks x lengths."""

import itertools
from collections.abc import Sequence
from typing import Any

import numpy as np

from lstm_attn import report
from lstm_attn.analysis import paired_rate_test, paired_sign_test, table_of_tests
from lstm_attn.analysis.paired_tests import FEWER_STEPS, ON_MORE_SEEDS
from lstm_attn.errors import UsageError
from lstm_attn.runner import launchers, profile, tuning_notes
from lstm_attn.runner.cell import Cell
from lstm_attn.runner.configs import CompareConfig, grid_cells
from lstm_attn.runner.progress import GridProgress
from lstm_attn.runner.session import Session
from lstm_attn.runner.train_cells import train_cell
from lstm_attn.runner.tune import tune
from lstm_attn.runs import RunFolder
from lstm_attn.studies.result import Result, Table
from lstm_attn.studies.study import Names, Numbers, Study, Workdir
from lstm_attn.training import multihost


def compare(
    models: Names | None = None,
    tasks: Names | None = None,
    lengths: Numbers | None = None,
    *,
    workdir: Workdir = None,
    profile: bool = False,
    **settings: Any,
) -> Result:
    """Trains every model on every task at every length, and says which trials remember.

        studies.compare("lstm", "adding", 50, steps=500, seeds=8)
        studies.compare("lstm", "adding", 50, steps=500, seeds=2, learning_rates=0.01)

    All models have about as many parameters as an LSTM of `features` hidden features. The learning
    rate of each cell is tuned on other seeds than it is tested with (see `TuningConfig`); a single
    rate that is given is used as it is.

    Args:
      models: names in `models.MODELS`, or one.
      tasks: names in `tasks.TASKS`, with a variant as in "adding:arjovsky2016".
      lengths: the T of each cell, in steps.
      workdir: a run folder, in which an interrupted run resumes and more is added to what is there;
        None for a temporary one.
      profile: prints where the time of each cell went, and writes traces to workdir/profile.
      settings: fields of ModelConfig and TrainingConfig, such as features=64, steps=500; or
        model=, training=, tuning= with a dict or an object of these classes. And on_evaluation=, a
        function that is called with the name of a cell and each of its evaluations as they come,
        such as lambda cell, one: trackio.log(one.scalars(), one.step).

    Returns:
      The records, the table of what was remembered, and with a workdir its page.

    Raises:
      UsageError: a name, a value or a folder that does not fit, on one line.
    """
    fields = {"models": models, "task.names": tasks, "task.lengths": lengths}
    return STUDY.call(workdir, fields, settings, profile=profile)


def work(config: CompareConfig, session: Session) -> list[Table | str]:
    if session.profile:
        launchers.check_local(session.launcher, "--profile measures this process")
        if multihost.several():
            raise UsageError("--profile: expected a run in one process, got several")
    cells = tune(grid_cells(config), config.tuning, session)
    session.train(cells, train=train_profiled if session.profile else None)
    records = report.in_grid_order(session.folder)
    session.folder.write_study(STUDY.name, {"pairs": pairs(records)})
    times = session.folder.times if session.profile else []
    spent = in_all(records, tuning_notes.records(session.folder))
    return [remembers_table(records), spent, *([times_table(times)] if times else [])]


STUDY = Study("compare", CompareConfig, work, lambda config, _: grid_cells(config))


def train_profiled(cells: Sequence[Cell], folder: RunFolder, progress: GridProgress) -> None:
    """Trains each cell as `train_cell` does, then measures where its time went.

    One cell after the other, so that each second has one cause.
    """
    for cell in cells:
        with profile.CellClock() as clock:
            train_cell(cell, folder, progress, clocked=clock.waits)
        progress.console.print(f"profiling {cell.name}: a trace and five programs to time")
        profile.profile_cell(cell, clock, folder)


def remembers_table(records: Sequence[dict]) -> Table:
    """One row a cell."""
    return Table(
        "Trials that remember, with the 95 % interval of the rate",
        ("task", "T", "model", "remember", "interval", "exact", "share remembered", "rate", "s"),
        [
            (
                record["task"],
                str(record["length"]),
                record["model"],
                report.tables.remembering(record),
                report.tables.remember_interval(record),
                str(record["solved"]),
                report.tables.share_remembered(record),
                report.tables.rates(record),
                f"{record['seconds']:.0f}",
            )
            for record in records
        ],
        left=("task", "model"),
        caption="share remembered: 1 - loss / baseline, median and range; rate: of learning",
    )


def pairs(records: Sequence[dict]) -> list[dict[str, Any]]:
    """Every two models on the same task, length and seeds, tested against each other, as JSON
    values: who remembers on more seeds, and who needs fewer steps; p is after Holm over all tests.
    """
    where, tests = [], []
    for mine in report.tables.groups(records, "task", "variant", "length").values():
        for first, second in itertools.combinations(mine, 2):
            ends = [_ends(record) for record in (first, second)]
            if ends[0].keys() == ends[1].keys():
                one, other = (np.array([end[seed] for seed in ends[0]], float) for end in ends)
                for what, test in (
                    (ON_MORE_SEEDS, paired_rate_test(np.isfinite(one), np.isfinite(other))),
                    (FEWER_STEPS, paired_sign_test(one, other)),
                ):
                    where.append({"task": first["task"], "length": first["length"]})
                    tests.append((first["model"], second["model"], what, test))
    return [{**at, **test} for at, test in zip(where, table_of_tests(tests), strict=True)]


def _ends(record: dict) -> dict[int, float | None]:
    """The steps to remember of each seed, where all trials have one learning rate; else nothing."""
    trials = record["per_trial"]
    if len({trial["learning_rate"] for trial in trials}) > 1:
        return {}
    return {trial["seed"]: trial["steps_to_remember"] for trial in trials}


def in_all(records: Sequence[dict], tuned: Sequence[dict]) -> str:
    """Seconds of the grid, the share of them spent waiting for programs, and seconds of tuning."""
    seconds, waited = (
        sum(record[key] for record in records) for key in ("seconds", "seconds_to_program")
    )
    before = f", after {sum(cell['seconds'] for cell in tuned):.0f} s of tuning" if tuned else ""
    return f"{seconds:.0f} s in all{before}; {waited / seconds:.0%} spent waiting for compilation"


def times_table(records: Sequence[dict]) -> Table:
    """Seconds and share of each part, over all profiled cells; the report shows each cell."""
    parts = {
        part: sum(record["seconds"][part] for record in records) for part in records[0]["seconds"]
    }
    total = sum(parts.values())
    return Table(
        "Where the time went",
        ("part", "seconds", "share"),
        [
            (part, f"{seconds:.1f}", f"{seconds / total:.0%}")
            for part, seconds in (*parts.items(), (f"all of {len(records)} cells", total))
        ],
        left=("part",),
        caption="chunks of training are divided by timing prefixes of a step",
    )
