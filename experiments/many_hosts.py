"""A study in several processes, on one host or many: one run folder, and one of them speaks.

    srun python -m experiments.compare --distributed --config=configs/quick.py --workdir=runs/quick

The leader works in --workdir. Each other process works in a folder of its own that begins as a copy
of it, so that every process finds the same and decides the same; no file system need be shared.
"""

import contextlib
import os
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any, TextIO

import jax
from absl import flags

from experiments import border
from lstm_attn.errors import UsageError
from lstm_attn.runs import RunFolder
from lstm_attn.training import hosts

LOST_STATUS = 1
# Why one process may fail alone: its disk, its memory. It then says so itself.
OF_ONE_PROCESS = (OSError, MemoryError, jax.errors.JaxRuntimeError)
GRACE_SECONDS = 5  # for the others to end in the same way

DISTRIBUTED = flags.DEFINE_bool(
    "distributed",
    False,
    "Train in several processes, started with the same command: by SLURM, Open MPI, Kubernetes or "
    "on a Cloud TPU, where JAX finds them itself.",
)
ADDRESS = flags.DEFINE_string(
    "coordinator_address", None, "For processes started by hand: host:port of process 0."
)
PROCESSES = flags.DEFINE_integer(
    "num_processes", None, "How many processes are started by hand.", lower_bound=1
)
PROCESS = flags.DEFINE_integer(
    "process_id", None, "Which of the processes this is: 0, 1, ...", lower_bound=0
)


def asked_for() -> bool:
    """Whether the flags speak of other processes."""
    return DISTRIBUTED.value or (ADDRESS.value, PROCESSES.value, PROCESS.value) != (None,) * 3


def start() -> None:
    """Joins this process with the others, if the flags speak of others.

    Raises:
      UsageError: flags that do not fit together, or no other process found.
    """
    address, processes, process = ADDRESS.value, PROCESSES.value, PROCESS.value
    if address is None or processes is None or process is None:
        if (address, processes, process) != (None, None, None):
            raise UsageError(
                "--coordinator_address, --num_processes, --process_id: expected all or none of "
                f"them, got {address}, {processes}, {process}"
            )
        if DISTRIBUTED.value:
            hosts.initialize()
        return
    if process >= processes:
        raise UsageError(
            f"--process_id: expected less than --num_processes={processes}, got {process}"
        )
    hosts.initialize(address, processes, process)


def work_together(path: str, config: dict[str, Any], work: Callable[[RunFolder], int]) -> int:
    """Does the work in the run folder at the path, as one of all processes of the run.

    Args:
      path: the leader's folder; no other process looks there.
      work: gives a status, the same in every process.

    Returns:
      The status. Other processes than the leader are silent, but for an error of their own.
    """
    if not hosts.several():
        return work(RunFolder.open(path, config))
    grace = GRACE_SECONDS
    with contextlib.ExitStack() as stack:
        if not hosts.leads():
            stack.enter_context(contextlib.redirect_stdout(stack.enter_context(_nowhere())))
            path = stack.enter_context(tempfile.TemporaryDirectory(prefix="lstm_attn-"))
        try:
            status = work(_open(path, config))
            if status == 0:
                hosts.wait()  # the leader may have more to do
                return 0
        except UsageError as error:
            status = border.USAGE_STATUS
            if hosts.leads() or isinstance(error.__cause__, OF_ONE_PROCESS):
                _say(error)
        except (RuntimeError, ValueError) as error:
            if not hosts.is_loss(error):
                raise
            status, grace = LOST_STATUS, 0
            _say(
                "another process of this run has ended, and so does this one; the same command "
                f"goes on ({str(error).splitlines()[0]})"
            )
    hosts.end(status, grace)


def _open(path: str, config: dict[str, Any]) -> RunFolder:
    """The run folder of this process."""
    hosts.check_alike("config", config)
    opened = []
    hosts.agreed(lambda: opened.append(RunFolder.open(path, config)))
    hosts.copy_files(Path(path), lambda: _to_copy(Path(path)), Path(path))
    return opened[0] if opened else RunFolder.open(path, config)


def _to_copy(folder: Path) -> list[str]:
    """What training goes on from, and what a study takes up; not what is drawn from it."""
    found = [*folder.glob("*.json"), *folder.glob("*.jsonl"), *folder.glob("checkpoints/*")]
    # Of cells that the workers of a launcher have begun.
    found += [*folder.glob("cells/*/*.json*"), *folder.glob("cells/*/checkpoints/*")]
    return sorted(str(file.relative_to(folder)) for file in found if file.suffix != ".partial")


def _nowhere() -> TextIO:
    return open(os.devnull, "w")


def _say(message: object) -> None:
    which = "" if hosts.leads() else f"process {jax.process_index()}: "
    print(f"error: {which}{border.one_line(message)}", file=sys.stderr, flush=True)
