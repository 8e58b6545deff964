"""Seconds of a training step: a roofline an operation, launches, and collectives on a mesh."""

import dataclasses
import math
from collections.abc import Iterable
from typing import NamedTuple

from lstm_attn.errors import UsageError
from tools.scaling.machines import Link, Machine
from tools.scaling.workload import FLOAT32, Operation, Workload


class Seconds(NamedTuple):
    """A time by what limits it: rates of arithmetic, bytes moved, launches, collectives."""

    arithmetic: float = 0.0
    memory: float = 0.0
    latency: float = 0.0
    collectives: float = 0.0

    @property
    def total(self) -> float:
        return sum(self)

    @property
    def limit(self) -> str:
        """What takes most of it."""
        return max(self._fields, key=lambda name: getattr(self, name))


class Mesh(NamedTuple):
    """trial x batch devices."""

    trial: int = 1
    batch: int = 1


ALONE = Mesh()


class Step(NamedTuple):
    """One step of all trials on a mesh, in so many microbatches: its seconds, and the bytes that a
    device must hold."""

    mesh: Mesh
    accumulation_steps: int
    seconds: Seconds
    bytes: float


def roofline(operations: Iterable[Operation], machine: Machine, dtype: str) -> Seconds:
    """sum over operations of max(flops / rate + functions / rate, bytes / rate) + launches x launch

    Bytes move at the rate of the cache if what is reused fits in it, else at the memory's.

    Args:
      dtype: of the numbers in products; the machine has a rate for it.
    """
    arithmetic = memory = latency = 0.0
    for operation in operations:
        computing = operation.flops / machine.flops_per_second[dtype]
        computing += operation.functions / machine.functions_per_second
        fits = operation.reused <= machine.cache_bytes
        rate = machine.cache_bytes_per_second if fits else machine.bytes_per_second
        moving = operation.bytes / rate
        arithmetic += computing if computing >= moving else 0.0
        memory += moving if moving > computing else 0.0
        latency += operation.launches * machine.launch_seconds
    return Seconds(arithmetic, memory, latency)


def all_reduce_seconds(size: float, devices: int, links: tuple[Link, ...]) -> float:
    """Each of n devices ends with the sum of n arrays of S bytes: a reduce-scatter, after which a
    device holds S / n bytes of the sum, and an all-gather, as long.

        2 ((n - 1) / n x S / rate + hops x hop)

    On a network of several levels the outer ones move the bytes of one inner group.

    Args:
      size: S, bytes.
      devices: n.
      links: levels from the innermost out.

    Raises:
      UsageError: more devices than the links join, or a number that fills no whole groups.

    Source: Thakur, Rabenseifner & Gropp 2005, sections 4.1 and 4.3.
    """
    joined = math.prod(link.devices for link in links)
    if devices > joined:
        raise UsageError(f"devices: expected at most {joined}, as the links join, got {devices}")
    seconds = 0.0
    for link in links:
        here = min(devices, link.devices)
        if devices % here:
            raise UsageError(f"devices: expected a multiple of {here}, got {devices}")
        if here > 1:
            seconds += (here - 1) / here * size / link.rate(here)
            seconds += link.hops(here) * link.hop_seconds
        size, devices = size / here, devices // here
    return 2 * seconds


def step(workload: Workload, machine: Machine, mesh: Mesh = ALONE) -> Step:
    """One training step of all trials.

    Trials on different devices do not communicate. Those of one device are one batched program, R
    times the work at the launches of one, or run one after another (`Machine.batched_trials`).
    Where the batch is split there is one reduction a step, of all gradients as one array.

    Raises:
      UsageError: trials or a batch that the mesh does not divide, or devices that the links don't
        join.
    """
    if workload.trials % mesh.trial:
        raise UsageError(
            f"trials: expected a multiple of the mesh's {mesh.trial}, got {workload.trials}"
        )
    trials = workload.trials // mesh.trial
    together = trials if machine.batched_trials else 1
    in_turn = trials // together
    parameters = workload.parameters
    operations = workload.operations(mesh.batch)
    kept = sum(operation.kept for operation in operations)
    # Several trials in one program: more work, no more launches.
    batched = [operation.scaled(together) for operation in [*operations, _optimiser(parameters)]]
    seconds = roofline(batched, machine, workload.config.dtype)
    reduced = all_reduce_seconds(FLOAT32 * parameters * together, mesh.batch, machine.links)
    # Parameters and two moments of each trial; a gradient and new parameters of those at work.
    state = FLOAT32 * parameters * (3 * trials + 2 * together)
    return Step(
        mesh,
        workload.accumulation_steps,
        Seconds(*(in_turn * time for time in seconds._replace(collectives=reduced))),
        state + together * kept,
    )


def _optimiser(parameters: float) -> Operation:
    """Clipping, AdamW, and the choice of finite values.

    The gradient is read for its norm and for the step; parameters and two moments are read, made
    and chosen: 14 reads and writes of float32 a parameter.
    """
    return Operation(
        "optimiser",
        functions=parameters,
        bytes=14 * FLOAT32 * parameters,
        reused=4 * FLOAT32 * parameters,
        launches=12,
    )


def best(workload: Workload, machine: Machine, devices: int) -> Step | None:
    """The step on the quickest mesh of exactly so many devices, or None where none fits in memory.

    On each mesh the batch is cut into the fewest microbatches, a power of two, that fit in memory.
    """
    fitting = []
    for trial in range(1, devices + 1):
        if devices % trial or workload.trials % trial:
            continue
        mesh, count = Mesh(trial, devices // trial), 1
        while workload.batch % (mesh.batch * count) == 0:
            cut = step(dataclasses.replace(workload, accumulation_steps=count), machine, mesh)
            if cut.bytes <= machine.memory_bytes:
                fitting.append(cut)
                break
            count *= 2
    return min(fitting, key=lambda step: step.seconds.total, default=None)
