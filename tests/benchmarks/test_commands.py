"""Each benchmark's command at tiny sizes, its errors, and all benchmarks in one process."""

import importlib
import json
import os
import subprocess
import sys

import pytest
from absl import flags

from benchmarks import command
from lstm_attn.errors import UsageError
from tests import PATIENCE
from tools.pages.benchmark_sections import SECTIONS
from tools.pages.readme import ROOT

TINY = {
    "recurrent": ["--shape=2,3,2,4", "--cell=lstm"],
    "training": ["--shape=2,3,2,4"],
    "attention": ["--size=1,8"],
    "memory": ["--length=16", "--attention_length=16"],
    "decoding": ["--batch=2", "--room=16"],
}


def start(name, *given):
    return subprocess.run(
        [sys.executable, "-m", f"benchmarks.{name}", *given],
        cwd=ROOT, env={**os.environ, "PYTHONWARNINGS": "error::RuntimeWarning"},
        capture_output=True, text=True, timeout=PATIENCE,
    )  # fmt: skip


@pytest.mark.full
@pytest.mark.parametrize("name", TINY)
def test_a_benchmark_writes_its_record_and_its_figure(name, tmp_path):
    """Catches a record without machine, versions or samples, a table without rows, a section that
    the README can't show."""
    output = tmp_path / "deep" / f"{name}.json"
    result = start(name, *TINY[name], "--rounds=2", f"--output={output}")
    assert result.returncode == 0, result.stderr
    record = json.loads(output.read_text())
    assert record["benchmark"] == name
    assert record["device"] == "cpu"
    assert record["versions"]["jax"]
    assert record["rows"]
    for row in record["rows"]:
        assert len(row["samples"]) == 2
        assert row["lower_quartile_seconds"] <= row["median_seconds"]
        assert row["median_seconds"] <= row["upper_quartile_seconds"]
        assert row["name"] in result.stdout
    assert output.with_suffix(".png").read_bytes().startswith(b"\x89PNG")
    assert "| --- |" in SECTIONS[name](record)


@pytest.mark.full
@pytest.mark.parametrize(
    ("name", "flag", "message"),
    [
        ("training", "--shape=2,3,2", "--shape: expected B,T,D,H as whole numbers, got '2,3,2'"),
        ("recurrent", "--cell=lsmt", "--cell=lsmt: value should be one of <lstm|gru>"),
        ("decoding", "--rounds=0", "rounds"),
        ("trial_layouts", "everything", "unexpected argument 'everything'"),
    ],
)
def test_a_mistake_is_one_line_and_status_2(name, flag, message):
    """Catches a traceback, and work begun before the flags are checked."""
    result = start(name, flag)
    assert result.returncode == 2, result.stderr
    assert message in result.stderr
    assert result.stderr.count("\n") == 1, result.stderr
    assert result.stdout == ""


def test_sizes_by_axis_letter():
    """Oracle: by hand. Catches sizes in another order, and a size of zero."""
    assert command.sizes("size", ["1,8", "2, 3"], "BT") == [(1, 8), (2, 3)]
    assert command.sizes("size", None, "BT") == []
    with pytest.raises(UsageError, match="^--size: expected B,T as whole numbers, got '8'$"):
        command.sizes("size", ["8"], "BT")
    with pytest.raises(UsageError, match="^--text: expected sizes of at least 1, got '2,0,4'$"):
        command.sizes("text", ["2,0,4"], "BTH")


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ("figures.txt", "--output: expected NAME.json, got 'figures.txt'"),
        ("/dev/null/deep/x.json", "can't be written: Not a directory"),
    ],
)
def test_an_output_that_cannot_be_written_is_one_line(value, message):
    """Catches an hour of measuring before the first write fails."""
    with pytest.raises(UsageError, match=message):
        command.checked_output(value)


def test_no_module_defines_a_flag_when_it_is_imported():
    """Catches two benchmarks that define one flag, so that one process can't import both."""
    for path in (ROOT / "benchmarks").glob("*.py"):
        importlib.import_module(f"benchmarks.{path.stem}")
    by_module = flags.FLAGS.flags_by_module_dict()
    assert not [name for name in by_module if name.startswith("benchmarks.")]
