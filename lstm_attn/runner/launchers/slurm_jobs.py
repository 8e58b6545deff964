"""Cells as jobs of SLURM, by submitit, or as processes here, by submitit's local executor."""

import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import submitit
from submitit.core.utils import FailedJobError, FailedSubmissionError, UncompletedJobError
from submitit.helpers import Checkpointable

from lstm_attn import host, training
from lstm_attn.errors import UsageError, unknown_name
from lstm_attn.runner import worker
from lstm_attn.runner.launchers import Lost, Options

CLUSTERS = ("slurm", "local")
# The default time limit of a job; submitit's own is 5.
MINUTES = 240
# How often a job that ran out of time is queued again; it resumes from its checkpoint.
TIMEOUTS = 1000
WHOLE = ("time", "signal_delay_s", "array_parallelism")
WORDS = (
    "partition", "qos", "account", "constraint", "exclude", "nodelist", "gres", "mem",
    "mem_per_cpu", "mem_per_gpu", "dependency", "comment", "mail_type", "mail_user", "wckey",
)  # fmt: skip


class Attempt(Checkpointable):
    """`worker.attempt`; SLURM queues a job that it stops again, with the same arguments."""

    def __call__(self, folder: str, cores: int, cache: str) -> str | None:
        return worker.attempt(folder, cores, cache)


class SlurmJob:
    """One job; submitit and SLURM queue it again when its time is over or its node is lost."""

    def __init__(self, job: submitit.Job) -> None:
        self._job = job

    def ended(self) -> bool:
        return self._job.done()

    def answer(self) -> str | None:
        # Without this file, `result` would wait for it for a quarter of a minute.
        if not self._job.paths.result_pickle.exists():
            raise Lost(f"job {self._job.job_id} ended as {self._job.state}")
        try:
            return self._job.result()
        except FailedJobError as error:
            return str(error)  # it did not start: the node lacks a package
        except UncompletedJobError as error:
            raise Lost(str(error).partition("\n")[0]) from error

    def cancel(self) -> None:
        self._job.cancel(check=False)


class SlurmJobs:
    """Submits jobs; jobs submitted together form one job array."""

    def __init__(self, options: Options, workdir: Path) -> None:
        self._options = options
        self._folder = Path(options.slurm_folder or f"{workdir}-submitit")
        self._parameters = parse(options.slurm)
        self._cluster = self._parameters.pop("cluster", CLUSTERS[0])
        if self._cluster == "slurm" and not (shutil.which("sbatch") and shutil.which("srun")):
            raise UsageError(
                "--launcher=slurm: found no sbatch and srun here; submit from a machine that has "
                "them, or run the jobs on this one with --slurm=cluster=local"
            )
        local = self._cluster == "local"
        self.at_once = max(1, host.usable_cores() // options.cell_cores) if local else None

    def __enter__(self) -> "SlurmJobs":
        try:
            executor = submitit.AutoExecutor(
                self._folder, self._cluster, slurm_max_num_timeout=TIMEOUTS
            )
        except OSError as error:
            raise UsageError(
                f"--slurm_folder: {self._folder} can't be written: {error.strerror}"
            ) from error
        executor.update_parameters(
            name="lstm_attn",
            timeout_min=self._parameters.get("time", MINUTES),
            cpus_per_task=self._options.cell_cores,
            gpus_per_node=self._options.cell_gpus,
            **{f"slurm_{key}": v for key, v in self._parameters.items() if key != "time"},
        )
        self._executor = executor
        return self

    def __exit__(self, *error: object) -> None:
        pass

    def launch(self, folders: Sequence[Path]) -> list[SlurmJob]:
        cache = training.compilation_cache_folder()
        try:
            with self._executor.batch():
                jobs = [
                    self._executor.submit(
                        Attempt(), str(folder.resolve()), self._options.cell_cores, cache
                    )
                    for folder in folders
                ]
        except (FailedJobError, FailedSubmissionError) as error:
            raise UsageError(f"--slurm: sbatch refused: {' '.join(str(error).split())}") from error
        return [SlurmJob(job) for job in jobs]


def parse(pieces: Sequence[str]) -> dict[str, Any]:
    """The settings of --slurm; a piece without `=` continues the list before it, as in exclude.

    Raises:
      UsageError: an unknown key, or a value that does not fit it.
    """
    settings: dict[str, Any] = {}
    key = ""
    for piece in pieces:
        name, equals, value = piece.partition("=")
        if not equals:
            if not key:
                raise UsageError(f"--slurm: expected key=value, got {piece!r}")
            settings[key] += f",{piece}"
            continue
        key = name
        if key not in ("cluster", *WHOLE, *WORDS):
            raise unknown_name("--slurm key", key, ("cluster", *WHOLE, *WORDS))
        settings[key] = value
    for key in settings.keys() & set(WHOLE):
        if not settings[key].isdecimal() or int(settings[key]) == 0:
            raise UsageError(
                f"--slurm: {key}: expected a whole number of at least 1, got {settings[key]!r}"
            )
        settings[key] = int(settings[key])
    if settings.get("cluster", CLUSTERS[0]) not in CLUSTERS:
        raise unknown_name("--slurm cluster", settings["cluster"], CLUSTERS)
    return settings
