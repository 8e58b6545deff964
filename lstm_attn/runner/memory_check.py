"""Refuses cells that need more memory than this machine has, before they are compiled.

Otherwise such a cell would compile for an hour, or fail half-way.
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
    """Lower bounds of the bytes of the trials' states and of a batch, in closed form.

        states: R 3 (4 H (D + H))                     the LSTM's kernels; others match its size
        batch:  B / accumulation_steps T (D + O)      inputs and outputs of one trial

    Token ids are embedded, D = H.
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
    """Memory of all devices of all hosts together; None where it isn't known."""
    devices = jax.local_devices()
    if devices[0].platform == "cpu":
        here = host_bytes()
    else:
        stats = [device.memory_stats() or {} for device in devices]
        known = all("bytes_limit" in of_device for of_device in stats)
        here = sum(of_device["bytes_limit"] for of_device in stats) if known else None
    return None if here is None else here * jax.process_count()


def host_bytes() -> int | None:
    """Memory of this computer; None where the system does not say."""
    names = getattr(os, "sysconf_names", {})
    if not {"SC_PAGE_SIZE", "SC_PHYS_PAGES"} <= names.keys():
        return None
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")


def check_fits(cells: Sequence[Cell]) -> None:
    """Raises UsageError for the first cell whose lower bound exceeds this machine's memory."""
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
    """The message for an out-of-memory error of JAX or Python; None for any other error."""
    if isinstance(error, MemoryError):
        said = str(error)
    elif isinstance(error, jax.errors.JaxRuntimeError) and "RESOURCE_EXHAUSTED" in str(error):
        said = str(error).splitlines()[0]
    else:
        return None
    return UsageError(
        f"out of memory: {said or 'an allocation failed'}; a smaller model, batch or length, fewer "
        "trials, training.accumulation_steps or model.segment takes less"
    )
