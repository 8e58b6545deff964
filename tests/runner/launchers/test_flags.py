"""What --launcher and its flags ask for, or why they don't fit."""

import sys
from pathlib import Path

import pytest
from absl import flags
from absl.testing import flagsaver

from lstm_attn.errors import UsageError
from lstm_attn.runner import launchers
from lstm_attn.studies import horizon


@pytest.fixture
def given():
    """Sets flags as if they had been given: given(launcher="ray") -> a context."""
    before = flags.FLAGS.is_parsed()
    flags.FLAGS.mark_as_parsed()
    yield lambda **values: flagsaver.as_parsed(**values)
    if not before:
        flags.FLAGS.unparse_flags()


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"launcher": "rya"}, "unknown --launcher 'rya': did you mean ray? known are local, ray, slurm"),
        ({"cell_cores": "2"}, "--cell_cores: wants --launcher=ray or slurm, got local"),
        ({"launcher": "ray", "slurm": "time=5"}, "--slurm: wants --launcher=slurm, got ray"),
        ({"launcher": "ray", "cell_cores": "0"}, "--cell_cores: expected at least 1, got 0"),
        ({"launcher": "ray", "cell_gpus": "-1"}, "--cell_gpus: expected at least 0, got -1"),
        ({"launcher": "slurm", "slurm": "cluster=local,tmie=5"}, "unknown --slurm key 'tmie': did you mean time"),
        ({"launcher": "slurm", "slurm": "cluster=local,time=1h"}, "--slurm: time: expected a whole number of at least 1, got '1h'"),
        ({"launcher": "slurm", "slurm": "gpu"}, "--slurm: expected key=value, got 'gpu'"),
        ({"launcher": "slurm", "slurm": "cluster=loca"}, "unknown --slurm cluster 'loca': did you mean local?"),
    ],
)  # fmt: skip
def test_flags_that_do_not_fit_are_one_line(values, message, given):
    """Oracle: the line, by hand. Catches a flag that does nothing, and a traceback."""
    with given(**values), pytest.raises(UsageError) as caught:
        launchers.chosen(Path("run"))
    assert str(caught.value).startswith(message)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(("launcher", "library"), [("ray", "ray"), ("slurm", "submitit")])
def test_a_missing_library_is_one_line(launcher, library, given, monkeypatch):
    """Catches a traceback where the extra is not installed."""
    monkeypatch.setitem(sys.modules, library, None)
    module = f"lstm_attn.runner.launchers.{launchers.LAUNCHERS[launcher][0]}"
    monkeypatch.delitem(sys.modules, module, raising=False)
    with given(launcher=launcher), pytest.raises(UsageError) as caught:
        launchers.chosen(Path("run"))
    assert str(caught.value).startswith(
        f"--launcher={launcher} wants `pip install 'lstm_attn[{launcher}]'`: "
    )


def test_slurm_without_slurm_is_one_line(given, monkeypatch):
    """Catches submitit's own choice, which is to run the jobs here without a word."""
    monkeypatch.setenv("PATH", "")
    with given(launcher="slurm"), pytest.raises(UsageError, match="found no sbatch and srun here"):
        launchers.chosen(Path("run"))


def test_the_usual_launcher_is_this_process(given):
    """Catches a grid that needs a library or a cluster where nobody asked for one."""
    with given():
        assert launchers.chosen(Path("run")) is None


def test_a_search_has_no_launcher(given):
    """Catches --launcher taken and not heeded: a search trains one length after the other."""
    with (
        given(launcher="ray"),
        pytest.raises(UsageError, match="expected local, got ray: the length"),
    ):
        horizon.study(None, None, None)
