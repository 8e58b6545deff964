"""--dry_run: the cells of a study, and an estimate of their time; nothing is trained or written.

Some steps of each model are timed: of its longest cell, and of its shortest one too where lengths
are far apart. Seconds of any cell follow from these:

    seconds = compilation + rounds u T (3 B steps + evaluation_sequences evaluations)

with u the seconds a step of a sequence takes in a forward pass, a training step counting as three
passes, and as many rounds of trials as the devices need. Between two lengths log u is linear in
log T; with one it is constant, though attention takes less at a shorter T.
"""

import dataclasses
import math
import time
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import jax
import numpy as np
import rich.table
from rich import box

from lstm_attn import models, training
from lstm_attn.errors import counted
from lstm_attn.runner import memory_check
from lstm_attn.runner.cell import Cell
from lstm_attn.runner.terminal import Terminal
from lstm_attn.runner.tune import first_round
from lstm_attn.runner.tuning_config import TuningConfig
from lstm_attn.runs import CONFIG, RunFolder
from lstm_attn.training import TrainingConfig

TIMED_STEPS = 3
TIMED_SECONDS = 0.3  # at least, unless one run takes longer
FAR = 8  # a factor between lengths
PASSES = 3  # of a training step: forward, and backward as long as two of them
NO_TUNING = TuningConfig(seeds=0)


class Timing(NamedTuple):
    """length: T, of the cell that was timed. u: seconds a step of a sequence, of one trial where
    trials run one after another, or of all in one batched program. compilation: seconds."""

    length: int
    u: float
    compilation: float


class Planned(NamedTuple):
    """cell: as it is tested. tuning: the cells that choose its learning rate, () for none."""

    cell: Cell
    tuning: Sequence[Cell]


def show(cells: Sequence[Cell], config: Any, workdir: Path | None, console: Terminal) -> None:
    """Prints the cells with their parameters and an estimate of their time.

    Args:
      config: of the study, whose `tuning` counts if it has one.
    """
    plan = planned(cells, getattr(config, "tuning", NO_TUNING))
    everything = [one for each in plan for one in (each.cell, *each.tuning)]
    memory_check.check_fits(everything)
    timings: dict[Any, list[Timing]] = {}
    to_time = timed_cells(everything)
    for number, one in enumerate(to_time, 1):
        with console.status(f"timing {number} of {len(to_time)}: {one.name}"):
            timings.setdefault(_kind(one), []).append(time_cell(one))
    seconds = [
        sum(estimate(one, timings[_kind(one)]) for one in (each.cell, *each.tuning))
        for each in plan
    ]
    console.print(_table(plan, seconds))
    for line in _notes(plan, sum(seconds), workdir):
        console.print(line, soft_wrap=True)


def planned(cells: Sequence[Cell], config: TuningConfig) -> list[Planned]:
    """The cells, each once, as they are tested: at one rate where it is tuned."""
    plan = []
    distinct = list({cell.name: cell for cell in cells}.values())
    tuning = first_round(distinct, config)
    for cell in distinct:
        if mine := tuning.get(cell.name, []):
            rates = cell.training.learning_rates[:1]
            cell = dataclasses.replace(
                cell, training=dataclasses.replace(cell.training, learning_rates=rates)
            )
        plan.append(Planned(cell, mine))
    return plan


def _kind(cell: Cell) -> Any:
    """What u depends on."""
    return cell.model_name, _size(cell), cell.training.batch_size, cell.training.accumulation_steps


def _size(cell: Cell) -> Any:
    """The model's settings without those that only say where its parameters begin."""
    start = {"forget_bias": 1.0, "update_bias": 0.0, "chrono_steps": (), "kernel_init": "glorot"}
    return dataclasses.replace(cell.model, recurrent_kernel_init="glorot", **start)  # type: ignore[arg-type]


def timed_cells(cells: Iterable[Cell]) -> list[Cell]:
    """Of each kind the longest cell, after the shortest if that is FAR shorter."""
    kinds: dict[Any, list[Cell]] = {}
    for cell in sorted(cells, key=lambda cell: cell.task.sequence_length):
        kinds.setdefault(_kind(cell), []).append(cell)
    timed = []
    for alike in kinds.values():
        shortest, longest = alike[0], alike[-1]
        far = longest.task.sequence_length > FAR * shortest.task.sequence_length
        timed += [shortest, longest] if far else [longest]
    return timed


def time_cell(cell: Cell) -> Timing:
    """Compiles and runs a few steps of a cell and an evaluation, with a trial a device where trials
    run one after another."""
    few = dataclasses.replace(
        cell.training,
        steps=TIMED_STEPS,
        evaluate_every=TIMED_STEPS,
        warmup_steps=0,
        evaluation_sequences=cell.training.batch_size,
        confirmation_sequences=0,
        halving=False,
    )
    layout = training.choose_layout(cell.training)
    if layout.placed == "map":
        rates = few.learning_rates[:1]
        few = dataclasses.replace(few, seeds=layout.trial_shards, learning_rates=rates)
    program, active = training.make_program(cell.build(), cell.task, few), np.ones(few.trials, bool)
    read = program.read(0)
    began = time.perf_counter()
    advance = program.advance.lower(program.shapes, active, read).compile()  # type: ignore[union-attr]
    compilation = time.perf_counter() - began
    # Seconds do not depend on the numbers, and a start would be another program to compile.
    states = jax.tree.map(
        lambda like: jax.device_put(np.zeros(like.shape, like.dtype), like.sharding), program.shapes
    )
    shortest, spent = math.inf, 0.0
    while spent < TIMED_SECONDS:
        began = time.perf_counter()
        states, metrics = advance(states, active, read)
        jax.block_until_ready(metrics)
        shortest = min(shortest, time.perf_counter() - began)
        spent += shortest
    length = cell.task.sequence_length
    return Timing(length, shortest / (length * passes(few)), compilation)


def passes(config: TrainingConfig) -> float:
    """Forward passes of sequences that a trial's training is worth, all trials running to the end
    but those that halving ends."""
    evaluations = config.steps // config.chunk_steps
    whole = PASSES * config.batch_size * config.steps + config.evaluation_sequences * evaluations
    if config.halving_step is None:
        return whole
    rates = len(config.learning_rates)
    kept = math.ceil(rates / 2) / rates
    return whole * (kept + (1 - kept) * config.halving_step / config.steps)


def estimate(cell: Cell, timings: Sequence[Timing]) -> float:
    """Seconds of a cell on this machine.

    Args:
      timings: of its kind, from the shortest to the longest.
    """
    layout, length = training.choose_layout(cell.training), cell.task.sequence_length
    rounds = cell.training.trials // layout.trial_shards if layout.placed == "map" else 1
    lengths, logs = (np.log([getattr(one, name) for one in timings]) for name in ("length", "u"))
    u = math.exp(np.interp(math.log(length), lengths, logs))
    compilation = max(one.compilation for one in timings)
    return compilation + rounds * u * length * passes(cell.training)


def _table(plan: Sequence[Planned], seconds: Sequence[float]) -> rich.table.Table:
    table = rich.table.Table(box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0), show_edge=False)
    table.add_column("cell", overflow="fold")
    for heading in ("parameters", "width", "steps", "trials", "tuning", "about"):
        table.add_column(heading, justify="right")
    for (cell, tuning), about in zip(plan, seconds, strict=True):
        table.add_row(
            cell.name,
            f"{models.count_parameters(cell.build()):,}",
            str(models.matched_features(cell.model_name, cell.task, cell.model)),
            f"{cell.training.steps:,}",
            str(cell.training.trials),
            str(sum(one.training.trials for one in tuning)),
            in_words(about),
        )
    return table


def in_words(seconds: float) -> str:
    """Two digits at most: 40 s, 12 min, 3.5 h."""
    if seconds < 100:
        return f"{seconds:.0f} s"
    if seconds < 6000:
        return f"{seconds / 60:.0f} min"
    return f"{seconds / 3600:.1f} h" if seconds < 36000 else f"{seconds / 3600:.0f} h"


def _notes(plan: Sequence[Planned], seconds: float, workdir: Path | None) -> Iterable[str]:
    yield (
        f"{counted(len(plan), 'cell')}, about {in_words(seconds)} on this machine, one "
        f"after the other, compilation included; estimated from {TIMED_STEPS} steps of each model. "
        "It is less for trials that end early, and more for rates that tuning adds, confirmations, "
        "and what the study does afterwards. `trials` are tested, and `tuning` is those that "
        "choose a rate."
    )
    if workdir is not None and (workdir / CONFIG).exists():
        finished = len(RunFolder(workdir).results)
        there = counted(finished, "finished cell")
        yield f"{workdir} has {there}; what is there is not trained again."
    yield "Nothing was trained, and nothing written."
