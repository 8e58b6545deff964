"""`python -m experiments.report` as a user runs it, and which cells it compares."""

import copy
import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from lstm_attn import report
from lstm_attn.analysis import compare_records
from lstm_attn.studies.compare_runs import compare_runs, compared
from tests import PATIENCE

ROOT = Path(__file__).parent.parent.parent
LSTM = "adding-10-lstm"


def command(*arguments, cwd):
    return subprocess.run(
        [sys.executable, "-m", "experiments.report", *map(str, arguments)],
        cwd=cwd, env={"PATH": "", "PYTHONPATH": str(ROOT)}, capture_output=True, text=True,
        check=False, timeout=PATIENCE,
    )  # fmt: skip


@pytest.fixture
def cut(run_path):
    """cut(path, **changes): a copy of the hand-made run, with two of its cells, so fewer figures,
    and with changes of its training config."""

    def make(path, **changes):
        path.mkdir(parents=True)
        for name in ("format.json", "config.json", "environment.json", "metrics.jsonl"):
            shutil.copy(run_path / name, path)
        config = json.loads((run_path / "config.json").read_text())
        config["training"] |= changes
        (path / "config.json").write_text(json.dumps(config))
        records = json.loads((run_path / "results.json").read_text())
        write_records(
            path,
            [
                {**record, "training_config": config["training"]}
                for record in records
                if record["cell"].startswith("adding-10-")
            ],
        )
        return path

    return make


@pytest.fixture
def quick(cut, tmp_path):
    return cut(tmp_path / "quick")


def records_of(path):
    return json.loads((path / "results.json").read_text())


def write_records(path, records):
    (path / "results.json").write_text(json.dumps(records))


@pytest.mark.full
def test_two_runs_of_the_same_trials_do_not_differ(cut, quick, tmp_path):
    """Oracle: identity; a run compared with its copy. Catches a cell matched with another one, and
    a folder that is written to."""
    other = cut(tmp_path / "other", clip_norm=2.0)
    before = {path: path.stat().st_mtime_ns for path in (*quick.iterdir(), *other.iterdir())}
    done = command(quick, other, cwd=tmp_path)
    assert (done.returncode, done.stderr) == (0, ""), done.stderr
    assert done.stdout == "report: report.html\n"
    html = (tmp_path / "report.html").read_text()
    assert (
        "No difference allows a sentence, in 2 of 2 cells. Too few trials for one in 2 of" in html
    )
    assert (
        html.index("other compared with quick")
        < html.index('id="run-1"')
        < html.index('id="run-2"')
    )
    after = {path: path.stat().st_mtime_ns for path in (*quick.iterdir(), *other.iterdir())}
    assert before == after


def test_one_run_is_drawn_into_its_folder(quick, tmp_path):
    """Catches a page in the wrong place, and figures left in the folder by a page elsewhere."""
    elsewhere = tmp_path / "page.html"
    assert compare_runs(quick, page=str(elsewhere)) == elsewhere
    assert elsewhere.exists()
    assert not list(quick.glob("*.png"))
    assert compare_runs(quick) == quick / "report.html"
    assert (quick / "report.html").exists()
    assert list(quick.glob("*.png"))


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda run: run.rename(run.with_name("gone")), "expected a run folder, found none at"),
        (lambda run: (run / "config.json").unlink(), "is not a run folder: it has no config.json"),
        (
            lambda run: (run / "config.json").write_text("[]"),
            "config.json: expected an object, got list",
        ),
        (lambda run: (run / "config.json").write_text("{"), "config.json can't be read"),
        (
            lambda run: (run / "results.json").write_text("{}"),
            "results.json: expected a list, got dict",
        ),
        (
            lambda run: (run / "results.json").write_text("[1]"),
            "record 1: expected an object, got int",
        ),
        (
            lambda run: write_records(run, [{**records_of(run)[0], "remembers": None}]),
            "record 1: remembers is None",
        ),
        (
            lambda run: write_records(run, [{**records_of(run)[0], "training_config": {}}]),
            "training_config of record 1 lacks 'steps'",
        ),
        (
            lambda run: write_records(run, [{**records_of(run)[0], "per_trial": [{}]}]),
            "a trial of record 1 lacks 'seed'",
        ),
        (
            lambda run: (run / "loss-adding-10.png").mkdir(),
            "loss-adding-10.png can't be written: Is a directory",
        ),
        (
            lambda run: (run / "horizon.json").write_text(
                '{"searches": [{"task": "a"}], "budget": {"steps": "many", "seconds": 0}, '
                '"lengths": [1], "trials": 1}'
            ),
            "horizon.json is not what the study writes",
        ),
        (lambda run: (run / "metrics.jsonl").unlink(), "metrics.jsonl can't be read: No such file"),
        (
            lambda run: (run / "metrics.jsonl").write_text(""),
            "metrics.jsonl lacks loss of adding-10-",
        ),
        (
            lambda run: (run / "metrics.jsonl").write_text('{"cell": 1}\n{"step": 2}\n'),
            "a line is not that of an evaluation",
        ),
        (lambda run: (run / "environment.json").unlink(), "environment.json can't be read"),
        (
            lambda run: (run / "ablation.json").write_text("{}"),
            "ablation.json is not what the study writes",
        ),
    ],
)
def test_a_damaged_folder_is_one_line(quick, damage, message):
    """Catches a traceback, and a page of half a run."""
    damage(quick)
    with pytest.raises(ValueError, match=re.escape(message)) as caught:
        report.write(quick)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("paths", "output", "message"),
    [
        ((), None, "expected at least one run folder, such as runs/quick"),
        (("nowhere",), None, "expected a run folder, found none at 'nowhere'"),
        (("quick", "./quick/."), None, "quick is given twice"),
        (
            ("quick",),
            "/dev/null/page.html",
            "/dev/null/page.html can't be written: Not a directory",
        ),
    ],
)
def test_a_mistake_is_one_line(quick, monkeypatch, paths, output, message):
    """Catches a page of nothing, and a run compared with itself."""
    monkeypatch.chdir(quick.parent)
    with pytest.raises(ValueError, match=re.escape(message)) as caught:
        compare_runs(*paths, page=output)
    assert "\n" not in str(caught.value)


@pytest.mark.full
@pytest.mark.parametrize("arguments", [(), ("nowhere", "--page=page.html")])
def test_a_mistake_ends_with_status_2(arguments, tmp_path):
    """Catches a traceback on the command line, with arguments and without."""
    done = command(*arguments, cwd=tmp_path)
    assert done.returncode == 2
    assert done.stderr.startswith("error: expected a")
    assert done.stderr.count("\n") == 1
    assert not list(tmp_path.iterdir())


def test_cells_are_matched_by_what_they_are(cut, quick, tmp_path):
    """Oracle: by hand. The other run has its cells in another order, one of another variant, and
    one more. Catches cells matched by position, or by name alone."""
    other = cut(tmp_path / "other", steps=150)
    records = records_of(other)[::-1]
    records[0] = {**records[0], "variant": "martens2011"}
    extra = {**copy.deepcopy(records[1]), "cell": "adding-50-lstm", "length": 50}
    write_records(other, [*records, extra])
    runs = [report.read(path) for path in (quick, other)]
    found = compared(*runs, ("old", "new"))
    theirs = {record["cell"]: record for record in runs[1].records}
    shared = [r for r in runs[0].records if r["cell"] != records[0]["cell"]]
    assert [cell["cell"] for cell in found["cells"]] == [r["cell"] for r in shared]
    for cell, record in zip(found["cells"], shared, strict=True):
        # The smaller budget of the two counts.
        assert cell["compared"] == compare_records(record, theirs[record["cell"]], 150)
    changed = records[0]["cell"]
    assert found["left_out"] == [f"{changed} (old)", f"{changed} (new)", "adding-50-lstm (new)"]
    assert found["settings"] == [{"key": "training.steps", "first": "300", "second": "150"}]


def test_a_cell_that_ended_with_trials_open_is_compared_by_the_steps_it_ran(quick):
    """Oracle: by hand. A search for the horizon ended the second run's cell at step 300, by when
    half of its trials remembered; all of the first did by 500. Catches an open trial that counts as
    one that failed for the whole budget."""
    runs = [report.read(quick), report.read(quick)]
    for run, steps, ends in zip(
        runs, (500, 300), ([200, 300, 400, 500], [200, 300, None, None]), strict=True
    ):
        record = next(record for record in run.records if record["cell"] == LSTM)
        record["steps"], record["training_config"]["steps"] = steps, 2000
        for trial, end in zip(record["per_trial"], ends, strict=True):
            trial["steps_to_remember"] = end
    cells = {cell["cell"]: cell["compared"] for cell in compared(*runs, ("old", "new"))["cells"]}
    assert cells[LSTM]["first"]["remembers"] == cells[LSTM]["second"]["remembers"] == 2
    assert cells[LSTM]["steps"]["value"] == 0
