"""Which mesh of so many devices is the quickest, as the cost model has it."""

import dataclasses
from typing import NamedTuple

from tools.scaling.machines import Machine
from tools.scaling.seconds import Mesh, Step, step
from tools.scaling.workload import Workload


class Choice(NamedTuple):
    """A mesh, the parts that memory asks the batch to be cut into, and what a step takes."""

    mesh: Mesh
    accumulation_steps: int
    step: Step


def best(workload: Workload, machine: Machine, devices: int) -> Choice | None:
    """The quickest mesh of just so many devices, or None where none of them fits.

    Each mesh is taken with the fewest accumulation steps, a power of two, that memory is enough
    for; parameters are sharded where it is not enough for whole ones however the batch is cut.
    """
    found: Choice | None = None
    for trial in (count for count in range(1, devices + 1) if devices % count == 0):
        if workload.trials % trial or workload.batch % (devices // trial):
            continue
        for sharded in (False, True):
            fitting = _fitting(workload, machine, Mesh(trial, devices // trial, sharded))
            if fitting is None:
                continue
            if found is None or fitting.step.seconds.total < found.step.seconds.total:
                found = fitting
            break
    return found


def _fitting(workload: Workload, machine: Machine, mesh: Mesh) -> Choice | None:
    steps = 1
    while workload.batch % (mesh.batch * steps) == 0:
        cut = dataclasses.replace(workload, accumulation_steps=steps)
        taken = step(cut, machine, mesh)
        if taken.bytes <= machine.memory_bytes:
            return Choice(mesh, steps, taken)
        steps *= 2
    return None
