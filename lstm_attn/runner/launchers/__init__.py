"""Who trains the cells of a grid: this process, tasks of Ray or jobs of SLURM (`--launcher`).

With ray and slurm each cell is trained by a worker (`lstm_attn.runner.worker`) in a folder
of its own, WORKDIR/cells/CELL. This process takes what is finished into WORKDIR, which all of them
see on one file system. A worker that is lost, by force or with its machine, is replaced; the next
one goes on from the last checkpoint of the cell, and so does the same command with any launcher.

A launcher is one file here and one line in LAUNCHERS.
"""

import importlib
from pathlib import Path

from absl import flags

from lstm_attn.errors import UsageError, check_whole, unknown_name
from lstm_attn.runner.launchers.work import Launcher, Options

LOCAL = "local"
# Module and class of each, and the flags that it reads. A module wants a library, an extra of the
# launcher's name.
LAUNCHERS: dict[str, tuple[str, str, tuple[str, ...]]] = {
    "ray": ("ray_tasks", "RayTasks", ("cell_cores", "cell_gpus", "ray_address")),
    "slurm": ("slurm_jobs", "SlurmJobs", ("cell_cores", "cell_gpus", "slurm", "slurm_folder")),
}
LAUNCHER = flags.DEFINE_string(
    "launcher",
    LOCAL,
    "Who trains the cells of a grid: local (this process, one after the other), ray (tasks of "
    "Ray) or slurm (jobs of SLURM, by submitit).",
)
CORES = flags.DEFINE_integer("cell_cores", 1, "CPU cores of a cell's task or job.")
GPUS = flags.DEFINE_integer("cell_gpus", 0, "GPUs of a cell's task or job.")
RAY_ADDRESS = flags.DEFINE_string(
    "ray_address",
    None,
    "The Ray cluster, such as auto or HOST:6379. Otherwise $RAY_ADDRESS, or a cluster of this "
    "machine alone for the length of the run.",
)
SLURM = flags.DEFINE_list(
    "slurm",
    [],
    "What a job asks SLURM for, as key=value,... by submitit's names: partition=gpu,time=60 (in "
    "minutes). cluster=local runs the jobs on this machine, without SLURM.",
)
SLURM_FOLDER = flags.DEFINE_string(
    "slurm_folder",
    None,
    "Where submitit keeps the scripts and logs of jobs, seen by all nodes: WORKDIR-submitit unless "
    "given. It holds pickles, so nobody else should be able to write there.",
)


def chosen(workdir: Path) -> Launcher | None:
    """What --launcher and its flags ask for; None where this process is to train the cells.

    Nothing is started or written yet.

    Raises:
      UsageError: an unknown launcher, one whose library is missing, a flag that does not fit it.
    """
    name = LAUNCHER.value
    if name != LOCAL and name not in LAUNCHERS:
        raise unknown_name("--launcher", name, (LOCAL, *LAUNCHERS))
    module, maker, read = LAUNCHERS.get(name, ("", "", ()))
    for flag in sorted({flag for _, _, names in LAUNCHERS.values() for flag in names}):
        if flag not in read and flags.FLAGS[flag].present:
            users = " or ".join(user for user, (_, _, names) in LAUNCHERS.items() if flag in names)
            raise UsageError(f"--{flag}: wants --launcher={users}, got {name}")
    if not module:
        return None
    check_whole("--cell_cores", CORES.value)
    check_whole("--cell_gpus", GPUS.value, 0)
    options = Options(
        cores=CORES.value,
        gpus=GPUS.value,
        ray_address=RAY_ADDRESS.value,
        slurm=tuple(SLURM.value),
        slurm_folder=Path(SLURM_FOLDER.value or f"{workdir}-submitit"),
    )
    try:
        made = getattr(importlib.import_module(f"{__name__}.{module}"), maker)
    except ModuleNotFoundError as error:
        raise UsageError(
            f"--launcher={name} wants `pip install 'lstm_attn[{name}]'`: {error.msg}"
        ) from error
    return made(options)


def check_local(why: str) -> None:
    """Raises UsageError unless this process is to train the cells itself."""
    if LAUNCHER.value != LOCAL:
        raise UsageError(f"--launcher: expected {LOCAL}, got {LAUNCHER.value}: {why}")
