"""How every trial of a grid cell is trained and evaluated."""

import dataclasses
import math
from typing import Any

import numpy as np

from lstm_attn.errors import UsageError, check_whole, unknown_name
from lstm_attn.plain_numbers import is_number, make_plain, plain

SCHEDULES = ("constant", "cosine")
PLACEMENTS = ("auto", "map", "vmap")
PARAMETERS = ("replicated", "sharded")
# An evaluation goes in batches of this size, whatever the mesh, so that its data do not depend on
# it; or of the next smaller size that divides the number of sequences, down to half of it.
EVALUATION_BATCH = 200
# Steps of warm-up, and between evaluations, unless they are given; fewer where steps are few.
USUAL_STEPS = 100


@dataclasses.dataclass(frozen=True)
class TrainingConfig:
    """Adam with decoupled weight decay, for all trials: every seed with every learning rate.

    steps: optimiser steps of each trial, a multiple of evaluate_every.
    batch_size: sequences a step.
    seeds: how many; they are first_seed, first_seed + 1, ...
    first_seed: the first of them.
    learning_rates: peak learning rates, or one of them.
    schedule: of the learning rate after the warm-up: "cosine" to zero, or "constant".
    warmup_steps: steps of linear warm-up from zero, fewer than steps; None for 100, or half of the
      steps if those are fewer. `warmup` is the number.
    clip_norm: the gradient's global norm is scaled down to at most this.
    weight_decay: AdamW's, scaled by the learning rate.
    evaluate_every: steps between evaluations, and between checkpoints; None for the divisor of
      steps that is nearest to 100, or to half of the steps if those are fewer. `chunk_steps` is the
      number.
    evaluation_sequences: fresh sequences for each evaluation; at most EVALUATION_BATCH = 200, or a
      multiple of a number from half of it to it, such as 500. Of `tasks.from_arrays` all of the
      test set, whatever this is.
    confirmation_sequences: fresh sequences, at least, on which a pass of a criterion is confirmed
      before it counts; 0 for none. Data that are stored are all looked at in each evaluation: there
      a pass counts at once.
    stop_when_solved: end a trial once it remembers and has solved the task, both confirmed, or has
      diverged; and a cell with the last of its trials.
    halving: end the trials of the worse half of the learning rates at a quarter of the steps, but
      not before twice the warm-up, for tuning. Worse is a greater median loss; a diverged trial
      counts as infinite.
    trials_on_device: trials of one device in one batched program ("vmap") or one after another
      ("map"); "auto" takes what was measured as faster on the backend.
    accumulation_steps: microbatches, equally large, that each device computes one after another
      before the optimiser's step, which takes less memory. A divisor of batch_size.
    parameters: "replicated" on every device that shares a trial's batch, or "sharded" over them
      with Adam's moments (ZeRO-3) and gathered for each step: for widths that do not fit. Each
      array is split along the largest axis that the devices divide; one without such an axis is
      replicated. Trials are spread over devices first: where they take all, nothing is sharded.
    deterministic: on a GPU, only operations that give the same bits every time, and no choice of
      kernels by a stopwatch, which costs speed. A CPU gives the same bits as it is.
    """

    steps: int = 2000
    batch_size: int = 32
    seeds: int = 4
    first_seed: int = 0
    learning_rates: tuple[float, ...] = (1e-2,)
    schedule: str = "cosine"
    warmup_steps: int | None = None
    clip_norm: float = 1.0
    weight_decay: float = 0.0
    evaluate_every: int | None = None
    evaluation_sequences: int = 2000
    confirmation_sequences: int = 10_000
    stop_when_solved: bool = False
    halving: bool = False
    trials_on_device: str = "auto"
    accumulation_steps: int = 1
    parameters: str = "replicated"
    deterministic: bool = False

    def __post_init__(self) -> None:
        if is_number(self.learning_rates):
            object.__setattr__(self, "learning_rates", (plain(self.learning_rates),))
        make_plain(self)
        counts = ("steps", "batch_size", "seeds", "evaluation_sequences", "accumulation_steps")
        for field in (*counts, *(["evaluate_every"] if self.evaluate_every is not None else [])):
            check_whole(f"training.{field}", getattr(self, field))
        check_whole("training.warmup_steps", self.warmup, 0)
        check_whole("training.first_seed", self.first_seed, 0)
        check_whole("training.confirmation_sequences", self.confirmation_sequences, 0)
        rates: object = self.learning_rates
        if not isinstance(rates, tuple) or not rates:
            raise UsageError(
                f"training.learning_rates: expected a number or a tuple of them, got {rates!r}"
            )
        for rate in self.learning_rates:
            _check_number("learning_rates", rate)
        # As float32, in which the trials hold them: two rates may round to one.
        if len(set(map(np.float32, self.learning_rates))) < len(self.learning_rates):
            raise UsageError(
                f"training.learning_rates: expected different ones, got {self.learning_rates}"
            )
        _check_number("clip_norm", self.clip_norm)
        _check_number("weight_decay", self.weight_decay, zero=True)
        if EVALUATION_BATCH // 2 > self.evaluation_batch < self.evaluation_sequences:
            raise UsageError(
                f"training.evaluation_sequences: expected at most {EVALUATION_BATCH} or a multiple "
                f"of a number from {EVALUATION_BATCH // 2} to {EVALUATION_BATCH}, "
                f"got {self.evaluation_sequences}"
            )
        if self.schedule not in SCHEDULES:
            raise unknown_name("training.schedule", self.schedule, SCHEDULES)
        if self.trials_on_device not in PLACEMENTS:
            raise unknown_name("training.trials_on_device", self.trials_on_device, PLACEMENTS)
        if self.parameters not in PARAMETERS:
            raise unknown_name("training.parameters", self.parameters, PARAMETERS)
        if not isinstance(self.deterministic, bool):
            raise UsageError(
                f"training.deterministic: expected True or False, got {self.deterministic!r}"
            )
        if self.batch_size % self.accumulation_steps:
            raise UsageError(
                "training.accumulation_steps: expected a divisor of "
                f"batch_size={self.batch_size}, got {self.accumulation_steps}"
            )
        if self.warmup >= self.steps:
            raise UsageError(
                f"training.warmup_steps: expected less than steps={self.steps}, got {self.warmup}"
            )
        if self.steps % self.chunk_steps:
            raise UsageError(
                f"training.evaluate_every: expected a divisor of steps={self.steps}, "
                f"got {self.chunk_steps}"
            )

    @property
    def warmup(self) -> int:
        """Steps of warm-up."""
        usual = min(USUAL_STEPS, self.steps // 2)
        return usual if self.warmup_steps is None else self.warmup_steps

    @property
    def chunk_steps(self) -> int:
        """Steps between evaluations: those of one chunk on the device."""
        if self.evaluate_every is not None:
            return self.evaluate_every
        usual = min(USUAL_STEPS, math.ceil(self.steps / 2))
        return min(divisors(self.steps), key=lambda steps: abs(math.log(steps / usual)))

    @property
    def all_seeds(self) -> range:
        return range(self.first_seed, self.first_seed + self.seeds)

    @property
    def trials(self) -> int:
        return self.seeds * len(self.learning_rates)

    @property
    def halving_step(self) -> int | None:
        """The evaluation at which the worse half of the learning rates ends; None for none.

        While the rate still rises, a loss says nothing of what a great rate comes to.
        """
        chunks = math.ceil(max(self.steps / 4, 2 * self.warmup) / self.chunk_steps)
        step = chunks * self.chunk_steps
        return step if self.halving and step < self.steps else None

    @property
    def evaluation_batch(self) -> int:
        """Sequences that are evaluated at once."""
        return divisors(self.evaluation_sequences, EVALUATION_BATCH)[-1]


def divisors(number: int, highest: int | None = None) -> list[int]:
    """Those of the number up to the highest, in order."""
    end = math.isqrt(number)
    small = [divisor for divisor in range(1, end + 1) if number % divisor == 0]
    both = sorted({*small, *(number // divisor for divisor in small)})
    return [divisor for divisor in both if highest is None or divisor <= highest]


def _check_number(field: str, value: Any, *, zero: bool = False) -> None:
    """Raises UsageError unless the value is finite and > 0 (or 0) in float32."""
    if is_number(value):
        with np.errstate(over="ignore"):
            rounded = np.float32(value)
        if np.isfinite(rounded) and (rounded > 0 or (zero and value == 0)):
            return
    wanted = ">= 0" if zero else "> 0"
    raise UsageError(f"training.{field}: expected finite and {wanted}, got {value!r}")
