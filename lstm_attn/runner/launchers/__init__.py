"""Who trains the cells of a grid: this process, tasks of Ray, or jobs of SLURM.

With ray and slurm, a worker (`worker.py`) trains each cell in a folder of the cell's own,
WORKDIR/cells/CELL, on a file system that all machines share; this process moves finished cells into
WORKDIR. A worker that is killed, or lost with its machine, is replaced. The next one resumes from
the cell's last checkpoint, and so does a rerun with any launcher.

A launcher is one file here and one line in LAUNCHERS.
"""

import dataclasses
import importlib
from collections.abc import Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any, Protocol

from lstm_attn.errors import UsageError, check_numbers, check_whole, unknown_name

LOCAL = "local"
# Module and class of each, and the options that it reads. A module needs a library, which is an
# extra with the launcher's name.
LAUNCHERS: dict[str, tuple[str, str, tuple[str, ...]]] = {
    "ray": ("ray_tasks", "RayTasks", ("cell_cores", "cell_gpus", "ray_address")),
    "slurm": ("slurm_jobs", "SlurmJobs", ("cell_cores", "cell_gpus", "slurm", "slurm_folder")),
}


@dataclasses.dataclass(frozen=True)
class Options:
    """Which launcher trains the cells, and what it is told; the flags have the same names.

    launcher: "local" (this process, one cell after the other), "ray" or "slurm".
    cell_cores, cell_gpus: of one cell's task or job.
    ray_address: of a Ray cluster; None for $RAY_ADDRESS, or else a cluster of this machine alone.
    slurm: "key=value" settings by submitit's names; "cluster=local" needs no SLURM.
    slurm_folder: for the scripts and logs of jobs; None for WORKDIR-submitit.
    """

    launcher: str = LOCAL
    cell_cores: int = 1
    cell_gpus: int = 0
    ray_address: str | None = None
    slurm: tuple[str, ...] = ()
    slurm_folder: str | None = None

    def __post_init__(self) -> None:
        check_numbers(self, "--")


HERE = Options()  # this process


class Lost(Exception):
    """A worker ended without an answer: it was killed, or its machine is gone."""


class Work(Protocol):
    """One worker for one cell: queued, running or ended."""

    def ended(self) -> bool: ...

    def answer(self) -> str | None:
        """What a worker that has ended says: None for success, else why its cell failed.

        Raises:
          Lost: it said nothing.
        """

    def cancel(self) -> None:
        """Ends the worker now, wherever it is."""


class Launcher(AbstractContextManager[Any], Protocol):
    """Starts workers, which run while the context is entered.

    at_once: the most workers at a time; None where the cluster limits them.
    """

    @property
    def at_once(self) -> int | None: ...

    def launch(self, folders: Sequence[Path]) -> Sequence[Work]:
        """Starts one worker for each of these cells' folders, running `worker.attempt` there."""


def chosen(options: Options, workdir: Path) -> Launcher | None:
    """The launcher of these options; None where this process trains the cells.

    Nothing is started or written yet.

    Raises:
      UsageError: an unknown launcher, one whose library is missing, or an option that it lacks.
    """
    name = options.launcher
    if name != LOCAL and name not in LAUNCHERS:
        raise unknown_name("--launcher", name, (LOCAL, *LAUNCHERS))
    module, maker, read = LAUNCHERS.get(name, ("", "", ()))
    for field in dataclasses.fields(Options):
        users = [user for user, (_, _, names) in LAUNCHERS.items() if field.name in names]
        is_given = getattr(options, field.name) != field.default
        if is_given and users and field.name not in read:
            raise UsageError(f"--{field.name}: wants --launcher={' or '.join(users)}, got {name}")
    if not module:
        return None
    check_whole("--cell_cores", options.cell_cores)
    check_whole("--cell_gpus", options.cell_gpus, 0)
    try:
        made = getattr(importlib.import_module(f"{__name__}.{module}"), maker)
    except ModuleNotFoundError as error:
        raise UsageError(
            f"--launcher={name} wants `pip install 'lstm_attn[{name}]'`: {error.msg}"
        ) from error
    return made(options, workdir)


def check_local(options: Options, why: str) -> None:
    """Raises UsageError unless this process is to train the cells itself."""
    if options.launcher != LOCAL:
        raise UsageError(f"--launcher: expected {LOCAL}, got {options.launcher}: {why}")
