"""Each benchmark's command at tiny sizes, and its errors."""

import json
import os
import subprocess
import sys

import pytest

from benchmarks import command
from lstm_attn.errors import UsageError
from tests import PATIENCE
from tools.pages import ROOT

COMPARISONS = ("recurrent", "recurrences", "training", "attention", "memory", "decoding")


def start(*given):
    return subprocess.run(
        [sys.executable, "-m", "benchmarks", *given],
        cwd=ROOT, env={**os.environ, "PYTHONWARNINGS": "error::RuntimeWarning"},
        capture_output=True, text=True, timeout=PATIENCE,
    )  # fmt: skip


@pytest.mark.full
@pytest.mark.parametrize("name", COMPARISONS)
def test_a_benchmark_writes_its_record_and_its_figure(name, tmp_path):
    """Catches a record without machine, versions or samples, a table without rows, a section that
    the README can't show."""
    folder = tmp_path / "deep"
    result = start(name, "--cases=tiny", "--rounds=2", f"--output={folder}")
    assert result.returncode == 0, result.stderr
    record = json.loads((folder / f"{name}.json").read_text())
    assert record["benchmark"] == name
    assert record["device"] == "cpu"
    assert record["versions"]["jax"]
    assert record["rows"]
    for row in record["rows"]:
        assert len(row["samples"]) == 2
        assert row["lower_quartile_seconds"] <= row["median_seconds"]
        assert row["median_seconds"] <= row["upper_quartile_seconds"]
        assert row["name"] in result.stdout
    assert (folder / f"{name}.png").read_bytes().startswith(b"\x89PNG")
    assert "| --- |" in command.BENCHMARKS[name].section(record)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (["recurrnt"], "unknown benchmark 'recurrnt': did you mean recurrent"),
        ([], "name a benchmark, of recurrent, recurrences"),
        (["decoding", "--rounds=0"], "rounds"),
        (["resident_size", "memory"], "resident_size: expected no other benchmark with it"),
    ],
)
@pytest.mark.full
def test_a_mistake_is_one_line_and_status_2(given, message):
    """Catches a traceback, and work begun before the flags are checked."""
    result = start(*given)
    assert result.returncode == 2, result.stderr
    assert message in result.stderr
    assert result.stderr.count("\n") == 1, result.stderr
    assert result.stdout == ""


def test_an_output_that_cannot_be_written_is_one_line():
    """Catches an hour of measuring before the first write fails."""
    with pytest.raises(UsageError, match="can't be written: Not a directory"):
        command.writable_folder("/dev/null/deep")
