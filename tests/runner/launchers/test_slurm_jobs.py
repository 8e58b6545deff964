"""What SLURM is asked for, read from the arguments of `sbatch`."""

import os
from pathlib import Path

import pytest

from lstm_attn.errors import UsageError
from lstm_attn.runner.launchers import Options
from lstm_attn.runner.launchers.slurm_jobs import SlurmJobs, parse


@pytest.fixture
def sbatch(tmp_path, monkeypatch):
    """A fake SLURM that keeps what is submitted and answers as `sbatch` does; its file of jobs."""
    tools = tmp_path / "bin"
    tools.mkdir()
    kept = tmp_path / "submitted"
    scripts = {
        "sbatch": f'cat "$1" >> {kept}; echo Submitted batch job 12',
        "srun": "",
        "scancel": f'echo "cancel $1" >> {kept}',
        "sacct": "",
    }
    for name, script in scripts.items():
        (tools / name).write_text(f"#!/bin/sh\n{script}\n")
        (tools / name).chmod(0o755)
    monkeypatch.setenv("PATH", f"{tools}:{os.environ['PATH']}")
    return kept


def options(tmp_path, *slurm, cores=1, gpus=0):
    folder = str(tmp_path / "run-submitit")
    return Options("slurm", cores, gpus, slurm=slurm, slurm_folder=folder)


def test_jobs_ask_for_what_the_flags_say(sbatch, tmp_path):
    """Oracle: sbatch's manual, by hand. Catches a setting that is lost or has another name, a job
    for each cell instead of an array, and the five minutes that submitit gives a job."""
    slurm = ("partition=gpu", "exclude=n1", "n2", "array_parallelism=2")
    with SlurmJobs(options(tmp_path, *slurm, cores=3, gpus=1), tmp_path) as jobs:
        launched = jobs.launch([Path("a"), Path("b"), Path("c")])
        text = sbatch.read_text()
        for line in (
            "#SBATCH --partition=gpu", "#SBATCH --exclude=n1,n2", "#SBATCH --cpus-per-task=3",
            "#SBATCH --gpus-per-node=1", "#SBATCH --time=240", "#SBATCH --array=0-2%2",
        ):  # fmt: skip
            assert line in text.splitlines(), text
        assert jobs.at_once is None
        assert not launched[0].ended()
        launched[1].cancel()
        assert "cancel 12_1" in sbatch.read_text()


def test_a_refusal_of_sbatch_is_one_line(sbatch, tmp_path):
    """Catches a traceback for a partition that does not exist."""
    (tmp_path / "bin" / "sbatch").write_text(
        "#!/bin/sh\necho sbatch: error: invalid partition specified: gpu >&2\nexit 1\n"
    )
    with SlurmJobs(options(tmp_path), tmp_path) as jobs, pytest.raises(UsageError) as caught:
        jobs.launch([Path("a")])
    assert "invalid partition specified: gpu" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_settings_of_slurm():
    """Oracle: by hand. Catches a list split at its comma, and minutes that stay text."""
    pieces = ["partition=a", "b", "time=90", "comment=x=y"]
    assert parse(pieces) == {"partition": "a,b", "time": 90, "comment": "x=y"}
