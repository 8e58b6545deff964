"""The heat map draws each number in its place."""

import numpy as np
import pytest
from matplotlib.patches import Rectangle

from lstm_attn.report.length_generalisation import (
    COLOR_MAP,
    accuracy_by_length,
    reach,
    sections,
    share,
)

LENGTHS = (5, 10, 20)


def entry(model, shortest, accuracies, solved, positions=None):
    return {
        "cell": f"{model}-{shortest}", "model": model, "positions": positions, "task": "adding",
        "length": 10, "shortest": shortest, "criterion": "C", "accuracy_without_memory": 0.08,
        "trials": 4, "sequences": 100, "programs": 2,
        "at": [
            {"length": length, "solved": count, "solve_rate": [0.1, 0.9], "accuracies": [median / 2, median, median, min(1, 2 * median)]}
            for length, median, count in zip(LENGTHS, accuracies, solved, strict=True)
        ],
    }  # fmt: skip


ENTRIES = [
    entry("lstm", 10, (0.2, 0.9, 0.4), (0, 2, 1)),
    entry("transformer", 10, (0.0, 1.0, 0.5), (0, 4, 4), "rotary"),
    entry("lstm", 5, (0.7, 0.8, 0.6), (0, 1, 4)),
]


def test_each_accuracy_is_in_its_row_and_column():
    """Oracle: the numbers put in. Catches columns in order of appearance, rows exchanged with their
    labels, and the colour of another cell."""
    axes = accuracy_by_length(ENTRIES).axes[0]
    rows = dict(zip([t.get_text() for t in axes.get_yticklabels()], axes.get_yticks(), strict=True))
    columns = dict(
        zip([t.get_text() for t in axes.get_xticklabels()], axes.get_xticks(), strict=True)
    )
    words = {(t.get_position()[0], round(t.get_position()[1], 2)): t.get_text() for t in axes.texts}
    squares = {
        p.get_xy(): p.get_facecolor() for p in axes.patches if p.get_fill() and p.get_width() == 1
    }
    expected = {
        "lstm, T = 10": [".20", ".90", ".40"],
        "lstm, T = 5 to 10": [".70", ".80", ".60"],
        "transformer rotary, T = 10": [".00", "1", ".50"],
    }
    assert list(rows) == list(expected)
    for name, numbers in expected.items():
        for length, number in zip(LENGTHS, numbers, strict=True):
            middle = columns[str(length)], rows[name]
            assert words[middle[0], round(middle[1] - 0.14, 2)] == number
            color = squares[middle[0] - 0.5, middle[1] - 0.5]
            np.testing.assert_allclose(color, COLOR_MAP(float(number)))


def test_the_trained_lengths_are_outlined():
    """Oracle: by hand: column 1 for T = 10, 0 and 1 for 5 to 10. Catches an outline off by one."""
    axes = accuracy_by_length(ENTRIES).axes[0]
    outlines = [
        (round(p.get_x()), round(p.get_x() + p.get_width()))
        for p in axes.patches
        if isinstance(p, Rectangle) and not p.get_fill() and p.get_width() > 0
    ]
    assert outlines == [(1, 2), (0, 2), (1, 2)]


def test_how_far_a_model_holds():
    """Oracle: by hand. At least half of four trials, from the trained length on without a gap.
    Catches > for >=, and a length counted beyond a gap."""
    assert [reach(one) for one in ENTRIES] == ["10", "20+", "–"]


@pytest.mark.parametrize(
    ("value", "text"), [(1, "1"), (0.9996, ".99"), (0.0, ".00"), (0.125, ".12"), (0.99, ".99")]
)
def test_what_is_not_quite_one_is_not_one(value, text):
    """Catches .9996 written as 1."""
    assert share(value) == text


def test_each_task_has_a_section_with_its_counts():
    """Catches two tasks on one map, and a table with shifted columns."""
    other = [{**one, "task": "copy"} for one in ENTRIES]
    both = sections({"cells": ENTRIES + other})
    assert [section.title for section in both] == [
        "Length generalisation: adding",
        "Length generalisation: copy",
    ]
    assert "100 fresh sequences" in both[0].text
    accuracy, solved = both[0].tables
    assert accuracy.rows[0] == [
        "lstm",
        "T = 10",
        "10",
        ".20 (.10–.40)",
        ".90 (.45–1)",
        ".40 (.20–.80)",
    ]
    assert solved.rows[2][3:] == ["0/4 (0.10–0.90)", "4/4 (0.10–0.90)", "4/4 (0.10–0.90)"]
    assert len(solved.headings) == len(solved.rows[0])
