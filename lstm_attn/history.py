"""What training leaves behind: evaluations over time, for every trial. numpy only."""

import dataclasses
from collections.abc import Sequence

import numpy as np

# The criterion of a task that no trial solves, such as prediction of a text.
NO_CRITERION = "none"


@dataclasses.dataclass(frozen=True)
class Evaluation:
    """All R trials of a grid cell, evaluated after some steps.

    A trial that has ended keeps its last values.

    step: optimiser steps done.
    seconds: wall time since the cell began, compilation included.
    metrics: name -> [R] or [R, ...]: the task's metrics, and `train_loss`, the mean over the
      steps since the last evaluation. NaN where it was not finite.
    remembers: bool [R], whether the trial remembers: by now a pass of the main criterion (see
      `tasks.Task.remembers`) has been confirmed on fresh sequences.
    solved: bool [R], the same of the task's own criterion (see `tasks.Task.is_solved`).
    diverged: bool [R], whether the trial's loss had become non-finite; it is frozen since.
    """

    step: int
    seconds: float
    metrics: dict[str, np.ndarray]
    remembers: np.ndarray
    solved: np.ndarray
    diverged: np.ndarray

    @property
    def median_loss(self) -> float:
        """Over trials, a diverged one counting as infinite."""
        loss = self.metrics["loss"]
        return float(np.median(np.where(self.diverged | np.isnan(loss), np.inf, loss)))

    def scalars(self) -> dict[str, float]:
        """Its numbers by name, for TensorBoard, trackio and the like.

        NAME/0, NAME/1, ... for each trial of a metric that is one number, loss/median, and the
        shares of trials that remember, are exact and have diverged.
        """
        shares = {"remember": self.remembers, "exact": self.solved, "diverged": self.diverged}
        return {
            **{
                f"{name}/{trial}": float(value)
                for name, values in self.metrics.items()
                if values.ndim == 1
                for trial, value in enumerate(values)
            },
            "loss/median": self.median_loss,
            **{f"share/{name}": float(of_trials.mean()) for name, of_trials in shares.items()},
        }

    def __str__(self) -> str:
        return (
            f"step {self.step}: loss {self.median_loss:.4g} (median), "
            f"{self.remembers.sum()} of {self.solved.size} trials remember, {self.seconds:.0f} s"
        )


@dataclasses.dataclass(frozen=True)
class History:
    """The E evaluations of a grid cell with its R trials, as arrays for figures and analysis.

    steps, seconds: [E].
    metrics: name -> [E, R] or [E, R, ...].
    remembers, solved, diverged: bool [E, R].
    seeds, learning_rates: [R], what tells the trials apart.
    """

    steps: np.ndarray
    seconds: np.ndarray
    metrics: dict[str, np.ndarray]
    remembers: np.ndarray
    solved: np.ndarray
    diverged: np.ndarray
    seeds: np.ndarray
    learning_rates: np.ndarray

    def __repr__(self) -> str:
        count, trials = self.solved.shape
        names = ", ".join(self.metrics)
        return (
            f"History({count} evaluations to step {self.steps[-1]} of {trials} trials: {names}; "
            f"{self.remembers[-1].sum()} remember)"
        )

    @property
    def steps_to_remember(self) -> np.ndarray:
        """[R] float: steps at the first confirmed pass of the main criterion; NaN without one.

        NaN too for a trial that diverged, even after it had passed.
        """
        return self._first(self.remembers)

    @property
    def steps_to_solve(self) -> np.ndarray:
        """[R] float: as `steps_to_remember`, of the task's own criterion."""
        return self._first(self.solved)

    @property
    def ended_at(self) -> np.ndarray:
        """[R] int: index of the last evaluation of each trial; later ones repeat its values."""
        same = np.ones(self.solved.shape, bool)
        for metric in self.metrics.values():
            unlike = (metric != metric[-1]) & ~(np.isnan(metric) & np.isnan(metric[-1]))
            same &= ~unlike.reshape(*same.shape, -1).any(axis=2)
        # The first of the evaluations from which on all are the same as the last.
        return len(same) - np.logical_and.accumulate(same[::-1]).sum(axis=0)

    def _first(self, passed: np.ndarray) -> np.ndarray:
        first = self.steps[passed.argmax(axis=0)].astype(float)
        return np.where(passed.any(axis=0) & ~self.diverged[-1], first, np.nan)


def stack(
    evaluations: Sequence[Evaluation], seeds: np.ndarray, learning_rates: np.ndarray
) -> History:
    """The history of a cell from its evaluations, at least one, in order."""
    return History(
        steps=np.array([e.step for e in evaluations]),
        seconds=np.array([e.seconds for e in evaluations]),
        metrics={
            name: np.stack([e.metrics[name] for e in evaluations])
            for name in evaluations[0].metrics
        },
        remembers=np.stack([e.remembers for e in evaluations]),
        solved=np.stack([e.solved for e in evaluations]),
        diverged=np.stack([e.diverged for e in evaluations]),
        seeds=seeds,
        learning_rates=learning_rates,
    )
