"""What the tables say of records whose meaning is known."""

from lstm_attn import report
from lstm_attn.runs import RunFolder


def test_horizon_is_the_longest_length_that_half_of_the_trials_solve(run_path):
    """Oracle: by hand; two of four is half. Catches > for >=."""
    records = RunFolder(run_path).results
    assert report.tables.horizon(records, "adding", "lstm") == 50
    assert report.tables.horizon(records, "adding", "transformer") == 50
    assert report.tables.horizon(records, "copy", "lstm") is None


def test_verdict_names_who_remembers_how_far(run_path):
    """Oracle: by hand, longest first."""
    records = RunFolder(run_path).results
    assert report.verdict(records, "adding") == (
        "Of the lengths tried (10, 50), at least half of the trials solve adding: "
        "lstm and transformer to T = 50."
    )
    assert report.verdict(records, "copy").endswith("transformer to T = 50; lstm at none.")


def test_markdown_table_has_a_row_for_each_task_and_model(run_path):
    """Oracle: by hand; Wilson of 2 in 4 is .15 to .85."""
    lines = report.markdown_table(RunFolder(run_path).results).splitlines()
    assert lines[0] == "| task | model | parameters | T = 10 | T = 50 | horizon |"
    assert lines[2] == "| adding | lstm | 4,004 | 4/4 (0.51–1.00) | 2/4 (0.15–0.85) | 50 |"
    assert lines[4] == "| copy | lstm | 4,004 | 0/4 (0.00–0.49) | 0/4 (0.00–0.49) | – |"
    assert len(lines) == 6


def test_records_are_in_the_order_of_the_config(run_path):
    """Catches the order of finishing, which differs after resuming."""
    folder = RunFolder(run_path)
    shuffled = sorted(folder.results, key=lambda record: record["parameters"])
    names = [(r["task"], r["length"], r["model"]) for r in report.in_grid_order(folder)]
    assert names[:3] == [
        ("adding", 10, "lstm"),
        ("adding", 10, "transformer"),
        ("adding", 50, "lstm"),
    ]
    assert names != [(r["task"], r["length"], r["model"]) for r in shuffled]
