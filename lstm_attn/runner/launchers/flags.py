"""--launcher and the flags that go with it, for `lstm_attn.runner.command` alone."""

from absl import flags

from lstm_attn.runner.launchers import LOCAL, Options

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
    "Where submitit keeps the scripts and logs of jobs, visible to all nodes; WORKDIR-submitit by "
    "default. It holds pickles: nobody else should be able to write there.",
)


def options() -> Options:
    """What the flags say."""
    return Options(
        launcher=LAUNCHER.value,
        cell_cores=CORES.value,
        cell_gpus=GPUS.value,
        ray_address=RAY_ADDRESS.value,
        slurm=tuple(SLURM.value),
        slurm_folder=SLURM_FOLDER.value,
    )
