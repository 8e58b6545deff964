"""Seconds of a training step on paper, from flops, bytes, launches and collectives.

The cost model of `docs/scaling.md`: numbers in, numbers out; no device computes. `python -m
tools.scaling` checks it on this machine and writes the page.
"""

from tools.scaling.machines import ACCELERATORS, H100, TPU_V5E, Link, Machine
from tools.scaling.seconds import Mesh, Step, best, step
from tools.scaling.workload import Workload

__all__ = [
    "ACCELERATORS",
    "H100",
    "TPU_V5E",
    "Link",
    "Machine",
    "Mesh",
    "Step",
    "Workload",
    "best",
    "step",
]
