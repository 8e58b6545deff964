"""Figures and tables of inside.json show the numbers that it holds."""

import numpy as np
import pytest

from lstm_attn.report import harmless, inside
from lstm_attn.report import inside_figures as figures
from lstm_attn.report.tables import NONE


def statistic(*values):
    there = [value for value in values if value is not None]
    return {
        "median": float(np.median(there)), "low": min(there), "high": max(there),
        "confidence": 0.75, "trials": len(there), "values": list(values),
    }  # fmt: skip


def cut(name, share):
    """A trial without a change, one that gains .1, and one that loses .7."""
    by_position = [[share, share - 0.1, share + 0.1]] * 10
    changes = (0.0, 0.1, -0.7)
    return {
        "cut": name,
        "share_remembered": statistic(share, share - 0.2, share + 0.2),
        "accuracy": statistic(share, share - 0.1, share + 0.1),
        "change": None if name == "nothing" else {
            "share_remembered": statistic(*changes), "accuracy": statistic(-share, -0.9, None),
        },
        "by_position": by_position,
    }  # fmt: skip


GATES = {
    "layer": "lstm",
    "sample": {"input i": ["0 50", "25 100"], "forget f": ["10 20", "30 40"]},
    "before": {"counts": [4, 0, 0], "median_unit": statistic(3.0), "slowest_unit": statistic(4.0)},
    "after": {"counts": [1, 2, 1], "median_unit": statistic(5.0), "slowest_unit": statistic(60.0)},
}
HEAD = {"map": ["100 0", "40 60"], "before": statistic(1.0, 2.0, 3.0), "after": statistic(7.0)}
HYBRID = {
    "cell": "copy-2-lstm_attention", "model": "lstm_attention", "task": "copy", "length": 2,
    "parameters": 5067, "trials": 3, "remembers": 2, "remember_rate_low": 0.09,
    "remember_rate_high": 0.99, "solved": 1, "budget": 1500, "shown": 1,
    "per_trial": [
        {"seed": seed, "learning_rate": 0.03, "share_remembered": share, "steps_to_remember": end}
        for seed, share, end in ((0, 0.2, None), (1, 0.99, 100), (2, 0.98, 200))
    ],
    "uniform_distance": 4.5, "due_distance": 12, "crossing": 11,
    "accuracy_without_memory": 0.125, "gates": [GATES],
    "attention": [{"layer": "attention", "heads": [HEAD, HEAD]}],
    "cuts": [cut("nothing", 0.9), cut("recurrence, always", 0.3), cut("attention, once", 0.2)],
}  # fmt: skip
LSTM = {**HYBRID, "model": "lstm", "cell": "copy-2-lstm", "attention": []}
SAID = "lstm_attention remembers a larger share than lstm_attention with attention cut once"
TESTS = [
    {"cell": "copy-2-lstm_attention", "cut": "recurrence, always", "p": 1.0, "verdict": None},
    {"cell": "copy-2-lstm_attention", "cut": "attention, once", "p": 0.0005, "verdict": SAID},
    {"cell": "copy-2-lstm", "cut": "recurrence, always", "p": 0.25, "verdict": "always"},
    {"cell": "adding-2-lstm", "cut": "recurrence, always", "p": 0.001, "verdict": "elsewhere"},
]
LSTM["cuts"] = [cut("nothing", 0.5), cut("recurrence, always", 0.1)]
EDGES = [1.0, 10.0, 100.0, 1000.0]
FOUND = {"edges": EDGES, "sequences": 1000, "cells": [LSTM, HYBRID], "tests": TESTS}


def test_histograms_hold_the_shares_before_and_after():
    """Oracle: the counts. Catches the two exchanged, and shares that depend on how many trials."""
    figure = figures.time_scales(GATES, EDGES, "lstm", "")
    axes = figure.axes[0]
    before, *after = axes.patches
    assert before.get_xy()[:, 1].max() == 1
    np.testing.assert_allclose([bar.get_height() for bar in after], [0.25, 0.5, 0.25])
    assert axes.get_xlim() == (1, 1000)
    assert axes.get_xscale() == "log"


def test_gates_are_drawn_unit_by_time_one_block_below_the_other():
    """Oracle: the percents. Catches a block transposed, and a name at another block."""
    blocks = {name: figures.from_percent(rows) for name, rows in GATES["sample"].items()}
    axes = figures.gates(blocks, "").axes[0]
    first, second = axes.get_images()
    np.testing.assert_allclose(first.get_array(), [[0, 0.5], [0.25, 1]])
    names = [label.get_text() for label in axes.get_yticklabels()]
    ticks = dict(zip(names, axes.get_yticks(), strict=True))
    for name, image in (("input i", first), ("forget f", second)):
        low, high = image.get_extent()[2:]
        assert ticks[name] == (low + high) / 2
    assert first.get_extent()[2] > second.get_extent()[3]


def test_an_attention_map_has_the_first_query_on_top():
    """Oracle: the percents. Catches a map upside down, and keys along the axis of queries."""
    axes = figures.attention_map(figures.from_percent(HEAD["map"]), "").axes[0]
    (image,) = axes.get_images()
    np.testing.assert_allclose(image.get_array(), [[1, 0], [0.4, 0.6]])
    assert image.origin == "upper"
    assert (axes.get_xlabel(), axes.get_ylabel()) == (
        "step looked at (key)",
        "step that looks (query)",
    )


def test_distances_have_their_intervals_and_baselines():
    """Oracle: the statistics. Catches before and after exchanged, and a baseline left out."""
    axes = figures.distances([LSTM, HYBRID], "").axes[0]
    segments = [c.get_segments()[0][:, 0].tolist() for c in axes.collections]
    assert segments == [[1, 3], [7, 7]] * 2
    lines = {line.get_label(): line.get_xdata() for line in axes.get_lines()}
    assert list(lines["all steps alike"]) == [4.5, 4.5]
    assert list(lines["the symbol due"]) == [12, 12]
    labels = [label.get_text() for label in axes.get_yticklabels()]
    assert labels == ["lstm_attention\nhead 1", "lstm_attention\nhead 2"]


def test_every_trial_is_a_point_over_its_cut():
    """Oracle: the changes. Catches points of one model over another cut's name, a diverged trial that is drawn, and one that does not remember drawn
    as one that does."""
    axes = figures.changes([LSTM, HYBRID], "share_remembered", "", "share remembered").axes[0]
    names = [label.get_text() for label in axes.get_xticklabels()]
    assert names == ["recurrence\nalways", "attention\nonce"]
    points = [
        line for line in axes.get_lines() if line.get_marker() == "o" and len(line.get_xdata())
    ]
    filled = [line for line in points if line.get_markerfacecolor() != "none"]
    hollow = [line for line in points if line.get_markerfacecolor() == "none"]
    for line in filled:
        np.testing.assert_allclose(line.get_ydata(), [0.1, -0.7])
    for line in hollow:
        np.testing.assert_allclose(line.get_ydata(), [0.0])
    places = sorted((round(line.get_xdata().mean(), 1), line.get_color()) for line in filled)
    colors = [figures.colors_of([model])[model] for model in ("lstm", "lstm_attention")]
    assert [color for _, color in places] == [*colors, colors[1]]
    np.testing.assert_allclose([x for x, _ in places], [-0.2, 0.2, 1.2], atol=0.11)
    accuracy = figures.changes([HYBRID], "accuracy", "", "accuracy").axes[0]
    drawn = [line for line in accuracy.get_lines() if len(line.get_xdata()) == 2]
    assert [list(line.get_ydata()) for line in drawn if line.get_marker() == "o"] == [
        [-0.9, pytest.approx(np.nan, nan_ok=True)]
    ] * 2
    bars = [line.get_ydata()[0] for line in drawn if line.get_linewidth() == 2]
    np.testing.assert_allclose(bars, [-0.6, -0.55])


def test_recall_under_cuts_is_of_the_cuts_made_once():
    """Oracle: the accuracies. Catches lines with another cut's name."""
    axes = figures.recall_when_cut(HYBRID, "").axes[0]
    lines = {line.get_label(): line.get_ydata() for line in axes.get_lines()}
    np.testing.assert_allclose(lines["nothing cut"], 0.9)
    np.testing.assert_allclose(lines["attention cut"], 0.2)
    assert "recurrence cut" not in lines


def test_a_section_has_every_figure_once_and_every_statistic_with_its_interval():
    """Catches two figures with one file name, a number without its interval, the p of another cut,
    and one of nothing cut."""
    (section,) = inside.sections(FOUND)
    names = [figure.name for figure in section.figures]
    assert len(names) == len(set(names)) == 10
    assert all("/" not in name for name in names)
    remember, cuts, units, heads = section.tables
    assert remember.rows[1] == [
        "lstm_attention", "2/3", ".09–.99", "1", ".980 (.200–.990)", "0.03", "5,067",
    ]  # fmt: skip
    rows = {tuple(row[:2]): row[2:] for row in cuts.rows}
    assert rows["lstm", "nothing"] == [
        "0.500 (0.300 to 0.700)", "–", "–", "0.500 (0.400 to 0.600)", "–", "75%", "3",
    ]  # fmt: skip
    assert rows["lstm_attention", "attention, once"][1:3] == [
        "+0.000 (−0.700 to +0.100)",
        "< 0.001",
    ]
    assert rows["lstm_attention", "attention, once"][4] == "−0.550 (−0.900 to −0.200)"
    assert rows["lstm_attention", "recurrence, always"][2] == "–"
    assert rows["lstm", "recurrence, always"][2] == "0.250"
    assert units.rows[1] == ["lstm", "slowest", "4 steps", "60 steps"]
    assert heads.rows[0] == ["lstm_attention", "1", "2 (1 to 3) steps", "7 steps"]


def test_a_sentence_is_one_that_a_test_allows():
    """By the protocol. Catches a sentence of another task, one without a test, one that hides how
    small a change is, and a caption without seeds, budget, criterion and where the cut is."""
    (section,) = inside.sections(FOUND)
    assert section.text.endswith(f"Of the cuts made once: {SAID}; median change +0.000.")
    for words in ("before step 12 to that step", "than the 3 that", "at most 1,500 steps", "5 %"):
        assert words in section.text
    (silent,) = inside.sections({**FOUND, "tests": TESTS[2:]})
    assert silent.text.endswith("no change allows a sentence.")


def test_in_words_is_what_the_terminal_shows():
    """Catches before and after exchanged, and cuts made always among those made once."""
    remember, scales, distance, share = inside.in_words(HYBRID)
    assert (remember, scales, distance) == ("2/3", "4, 60", "2, 7")
    assert share == "nothing 0.90\nattention 0.20"
    assert inside.in_words(LSTM)[2] == NONE


def test_a_model_whose_trials_all_diverged_has_dashes():
    """Catches a traceback at null, after all is trained."""
    null = {"median": None, "low": None, "high": None, "confidence": None, "trials": 0,
            "values": [None] * 3}  # fmt: skip
    head = {**HEAD, "after": null}
    gates = {**GATES, "after": {**GATES["after"], "median_unit": null, "slowest_unit": null}}
    cuts = [
        {**one, "share_remembered": null, "accuracy": null, "by_position": [[np.nan] * 3] * 10,
         "change": one["change"] and {"share_remembered": null, "accuracy": null}}
        for one in HYBRID["cuts"]
    ]  # fmt: skip
    dead = {**HYBRID, "gates": [gates], "attention": [{"layer": "attention", "heads": [head]}]}
    (section,) = inside.sections({**FOUND, "cells": [{**dead, "cuts": cuts}], "tests": []})
    assert section.tables[1].rows[1][2:] == ["–"] * 6 + ["0"]
    assert section.tables[2].rows[0][3] == section.tables[3].rows[0][3] == "–"
    assert inside.in_words({**dead, "cuts": cuts})[1:] == ("4", "2", "nothing –\nattention –")


@pytest.mark.parametrize(("layers", "expected"), [(["a"], "lstm"), (["a", "b"], "lstm a")])
def test_a_layer_is_named_where_there_are_several(layers, expected):
    """Catches two figures with one title."""
    cell = {"model": "lstm", "gates": [{"layer": name} for name in layers], "attention": []}
    assert figures.whose(cell, "a") == expected


def test_the_words_say_which_trial_is_shown():
    """Oracle: by hand. Catches the figure of a trial that does not remember, shown as one that
    does."""
    (section,) = inside.sections({**FOUND, "cells": [HYBRID, {**LSTM, "shown": 0}]})
    assert "lstm_attention seed 1 (remembers), lstm seed 0 (does not remember)" in section.text


def test_a_row_of_many_steps_reaches_the_figure_whole():
    """Oracle: identity, with rows of a hundred steps. Catches rows of a matrix that are cut to the
    length of names."""
    rows = [" ".join(["100"] * 100)] * 3
    gates = {**GATES, "sample": dict.fromkeys(GATES["sample"], rows)}
    found = {**FOUND, "cells": [{**HYBRID, "gates": [gates]}, LSTM]}
    assert len(rows[0]) > 300
    shown = harmless(found)
    assert shown == found
    assert len(inside.sections(shown)) == 1
