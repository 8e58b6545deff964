"""Several processes as one run: who leads, what all of them agree on, arrays that lie on all.

Every process runs the same program on the same config; XLA's collectives tie their devices
together. Where a decision hangs on what only one of them can know, a clock or a file, the leader
decides and the others follow: or else they would run different programs and wait for each other
for ever. What is asked for here is asked for by every process, in the same order.

A process that dies ends the others: at once where they wait for its part of a collective on a CPU,
after JAX's heartbeat timeout, 100 s, where they don't.
"""

import hashlib
import json
import os
import socket
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NoReturn

import jax
import numpy as np
from jax.experimental import multihost_utils

from lstm_attn.errors import UsageError

START_SECONDS, SHUTDOWN_SECONDS = 300, 30
# Bytes are sent in blocks of a power of two, so that few programs are compiled for it.
SMALLEST_BLOCK, LARGEST_BLOCK = 2**10, 2**22


def initialize(
    coordinator_address: str | None = None,
    num_processes: int | None = None,
    process_id: int | None = None,
) -> None:
    """`jax.distributed.initialize`, with one line for what a user can do wrong.

    Call it before JAX computes. A process waits START_SECONDS for the others.

    Args:
      coordinator_address: host:port on which process 0 listens.
      num_processes, process_id: how many there are, and which of them this is. All three None: JAX
        looks for SLURM, Open MPI, Kubernetes or a Cloud TPU.

    Raises:
      UsageError: nothing is found, or an address that can't be used.
    """
    if coordinator_address is not None:
        _check_address(coordinator_address, listens=process_id == 0)
    try:
        jax.distributed.initialize(
            coordinator_address,
            num_processes,
            process_id,
            initialization_timeout=START_SECONDS,
            shutdown_timeout_seconds=SHUTDOWN_SECONDS,
        )
    except (ValueError, RuntimeError) as error:
        raise UsageError(
            f"the processes of this run can't be found: {str(error).splitlines()[0]} (expected "
            "SLURM, Open MPI, Kubernetes or a Cloud TPU, or --coordinator_address, "
            "--num_processes and --process_id)"
        ) from error


def _check_address(address: str, *, listens: bool) -> None:
    """Raises UsageError where JAX would end the process with a stack of C++."""
    host, _, port = address.rpartition(":")
    if not host or not port.isdecimal() or not 0 < int(port) < 2**16:
        raise UsageError(f"coordinator_address: expected host:port, got {address!r}")
    try:
        if listens:
            socket.create_server(("", int(port))).close()
            return
        socket.getaddrinfo(host, int(port))
    except OSError as error:
        raise UsageError(f"coordinator_address {address}: {error.strerror}") from error
    until = time.monotonic() + START_SECONDS
    while True:
        try:
            socket.create_connection((host, int(port)), timeout=5).close()
            return
        except OSError as error:
            if time.monotonic() > until:
                raise UsageError(
                    f"coordinator_address {address}: process 0 was not reached within "
                    f"{START_SECONDS} s: {error}"
                ) from error
        time.sleep(0.2)


def several() -> bool:
    """Whether this run has more than one process."""
    return jax.distributed.is_initialized() and jax.process_count() > 1


def leads() -> bool:
    """Whether this process is the one that writes and speaks."""
    return not several() or jax.process_index() == 0


def agreed(decide: Callable[[], Any]) -> Any:
    """What the leader decides, in every process; nobody goes on before all have come here.

    Args:
      decide: gives a JSON value; called by the leader alone.

    Raises:
      UsageError: what `decide` raised, in every process.
    """
    if not several():
        return decide()
    said: dict[str, Any] = {}
    if leads():
        try:
            said = {"value": decide()}
        except UsageError as error:
            said = {"error": str(error)}
    said = json.loads(_from_leader(json.dumps(said).encode()))
    if "error" in said:
        raise UsageError(said["error"])
    return said["value"]


def wait() -> None:
    """Until every process has come here.

    The first collective of a new group of CPU devices fails if one of them is 30 s late; this one
    waits half an hour, since its group is as old as the run. So processes wait here after a
    compilation.
    """
    agreed(lambda: None)


def check_alike(what: str, value: Any) -> None:
    """Raises UsageError in every process unless all of them have the same JSON value."""
    if not several():
        return
    digest = hashlib.sha256(json.dumps(value, sort_keys=True).encode()).digest()
    all_of_them = multihost_utils.process_allgather(np.frombuffer(digest, np.uint8))
    for process, theirs in enumerate(all_of_them):
        if not np.array_equal(theirs, all_of_them[0]):
            raise UsageError(f"process {process} was started with another {what} than process 0")


def copy_files(source: Path, names: Callable[[], list[str]], target: Path) -> None:
    """Copies files of the leader's folder into a folder of each other process.

    Args:
      source: the leader's folder; no other process looks there.
      names: gives those of the files, relative to the folder; called by the leader alone.
      target: the folder of a process that does not lead.
    """
    for name in agreed(names):
        content = _from_leader((source / name).read_bytes() if leads() else b"")
        if not leads():
            (target / name).parent.mkdir(parents=True, exist_ok=True)
            (target / name).write_bytes(content)


def whole(tree: Any) -> Any:
    """The tree with numpy arrays for its arrays, gathered from the devices of all processes."""
    return jax.tree.map(_whole, tree)


def _whole(array: jax.Array) -> np.ndarray:
    if not isinstance(array, jax.Array) or array.is_fully_addressable:
        return np.asarray(array)
    return multihost_utils.process_allgather(array, tiled=True)


def placed(tree: Any, shardings: Any) -> Any:
    """The tree of host arrays, whole in every process, on devices as the shardings say."""

    def place(array: np.ndarray, sharding: jax.sharding.Sharding) -> jax.Array:
        return jax.make_array_from_callback(array.shape, sharding, lambda index: array[index])

    return jax.tree.map(place, tree, shardings)


def is_loss(error: Exception) -> bool:
    """Whether a collective failed since another process is gone; JAX raises it as several types."""
    message = str(error).lower()
    return several() and any(sign in message for sign in ("gloo", "nccl", "coordination"))


def end(status: int, grace: float) -> NoReturn:
    """Ends this process when the others end too, or else after some seconds of grace.

    An exit of Python would wait longer for the others, and JAX would then end it in C++. So it ends
    those that are left behind when the leader goes.
    """
    if grace:
        timer = threading.Timer(grace, os._exit, (status,))
        timer.daemon = True
        timer.start()
        jax.distributed.shutdown()
    os._exit(status)


def _from_leader(content: bytes) -> bytes:
    """The leader's bytes, in every process."""
    length = int.from_bytes(_send(len(content).to_bytes(8, "little")), "little")
    blocks = []
    for start in range(0, length, LARGEST_BLOCK):
        size = min(length - start, LARGEST_BLOCK)
        room = max(SMALLEST_BLOCK, 1 << (size - 1).bit_length())
        block = content[start : start + size].ljust(room, b"\0") if leads() else bytes(room)
        blocks.append(_send(block)[:size])
    return b"".join(blocks)


def _send(block: bytes) -> bytes:
    return multihost_utils.broadcast_one_to_all(np.frombuffer(block, np.uint8)).tobytes()
