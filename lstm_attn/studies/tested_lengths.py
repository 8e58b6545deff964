"""Length generalisation, of one cell: what its trials remember at lengths beyond the trained."""

import dataclasses
import math
import time
from collections.abc import Sequence
from typing import Any

import jax

from lstm_attn import trained
from lstm_attn.analysis import LengthGeneralisation, horizon_beyond, length_generalisation
from lstm_attn.analysis.intervals import or_null
from lstm_attn.analysis.solving import remember_rate, solve_rate
from lstm_attn.errors import UsageError, check_numbers, check_whole
from lstm_attn.modules import continue_positions
from lstm_attn.runner.cell import TEST_SEED, Cell
from lstm_attn.runs import RunFolder
from lstm_attn.tasks import Task

WITH_POSITIONS = "transformer"  # the model that has positions


@dataclasses.dataclass(frozen=True)
class MeasuredOn:
    """The test data: for each task, these multiples of every trained length.

    factors: multiples of T.
    sequences: of each trial at each length; batch_size: how many of them at once.
    most_padding: a sequence is padded to at most this multiple of its length, as in
      `analysis.length_generalisation`.
    """

    factors: tuple[float, ...] = (0.5, 1.0, 2.0, 4.0, 8.0, 16.0)
    sequences: int = 1000
    batch_size: int = 100
    most_padding: float = 4.0

    def __post_init__(self) -> None:
        check_numbers(self, "test.")
        for field in ("sequences", "batch_size"):
            check_whole(f"test.{field}", getattr(self, field))
        if self.sequences % self.batch_size:
            raise UsageError(
                f"test.sequences: expected a multiple of batch_size={self.batch_size}, "
                f"got {self.sequences}"
            )
        if not 1 <= self.most_padding < math.inf:
            raise UsageError(
                f"test.most_padding: expected finite and at least 1, got {self.most_padding}"
            )


def test_cell(
    cell: Cell, lengths: Sequence[int], config: MeasuredOn, folder: RunFolder
) -> dict[str, Any]:
    """What all trials of a trained cell do at these lengths, as JSON values."""
    began = time.monotonic()
    key = jax.random.key(TEST_SEED)
    finished = trained.load(folder.path, cell.name)
    longest = cell.task.of_length(lengths[-1]).sequence_length
    measured = length_generalisation(
        finished.model,
        continue_positions(finished.params, longest, key),
        cell.task,
        lengths,
        key,
        trials=len(finished.seeds),
        sequences=config.sequences,
        batch_size=config.batch_size,
        most_padding=config.most_padding,
    )
    fit = horizon_beyond(measured, cell.task.length, finished.seeds)
    return {
        "cell": cell.name,
        "model": cell.model_name,
        "positions": cell.model.positions if cell.model_name == WITH_POSITIONS else None,
        "task": cell.task.name,
        "length": cell.task.length,
        "shortest": cell.task.shortest,
        "criterion": cell.task.of_length(cell.task.length).criterion,
        "budget": cell.training.steps,
        "learning_rate": cell.training.learning_rates[0],
        "trials": len(finished.seeds),
        "sequences": measured.sequences,
        "programs": measured.programs,
        "seconds": round(time.monotonic() - began, 3),
        "horizon": fit and fit.as_json(),
        "at": [_at(measured, n, finished.seeds.tolist(), cell.task) for n in range(len(lengths))],
    }


def _at(measured: LengthGeneralisation, n: int, seeds: Sequence[int], task: Task) -> dict[str, Any]:
    """What the trials do at the nth tested length."""
    remembers, solved = measured.remembers[n], measured.solved[n]
    return {
        "length": measured.lengths[n],
        "baseline": task.of_length(measured.lengths[n]).baseline,
        **remember_rate(int(remembers.sum()), len(seeds)),
        **solve_rate(int(solved.sum()), len(seeds)),
        "per_trial": [
            {
                "seed": seed,
                "loss": or_null(measured.loss[n, trial]),
                "share_remembered": or_null(measured.share_remembered[n, trial]),
                "remembers": bool(remembers[trial]),
                "solved": bool(solved[trial]),
            }
            for trial, seed in enumerate(seeds)
        ],
    }
