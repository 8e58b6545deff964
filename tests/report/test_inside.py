"""Figures and tables of inside.json show the numbers that it holds."""

from pathlib import Path

import numpy as np
import pytest

from lstm_attn.report import harmless, inside
from lstm_attn.report import inside_figures as figures
from lstm_attn.report.tables import NONE
from lstm_attn.runs import RunFolder

FIXTURES = Path(__file__).parents[1] / "fixtures"


def statistic(*values):
    middle = float(np.median(values))
    return {
        "median": middle, "low": min(values), "high": max(values), "confidence": 0.75,
        "trials": len(values), "values": list(values),
    }  # fmt: skip


def cut(name, accuracy):
    by_position = [[accuracy, accuracy - 0.1, accuracy + 0.1]] * 10
    return {
        "cut": name,
        "accuracy": statistic(accuracy, accuracy - 0.1, accuracy + 0.1),
        "by_position": by_position,
    }


GATES = {
    "layer": "lstm",
    "sample": {"input i": ["0 50", "25 100"], "forget f": ["10 20", "30 40"]},
    "before": {"counts": [4, 0, 0], "median_unit": statistic(3.0), "slowest_unit": statistic(4.0)},
    "after": {"counts": [1, 2, 1], "median_unit": statistic(5.0), "slowest_unit": statistic(60.0)},
}
HEAD = {"map": ["100 0", "40 60"], "before": statistic(1.0, 2.0, 3.0), "after": statistic(7.0)}
HYBRID = {
    "cell": "copy-2-lstm_attention", "model": "lstm_attention", "task": "copy", "length": 2,
    "solved": 1, "trials": 3, "shown": {"seed": 2, "solved": True}, "uniform_distance": 4.5, "due_distance": 12, "crossing": 11,
    "accuracy_without_memory": 0.125, "gates": [GATES],
    "attention": [{"layer": "attention", "heads": [HEAD, HEAD]}],
    "cuts": [cut("nothing", 0.9), cut("recurrence, always", 0.3), cut("attention, once", 0.2)],
}  # fmt: skip
LSTM = {**HYBRID, "model": "lstm", "cell": "copy-2-lstm", "attention": []}
LSTM["cuts"] = [cut("nothing", 0.5), cut("recurrence, always", 0.1)]
EDGES = [1.0, 10.0, 100.0, 1000.0]


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


def test_bars_of_cuts_are_over_their_names():
    """Oracle: the statistics. Catches bars of one model over another cut's name."""
    axes = figures.cuts([LSTM, HYBRID], "").axes[0]
    names = [label.get_text() for label in axes.get_xticklabels()]
    assert names == ["nothing", "recurrence\nalways", "attention\nonce"]
    bars = [bar for bar in axes.patches if bar.get_height()]
    found = sorted((round(bar.get_x() + bar.get_width() / 2), bar.get_height()) for bar in bars)
    assert found == [(0, 0.5), (0, 0.9), (1, 0.1), (1, 0.3), (2, 0.2)]
    (chance,) = [line for line in axes.get_lines() if line.get_label() == "no memory"]
    assert list(chance.get_ydata()) == [0.125, 0.125]


def test_recall_under_cuts_is_of_the_cuts_made_once():
    """Oracle: the accuracies. Catches lines with another cut's name."""
    axes = figures.recall_when_cut(HYBRID, "").axes[0]
    lines = {line.get_label(): line.get_ydata() for line in axes.get_lines()}
    np.testing.assert_allclose(lines["nothing cut"], 0.9)
    np.testing.assert_allclose(lines["attention cut"], 0.2)
    assert "recurrence cut" not in lines


def test_a_section_has_every_figure_once_and_every_statistic_with_its_interval():
    """Catches two figures with one file name, and a number without its interval."""
    (section,) = inside.sections({"cells": [LSTM, HYBRID], "edges": EDGES})
    names = [figure.name for figure in section.figures]
    assert len(names) == len(set(names)) == 9
    assert all("/" not in name for name in names)
    accuracy, units, heads = section.tables
    assert accuracy.rows[0] == ["lstm", "nothing", "0.500 (0.400 to 0.600)", "75%", "3"]
    assert units.rows[1] == ["lstm", "slowest", "4 steps", "60 steps"]
    assert heads.rows[0] == ["lstm_attention", "1", "2 (1 to 3) steps", "7 steps"]
    assert "before step 12 to that step" in section.text
    assert "over 3 trials" in section.text


def test_in_words_is_what_the_terminal_shows():
    """Catches before and after exchanged, and cuts made always among those made once."""
    scales, distance, accuracy = inside.in_words(HYBRID)
    assert (scales, distance) == ("4, 60", "2, 7")
    assert accuracy == "nothing 0.90\nattention 0.20"
    assert inside.in_words(LSTM)[1] == NONE


@pytest.mark.parametrize(("layers", "expected"), [(["a"], "lstm"), (["a", "b"], "lstm a")])
def test_a_layer_is_named_where_there_are_several(layers, expected):
    """Catches two figures with one title."""
    cell = {"model": "lstm", "gates": [{"layer": name} for name in layers], "attention": []}
    assert figures.whose(cell, "a") == expected


def test_the_words_say_how_many_trials_solve_and_which_is_shown():
    """Oracle: by hand. Catches the figure of a failed trial, shown as a solution."""
    failed = {**LSTM, "solved": 0, "shown": {"seed": 0, "solved": False}}
    (section,) = inside.sections({"edges": EDGES, "cells": [HYBRID, failed]})
    assert "1/3 of lstm_attention, 0/3 of lstm solve the task" in section.text
    assert "lstm_attention seed 2 (solved), lstm seed 0 (not solved)" in section.text


def test_a_row_of_many_steps_reaches_the_figure_whole():
    """Oracle: the committed run, whose copy has sixty steps. Catches rows of a matrix that are cut
    to the length of names."""
    found = RunFolder(FIXTURES / "inside").study("inside")
    shown = harmless(found)
    assert shown == found
    assert len(inside.sections(shown)) == 2
