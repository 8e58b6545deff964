"""Run folders of older lstm_attn (tests/fixtures): drawn, loaded, and refused or gone on with."""

import json
import shutil
from pathlib import Path

import jax
import numpy as np
import pytest
from matplotlib.figure import Figure
from safetensors.numpy import load_file

from lstm_attn import report, trained
from lstm_attn.errors import UsageError
from lstm_attn.runner.configs import CompareConfig
from lstm_attn.runs import RunFolder
from tests.report.reading_html import Page
from tests.runner.door import knock

# Of ml_collections, which loads a config so.
pytestmark = pytest.mark.filterwarnings("ignore:the load_module:DeprecationWarning")
RUNS = Path(__file__).parent / "fixtures" / "runs"
VERSIONS = sorted(path.name for path in RUNS.iterdir())
CELL = "adding-3-gru"  # the one whose checkpoint is kept


@pytest.fixture(params=VERSIONS)
def run(request, tmp_path):
    return shutil.copytree(RUNS / request.param, tmp_path / "run")


def test_the_report_of_an_old_run_says_its_numbers(run, monkeypatch):
    """Oracle: results.json. Catches a folder that today's report can't read, and a field that is
    read from where it was not then."""
    monkeypatch.setattr(Figure, "savefig", lambda self, file, **_: file.write(b"a picture"))
    tables = Page(report.write(run)).tables
    (costs,) = (table for table in tables if table[0][:4] == ["model", "task", "T", "parameters"])
    rows = {(row[0], row[1]): row[2:] for row in costs[1:]}
    records = json.loads((run / "results.json").read_text())
    assert len(rows) == len(records) == 4
    for record in records:
        length, parameters, features, solved, _, steps, loss, seconds = rows[
            record["model"], record["task"]
        ]
        assert (int(length), int(parameters)) == (record["length"], record["parameters"])
        assert (int(features), int(steps)) == (record["features"], record["steps"])
        assert solved == f"{record['solved']}/{record['trials']}"
        assert float(loss) == pytest.approx(record["final_loss"] / record["baseline"], rel=6e-3)
        assert float(seconds) == pytest.approx(record["seconds"], abs=0.051)
    text = (run / "report.html").read_text()
    assert json.loads((run / "environment.json").read_text())["versions"]["flax"] in text


def test_an_old_checkpoint_is_loaded(run):
    """Oracles: the file as safetensors reads it, and the loss that the run had noted on other data
    of 20 sequences. Catches parameters under another name, and a model built with other defaults."""
    found = trained.load(run, CELL)
    kept = load_file(run / "checkpoints" / f"{CELL}.safetensors")
    np.testing.assert_array_equal(found.params["body"]["kernel"], kept["params.body.kernel"])
    np.testing.assert_array_equal(found.params["readout"]["bias"], kept["params.readout.bias"])
    (record,) = (r for r in json.loads((run / "results.json").read_text()) if r["task"] == "adding"
                 and r["model"] == "gru")  # fmt: skip
    batch = found.task.sample(jax.random.key(5), 1000)
    for index, trial in enumerate(record["per_trial"]):
        loss = found.task.loss(found.model.apply(found.trial(index), batch.inputs), batch)
        assert float(loss) == pytest.approx(trial["final_loss"], rel=0.5)


def overrides(run):
    """Those by which today's config is the run's, as far as the run says."""
    config = json.loads((run / "config.json").read_text())
    config = {"models": config["models"], **{
        f"{part}.{key}": value
        for part in ("task", "model", "training") for key, value in config[part].items()
    }}  # fmt: skip
    return [
        f"--config.{key}={tuple(value) if isinstance(value, list) else value}"
        for key, value in config.items()
    ]


def test_an_old_run_is_gone_on_with_or_refused_in_one_line(run):
    """Oracle: the files as they were. Catches a run whose config says less than today's and that is
    taken for one of today's defaults, a traceback, and a folder that is changed though refused."""
    before = {path.name: path.read_bytes() for path in run.glob("*.json*")}
    files = ["--config=configs/quick.py", f"--workdir={run}"]
    outcome = knock(CompareConfig, [*files, *overrides(run)])
    assert outcome.status == 2
    assert "holds a run of another config" in outcome.err
    assert "missing there" in outcome.err
    assert outcome.err.count("\n") == 1
    assert {path.name: path.read_bytes() for path in run.glob("*.json*")} == before


def test_a_newer_format_is_one_line(tmp_path):
    """By the report, by the command and by `trained.load`. Catches a folder of tomorrow that is read
    as one of today."""
    run = shutil.copytree(RUNS / VERSIONS[-1], tmp_path / "run")
    (run / "format.json").write_text('{"format": 999}')
    for read in (report.read, RunFolder, lambda path: trained.load(path, CELL)):
        with pytest.raises(UsageError, match="newer lstm_attn, in format 999"):
            read(run)
    outcome = knock(CompareConfig, ["--config=configs/quick.py", f"--workdir={run}"])
    assert outcome.status == 2
    assert "newer lstm_attn, in format 999" in outcome.err
    assert outcome.err.count("\n") == 1
