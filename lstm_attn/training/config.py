"""How every trial of a grid cell is trained and evaluated."""

import dataclasses

import numpy as np

from lstm_attn.errors import UsageError, check_whole, unknown_name

SCHEDULES = ("constant", "cosine")
PLACEMENTS = ("auto", "map", "vmap")
PARAMETERS = ("replicated", "sharded")
# Evaluation goes in batches of this many, whatever the mesh, so that its data do not depend on it.
EVALUATION_BATCH = 200


@dataclasses.dataclass(frozen=True)
class TrainingConfig:
    """Adam with decoupled weight decay, for all trials: every seed with every learning rate.

    steps: optimiser steps of each trial, a multiple of evaluate_every.
    batch_size: fresh sequences a step.
    seeds: how many; seeds 0 ... seeds - 1.
    learning_rates: peak learning rates.
    schedule: of the learning rate after the warm-up: "cosine" to zero, or "constant".
    warmup_steps: linear from zero; below steps.
    clip_norm: the gradient's global norm is scaled down to at most this.
    weight_decay: AdamW's, scaled by the learning rate.
    evaluate_every: steps between evaluations; also how often there is a checkpoint.
    evaluation_sequences: fresh sequences for each evaluation; at most EVALUATION_BATCH, or a
      multiple of it.
    stop_when_solved: end a trial once it has solved the task or diverged, and a cell with the last
      of its trials.
    trials_on_device: trials of one device in one batched program ("vmap") or one after another
      ("map"); "auto" takes what was measured as faster on the backend.
    accumulation_steps: parts of a batch, equally large, that each device computes one after
      another before the optimiser's step; memory falls with the part. A divisor of batch_size.
    parameters: "replicated" on every device that shares a trial's batch, or "sharded" over them
      with Adam's moments (ZeRO-3), gathered for each step: for widths that do not fit. Each array
      is split along the largest axis that the devices divide; one without such an axis is whole on
      each. Trials are spread over devices first: where they take all, nothing is left to shard.
    deterministic: on a GPU, only operations that give the same bits every time, and no choice of
      kernels by a stopwatch, which costs speed. A CPU gives the same bits as it is.
    """

    steps: int = 2000
    batch_size: int = 32
    seeds: int = 4
    learning_rates: tuple[float, ...] = (1e-2,)
    schedule: str = "cosine"
    warmup_steps: int = 100
    clip_norm: float = 1.0
    weight_decay: float = 0.0
    evaluate_every: int = 100
    evaluation_sequences: int = 2000
    stop_when_solved: bool = False
    trials_on_device: str = "auto"
    accumulation_steps: int = 1
    parameters: str = "replicated"
    deterministic: bool = False

    def __post_init__(self) -> None:
        for field in (
            "steps",
            "batch_size",
            "seeds",
            "evaluate_every",
            "evaluation_sequences",
            "accumulation_steps",
        ):
            check_whole(f"training.{field}", getattr(self, field))
        check_whole("training.warmup_steps", self.warmup_steps, 0)
        if not isinstance(self.learning_rates, tuple | list) or not self.learning_rates:
            raise UsageError(
                "training.learning_rates: expected at least one, as a tuple, "
                f"got {self.learning_rates!r}"
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
        if self.evaluation_sequences > EVALUATION_BATCH and (
            self.evaluation_sequences % EVALUATION_BATCH
        ):
            raise UsageError(
                f"training.evaluation_sequences: expected at most {EVALUATION_BATCH} or a "
                f"multiple of it, got {self.evaluation_sequences}"
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
        if self.warmup_steps >= self.steps:
            raise UsageError(
                f"training.warmup_steps: expected less than steps={self.steps}, "
                f"got {self.warmup_steps}"
            )
        if self.steps % self.evaluate_every:
            raise UsageError(
                f"training.evaluate_every: expected a divisor of steps={self.steps}, "
                f"got {self.evaluate_every}"
            )

    @property
    def trials(self) -> int:
        return self.seeds * len(self.learning_rates)

    @property
    def evaluation_batch(self) -> int:
        return min(self.evaluation_sequences, EVALUATION_BATCH)


def _check_number(field: str, value: object, *, zero: bool = False) -> None:
    """Raises UsageError unless the value is finite and > 0 (or 0) in float32."""
    if isinstance(value, int | float) and not isinstance(value, bool):
        with np.errstate(over="ignore"):
            rounded = np.float32(value)
        if np.isfinite(rounded) and (rounded > 0 or (zero and value == 0)):
            return
    wanted = ">= 0" if zero else "> 0"
    raise UsageError(f"training.{field}: expected finite and {wanted}, got {value!r}")
