"""Seconds of a training step on paper, from flops, bytes, launches and collectives.

The cost model of `docs/scaling.md`: numbers in, numbers out; no device computes.
"""

from tools.scaling.machines import ACCELERATORS, H100, TPU_V5E, Link, Machine
from tools.scaling.seconds import (
    Choice,
    Mesh,
    Seconds,
    Step,
    all_gather_seconds,
    all_reduce_seconds,
    best,
    roofline,
    step,
)
from tools.scaling.workload import Operation, Workload

__all__ = [
    "ACCELERATORS",
    "H100",
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
