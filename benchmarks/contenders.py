"""Who takes part: a name, the module and the function that make it ready, and its process."""

import dataclasses
import os
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

# Each child takes GPU memory as it needs it: they share one device.
ENVIRONMENT = {"XLA_PYTHON_CLIENT_PREALLOCATE": "false", "TF_CPP_MIN_LOG_LEVEL": "3"}


class Unavailable(Exception):
    """A contender that cannot run here, with the reason."""


@dataclasses.dataclass(frozen=True)
class Contender:
    """Named by where it is built, so that the parent imports no library that it measures.

    `module`.`function`(case, **arguments) makes it ready, in a process with that many JAX host
    devices and these environment variables. The name stands for the process: function and arguments
    may differ from case to case, the rest may not.

    is_same: whether it computes what the first contender of a case does, which is then checked.
    """

    name: str
    module: str
    function: str
    arguments: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    is_ours: bool = False
    is_same: bool = True
    devices: int = 1
    environment: Mapping[str, str] = dataclasses.field(default_factory=dict)


@dataclasses.dataclass
class Ready:
    """What a builder returns.

    run: one timed run; its results are complete when it returns.
    values: what was computed, for the comparison, by names that all contenders share.
    steps: how many steps a run is.
    compile_seconds: tracing and compiling, or None where that is not apart from running.
    temporary_bytes: XLA's own account of what a run needs beside its inputs and results.
    work: flops and bytes of a run's step, where the case alone does not tell.
    parameters: how many numbers are learned, where contenders of a case may differ in that.
    """

    run: Callable[[], object]
    values: Mapping[str, np.ndarray]
    steps: int = 1
    compile_seconds: float | None = None
    temporary_bytes: int | None = None
    work: tuple[int, int] | None = None
    parameters: int | None = None


def compile_seconds(steps: list[float]) -> float | None:
    """What the first of several equal steps took more than the quickest, where nothing tells it."""
    return max(steps[0] - min(steps[1:]), 0.0) if len(steps) > 1 else None


def cores() -> int:
    """How many CPU cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
