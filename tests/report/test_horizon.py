"""The horizon's figures and tables show a hand-made result of the study."""

import io

import numpy as np
import pytest
from matplotlib.colors import to_hex

from lstm_attn.report import horizon
from lstm_attn.report.panel import colors_of
from lstm_attn.report.studies import STUDIES

LENGTHS = (10, 14, 20, 28, 40)


def point(budget, solved, unsolved, exceptions=()):
    return {
        "budget": budget, "solved": solved, "unsolved": unsolved, "exceptions": list(exceptions)
    }  # fmt: skip


def search(model, curve, seconds, **ends):
    probe = {
        "length": 10, "parameters": 4500, "steps_run": 1300, "seconds_run": 9.6, "verdict": True,
        "solved": 2, "still_open": 1, "trials": 4, "steps": 1300, "seconds": 9.4,
        "rate_interval": [0.15, 0.95],
    }  # fmt: skip
    failed = {"length": 20, "verdict": False, "still_open": 0, "steps": None, "seconds": None}
    return {
        "task": "adding", "model": model, "seconds": 19.6, "complete": True, "by_steps": curve,
        "by_seconds": seconds, "probes": [probe | failed, probe], **ends,
    }  # fmt: skip


@pytest.fixture
def found():
    return make_found()


def make_found():
    lstm = search(
        "lstm",
        [point(0, None, 10), point(300, 10, 20), point(900, 20, 28)],
        [point(0, None, 10), point(4.0, 10, 20), point(9.0, 20, 28)],
        **point(900, 20, 28),
    )
    gru = search(
        "gru",
        [point(0, None, 10), point(500, 40, None, [10])],
        [point(0, None, 10), point(6.0, 40, None, [10])],
        **point(500, 40, None, [10]),
    )
    none = search("transformer", [point(0, None, 10)], [point(0, None, 10)], **point(0, None, 10))
    return {
        "budget": {"steps": 2000, "seconds": None}, "lengths": list(LENGTHS), "trials": 4,
        "evaluate_every": 100, "schedule": "cosine", "searches": [lstm, gru, none],
    }  # fmt: skip


def test_the_figure_steps_at_the_budgets_it_is_given(found):
    """Oracle: the curve put in. Catches a step before its budget, a line that does not reach the
    whole budget, a band to another length, an open end that looks closed, another colour."""
    figure = horizon.sections(found)[0].figures[0].figure
    axes = figure.axes[0]
    lines = {line.get_label(): line for line in axes.get_lines()}
    x, y = lines["lstm"].get_data()
    assert lines["lstm"].get_drawstyle() == "steps-post"
    np.testing.assert_array_equal(x, [300, 900, 2000])
    np.testing.assert_allclose(y, [10, 20, 20], rtol=0.05)
    x, y = lines["gru"].get_data()
    np.testing.assert_array_equal(x, [500, 2000])
    np.testing.assert_allclose(y, [40, 40], rtol=0.05)
    assert len(lines["transformer"].get_xdata()) == 0
    bands = {
        to_hex(band.get_facecolor()[0]): band for band in axes.collections if len(band.get_paths())
    }
    top = axes.get_ylim()[1]
    for model, ends in (("lstm", (20, 28)), ("gru", (top,))):
        corners = bands[colors_of([model])[model].lower()].get_paths()[0].vertices
        np.testing.assert_allclose(np.unique(corners[:, 1])[-len(ends) :], ends, rtol=0.05)
    references = [line.get_ydata()[0] for line in axes.get_lines() if line.get_linestyle() == "--"]
    assert references == [10, 40]


def test_seconds_are_drawn_from_their_own_curve(found):
    """Oracle: the curve put in; without a limit in seconds it ends with the most expensive length.
    Catches steps drawn as seconds, and a figure that fails where nothing was solved."""
    axes = horizon.sections(found)[0].figures[1].figure.axes[0]
    lines = {line.get_label(): line for line in axes.get_lines()}
    np.testing.assert_array_equal(lines["lstm"].get_xdata(), [4, 9, 9])
    assert "at most 2,000 steps" in axes.get_xlabel()
    found["searches"] = found["searches"][2:]
    for figure in horizon.sections(found)[0].figures:
        figure.figure.savefig(io.BytesIO())


def test_the_tables_show_the_interval_and_the_lengths_tried(found):
    """Oracle: by hand. Catches a point instead of an interval, an open end that looks closed, open
    trials counted as unsolved, and rows that are not in order of length."""
    found["searches"][2]["complete"] = False
    (section,) = STUDIES["horizon"](found)
    intervals, probes = section.tables
    assert [row[:2] for row in intervals.rows] == [
        ["lstm", "20 ≤ T < 28"],
        ["gru", "T ≥ 40"],
        ["transformer", "T < 10, search not ended"],
    ]
    assert intervals.rows[0][2:] == ["2", "4", "2,600", "20"]
    assert probes.rows[:2] == [
        ["lstm", "10", "yes", "2/4", "1", "0.15–0.95", "1,300", "9"],
        ["lstm", "20", "no", "2/4", "–", "0.15–0.95", "–", "–"],
    ]
    assert "2,000 steps" in section.text
    assert "A longer T was easier for gru: T = 10 unsolved, 40 solved." in section.text
    assert "planned for all 2,000 (cosine)" in section.text
