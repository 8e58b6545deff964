"""Where the time of each cell goes: `--profile` of experiments.compare.

Compilation, host and chunks of training are measured in the run itself. A chunk is then split by
timing prefixes of the training step on their own (`training.step_seconds`): a trace would slow the
many small operations of a scan down.
"""

import dataclasses
import time
from collections.abc import Iterator, Sequence
from typing import Any

import jax
import numpy as np

from lstm_attn import training
from lstm_attn.history import Evaluation
from lstm_attn.runner.cell import Cell
from lstm_attn.runs import PROFILE, RunFolder
from lstm_attn.training import Layout, TrialState

# JAX's events: from Python to HLO, and from HLO to machine code or the cache.
TRACE = (
    "/jax/core/compile/jaxpr_trace_duration",
    "/jax/core/compile/jaxpr_to_mlir_module_duration",
)
COMPILE = ("/jax/core/compile/backend_compile_duration",)
PREFIX_SECONDS = 1.0  # about what a timed prefix of the step should take
TRACED_STEPS = 3
Span = tuple[float, float]
Chunk = tuple[Evaluation, TrialState]


class CellClock:
    """Measures the time of one cell in training, while the context is entered."""

    def __init__(self) -> None:
        self.evaluations: list[Evaluation] = []
        self._trace: list[Span] = []
        self._compile: list[Span] = []
        self._waits: list[Span] = []

    def __enter__(self) -> "CellClock":
        self._began = time.monotonic()
        jax.monitoring.register_event_duration_secs_listener(self._listen)
        return self

    def __exit__(self, *error: object) -> None:
        jax.monitoring.unregister_event_duration_listener(self._listen)
        self._ended = time.monotonic()

    def _listen(self, event: str, duration_secs: float, **_: Any) -> None:
        now = time.monotonic()
        for events, spans in ((TRACE, self._trace), (COMPILE, self._compile)):
            if event in events:
                spans.append((now - duration_secs, now))

    def waits(self, chunks: Iterator[Chunk]) -> Iterator[Chunk]:
        """The chunks, with the wait for each of them measured."""
        began = time.monotonic()
        for evaluation, states in chunks:
            self._waits.append((began, time.monotonic()))
            self.evaluations.append(evaluation)
            yield evaluation, states
            began = time.monotonic()

    def seconds(self) -> dict[str, float]:
        """trace, compile, chunks and host: together all seconds of the cell.

        Host is the rest: the search for a width, checkpoints, files, progress.
        """
        compiled = covered(self._compile)
        prepared = covered(self._compile + self._trace)
        busy = covered(self._compile + self._trace + self._waits)
        return {
            "trace": prepared - compiled,
            "compile": compiled,
            "chunks": busy - prepared,
            "host": self._ended - self._began - busy,
        }


def covered(spans: Sequence[Span]) -> float:
    """Seconds in at least one of the spans; JAX's events are nested."""
    total, end = 0.0, -np.inf
    for first, last in sorted(spans):
        total += max(0.0, last - max(first, end))
        end = max(end, last)
    return float(total)


def whole_chunks(evaluations: Sequence[Evaluation], layout: Layout, *, resting: bool) -> float:
    """How many chunks with all trials active would have taken as long.

    Where ended trials rest, a chunk takes as long as the device with the most active trials.
    """
    work = float(bool(evaluations))
    for before in evaluations[:-1]:
        ended = (before.remembers & before.solved) | before.diverged
        active = (~ended).reshape(layout.trial_shards, -1).mean(axis=1).max()
        work += float(active) if resting and layout.placed == "map" else 1.0
    return work


def profile_cell(cell: Cell, clock: CellClock, folder: RunFolder) -> None:
    """Splits the measured time of a trained cell, notes it in the folder, and writes a trace."""
    seconds = clock.seconds()
    chunks = seconds.pop("chunks")
    settings = cell.training
    layout = training.choose_layout(settings)
    work = whole_chunks(clock.evaluations, layout, resting=settings.stop_when_solved)
    steps = 1
    if work:
        a_step = chunks / work / settings.chunk_steps
        steps = int(np.clip(PREFIX_SECONDS / a_step, 1, settings.chunk_steps))
    phases = training.step_seconds(cell.build(), cell.task, settings, steps=steps)
    explained = {phase: work * value for phase, value in phases.items()}
    host = seconds.pop("host")
    parts = {
        **seconds,
        **explained,
        "unexplained": chunks - sum(explained.values()),
        "host": host,
    }
    folder.add_times({"cell": cell.name, "seconds": parts})
    _write_trace(cell, folder)


def _write_trace(cell: Cell, folder: RunFolder) -> None:
    """TRACED_STEPS steps and one batch of evaluation, for TensorBoard or Perfetto."""
    few = dataclasses.replace(
        cell.training,
        steps=TRACED_STEPS,
        evaluate_every=TRACED_STEPS,
        warmup_steps=0,
        evaluation_sequences=cell.training.evaluation_batch,
    )
    program = training.make_program(cell.build(), cell.task, few)
    jax.block_until_ready(program.advance(program.start()))
    states = program.start()
    options = jax.profiler.ProfileOptions()
    options.python_tracer_level = 0  # of no use here, and ten times the size
    with jax.profiler.trace(folder.path / PROFILE / cell.name, profiler_options=options):
        jax.block_until_ready(program.advance(states))
