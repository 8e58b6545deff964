"""A contender: where it is built, what it gives back, and whether two computed the same values."""

import dataclasses
import os
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

# Relative to the largest entry. Float32 sums of up to a million terms in different orders stay
# below it; an exchanged gate or a missing bias gives differences of the order of one.
TOLERANCE = 2e-3


class Unavailable(Exception):
    """A contender that cannot run here, with the reason."""


class Mismatch(Exception):
    """A contender that computes other values than the first."""


@dataclasses.dataclass(frozen=True)
class Contender:
    """Named by where it is built, so that the parent imports no library that it measures.

    `module`.`function`(case, **arguments) makes it ready, in a process with that many JAX host
    devices and these environment variables. A contender keeps its process, known by its name:
    function and arguments may differ from case to case, the rest may not.

    is_same: whether it computes the same values as the first contender of a case, which is checked.
    """

    name: str
    module: str
    function: str = ""
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
    compile_seconds: tracing and compiling, or None where it cannot be timed apart from running.
    temporary_bytes: XLA's own account of the memory of a run, without its inputs and results.
    work: flops and bytes of one step, where the case alone does not tell.
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
    """By how much the first of several equal steps was slower than the fastest of the others."""
    return max(steps[0] - min(steps[1:]), 0.0) if len(steps) > 1 else None


def cores() -> int:
    """How many CPU cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def check_same(
    name: str, expected: Mapping[str, np.ndarray], computed: Mapping[str, np.ndarray]
) -> float:
    """The largest difference over all arrays that both have, each relative to its largest entry.

    Arrays that only one has are left out, since not every library keeps two biases of a gate.

    Raises:
      Mismatch: no array in common, shapes that differ, or a difference above TOLERANCE, naming the
        contender and the array.
    """
    shared = [key for key in expected if key in computed]
    if not shared:
        raise Mismatch(f"{name}: expected values of {', '.join(expected)}, got {list(computed)}")
    largest = 0.0
    for key in shared:
        ours, theirs = (np.asarray(values[key], np.float64) for values in (expected, computed))
        if ours.shape != theirs.shape:
            raise Mismatch(f"{name}: {key} expected shape {ours.shape}, got {theirs.shape}")
        scale = np.max(np.abs(ours), initial=np.finfo(np.float32).tiny)
        difference = np.max(np.abs(ours - theirs), initial=0.0) / scale
        if not difference <= TOLERANCE:  # NaN too
            raise Mismatch(
                f"{name}: {key} differs from ours by {difference:.2g} of its largest entry, "
                f"expected at most {TOLERANCE}"
            )
        largest = max(largest, float(difference))
    return largest
