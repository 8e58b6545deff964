"""Seconds of a training step: a roofline an operation, launches, and collectives on a mesh."""

import math
from collections.abc import Iterable
from typing import NamedTuple

from lstm_attn.errors import UsageError
from tools.scaling.machines import Link, Machine
from tools.scaling.operations import FLOAT32, Operation, optimiser
from tools.scaling.workload import Workload

LIMITS = ("arithmetic", "memory", "latency", "collectives")


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
        return max(LIMITS, key=lambda name: getattr(self, name))


class Mesh(NamedTuple):
    """trial x batch devices; sharded: parameters and optimiser cut along `batch` as well."""

    trial: int = 1
    batch: int = 1
    sharded: bool = False


ALONE = Mesh()


class Step(NamedTuple):
    """Of one step of all trials: its seconds, and the bytes that a device must hold."""

    seconds: Seconds
    bytes: float


def roofline(operations: Iterable[Operation], machine: Machine, dtype: str) -> Seconds:
    """sum over operations of max(flops / rate + functions / rate, bytes / rate) + launches x launch

    The bytes go at the rate of the cache where it holds what is reused, else at the memory's.

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


def all_gather_seconds(
    size: float, devices: int, links: tuple[Link, ...], arrays: int = 1
) -> float:
    """Every device of n comes to hold all S bytes, of which it held S / n.

        (n - 1) / n x S / rate + arrays x hops x hop

    On a network of several levels the outer ones go first, on what one inner group holds. A
    reduce-scatter is the same, backwards, and takes as long.

    Args:
      size: S, bytes.
      devices: n.
      links: levels from the innermost out.
      arrays: that the bytes lie in, each with messages of its own.

    Raises:
      ValueError: more devices than the links join, or a number that fills no whole groups.

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
            seconds += arrays * link.hops(here) * link.hop_seconds
        size, devices = size / here, devices // here
    return seconds


def all_reduce_seconds(size: float, devices: int, links: tuple[Link, ...]) -> float:
    """Every device of n comes to hold the sum of n times S bytes: a reduce-scatter and an
    all-gather, hence 2 (n - 1) / n x S / rate + 2 hops x hop. Arguments as there."""
    return 2 * all_gather_seconds(size, devices, links)


def step(workload: Workload, machine: Machine, mesh: Mesh = ALONE) -> Step:
    """One training step of all trials.

    Trials on different devices don't meet. Those of one device are one batched program, R times
    the work at the launches of one, or run one after another (`Machine.batched_trials`). Where the
    batch is split there is one reduction a step, of all gradients as one array. Where parameters
    are sharded, each array is gathered and its gradient scattered, two numbers are reduced (the
    gradient's norm, and whether all is finite), and each device updates its own part.

    Raises:
      ValueError: trials or a batch that the mesh does not divide, or devices that the links don't
        join.
    """
    if workload.trials % mesh.trial:
        raise UsageError(
            f"trials: expected a multiple of the mesh's {mesh.trial}, got {workload.trials}"
        )
    trials = workload.trials // mesh.trial
    parameters = workload.parameters
    shards = mesh.batch if mesh.sharded else 1
    operations = workload.operations(mesh.batch)
    kept = sum(operation.kept for operation in operations)
    operations.append(optimiser(parameters, shards))
    together = trials if machine.batched_trials else 1
    in_turn = trials // together
    seconds = roofline(
        (_times(operation, together) for operation in operations),
        machine,
        workload.config.dtype,
    )
    size = FLOAT32 * parameters * together
    reduced = all_reduce_seconds(size, mesh.batch, machine.links)
    if mesh.sharded:
        reduced = 2 * all_gather_seconds(size, mesh.batch, machine.links, workload.arrays)
        reduced += 2 * all_reduce_seconds(FLOAT32 * together, mesh.batch, machine.links)
    # Parameters and two moments of each trial; a gradient and whole parameters at work.
    state = FLOAT32 * parameters * (3 * trials / shards + 2 * together)
    return Step(
        Seconds(*(in_turn * part for part in seconds._replace(collectives=reduced))),
        state + together * kept,
    )


def _times(operation: Operation, trials: int) -> Operation:
    """The same for several trials in one program: more work, no more launches."""
    return operation._replace(
        flops=trials * operation.flops,
        functions=trials * operation.functions,
        bytes=trials * operation.bytes,
        reused=trials * operation.reused,
        kept=trials * operation.kept,
    )
