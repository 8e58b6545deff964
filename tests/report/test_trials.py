"""Every trial as a row of trials.csv."""

import csv
import shutil

import pytest

from lstm_attn import report
from lstm_attn.report import trials
from lstm_attn.runs import RunFolder


@pytest.mark.full
def test_the_csv_has_a_row_for_each_trial_of_every_cell(run_path, tmp_path):
    """Oracle: the records, read by Python's csv. Catches a value of another trial or cell, the
    cell's median loss for the trial's, and null written as "None"."""
    folder = tmp_path / "run"
    shutil.copytree(run_path, folder, ignore=shutil.ignore_patterns("*.png", "*.html"))
    report.write(folder)
    with (folder / "trials.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    records = {record["cell"]: record for record in RunFolder(folder).results}
    assert [(row["cell"], row["seed"]) for row in rows] == [
        (record["cell"], str(seed))
        for record in report.in_grid_order(RunFolder(folder))
        for seed in range(4)
    ]
    for row in rows:
        record = records[row["cell"]]
        trial = record["per_trial"][int(row["seed"])]
        for name, value in trial.items():
            assert row[name] == ("" if value is None else str(value)), name
        assert (row["task"], row["length"]) == (record["task"], str(record["length"]))
        assert row["model"] == record["model"]
        assert row["budget"] == "300"
    assert any(row["diverged_by"] for row in rows)


def test_text_in_a_row_stays_in_its_field():
    """Oracle: Python's csv. Catches a comma or a quote that tears a row."""
    cell = dict.fromkeys(trials.OF_A_CELL, 'a, "b"')
    record = {**cell, "training_config": {"steps": 3}, "per_trial": [{"seed": 0}, {"seed": 1}]}
    rows = list(csv.DictReader(trials.as_csv([record]).splitlines()))
    assert [row["seed"] for row in rows] == ["0", "1"]
    assert {row["criterion"] for row in rows} == {'a, "b"'}


@pytest.mark.parametrize("records", [[], [{"per_trial": []}]])
def test_a_run_without_trials_has_an_empty_file(records):
    """Catches a traceback where nothing is finished yet."""
    assert trials.as_csv(records) == ""
