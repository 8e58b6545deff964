"""Whole grids by Ray and by submitit, with workers and drivers killed on the way."""

import json
import os
import re
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
from rich.console import Console
from safetensors.numpy import load_file

from lstm_attn.runner import checked_config
from lstm_attn.runner.configs import CompareConfig, grid_cells
from lstm_attn.runner.launchers import cell_folder
from lstm_attn.runner.train_grid import train_missing
from lstm_attn.runs import RunFolder
from tests import PATIENCE
from tests.studies.test_compare import metrics_lines, without_seconds
from tests.study_fixtures import ROOT, TINY

CELLS = ("adding-4-gru", "adding-4-lstm")


def wait_for_lines(folder, count, process):
    """Waits until the metrics in a cell's folder have this many evaluations."""
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline and process.poll() is None:
        try:
            if (folder / "metrics.jsonl").read_text().count("\n") >= count:
                return
        except FileNotFoundError:
            pass
        time.sleep(0.01)
    raise AssertionError(process.communicate(timeout=PATIENCE))


def worker_of(folder):
    return json.loads((folder / ".lock").read_text())["process"]


def assert_same_run(workdir, reference):
    """Bit for bit, except seconds: in the same order, and with the same files."""
    results = [json.loads((path / "results.json").read_text()) for path in (workdir, reference)]
    assert without_seconds(results[0]) == without_seconds(results[1])
    assert without_seconds(metrics_lines(workdir)) == without_seconds(metrics_lines(reference))
    for cell in CELLS:
        ours, theirs = (
            load_file(path / "checkpoints" / f"{cell}.safetensors") for path in (workdir, reference)
        )
        assert ours.keys() == theirs.keys()
        for name in ours:
            np.testing.assert_array_equal(ours[name], theirs[name])
    ours, theirs = ({p.name for p in path.iterdir()} for path in (workdir, reference))
    assert ours == theirs


@pytest.mark.full
def test_a_killed_worker_of_ray_loses_nothing(compare, whole, tmp_path):
    """Identity with the run of one process. Catches a cell that is lost with its worker, starts
    again or is counted twice, depends on the number of devices, and a grid in another order."""
    workdir = tmp_path / "run"
    process = compare(workdir, *TINY, "--launcher=ray")
    own = workdir / "cells" / CELLS[1]
    wait_for_lines(own, 20, process)
    os.kill(worker_of(own), signal.SIGKILL)
    out, err = process.communicate(timeout=PATIENCE)
    assert process.returncode == 0, err
    lost = re.search(
        "adding-4-lstm: its worker was lost .*; another goes on from step ([0-9]+)", out
    )
    assert 100 <= int(lost[1]) < 1500
    assert f"report: {workdir}/report.html" in out.replace("\n", "")
    assert_same_run(workdir, whole[0])


@pytest.mark.full
def test_a_killed_driver_loses_nothing(compare, whole, tmp_path):
    """Identity with the run of one process. The jobs of submitit outlive their driver. One of them
    is killed too; then the same command is run again. Catches a job whose work is ignored, a second
    worker at a cell, and a cell that nobody finishes."""
    workdir = tmp_path / "run"
    command = (*TINY, "--launcher=slurm", "--slurm=cluster=local")
    process = compare(workdir, *command)
    own = [workdir / "cells" / cell for cell in CELLS]
    for folder in own:
        wait_for_lines(folder, 20, process)
    process.kill()
    process.wait(timeout=PATIENCE)
    os.kill(worker_of(own[0]), signal.SIGKILL)

    again = compare(workdir, *command)
    out, err = again.communicate(timeout=PATIENCE)
    assert again.returncode == 0, err
    assert "adding-4-gru step " in out  # it did not start again
    for pipe in (process.stdout, process.stderr):  # its jobs had inherited them
        pipe.close()
    assert_same_run(workdir, whole[0])


@pytest.mark.full
def test_a_worker_is_a_command(whole, compilation_cache, tmp_path):
    """Identity with the run of one process: a cell trained by hand, on one core, is taken up by the
    next run with any launcher. Catches a worker that needs a launcher around it, or cannot tell
    from the folder what to train; and files that stay in its folder."""
    reference = RunFolder(whole[0])
    grid = grid_cells(checked_config.checked(CompareConfig, reference.config))
    folder = RunFolder.open(tmp_path / "run", reference.config)
    own = cell_folder.hand_out(grid[0], folder)
    command = [sys.executable, "-m", "lstm_attn.runner.worker", f"--folder={own}", "--cores=1"]
    environment = {**os.environ, "JAX_COMPILATION_CACHE_DIR": str(compilation_cache)}
    done = subprocess.run(
        command,
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    trained = []
    train_missing(grid, folder, Console(), train=lambda waiting, *_: trained.extend(waiting))
    assert trained == grid[1:]
    assert without_seconds(folder.results) == without_seconds(reference.results[:1])
    lines = metrics_lines(reference.path)[: len(metrics_lines(folder.path))]
    assert without_seconds(metrics_lines(folder.path)) == without_seconds(lines)
    assert not own.exists()
