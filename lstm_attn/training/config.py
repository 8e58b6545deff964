"""How every trial of a grid cell is trained and evaluated."""

import dataclasses
import math

from lstm_attn.errors import UsageError, unknown_name

SCHEDULES = ("constant", "cosine")
PLACEMENTS = ("auto", "map", "vmap")


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
    evaluation_sequences: fresh sequences for each evaluation.
    stop_when_solved: end a cell once each of its trials has solved the task or diverged.
    trials_on_device: trials of one device in one batched program ("vmap") or one after another
      ("map"); "auto" takes what was measured as faster on the backend.
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

    def __post_init__(self) -> None:
        for field in ("steps", "batch_size", "seeds", "evaluate_every", "evaluation_sequences"):
            if getattr(self, field) < 1:
                raise UsageError(
                    f"training.{field}: expected at least 1, got {getattr(self, field)}"
                )
        if not self.learning_rates:
            raise UsageError("training.learning_rates: expected at least one, got none")
        for rate in self.learning_rates:
            if self.learning_rates.count(rate) > 1:
                raise UsageError(f"training.learning_rates: {rate} is given twice")
        for name, values, lowest in (
            ("learning_rates", self.learning_rates, "> 0"),
            ("clip_norm", (self.clip_norm,), "> 0"),
            ("weight_decay", (self.weight_decay,), ">= 0"),
        ):
            for value in values:
                if not math.isfinite(value) or value < 0 or (value == 0 and lowest == "> 0"):
                    raise UsageError(f"training.{name}: expected finite and {lowest}, got {value}")
        if self.schedule not in SCHEDULES:
            raise unknown_name("training.schedule", self.schedule, SCHEDULES)
        if self.trials_on_device not in PLACEMENTS:
            raise unknown_name("training.trials_on_device", self.trials_on_device, PLACEMENTS)
        if not 0 <= self.warmup_steps < self.steps:
            raise UsageError(
                f"training.warmup_steps: expected 0 to steps - 1 = {self.steps - 1}, "
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
