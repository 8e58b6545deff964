"""The whole job against an idiomatic Flax loop: both sides do the same job."""

import json
import subprocess
import sys

import numpy as np

from benchmarks import flax_loop
from tests.test_layering import ROOT


def test_the_peers_data_are_the_adding_problem():
    """Oracle: the definition of Arjovsky et al. 2016. Catches a marker in the wrong half, a target
    that is not the sum of the two marked values, or not due at the last step alone."""
    batch = flax_loop.adding(np.random.default_rng(0), 64, 9)
    values, marked = batch.inputs[..., 0], batch.inputs[..., 1]
    assert (marked[:, :4].sum(axis=1) == 1).all()
    assert (marked[:, 4:].sum(axis=1) == 1).all()
    assert ((values >= 0) & (values < 1)).all()
    np.testing.assert_allclose(batch.targets[:, -1], (values * marked).sum(axis=1), rtol=1e-6)
    assert (batch.mask.sum(axis=1) == 1).all()
    assert batch.mask[:, -1].all()


def test_a_tiny_job_ends_with_a_record_and_a_picture(tmp_path):
    """Catches a trial that is lost on the way, and a side that never ends."""
    output = tmp_path / "job.json"
    command = [sys.executable, "-m", "benchmarks.whole_job", "--length=2", "--steps=200"]
    command += ["--features=2", f"--output={output}"]
    result = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert result.returncode == 0, result.stderr
    record = json.loads(output.read_text())
    for row in record["rows"].values():
        seconds = [second for second, _ in row["ends"]]
        assert len(seconds) == 8
        assert sorted(seconds) == seconds
        assert row["solved"] == sum(solved for _, solved in row["ends"])
    expected = record["rows"]["flax"]["seconds"] / record["rows"]["ours"]["seconds"]
    assert record["speed"] == expected
    assert output.with_suffix(".png").stat().st_size > 1000
