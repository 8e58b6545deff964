"""The training loop: a chunk of steps on the device, then the host reads its evaluation."""

import dataclasses
import math
import reprlib
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import jax
import numpy as np

from lstm_attn.errors import UsageError, unknown_name
from lstm_attn.history import Evaluation, History, stack
from lstm_attn.models import Model, Params, of_module
from lstm_attn.tasks import Task
from lstm_attn.training import multihost
from lstm_attn.training.config import TrainingConfig
from lstm_attn.training.optimizer import OptimizerFactory
from lstm_attn.training.program import Program, make_program, step_of, trial_settings
from lstm_attn.training.train_step import TrialState

POLL_SECONDS = 0.002


def run(
    program: Program,
    task: Task,
    config: TrainingConfig,
    *,
    states: TrialState | None = None,
    earlier: Sequence[Evaluation] = (),
    began: float | None = None,
) -> Iterator[tuple[Evaluation, TrialState]]:
    """Trains a grid cell, yielding each evaluation with the states it was made from.

    A pass of a criterion counts once it has been confirmed on sequences that were not looked at
    before (`config.confirmation_sequences`).

    Ends after `config.steps`. With `stop_when_solved` a trial ends at the evaluation at which both
    criteria are confirmed or it has diverged, with `halving` where its learning rate falls out, and
    the cell with the last of its trials; from then on an evaluation repeats the last values of that
    trial.

    Where the trials of a device run one after another, this saves time; in one batched program
    trials that have ended are computed with the others.

    The states are donated to the next chunk: save or use them before asking for the next
    evaluation.

    With several processes (`training.multihost`) each runs this, the evaluations are the same
    in all of them, and the clock is the leader's; the states lie on the devices of all.

    Args:
      program: of this task and config, from `make_program`.
      states: to go on from, None for a start.
      earlier: the evaluations before these states, for the clock and for trials that have ended.
      began: `time.monotonic()` when the cell was begun, if before this call.
    """
    last = earlier[-1] if earlier else None
    began = time.monotonic() if began is None else began
    began -= last.seconds if last else 0.0
    ended = np.zeros(config.trials, bool)
    for evaluation in earlier:
        ended |= _ends(evaluation, config, program.settings[1])
    if states is None:
        states = program.start()
    step = step_of(states)
    multihost.wait()
    while step < config.steps and not ended.all():
        states, metrics = program.advance(states, ~ended, program.read(step))
        host_metrics = _fetch({**metrics, "finite": states.finite})
        step += config.chunk_steps
        seconds = multihost.agreed(lambda: time.monotonic() - began)
        evaluation = _evaluation(task, step, seconds, host_metrics)
        evaluation = _confirmed(evaluation, last, ended, task, program, states)
        if last is not None:
            evaluation = _held(evaluation, last, ended)
        ended |= _ends(evaluation, config, program.settings[1])
        last = evaluation
        yield evaluation, states


class Trained(NamedTuple):
    """history: arrays over evaluations and trials; params: of each trial, stacked on axis 0."""

    history: History
    params: Params

    def trial(self, index: int) -> Params:
        """The parameters of one trial."""
        return jax.tree.map(lambda leaf: leaf[index], self.params)

    def __repr__(self) -> str:
        count = sum(leaf[0].size for leaf in jax.tree.leaves(self.params))
        return f"Trained(history={self.history!r}, params: {count} numbers a trial)"


def train(
    model: Model | Any,
    task: Task,
    config: TrainingConfig | Mapping[str, Any] | None = None,
    *,
    optimizer: OptimizerFactory | None = None,
    on_evaluation: Callable[[Evaluation], object] | None = None,
    **settings: Any,
) -> Trained:
    """Trains all trials of one grid cell in memory: no flags, no files.

        training.train(module, tasks.adding(50), steps=500, seeds=2)

    Its curves in trackio, or in TensorBoard:

        note = lambda one: trackio.log(one.scalars(), one.step)

        writer = tensorboardX.SummaryWriter("runs/tensorboard")
        note = lambda one: [writer.add_scalar(*pair, one.step) for pair in one.scalars().items()]

        training.train(module, tasks.adding(50), on_evaluation=note)

    Args:
      model: a `Model`, or a Flax module that maps inputs [B, T, D] to outputs [B, T, O]. The module
        is called with the inputs alone, without random numbers: dropout that is on only with
        `train=True`, or `deterministic=False`, stays off. To train with it, give a `Model` with
        `apply_with_dropout`.
      config: a TrainingConfig, or its fields as a dict; None for the defaults.
      optimizer: makes an optax optimiser from the schedule of the learning rate, a function of the
        number of steps; `optax.adam` and `functools.partial(optax.sgd, momentum=0.9)` are two.
        Each trial has its own learning rate, and the gradient's norm is clipped first. An update
        that asks for them is given `value`, the loss, and `grad`, the unclipped gradients. With
        `parameters="sharded"` it must work on each number by itself. None for AdamW.
      on_evaluation: called with each evaluation as it comes. None prints a line of each in a
        terminal or notebook, and nothing elsewhere.
      settings: fields of TrainingConfig, which replace those of `config`.

    Raises:
      UsageError: a task, a module, a setting or an optimizer that doesn't fit, on one line.
    """
    if isinstance(task, type) or not all(hasattr(task, name) for name in ("sample", "loss")):
        raise UsageError(
            f"task: expected a task such as tasks.adding(50), got {reprlib.repr(task)}"
        )
    model = model if isinstance(model, Model) else of_module(model, task)
    config = _configured(config, settings)
    if on_evaluation is None:
        on_evaluation = print if _is_watched() else lambda evaluation: None
        if on_evaluation is print:
            print("compiling", flush=True)
    program, evaluations = make_program(model, task, config, optimizer), []
    for evaluation, states in run(program, task, config):
        evaluations.append(evaluation)
        params = multihost.whole(states.params) if multihost.several() else states.params
        on_evaluation(evaluation)
    return Trained(stack(evaluations, *trial_settings(config)), params)


def _configured(
    config: TrainingConfig | Mapping[str, Any] | None, settings: Mapping[str, Any]
) -> TrainingConfig:
    if not isinstance(config, TrainingConfig | Mapping | None):
        raise UsageError(f"config: expected a TrainingConfig or a dict, got {reprlib.repr(config)}")
    if isinstance(config, Mapping):
        settings = {**config, **settings}
        config = None
    known = [field.name for field in dataclasses.fields(TrainingConfig)]
    for name in settings:
        if name not in known:
            raise unknown_name("setting of training", name, known)
    return dataclasses.replace(config or TrainingConfig(), **settings)


def _is_watched() -> bool:
    """Whether stdout is a terminal or a notebook, and this process speaks for all."""
    in_notebook = type(sys.stdout).__module__.startswith("ipykernel")
    return multihost.leads() and (in_notebook or sys.stdout.isatty())


def _fetch(arrays: dict[str, jax.Array]) -> dict[str, np.ndarray]:
    """Arrays on the host. Polls, because Ctrl-C can't interrupt a wait inside JAX."""
    # jax.Array has is_ready(), but its stub does not say so.
    while not all(array.is_ready() for array in arrays.values()):  # type: ignore[attr-defined]
        time.sleep(POLL_SECONDS)
    return multihost.whole(arrays)


def _evaluation(
    task: Task, step: int, seconds: float, metrics: dict[str, np.ndarray]
) -> Evaluation:
    diverged = ~metrics.pop("finite")
    remembers, solved = _passes(task, metrics)
    return Evaluation(
        step=step,
        seconds=seconds,
        metrics={name: np.where(np.isfinite(v), v, np.nan) for name, v in metrics.items()},
        # A trial that diverged passes nothing from then on.
        remembers=remembers & ~diverged,
        solved=solved & ~diverged,
        diverged=diverged,
    )


def _passes(task: Task, metrics: Mapping[str, np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    """Whether each trial's metrics pass the main criterion and the task's own, bool [R] each."""
    trials = [
        {name: value[trial] for name, value in metrics.items()}
        for trial in range(len(metrics["loss"]))
    ]
    remembers, solved = (
        np.array([criterion(trial) for trial in trials])
        for criterion in (task.remembers, task.is_solved)
    )
    return remembers, solved


def _confirmed(
    evaluation: Evaluation,
    last: Evaluation | None,
    ended: np.ndarray,
    task: Task,
    program: Program,
    states: TrialState,
) -> Evaluation:
    """The evaluation with the passes that are confirmed, now or before."""
    never = np.zeros_like(ended)
    before = (last.remembers, last.solved) if last else (never, never)
    passed = (evaluation.remembers, evaluation.solved)
    claims = [new & ~old & ~ended for new, old in zip(passed, before, strict=True)]
    active = claims[0] | claims[1]
    if program.confirm is not None and active.any():
        claims = [
            claim & holds
            for claim, holds in zip(
                claims, _passes(task, _fetch(program.confirm(states, active))), strict=True
            )
        ]
    remembers, solved = (
        (old | claim) & ~evaluation.diverged for old, claim in zip(before, claims, strict=True)
    )
    return dataclasses.replace(evaluation, remembers=remembers, solved=solved)


def _ends(evaluation: Evaluation, config: TrainingConfig, rates: np.ndarray) -> np.ndarray:
    """Which trials end at this evaluation or have ended before, bool [R].

    Args:
      rates: the learning rates of the trials, [R].
    """
    ended = np.zeros(config.trials, bool)
    if config.stop_when_solved:
        ended |= (evaluation.remembers & evaluation.solved) | evaluation.diverged
    if evaluation.step == config.halving_step:
        loss = evaluation.metrics["loss"]
        loss = np.where(evaluation.diverged | np.isnan(loss), np.inf, loss)
        median = {rate: np.median(loss[rates == rate]) for rate in np.unique(rates)}
        worst = sorted(median, key=median.__getitem__)[math.ceil(len(median) / 2) :]
        ended |= np.isin(rates, worst)
    return ended


def _held(evaluation: Evaluation, last: Evaluation, ended: np.ndarray) -> Evaluation:
    """The evaluation, with the last one's values for the trials that had ended by then."""

    def held(new: np.ndarray, old: np.ndarray) -> np.ndarray:
        return np.where(ended.reshape(-1, *(1,) * (new.ndim - 1)), old, new)

    return dataclasses.replace(
        evaluation,
        metrics={name: held(new, last.metrics[name]) for name, new in evaluation.metrics.items()},
        remembers=held(evaluation.remembers, last.remembers),
        solved=held(evaluation.solved, last.solved),
        diverged=held(evaluation.diverged, last.diverged),
    )
