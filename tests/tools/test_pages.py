"""The generated sections of README and docs, from records whose figures are known."""

import json
import math

import numpy as np
import pytest

from lstm_attn.errors import UsageError
from lstm_attn.history import History
from lstm_attn.report import tables
from tools.pages import ROOT, answer, from_page, readme, speed


def history(seconds, losses):
    """Two trials, with these losses [E, 2]."""
    shape = np.shape(losses)
    return History(
        steps=np.arange(1, len(seconds) + 1),
        seconds=np.array(seconds, float),
        metrics={"loss": np.array(losses, float)},
        remembers=np.zeros(shape, bool),
        solved=np.zeros(shape, bool),
        diverged=np.isnan(losses),
        seeds=np.arange(2),
        learning_rates=np.full(2, 0.1),
    )


def record(task, length, model, **more):
    return {
        "cell": f"{task}-{length}-{model}", "task": task, "length": length, "model": model,
        "baseline": 0.5, "trials": 2, "seconds_to_program": 2.0, **more,
    }  # fmt: skip


def test_the_picture_is_of_the_longest_length_of_each_task():
    """Oracle: by hand. Two trials and two seconds of compilation: 4 s are 1 s a trial; losses of .1
    and .4 of a baseline of .5 are shares of .8 and .2, a diverged trial is drawn at the bottom.
    Catches seconds of a whole cell, compilation counted, and a share forgotten."""
    records = [record("adding", 8, "lstm"), record("adding", 24, "lstm"), record("copy", 8, "gru")]
    histories = {
        "adding-24-lstm": history([4.0, 6.0], [[0.1, 0.4], [0.0, 0.0]]),
        "copy-8-gru": history([4.0, 6.0], [[0.1, math.nan], [0.1, math.nan]]),
    }
    figure = answer.share_by_seconds(records, histories)
    left, right = figure.axes
    assert [axes.get_title(loc="left") for axes in (left, right)] == [
        "adding, T = 24",
        "copy, T = 8",
    ]
    first, second, middle = left.lines[:3]
    np.testing.assert_allclose(first.get_xdata(), [1, 2])
    np.testing.assert_allclose(first.get_ydata(), [0.8, 1])
    np.testing.assert_allclose(second.get_ydata(), [0.2, 1])
    np.testing.assert_allclose(middle.get_ydata(), [0.5, 1])
    assert middle.get_label() == "lstm"
    np.testing.assert_allclose(right.lines[1].get_ydata(), -0.1)


def test_the_answer_shows_every_model_at_the_longest_length():
    """Oracle: results/quick itself. Catches a model that is left out, and another length's rate."""
    section = answer.section(readme.RunFolder(readme.KEPT))
    records = json.loads((readme.KEPT / "results.json").read_text())
    longest = max(one["length"] for one in records)
    for one in records:
        if one["length"] == longest:
            (line,) = [
                line for line in section.splitlines() if line.startswith(f"| {one['model']} |")
            ]
            assert f"{tables.remembering(one)} ({tables.remember_interval(one)})" in line
            assert f" {(one['seconds'] - one['seconds_to_program']) / one['trials']:.2f} " in line


def row(case, name, seconds, **more):
    ours = name.startswith("ours")
    return {"case": case, "name": name, "is_ours": ours, "median_seconds": seconds, **more}


def test_speed_is_that_over_the_other_even_where_it_is_less(tmp_path):
    """Oracle: 40 / 10, 40 / 20 and 10 / 40, by hand. Catches an inverted ratio, an arithmetic mean,
    the slower of ours, the forward pass alone, and a row that hides where ours is slower."""
    both = {"direction": "forward and backward"}
    rows = [
        row("T=1", "ours, auto", 0.01, **both), row("T=1", "ours, dense", 0.5, **both),
        row("T=1", "jax.nn", 0.04, **both), row("T=1", "torch", 0.0025, **both),
        row("T=2", "ours, auto", 0.02, **both), row("T=2", "jax.nn", 0.04, **both),
        row("T=2", "torch", 0.005, **both),
        row("T=1, forward", "ours, auto", 1.0, direction="forward"),
        row("T=1, forward", "jax.nn", 0.001, direction="forward"),
    ]  # fmt: skip
    about = {"rows": rows, "cores": 2, "processor": "a processor", "finished": "2026-11-22T10:00"}
    (tmp_path / "attention.json").write_text(json.dumps(about))
    section = speed.section(tmp_path)
    mean = math.sqrt(4 * 2)
    assert f"| jax.nn.dot_product_attention | {mean:.2f} (2.00–4.00) | 2 |" in section
    assert "| PyTorch | 0.25 (0.25–0.25) | 2 |" in section
    assert "2 cores (a processor), 2026-11-22" in section


def test_a_contender_without_a_peer_has_no_speed():
    """Catches a division by what was not measured."""
    assert speed.over_others([row("a", "ours, auto", 0.01)]) == []


@pytest.mark.parametrize(
    ("page", "prefix"),
    [("README.md", ""), ("docs/performance.md", "../"), ("docs/results/quick.md", "../../")],
)
def test_a_picture_is_named_from_its_page(page, prefix):
    """Oracle: by hand. Catches the address of another folder."""
    section = 'x <img src="results/a.png" alt="results/a.png">'
    expected = f'x <img src="{prefix}results/a.png" alt="results/a.png">'
    assert from_page(section, ROOT / page) == expected


def test_a_study_that_was_not_run_has_its_command_alone(tmp_path):
    """Catches an error before every study has results, and a page that shows nothing."""
    assert readme.study_section(readme.RunFolder(tmp_path / "horizon")) == readme.NOT_MEASURED
    assert readme.grid_section(readme.RunFolder(tmp_path / "copy")) == readme.NOT_MEASURED


def test_a_study_begins_with_its_picture_and_what_was_found():
    """Oracle: results/gradient_reach. Catches a paragraph before the picture, and a finding that is
    lost in one, or twice there."""
    section = readme.study_section(readme.RunFolder(readme.KEPT_RUNS / "gradient_reach"))
    assert section.startswith('<img src="results/gradient_reach/gradient-h-starts.png"')
    first, second = section.split("\n\n")[1:3]
    verdicts = [
        test["verdict"]
        for test in json.loads(
            (readme.KEPT_RUNS / "gradient_reach/gradient_reach.json").read_text()
        )["tests"]
        if test["verdict"]
    ]
    assert first.splitlines() == [f"- {verdict}." for verdict in verdicts]
    assert "after Holm" not in second


@pytest.mark.parametrize("commit", [None, "0123456789ab-dirty"])
def test_a_benchmark_that_nobody_can_make_again_is_no_figure(commit, tmp_path):
    """Catches a table from changed files, which a page of runs has always refused."""
    (tmp_path / "memory.json").write_text(json.dumps({"commit": commit, "rows": []}))
    with pytest.raises(UsageError, match=f"memory.json: expected a run of a commit, got {commit}"):
        readme.benchmark_sections(tmp_path)


def test_benchmarks_next_to_the_quick_run_are_kept(tmp_path, monkeypatch):
    """Catches a record whose figure stays that of another one."""
    monkeypatch.setattr(readme, "RECORDS", tmp_path / "results" / "benchmarks")
    made = tmp_path / "runs" / "benchmarks"
    for folder in (readme.RECORDS, made):
        folder.mkdir(parents=True)
    (made / "memory.json").write_text('{"commit": "0123456789ab"}')
    (made / "memory.png").write_bytes(b"a figure")
    readme.keep_benchmarks(made)
    kept = {path.name: path.read_bytes() for path in readme.RECORDS.iterdir()}
    assert kept == {path.name: path.read_bytes() for path in made.iterdir()}
