"""Tables of records with known values."""

import json

import pytest

from lstm_attn import report
from lstm_attn.runs import RunFolder


def test_a_verdict_wants_an_interval_that_leaves_one_half_out():
    """By the protocol. Catches a verdict where the interval holds .5, or of too few trials."""
    record = {"trials": 8, "remember_rate_low": 0.51, "remember_rate_high": 1.0}
    assert report.tables.standing(record) == "remembers"
    assert report.tables.standing({**record, "remember_rate_low": 0.5}) == "is undecided"
    assert report.tables.standing({**record, "trials": 7}) == "is undecided"
    none = {"trials": 16, "remember_rate_low": 0.0, "remember_rate_high": 0.49}
    assert report.tables.standing(none) == "does not"
    assert report.tables.standing({**none, "remember_rate_high": 0.5}) == "is undecided"


def test_verdict_says_of_each_model_what_its_intervals_allow():
    """Oracle: by hand. Catches models or lengths that are mixed up, and lengths out of order."""

    def record(model, length, low, high, task="adding"):
        return {
            "task": task, "model": model, "length": length, "trials": 16,
            "remember_rate_low": low, "remember_rate_high": high,
        }  # fmt: skip

    records = [
        record("gru", 100, 0.0, 0.3), record("gru", 50, 0.4, 0.6), record("gru", 10, 0.8, 1.0),
        record("gru", 5, 0.8, 1.0), record("lstm", 10, 0.2, 0.8), record("lstm", 10, 0.8, 1, "copy"),
        record("rnn", 10, 0.1, 0.9),
    ]  # fmt: skip
    assert report.verdict(records, "adding") == (
        "gru remembers at T = 5 and 10; does not at T = 100; is undecided at T = 50. "
        "lstm and rnn are undecided at T = 10."
    )


def test_markdown_table_has_a_row_for_each_task_and_model(run_path):
    """Oracle: by hand; Clopper-Pearson of 2 in 4 is .07 to .93. Catches a cell in another's
    column."""
    lines = report.markdown_table(RunFolder(run_path).results).splitlines()
    assert lines[0] == "| task | model | parameters | T = 10 | T = 50 |"
    assert lines[2].startswith("| adding | lstm | 4,004 | 4/4 (")
    assert " 2/4 (" in lines[2]
    assert lines[4].startswith("| copy | lstm | 4,004 | 0/4 (")
    assert len(lines) == 6


def test_the_share_remembered_has_its_median_and_range():
    """Oracle: by hand; a diverged trial remembers nothing. Catches a mean, and a trial left out."""
    trials = [{"share_remembered": share} for share in (0.5, None, 0.998)]
    assert report.tables.share_remembered({"per_trial": trials}) == ".500 (.000–.998)"


def test_one_trial_has_no_interval(run_path):
    """Oracle: by hand. Catches an interval of one trial, which holds the median 0 % of the time."""
    record = {
        **RunFolder(run_path).results[0],
        "median_steps_to_solve": 2000.0, "median_steps_low": 2000.0, "median_steps_high": 2000.0,
    }  # fmt: skip
    two = {**record, "trials": 2, "median_confidence": 0.5}
    assert report.tables.steps_to_solve(two) == "2,000\n2,000–2,000, 50%"
    one = {**record, "trials": 1, "median_confidence": 0.0}
    assert report.tables.steps_to_solve(one) == "2,000"


def shuffled(run_path, tmp_path, more=()):
    """The folder's records, shuffled, and some more."""
    for path in run_path.glob("*.json*"):
        (tmp_path / path.name).write_bytes(path.read_bytes())
    records = sorted(RunFolder(run_path).results, key=lambda record: record["parameters"])
    (tmp_path / "results.json").write_text(json.dumps([*more, *records]))
    return RunFolder(tmp_path)


def places(records):
    return [(record["task"], record["length"], record["model"]) for record in records]


def test_records_are_in_the_order_of_the_config(run_path, tmp_path):
    """Catches the order of finishing, which changes when a run is resumed."""
    folder = shuffled(run_path, tmp_path)
    assert places(folder.results)[:2] == [("adding", 10, "lstm"), ("adding", 50, "lstm")]
    assert places(report.in_grid_order(folder)) == [
        (task, length, model)
        for task in ("adding", "copy")
        for length in (10, 50)
        for model in ("lstm", "transformer")
    ]


@pytest.mark.full
def test_a_folder_that_has_grown_is_shown_whole(run_path, tmp_path):
    """Oracle: by hand, three cells that the config does not name: a length, a task with a model,
    and an LSTM with other settings. Catches a cell that is left out, refused, or drawn over another
    of the same task, length and model."""
    record = RunFolder(run_path).results[0]
    more = [
        {**record, "cell": "adding-20-lstm", "length": 20},
        {**record, "cell": "parity-10-gru", "task": "parity", "model": "gru"},
        {**record, "cell": "adding-10-lstm-features=8"},
    ]
    folder = shuffled(run_path, tmp_path, more)
    found = places(report.in_grid_order(folder))
    assert found[:4] == [
        ("adding", 10, "lstm features=8"),
        ("adding", 10, "lstm"),
        ("adding", 10, "transformer"),
        ("adding", 20, "lstm"),
    ]
    assert found[-1] == ("parity", 10, "gru")
    metrics = (tmp_path / "metrics.jsonl").read_text().splitlines(keepends=True)
    for cell in (one["cell"] for one in more):
        lines = [line.replace('"adding-10-lstm"', f'"{cell}"') for line in metrics[:3]]
        metrics += lines
    (tmp_path / "metrics.jsonl").write_text("".join(metrics))
    html = report.write(tmp_path).read_text()
    assert html.count(">lstm features=8</th>") == 3
    assert "gru is undecided at T = 10." in html
