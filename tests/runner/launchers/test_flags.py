"""The settings that a launcher's options give, and the errors of options that don't fit."""

import subprocess
import sys
from pathlib import Path

import pytest

from lstm_attn.errors import UsageError
from lstm_attn.runner import launchers
from lstm_attn.runner.launchers import Options


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"launcher": "rya"}, "unknown --launcher 'rya': did you mean ray? known are local, ray, slurm"),
        ({"cell_cores": 2}, "--cell_cores: wants --launcher=ray or slurm, got local"),
        ({"launcher": "ray", "slurm": ("time=5",)}, "--slurm: wants --launcher=slurm, got ray"),
        ({"launcher": "ray", "cell_cores": 0}, "--cell_cores: expected at least 1, got 0"),
        ({"launcher": "ray", "cell_gpus": -1}, "--cell_gpus: expected at least 0, got -1"),
        ({"launcher": "slurm", "slurm": ("cluster=local", "tmie=5",)}, "unknown --slurm key 'tmie': did you mean time"),
        ({"launcher": "slurm", "slurm": ("cluster=local", "time=1h",)}, "--slurm: time: expected a whole number of at least 1, got '1h'"),
        ({"launcher": "slurm", "slurm": ("gpu",)}, "--slurm: expected key=value, got 'gpu'"),
        ({"launcher": "slurm", "slurm": ("cluster=loca",)}, "unknown --slurm cluster 'loca': did you mean local?"),
    ],
)  # fmt: skip
def test_flags_that_do_not_fit_are_one_line(values, message):
    """Oracle: the line, by hand. Catches a flag that does nothing, and a traceback."""
    with pytest.raises(UsageError) as caught:
        launchers.chosen(Options(**values), Path("run"))
    assert str(caught.value).startswith(message)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(("launcher", "library"), [("ray", "ray"), ("slurm", "submitit")])
def test_a_missing_library_is_one_line(launcher, library, monkeypatch):
    """Catches a traceback where the extra is not installed."""
    monkeypatch.setitem(sys.modules, library, None)
    module = f"lstm_attn.runner.launchers.{launchers.LAUNCHERS[launcher][0]}"
    monkeypatch.delitem(sys.modules, module, raising=False)
    with pytest.raises(UsageError) as caught:
        launchers.chosen(Options(launcher), Path("run"))
    assert str(caught.value).startswith(
        f"--launcher={launcher} wants `pip install 'lstm_attn[{launcher}]'`: "
    )


def test_slurm_without_slurm_is_one_line(monkeypatch):
    """Catches submitit's own choice, which is silently to run the jobs on this machine."""
    monkeypatch.setenv("PATH", "")
    with pytest.raises(UsageError, match="found no sbatch and srun here"):
        launchers.chosen(Options("slurm"), Path("run"))


def test_the_usual_launcher_is_this_process():
    """Catches a grid that needs a library or a cluster where nobody asked for one."""
    assert launchers.chosen(Options(), Path("run")) is None


def test_a_launcher_needs_no_flags():
    """Oracle: absl's table of flags in a process of its own. Catches a flag of the package that
    collides with a flag of a notebook or of another program."""
    code = (
        "import lstm_attn.runner.launchers, lstm_attn.runner.train_grid; from absl import flags;"
        "assert not {'launcher', 'workdir', 'slurm'} & set(flags.FLAGS)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
