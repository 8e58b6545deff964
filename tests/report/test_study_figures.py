"""Figures and words of the ablation, of learning rates and of two runs, on hand-made numbers."""

import numpy as np
import pytest

from lstm_attn.report import ablation, differences, learning_rates, two_runs
from lstm_attn.report.panel import colors_of


def difference(value, low, high):
    within = low is None or low <= 0 <= high
    return {"value": value, "low": low, "high": high, "within_noise": within}


def compared(rate, steps):
    return {"paired": True, "pairs": 8, "remember_rate": rate, "steps": steps}


CLEAR = compared(difference(-0.75, -0.93, -0.31), difference(1200, 800, 1500))
NOISE = compared(difference(0.125, -0.2, 0.47), difference(-100, -400, 200))
FEW = compared(difference(0.0, -0.5, 0.5), difference(300, None, None))


def column(name, solved, to_reference):
    return {
        "name": name, "key": None if to_reference is None else name, "cell": name, "trials": 8,
        "remembers": solved, "remember_rate": solved / 8, "remember_rate_low": solved / 8 - 0.1,
        "remember_rate_high": solved / 8 + 0.1, "median_steps_to_remember": 700.0 if solved else None,
        "median_steps_low": 600.0 if solved else None, "median_confidence": 0.9,
        "median_steps_high": 800.0 if solved else None,
        "parameters": 4513, "features": 32, "diverged": 0, "to_reference": to_reference,
    }  # fmt: skip


ABLATION = {
    "model": "gru", "task": "adding", "variant": "arjovsky2016", "length": 50,
    "criterion": "all right", "budget": 3000,
    "columns": [
        column("reference", 6, None),
        column("model.a = 1", 0, CLEAR),
        column("model.b = $2$", 7, NOISE),
        column("model.c = 3", 6, FEW),
    ],
}  # fmt: skip


def points(figure):
    """Each dot of the rows: (x, y, filled)."""
    lines = [line for line in figure.axes[0].get_lines() if line.get_marker() == "o"]
    return [
        (line.get_xdata()[0], line.get_ydata()[0], line.get_markerfacecolor() != "white")
        for line in lines
    ]


def words(figure):
    return [text.get_text() for text in figure.axes[0].texts]


def test_an_ablation_says_in_words_what_is_noise():
    """Oracle: by hand. Catches a verdict in colour alone, rows out of order, and a figure of rates
    compared with the wrong line."""
    (section,) = ablation.sections(ABLATION)
    rates, steps = (figure.figure for figure in section.figures)
    assert points(rates) == [
        (0.75, 0, True), (0.0, 1, True), (0.875, 2, False), (0.75, 3, False)
    ]  # fmt: skip
    assert words(rates) == ["", "differs", "within noise", "within noise"]
    assert points(steps) == [(1200, 0, True), (-100, 1, False), (300, 2, False)]
    assert words(steps) == ["differs", "within noise", "within noise, too few pairs"]
    lines = {line.get_label(): line for line in rates.axes[0].get_lines()}
    assert list(lines["reference"].get_xdata()) == [0.75, 0.75]
    assert {line.get_color() for line in steps.axes[0].get_lines()} >= {colors_of(["gru"])["gru"]}
    labels = [label.get_text() for label in rates.axes[0].get_yticklabels()]
    assert labels[2] == "model.b = $2$"
    rates.savefig("/dev/null", format="png")  # dollar signs make no formula
    body = section.tables[0].rows
    assert body[0][2] == body[0][4] == "–"
    assert [row[3] for row in body[:2]] == ["700\n600–800, 90%", "–"]
    assert body[1][2] == "−0.75 (−0.93, −0.31)\ndiffers"
    assert body[2][4] == "−100 (−400, +200)\nwithin noise"


def test_differences_in_words():
    """Oracle: by hand. Catches a sign on zero, and steps of unpaired trials."""
    assert differences.rate(FEW) == "0.00 (−0.50, +0.50)\nwithin noise"
    assert differences.steps(FEW) == "+300 (too few pairs)\nwithin noise"
    assert differences.rate(None) == "–"
    assert differences.steps({**CLEAR, "steps": None}) == "–"


def rate(value, ends, trials=3):
    share = len(ends) / trials
    return {
        "learning_rate": value, "trials": trials, "remembers": len(ends), "remember_rate": share,
        "remember_rate_low": share * 0.5, "remember_rate_high": (1 + share) / 2,
        "median_steps_to_remember": float(np.median(ends)) if ends else None, "steps_to_remember": ends,
        "median_steps_low": min(ends, default=None), "median_steps_high": max(ends, default=None),
        "median_confidence": 0.75,
        "diverged": 0,
    }  # fmt: skip


RATES = {
    "task": "adding", "variant": "arjovsky2016", "length": 50, "criterion": "all right",
    "budget": 3000,
    "models": [
        {"model": "lstm", "cell": "a", "parameters": 10,
         "rates": [rate(0.001, []), rate(0.01, [500.0, 900.0])]},
        {"model": "gru", "cell": "b", "parameters": 10,
         "rates": [rate(0.001, [100.0] * 3), rate(0.01, [])]},
    ],
}  # fmt: skip


def test_learning_rates_are_drawn_with_their_intervals():
    """Oracle: the numbers put in. Catches models exchanged, low and high exchanged, an unsolved
    rate drawn at zero steps, and two models that hide each other."""
    (section,) = learning_rates.sections(RATES)
    solved, steps = (figure.figure.axes[0] for figure in section.figures)
    drawn = {container.get_label(): container for container in solved.containers}
    line, _, bars = drawn["lstm"]
    np.testing.assert_allclose(line.get_ydata(), [0, 2 / 3])
    np.testing.assert_allclose(line.get_xdata(), [0.001, 0.01], rtol=0.1)
    ends = np.array(bars[0].get_segments())[:, :, 1]
    np.testing.assert_allclose(ends, [[0, 0.5], [1 / 3, 5 / 6]])
    assert drawn["gru"][0].get_xdata()[0] != line.get_xdata()[0]
    medians = {line.get_label(): line.get_ydata() for line in steps.get_lines()}
    np.testing.assert_array_equal(medians["lstm"], [np.nan, 700])
    np.testing.assert_array_equal(medians["gru"], [100, np.nan])
    assert list(medians["budget"]) == [3000, 3000]
    assert section.tables[0].rows[0][3] == "2/3\n0.33–0.83"
    assert section.tables[1].rows[0][1:] == ["–", "700\n500–900, 75%"]


CELL = {"remembers": 4, "trials": 8, "remember_rate_low": 0.2, "remember_rate_high": 0.8}


@pytest.mark.parametrize(
    ("found", "summary"),
    [
        ([("a", CLEAR), ("b", NOISE)], "Beyond noise in 1 of 2 cells: a."),
        ([("a", NOISE), ("b", FEW)], "All differences are within noise, in 2 of 2 cells."),
        ([("a", {**NOISE, "steps": CLEAR["steps"]})], "Beyond noise in 1 of 1 cells: a."),
        ([], "They have no finished cell in common of a task that has a criterion."),
    ],
)
def test_a_comparison_counts_what_is_beyond_noise(found, summary):
    """Oracle: by hand. Catches a difference of steps missing in the summary, and an empty
    figure."""
    cells = [
        {"cell": name, "compared": {"first": CELL, "second": CELL, **verdicts}}
        for name, verdicts in found
    ]
    settings = [{"key": "model.forget_bias", "first": "1.0", "second": "0.0"}]
    left_out = ["c (old)", *(f"d{place} (new)" for place in range(9))]
    section = two_runs.section(
        {
            "first": "old",
            "second": "new",
            "cells": cells,
            "left_out": left_out,
            "settings": settings,
        }
    )
    assert section.text.startswith(summary)
    assert (len(section.figures), len(section.tables)) == ((1, 2) if cells else (0, 0))
    listed = "Only in one of the two: c (old), d0 (new), d1 (new), d2 (new), d3 (new) and 5 more."
    assert (listed in section.text) == bool(cells)
    if cells:
        assert [row[0] for row in section.tables[0].rows] == [name for name, _ in found]
        difference = [verdicts["remember_rate"]["value"] for _, verdicts in found]
        assert section.tables[0].rows[0][1:3] == ["4/8 (0.20–0.80)"] * 2
        assert [x for x, _, _ in points(section.figures[0].figure)] == difference
