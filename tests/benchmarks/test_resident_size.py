"""The hour-long run, shortened to some seconds."""

import json
import os
import subprocess
import sys

import pytest

from benchmarks.resident_size import growth_bytes
from tests import PATIENCE
from tools.pages import ROOT


def test_growth_is_from_the_second_tenth_to_the_last():
    """Oracle: by hand. Catches the start counted as growth, and a leak that is averaged away."""
    sizes = [100, 100, 200, 201, *range(202, 216), 300, 302]  # tenths of two
    assert growth_bytes(sizes) == 301 - 200.5


@pytest.mark.full
def test_chunks_go_by_without_a_compilation_and_the_record_says_so(tmp_path):
    """Oracle: JAX's own events. Catches a program that is compiled again for each chunk, and a cell
    that compiles its chunk twice."""
    output = tmp_path / "resident_size.json"
    result = subprocess.run(
        [sys.executable, "-m", "benchmarks", "resident_size", "--cases=tiny", "--minutes=0.02",
         f"--output={tmp_path}"],
        cwd=ROOT, env=dict(os.environ), capture_output=True, text=True, timeout=PATIENCE,
    )  # fmt: skip
    assert result.returncode == 0, result.stderr
    record = json.loads(output.read_text())
    (row,) = record["rows"]
    assert row["chunks"] > 2
    assert row["compiled"]["jit(advance)"] == 1
    assert row["compiled_between_chunks"] == {}
    assert 2**26 < row["resident_bytes"] < record["limit_bytes"]
    assert output.with_suffix(".png").read_bytes().startswith(b"\x89PNG")
    assert "adding-20-gru" in result.stdout
