"""Tables of records with known values."""

import json

from lstm_attn import report
from lstm_attn.runs import RunFolder


def test_horizon_is_the_longest_length_that_half_of_the_trials_solve(run_path):
    """Oracle: by hand; two of four is half. Catches > for >=."""
    records = RunFolder(run_path).results
    assert report.tables.horizon(records, "adding", "lstm") == 50
    assert report.tables.horizon(records, "adding", "transformer") == 50
    assert report.tables.horizon(records, "copy", "lstm") is None


def test_verdict_names_who_remembers_how_far(run_path):
    """Oracle: by hand, longest first. Catches models in another order."""
    records = RunFolder(run_path).results
    assert report.verdict(records, "adding") == (
        "Of the lengths tried (10, 50), at least half of the trials solve adding: "
        "lstm and transformer to T = 50."
    )
    assert report.verdict(records, "copy").endswith("transformer to T = 50; lstm at none.")


def test_markdown_table_has_a_row_for_each_task_and_model(run_path):
    """Oracle: by hand; the exact interval of 2 in 4 is .07 to .93. Catches a cell in another's column."""
    lines = report.markdown_table(RunFolder(run_path).results).splitlines()
    assert lines[0] == "| task | model | parameters | T = 10 | T = 50 | horizon |"
    assert lines[2] == "| adding | lstm | 4,004 | 4/4 (0.40–1.00) | 2/4 (0.07–0.93) | 50 |"
    assert lines[4] == "| copy | lstm | 4,004 | 0/4 (0.00–0.60) | 0/4 (0.00–0.60) | – |"
    assert len(lines) == 6


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
    assert html.count(">lstm features=8</th>") == 2
    assert "at least half of the trials solve parity: gru to T = 10." in html
