"""Figures and words of studies, of tuning and of two runs, on hand-made numbers."""

import numpy as np
import pytest

from lstm_attn.report import (
    ablation,
    compare,
    differences,
    learning_rates,
    tuning,
    two_runs,
)
from lstm_attn.report.panel import colors_of
from tests.made_run import COMPARE, TUNING


def difference(value, low, high):
    within = low is None or low <= 0 <= high
    return {"value": value, "low": low, "high": high, "within_noise": within}


def compared(rate, steps):
    return {"paired": True, "pairs": 8, "remember_rate": rate, "steps": steps}


CLEAR = compared(difference(-0.75, -0.93, -0.31), difference(1200, 800, 1500))
NOISE = compared(difference(0.125, -0.2, 0.47), difference(-100, -400, 200))
FEW = compared(difference(0.0, -0.5, 0.5), difference(300, None, None))


def column(name, remember, to_reference, tests=()):
    return {
        "name": name, "key": None if to_reference is None else name, "cell": name, "trials": 8,
        "remembers": remember, "remember_rate": remember / 8,
        "remember_rate_low": remember / 8 - 0.1, "remember_rate_high": remember / 8 + 0.1,
        "mean_steps_to_remember": 1700.0, "mean_steps_low": 1600.0, "mean_steps_high": 1800.0,
        "per_trial": [{"share_remembered": share} for share in (0.5, None, 0.98)],
        "parameters": 4513, "features": 32, "diverged": 0, "to_reference": to_reference,
        "tests": [
            {"what": what, "p": p, "verdict": said}
            for what, (p, said) in zip(("on more seeds", "fewer steps"), tests, strict=False)
        ],
    }  # fmt: skip


SAID = "reference remembers on more seeds than model.a = 1"
SOONER = "model.b = $2$ needs fewer steps than reference"
ABLATION = {
    "model": "gru", "task": "adding", "variant": "arjovsky2016", "length": 50,
    "budget": 3000, "learning_rate": 0.01,
    "columns": [
        column("reference", 6, None),
        column("model.a = 1", 0, CLEAR, [(0.031, SAID), (1.0, None)]),
        column("model.b = $2$", 7, NOISE, [(1.0, None), (0.046, SOONER)]),
        column("model.c = 3", 6, FEW, [(0.25, None), (0.125, None)]),
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


def test_an_ablation_says_what_its_tests_allow():
    """Oracle: by hand. Catches a row in colour although no test allows a sentence, the p of
    another column or of the other test, rows out of order, and a figure of rates compared with the
    wrong line."""
    (section,) = ablation.sections(ABLATION)
    rates, steps = (figure.figure for figure in section.figures)
    assert points(rates) == [
        (0.75, 0, True), (0.0, 1, True), (0.875, 2, False), (0.75, 3, False)
    ]  # fmt: skip
    assert words(rates) == ["", "p = 0.031", "p = 1.000", "p = 0.250"]
    assert points(steps) == [(1200, 0, False), (-100, 1, True), (300, 2, False)]
    assert words(steps) == ["p = 1.000", "p = 0.046", "p = 0.125"]
    lines = {line.get_label(): line for line in rates.axes[0].get_lines()}
    assert list(lines["reference"].get_xdata()) == [0.75, 0.75]
    assert {line.get_color() for line in steps.axes[0].get_lines()} >= {colors_of(["gru"])["gru"]}
    labels = [label.get_text() for label in rates.axes[0].get_yticklabels()]
    assert labels[2] == "model.b = $2$"
    rates.savefig("/dev/null", format="png")  # dollar signs make no formula
    assert section.text.endswith(f"for all tests of the table. {SAID}. {SOONER}.")
    assert "learning rate (0.01) and budget (3,000 steps)" in section.text
    headings, body = section.tables[0]
    assert list(headings[1:6]) == [
        "remember", "p", "share remembered", "steps to remember", "p "
    ]  # fmt: skip
    assert body[0][2] == body[0][5] == "–"
    assert [row[2] for row in body[1:]] == ["0.031", "1.000", "0.250"]
    assert [row[5] for row in body[1:]] == ["1.000", "0.046", "0.125"]
    assert body[0][1] == "6/8\n.65–.85"
    assert body[1][3] == ".500 (.000–.980)"
    assert body[1][4] == "1,700 (1,600–1,800)"


def test_an_ablation_whose_tests_allow_nothing_says_so():
    """By the protocol. Catches a sentence from a figure alone."""
    columns = [ABLATION["columns"][0], *ABLATION["columns"][3:]]
    (section,) = ablation.sections({**ABLATION, "columns": columns})
    assert section.text.endswith("No difference allows a sentence.")


def test_differences_in_words():
    """Oracle: by hand. Catches a sign on zero, and steps of unpaired trials."""
    assert differences.rate(FEW) == "0.00\n−0.50 to +0.50"
    assert differences.steps(FEW) == "+300\ntoo few pairs"
    assert differences.rate(None) == "–"
    assert differences.steps({**CLEAR, "steps": None}) == "–"


def rate(value, forgotten, median, trials=3):
    remember = sum(one is not None and one <= 0.05 for one in forgotten)
    return {
        "learning_rate": value, "trials": trials, "remembers": remember,
        "remember_rate": remember / trials, "remember_rate_low": 0.1, "remember_rate_high": 0.9,
        "forgotten": forgotten, "median_forgotten": median,
        "diverged": forgotten.count(None),
    }  # fmt: skip


RATES = {
    "task": "adding", "variant": "arjovsky2016", "length": 50, "budget": 3000,
    "models": [
        {"model": "lstm", "cell": "a", "parameters": 10,
         "window": {"low": 0.001, "high": 0.01, "decades": 1.0, "open_low": False,
                    "open_high": True},
         "rates": [rate(0.001, [0.9, 0.8, 0.7], 0.8), rate(0.01, [0.04, None, 0.02], 0.04)]},
        {"model": "gru", "cell": "b", "parameters": 10, "window": None,
         "rates": [rate(0.001, [0.01, 0.5, 7.0], 0.5), rate(0.01, [None] * 3, None)]},
    ],
}  # fmt: skip


def test_learning_rates_are_drawn_with_every_trial():
    """Oracle: the numbers put in. Catches models exchanged, a diverged trial that is left out, a
    mean for a median, and two models that hide each other."""
    (section,) = learning_rates.sections(RATES)
    (figure,) = section.figures
    axes = figure.figure.axes[0]
    medians = {line.get_label(): line.get_data() for line in axes.get_lines()}
    top = learning_rates.GREATEST
    np.testing.assert_allclose(medians["lstm"][1], [0.8, 0.04])
    np.testing.assert_allclose(medians["gru"][1], [0.5, top])
    np.testing.assert_allclose(medians["lstm"][0], [0.001, 0.01], rtol=0.1)
    assert medians["lstm"][0][0] != medians["gru"][0][0]
    dots = [line.get_ydata() for line in axes.get_lines() if len(line.get_ydata()) == 3]
    drawn = np.sort(np.concatenate(dots))
    want = np.sort([0.9, 0.8, 0.7, 0.04, top, 0.02, 0.01, 0.5, top, top, top, top])
    np.testing.assert_allclose(drawn, want)
    (table,) = section.tables
    assert table.headings == ["model", "parameters", "0.001", "0.01", "window"]
    assert table.rows == [
        ["lstm", "10", "0/3    0.8", "2/3   0.04", "≥ 1.0"],
        ["gru", "10", "1/3    0.5", "0/3   div.", "–"],
    ]


def test_tuning_is_drawn_with_what_ended_early():
    """Oracle: the numbers put in. Catches a line through rates in the order in which they were
    tried, choices that share a line, a rate that ended early drawn as one that did not, and a
    diverged one that is left out."""
    (section,) = tuning.sections(TUNING)
    (figure,) = section.figures
    lines = figure.figure.axes[0].get_lines()
    joined = {line.get_label(): line for line in lines if line.get_label()[0] != "_"}
    assert {"lstm bias_1", "lstm chrono", "transformer"} <= joined.keys()
    x, y = joined["lstm chrono"].get_data()
    np.testing.assert_allclose(x, [0.01, 0.1])
    np.testing.assert_allclose(y, np.exp([-3.0, -2.0]))
    np.testing.assert_allclose(joined["lstm bias_1"].get_ydata(), [np.exp(-1.0), tuning.GREATEST])
    assert joined["lstm bias_1"].get_linestyle() != joined["lstm chrono"].get_linestyle()
    hollow = {
        (line.get_xdata()[0], round(float(line.get_ydata()[0]), 6))
        for line in lines
        if line.get_marker() == "o" and line.get_markerfacecolor() == "white"
    }
    assert hollow == {(0.1, tuning.GREATEST), (0.1, round(float(np.exp(-2.0)), 6))}
    assert section.tables[0].rows == [
        ["adding-10-lstm", "0.01, chrono", "0.6", "8", "1,800", "5"],
        ["adding-10-transformer", "0.001", "≥ 1.0", "4", "900", "2"],
    ]


def test_cells_of_one_model_are_told_apart():
    """By hand: two starts of the LSTM. Catches two lines of one label and style."""
    lstm = TUNING["cells"][1] | {"model": "lstm"}
    names = ("adding-10-lstm", "adding-10-lstm-chrono")
    (section,) = tuning.sections({"cells": [{**lstm, "cell": name} for name in names]})
    lines = section.figures[0].figure.axes[0].get_lines()
    styles = {one.get_label(): one.get_linestyle() for one in lines if one.get_label()[0] != "_"}
    assert styles == {"lstm": "-", "lstm-chrono": "--"}


def test_the_tuning_of_a_text_has_no_window_and_no_criterion():
    """By hand: losses of a text differ by some percent. Catches an axis down to the 5 % of a trial
    that remembers, and a caption of a column that is empty."""
    cells = [{**cell, "task": "text", "window": None} for cell in TUNING["cells"]]
    (section,) = tuning.sections({"cells": cells})
    axes = section.figures[0].figure.axes[0]
    assert axes.get_yscale() == "linear"
    assert not [line for line in axes.get_lines() if set(line.get_ydata()) <= {1, 0.05}]
    assert "Window" not in section.text
    assert [row[2] for row in section.tables[0].rows] == ["–", "–"]
    assert "Window" in tuning.sections(TUNING)[0].text


def test_the_page_of_pairs_says_what_they_allow():
    """Oracle: by hand. Catches a sentence that no test allows, one that is lost, and the counts of
    the two models exchanged."""
    (section,) = compare.sections(COMPARE)
    assert section.text.endswith(f"copy, T = 50: {COMPARE['pairs'][1]['verdict']}.")
    assert section.tables[0].rows == [
        ["adding", "50", "lstm", "transformer", "remembers on more seeds than", "0", "2", "4", "–"],
        ["copy", "50", "lstm", "transformer", "needs fewer steps than", "0", "12", "12", "0.002"],
    ]
    (silent,) = compare.sections({"pairs": COMPARE["pairs"][:1]})
    assert silent.text.endswith("No difference allows one.")
    assert compare.sections({"pairs": []}) == []


CELL = {"remembers": 4, "trials": 8, "remember_rate_low": 0.2, "remember_rate_high": 0.8}


def of_test(p, trials=12, verdict=None):
    return {"what": "remembers on more seeds than", "p": p, "trials": trials, "verdict": verdict}


MORE = "new remembers on more seeds than old: 9 to 0 of 12 pairs"
NONE_OF = "No difference allows a sentence, in {0} of {0} cells."


@pytest.mark.parametrize(
    ("found", "summary"),
    [
        ([("a", NOISE, [of_test(0.01, 12, MORE), of_test(1.0)]), ("b", CLEAR, [of_test(0.2)] * 2)],
         f"a: {MORE}. Each"),
        ([("a", CLEAR, [of_test(0.25), of_test(0.06)])], f"{NONE_OF.format(1)} Each"),
        ([("a", CLEAR, [of_test(0.25, 4)]), ("b", NOISE, [of_test(1.0, 12)])],
         f"{NONE_OF.format(2)} Too few trials for one in 1 of 2 cells. Each"),
        ([], "They have no finished cell in common of a task that has a criterion."),
    ],
)  # fmt: skip
def test_a_comparison_says_what_its_tests_allow(found, summary):
    """Oracle: by hand; CLEAR's interval excludes zero, NOISE's does not. Catches a sentence from an
    interval, "within noise" of cells that too few trials can't tell apart, p of another cell or of
    the other test, and an empty figure."""
    cells = [
        {"cell": name, "compared": {"first": CELL, "second": CELL, **compared}, "tests": tests}
        for name, compared, tests in found
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
    assert "noise" not in section.text
    assert (len(section.figures), len(section.tables)) == ((1, 2) if cells else (0, 0))
    listed = "Only in one of the two: c (old), d0 (new), d1 (new), d2 (new), d3 (new) and 5 more."
    assert (listed in section.text) == bool(cells)
    if cells:
        figure = section.figures[0].figure
        assert [row[0] for row in section.tables[0].rows] == [name for name, *_ in found]
        assert section.tables[0].rows[0][1:3] == ["4/8\n.20–.80"] * 2
        want = [
            (compared["remember_rate"]["value"], bool(tests[0]["verdict"]))
            for _, compared, tests in found
        ]
        assert [(x, filled) for x, _, filled in points(figure)] == want
        assert words(figure) == [f"p = {tests[0]['p']:.3f}" for *_, tests in found]
        for row, (*_, tests) in zip(section.tables[0].rows, found, strict=True):
            assert row[4] == differences.p_value(tests[0]["p"])
            assert row[6] == (differences.p_value(tests[1]["p"]) if len(tests) > 1 else "–")
