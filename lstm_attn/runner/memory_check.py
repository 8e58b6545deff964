"""Cells that no memory of this machine can hold: one line before anything is compiled for them.

A size that fits its type but not the machine would be compiled for an hour, or fail in the middle.
"""

import os
from collections.abc import Sequence

import jax

from lstm_attn.errors import UsageError
from lstm_attn.runner.cell import Cell

FLOAT32 = 4  # bytes
STATES = 3  # parameters, and Adam's two moments
GATES = 4
GIB = 2**30


def least_bytes(cell: Cell) -> tuple[int, int]:
    """Less than the cell takes, in closed form: of the trials' states, and of a batch.

    states: R 3 (4 H (D + H))        the LSTM's kernels, which every model's size is near
    batch:  B / parts T (D + O)      of one trial: inputs, and outputs

    Ids of tokens are embedded, D = H.
    """
    task, training = cell.task, cell.training
    hidden = cell.model.features
    inputs = hidden if task.input_features is None else task.input_features
    kernels = GATES * hidden * (inputs + hidden)
    sequences = training.batch_size // training.accumulation_steps
    features = inputs + task.output_features
    states = FLOAT32 * STATES * training.trials * kernels
    return states, FLOAT32 * sequences * task.sequence_length * features


def machine_bytes() -> int | None:
    """Memory of all devices together, of all hosts; None where it isn't known."""
    devices = jax.local_devices()
    if devices[0].platform == "cpu":
        here = host_bytes()
    else:
        stats = [device.memory_stats() or {} for device in devices]
        known = all("bytes_limit" in of_device for of_device in stats)
        here = sum(of_device["bytes_limit"] for of_device in stats) if known else None
    return None if here is None else here * jax.process_count()


def host_bytes() -> int | None:
    """Memory of this computer; None where its system does not say."""
    names = getattr(os, "sysconf_names", {})
    if not {"SC_PAGE_SIZE", "SC_PHYS_PAGES"} <= names.keys():
        return None
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")


def check_fits(cells: Sequence[Cell]) -> None:
    """Raises UsageError for the first cell that surely does not fit."""
    there = machine_bytes()
    for cell in cells:
        states, batch = least_bytes(cell)
        if there is not None and states + batch > there:
            what = (
                f"train states of {cell.training.trials} trials of features={cell.model.features}"
                if states > batch
                else f"a batch of {cell.training.batch_size} sequences of T = {cell.task.length}"
            )
            raise UsageError(
                f"{cell.name} needs more than {(states + batch) / GIB:,.0f} GiB of memory, most of "
                f"it for {what}; this machine has {there / GIB:,.0f}"
            )


def out_of_memory(error: BaseException) -> UsageError | None:
    """What to say of an error of JAX or Python that means so; None of any other one."""
    if isinstance(error, MemoryError):
        said = str(error)
    elif isinstance(error, jax.errors.JaxRuntimeError) and "RESOURCE_EXHAUSTED" in str(error):
        said = str(error).splitlines()[0]
    else:
        return None
    return UsageError(
        f"out of memory: {said or 'no more could be had'}; a smaller model, batch or length, fewer "
        "trials, training.accumulation_steps or model.segment takes less"
    )
