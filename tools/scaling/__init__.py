"""Seconds of a training step on paper, from flops, bytes, launches and collectives.

The model of `docs/scaling.md`: numbers in, numbers out; no device is asked.
"""

from tools.scaling.choosing import Choice, best
from tools.scaling.machines import ACCELERATORS, H100, TPU_V5E, Link, Machine
from tools.scaling.operations import Operation
from tools.scaling.seconds import (
    LIMITS,
    Mesh,
    Seconds,
    Step,
    all_gather_seconds,
    all_reduce_seconds,
    roofline,
    step,
)
from tools.scaling.workload import Workload

__all__ = [
    "ACCELERATORS",
    "H100",
    "LIMITS",
    "TPU_V5E",
    "Choice",
    "Link",
    "Machine",
    "Mesh",
    "Operation",
    "Seconds",
    "Step",
    "Workload",
    "all_gather_seconds",
    "all_reduce_seconds",
    "best",
    "roofline",
    "step",
]
