"""The whole path, interrupted and not: a run folder, a report, the same bits."""

import dataclasses
import json
import shutil
import signal
import time

import chex
import numpy as np
import pytest
from safetensors.numpy import load_file

from lstm_attn import tasks, training
from lstm_attn.runner.cell import Cell
from lstm_attn.runner.progress import GridProgress
from lstm_attn.runner.train_cells import train_cell
from lstm_attn.runs import RunFolder
from tests import PATIENCE
from tests.configs.test_configs import FOLDER, load
from tests.study_fixtures import TINY

FIELDS = {
    "model", "task", "variant", "length", "trials", "remembers", "remember_rate",
    "remember_rate_low", "remember_rate_high", "mean_steps_to_remember", "solved", "solve_rate",
    "final_loss", "baseline", "parameters", "seconds", "steps",
}  # fmt: skip


def without_seconds(lines):
    clocked = ("seconds", "seconds_to_program")
    return [{key: value for key, value in line.items() if key not in clocked} for line in lines]


def metrics_lines(workdir):
    return [json.loads(line) for line in (workdir / "metrics.jsonl").read_text().splitlines()]


@pytest.mark.full
def test_a_run_leaves_everything_it_should(whole):
    """Catches a missing file or field, and a record without its cell."""
    workdir, _ = whole
    for name in (
        "config.json", "environment.json", "metrics.jsonl", "results.json", "compare.json",
        "report.html", "trials.csv",
    ):  # fmt: skip
        assert (workdir / name).stat().st_size > 0, name
    assert list(workdir.glob("*.png"))
    records = json.loads((workdir / "results.json").read_text())
    assert [record["model"] for record in records] == ["gru", "lstm"]
    for record in records:
        assert set(record) >= FIELDS
        assert record["steps"] == 1500
        assert (workdir / "checkpoints" / f"adding-4-{record['model']}.safetensors").exists()
    assert len(metrics_lines(workdir)) == 2 * 300
    environment = json.loads((workdir / "environment.json").read_text())
    assert environment["versions"]["jax"]
    assert "2 trials on" in environment["layout"]


@pytest.mark.full
def test_a_run_shows_what_it_does(whole):
    """Catches progress that is silent where there is no terminal."""
    workdir, out = whole
    assert "2 trials on" in out
    assert "[1/2] adding-4-gru  step 5  loss/baseline" in out
    assert "left 0:" in out
    assert f"report: {workdir}/report.html" in out


@pytest.mark.full
def test_an_interrupted_run_resumes_to_the_same_bits(compare, whole, tmp_path):
    """Identity with the run that nothing interrupted. Interrupted in the second cell, so that a
    finished cell is skipped and an unfinished one goes on. Catches a state that restarts, an
    evaluation counted twice, a cell trained again."""
    workdir = tmp_path / "run"
    process = compare(workdir, *TINY)
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline and process.poll() is None:
        text = (
            (workdir / "metrics.jsonl").read_text() if (workdir / "metrics.jsonl").exists() else ""
        )
        if text.count('"adding-4-lstm"') >= 3:
            process.send_signal(signal.SIGINT)
            break
        time.sleep(0.01)
    out, err = process.communicate(timeout=PATIENCE)
    assert process.returncode == 130, err
    assert f"interrupted; the same command goes on from {workdir}" in out.replace("\n", "")
    assert err == ""
    assert len(json.loads((workdir / "results.json").read_text())) == 1
    assert 303 <= len(metrics_lines(workdir)) < 600

    process = compare(workdir, *TINY)
    out, err = process.communicate(timeout=PATIENCE)
    assert process.returncode == 0, err
    assert "1 of 2 cells to train" in out
    reference, _ = whole
    results = [json.loads((path / "results.json").read_text()) for path in (workdir, reference)]
    assert without_seconds(results[0]) == without_seconds(results[1])
    assert without_seconds(metrics_lines(workdir)) == without_seconds(metrics_lines(reference))
    for model in ("gru", "lstm"):
        ours, theirs = (
            load_file(path / "checkpoints" / f"adding-4-{model}.safetensors")
            for path in (workdir, reference)
        )
        assert ours.keys() == theirs.keys()
        for name in ours:
            np.testing.assert_array_equal(ours[name], theirs[name])


@pytest.mark.full
@pytest.mark.parametrize("stopped_in", ["save", "add_result"])
def test_a_stop_at_the_worst_moment_loses_and_doubles_nothing(stopped_in, tmp_path, monkeypatch):
    """Identity with an uninterrupted cell: stopped between a line and its checkpoint, and between
    the last evaluation and its record. Catches a line kept and then written again."""
    config = load(FOLDER / "quick.py")
    small = dataclasses.replace(
        config.training,
        steps=8,
        evaluate_every=2,
        warmup_steps=1,
        seeds=2,
        evaluation_sequences=20,
        learning_rates=(0.01,),
        confirmation_sequences=0,
    )
    cell = Cell("adding-4-gru", "gru", tasks.adding(4), config.model, small)

    def train(name):
        folder = RunFolder.open(tmp_path / name, {})
        with GridProgress([cell]) as progress:
            train_cell(cell, folder, progress)

    train("whole")
    module = {"save": training.checkpoints, "add_result": RunFolder}[stopped_in]
    whole, calls = getattr(module, stopped_in), []

    def interrupted(*arguments):
        calls.append(arguments)
        if len(calls) == (3 if stopped_in == "save" else 1):
            raise KeyboardInterrupt
        whole(*arguments)

    with monkeypatch.context() as patch:
        patch.setattr(module, stopped_in, interrupted)
        with pytest.raises(KeyboardInterrupt):
            train("stopped")
    train("stopped")
    folders = [tmp_path / name for name in ("whole", "stopped")]
    lines, again = (without_seconds(metrics_lines(folder)) for folder in folders)
    assert lines == again
    results = [json.loads((folder / "results.json").read_text()) for folder in folders]
    assert without_seconds(results[0]) == without_seconds(results[1])
    checkpoints = [load_file(RunFolder(folder).checkpoint(cell.name)) for folder in folders]
    chex.assert_trees_all_equal(*checkpoints)


@pytest.mark.full
def test_metrics_lost_behind_a_checkpoint_are_one_line(compare, whole, tmp_path):
    """Catches a cell that trains on with half its history."""
    workdir = tmp_path / "run"
    shutil.copytree(whole[0], workdir)
    (workdir / "results.json").unlink()
    lines = (workdir / "metrics.jsonl").read_text().splitlines(keepends=True)
    (workdir / "metrics.jsonl").write_text("".join(lines[:10]))
    process = compare(workdir, *TINY)
    _, err = process.communicate(timeout=PATIENCE)
    assert process.returncode == 2
    assert "lacks evaluations of adding-4-gru up to step 1500; remove" in err
    assert err.count("\n") == 1
