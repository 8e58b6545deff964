"""The one training loop: chunks on the device, and between them the host looks and decides."""

import time
from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

import jax
import numpy as np

from lstm_attn.history import Evaluation, History, stack
from lstm_attn.models import Model, Params
from lstm_attn.tasks import Task
from lstm_attn.training.config import TrainingConfig
from lstm_attn.training.program import Program, TrialState, make_program, trial_settings

POLL_SECONDS = 0.02


def run(
    program: Program,
    task: Task,
    config: TrainingConfig,
    *,
    states: TrialState | None = None,
    earlier: Sequence[Evaluation] = (),
) -> Iterator[tuple[Evaluation, TrialState]]:
    """Trains a grid cell, yielding each evaluation with the states it was made from.

    Ends after `config.steps`, or, with `stop_when_solved`, at the evaluation by which every trial
    has solved the task or diverged. The states are donated to the next chunk: save or use them
    before asking for the next evaluation.

    Args:
      program: of this task and config, from `make_program`.
      states: to go on from, None for a start.
      earlier: the evaluations that led to the states, for the clock and for what was solved.
    """
    began = time.monotonic() - (earlier[-1].seconds if earlier else 0.0)
    done = np.zeros(config.trials, bool)
    for evaluation in earlier:
        done |= evaluation.solved | evaluation.diverged
    if states is None:
        states = program.start()
    step = int(states.step[0])
    while step < config.steps and not (config.stop_when_solved and done.all()):
        states, metrics = program.advance(states)
        host_metrics = _fetch({**metrics, "finite": states.finite})
        step += config.evaluate_every
        evaluation = _evaluation(task, step, time.monotonic() - began, host_metrics)
        done |= evaluation.solved | evaluation.diverged
        yield evaluation, states


class Trained(NamedTuple):
    """history: arrays over evaluations and trials; params: of each trial, stacked on axis 0."""

    history: History
    params: Params


def train(
    model: Model,
    task: Task,
    config: TrainingConfig,
    *,
    on_evaluation: Callable[[Evaluation], object] = lambda evaluation: None,
) -> Trained:
    """Trains all trials of one grid cell in memory: no flags, no files.

    Args:
      on_evaluation: called with each evaluation as it comes; `print` shows a line of it.
    """
    evaluations = []
    for evaluation, states in run(make_program(model, task, config), task, config):
        evaluations.append(evaluation)
        params = states.params
        on_evaluation(evaluation)
    return Trained(stack(evaluations, *trial_settings(config)), params)


def _fetch(arrays: dict[str, jax.Array]) -> dict[str, np.ndarray]:
    """Arrays on the host. Polls, since a wait inside JAX would make Ctrl-C wait for the chunk."""
    # jax.Array has is_ready(), but its stub does not say so.
    while not all(array.is_ready() for array in arrays.values()):  # type: ignore[attr-defined]
        time.sleep(POLL_SECONDS)
    return {name: np.asarray(array) for name, array in arrays.items()}


def _evaluation(
    task: Task, step: int, seconds: float, metrics: dict[str, np.ndarray]
) -> Evaluation:
    diverged = ~metrics.pop("finite")
    solved = [
        task.is_solved({name: value[trial] for name, value in metrics.items()})
        for trial in range(len(diverged))
    ]
    return Evaluation(
        step=step,
        seconds=seconds,
        metrics={name: np.where(np.isfinite(v), v, np.nan) for name, v in metrics.items()},
        # A trial that diverged counts as unsolved from then on.
        solved=np.array(solved) & ~diverged,
        diverged=diverged,
    )
