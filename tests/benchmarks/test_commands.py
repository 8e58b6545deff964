"""Each benchmark as a user starts it, at tiny sizes."""

import json
import os
import subprocess
import sys

import pytest

from tests import PATIENCE
from tools.pages.benchmark_sections import SECTIONS
from tools.pages.readme import ROOT

TINY = {
    "recurrent": ["--shape=2,3,2,4", "--cells=lstm"],
    "training": ["--shape=2,3,2,4"],
    "attention": ["--size=1,8"],
    "memory": ["--length=16", "--attention_length=16"],
    "decoding": ["--batch=2", "--room=16"],
}


def start(name, *flags):
    return subprocess.run(
        [sys.executable, "-m", f"benchmarks.{name}", *flags],
        cwd=ROOT, env={**os.environ, "PYTHONWARNINGS": "error::RuntimeWarning"},
        capture_output=True, text=True, timeout=PATIENCE,
    )  # fmt: skip


@pytest.mark.full
@pytest.mark.parametrize("name", TINY)
def test_a_benchmark_writes_its_record_and_its_picture(name, tmp_path):
    """Catches a figure without machine, versions or samples, a table without rows, a section that
    the README can't have."""
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
        ("training", "--text_shape=2,0,4", "text_shape: expected sizes of at least 1, got '2,0,4'"),
        ("recurrent", "--cells=lsmt", "unknown cell 'lsmt': did you mean lstm"),
        ("attention", "--size=8", "--size: expected B,T as whole numbers, got '8'"),
        ("attention", "--outptu=x", "Unknown command line flag 'outptu'"),
        ("decoding", "--rounds=0", "rounds"),
        ("memory", "--output=figures.txt", "--output: expected NAME.json, got 'figures.txt'"),
        ("memory", "--output=/dev/null/deep/x.json", "can't be written: Not a directory"),
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
