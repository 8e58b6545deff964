"""The section of gradient reach shows the numbers it is given."""

import numpy as np
import pytest

from lstm_attn.report.gradient_reach import norms_by_lag, reach_table, reaches, sections
from lstm_attn.report.panel import MODEL_COLORS


def curve(rate, *values):
    """Norms that fall at this rate; the reach of each trial."""
    lags = np.arange(0, 40, 3)
    median = rate**lags
    there = [value for value in values if value is not None]
    return {
        "lags": lags.tolist(),
        "median": median.tolist(),
        "low": (0.5 * median).tolist(),
        "high": (2 * median).tolist(),
        "trials": len(there),
        "sequences": 4,
        "length": 40,
        "share": 0.01,
        "reach": {
            "values": list(values), "median": float(np.median(there)), "low": min(there),
            "high": max(there),
        },
    }  # fmt: skip


def entry(cell, phase, rate, layers=("body",)):
    gradients = {"inputs": curve(rate, 5.0, 7.0, 9.0)}
    gradients |= {layer: curve(rate, 30.0, None, 40.0) for layer in layers}
    return {"cell": cell, "phase": phase, "gradients": gradients}


def line(group, label, cell, remembers=2, rate=0.01):
    shares = (0.5, None, 0.98)
    return {
        "group": group, "label": label, "cell": cell, "trials": 3, "remembers": remembers,
        "remember_rate_low": 0.09, "remember_rate_high": 0.99, "solved": 1,
        "per_trial": [{"share_remembered": share, "learning_rate": rate} for share in shares],
    }  # fmt: skip


VERDICT = "chrono reaches farther back before training than forget bias 1: 12 to 0 of 12 pairs"
FOUND = {
    "task": "adding", "length": 40, "budget": 1500,
    "lines": [
        line("models", "lstm", "adding-40-lstm"),
        line("models", "transformer", "adding-40-transformer", 3, 0.003),
        line("starts", "forget bias 1", "adding-40-lstm"),
        line("starts", "chrono", "adding-40-lstm-chrono", 0, 0.1),
    ],
    "measured": [
        entry("adding-40-lstm", "before", 0.8),
        entry("adding-40-lstm", "after", 0.9),
        entry("adding-40-transformer", "before", 0.7, layers=()),
        entry("adding-40-lstm-chrono", "before", 0.99),
        entry("adding-9-gru", "before", 0.5),
    ],
    "tests": [
        {"first": "forget bias 1", "second": "chrono", "first_ahead": 0, "second_ahead": 12,
         "what": "reaches farther back before training than", "pairs": 12, "p": 0.0004,
         "verdict": VERDICT},
        {"first": "forget bias 1", "second": "chrono", "first_ahead": 1, "second_ahead": 2,
         "what": "remembers on more seeds than", "pairs": 12, "p": 1.0, "verdict": None},
    ],
}  # fmt: skip


def test_a_line_is_the_median_and_its_band_the_range():
    """Oracle: the numbers put in. Catches low for median, before for after, a model of another
    colour, and a Transformer drawn with hidden states."""
    axes = norms_by_lag(FOUND, "models", "hidden").axes[0]
    lines = {line.get_label(): line for line in axes.get_lines()}
    lags = np.arange(0, 40, 3)
    np.testing.assert_array_equal(lines["lstm"].get_xdata(), lags)
    np.testing.assert_allclose(lines["lstm"].get_ydata(), 0.9**lags)
    assert lines["lstm"].get_color() == MODEL_COLORS["lstm"]
    assert "transformer" not in lines
    assert "before training" in lines
    assert lines["0.01"].get_ydata()[0] == 0.01
    dashed = [line for line in axes.get_lines() if line.get_linestyle() == "--"]
    np.testing.assert_allclose(dashed[0].get_ydata(), 0.8**lags)
    band = axes.collections[0].get_paths()[0].vertices[:, 1]
    np.testing.assert_allclose([band.min(), band.max()], [0.5 * 0.9**39, 2])
    inputs = norms_by_lag(FOUND, "models", "inputs").axes[0]
    dashed = [line for line in inputs.get_lines() if line.get_linestyle() == "--"]
    np.testing.assert_allclose(dashed[1].get_ydata(), 0.7**lags)


def test_starts_have_their_own_colours():
    """Catches two starts of one colour, and a start drawn with the gradients of another."""
    axes = norms_by_lag(FOUND, "starts", "inputs").axes[0]
    dashed = [line for line in axes.get_lines() if line.get_linestyle() == "--"][:2]
    ends = {line.get_color(): line.get_ydata()[-1] for line in dashed}
    np.testing.assert_allclose(list(ends.values()), [0.8**39, 0.99**39])


def test_every_trial_is_a_point_of_the_figure_of_reach():
    """Oracle: the numbers put in. Catches a trial that is left out, before and after exchanged, a
    dead trial drawn at 0, and dots on one another where trials agree."""
    axes = reaches(FOUND, "hidden").axes[0]
    assert [label.get_text() for label in axes.get_yticklabels()] == [
        "forget bias 1", "chrono", "lstm",
    ]  # fmt: skip
    drawn = [line for line in axes.get_lines() if len(line.get_xdata()) == 3]
    rows = np.array([line.get_ydata()[1] for line in drawn])
    np.testing.assert_allclose(rows, [-0.21, 0.21, 0.79, 1.79, 2.21])
    for dots in drawn:
        np.testing.assert_array_equal(dots.get_xdata(), [30, np.nan, 40])
        assert len(set(dots.get_ydata())) == 3
    colors = [dots.get_color() for dots in drawn]
    assert colors[0] == colors[2] == colors[3]  # grey: before training
    assert colors[-1] == MODEL_COLORS["lstm"]
    assert len({*colors}) == 3
    bars = [line for line in axes.get_lines() if list(line.get_xdata()) == [30, 40]]
    np.testing.assert_allclose([bar.get_ydata() for bar in bars], rows[:, None].repeat(2, 1))
    medians = [line for line in axes.get_lines() if line.get_marker() == "|"]
    assert [line.get_xdata()[0] for line in medians] == [35] * 5
    limit = {line.get_label(): line for line in axes.get_lines()}["T"]
    assert limit.get_xdata()[0] == 40
    assert len(reaches(FOUND, "inputs").axes[0].get_yticks()) == 4


def test_the_table_has_what_is_remembered_beside_each_reach():
    """By hand. Catches a reach of T shown as if it were known, before and after exchanged, h and x
    exchanged, and a row with the rate or count of another start."""
    table = reach_table(FOUND)
    rows = {row[0]: row[1:] for row in table.rows}
    assert list(rows) == ["lstm", "transformer", "forget bias 1", "chrono"]
    h, x = "35 (30–≥ 40)", "7 (5–9)"
    remember = ["2/3\n.09–.99", "1", ".500 (.000–.980)", "0.01"]
    assert rows["lstm"] == rows["forget bias 1"] == [*remember, h, h, x, x]
    assert rows["transformer"][:1] + rows["transformer"][3:] == [
        "3/3\n.09–.99", "0.003", "–", "–", x, "–",
    ]  # fmt: skip
    assert rows["chrono"][3:] == ["0.1", h, "–", x, "–"]
    assert list(table.headings[5:]) == ["h before", "h after", "x before", "x after"]
    brief = reach_table(FOUND, ranges=False).rows[0]
    assert [brief[1], brief[3]] == ["2/3", ".500"]
    assert brief[5:] == ["35", "35", "7", "7"]


def test_a_sentence_is_one_that_a_test_allows():
    """By the protocol. Catches a sentence from a p of 1, one that is lost, a test that the page does
    not show, and a caption without budget, seeds and share."""
    (section,) = sections(FOUND)
    assert section.text.endswith(f"all tests of the table. {VERDICT}.")
    assert "1,500 steps" in section.text
    assert "below 1 % of its norm" in section.text
    assert "trials, 3 seeds" in section.text
    assert section.tables[1].rows[1][3:] == ["1", "2", "12", "–"]
    (silent,) = sections({**FOUND, "tests": FOUND["tests"][1:]})
    assert silent.text.endswith("No difference allows a sentence.")
    (partly,) = sections({**FOUND, "tests": []})
    assert len(partly.tables) == 1


@pytest.mark.parametrize("layers", [("body/lstm_0", "body/lstm_1")])
def test_several_layers_have_a_line_each(layers):
    """Catches a second layer that is left out or drawn over the first."""
    found = {**FOUND, "measured": [entry("adding-40-lstm", "after", 0.8, layers)]}
    labels = norms_by_lag(found, "models", "hidden").axes[0].get_legend_handles_labels()[1]
    assert labels[:2] == [f"lstm, {layer}" for layer in layers]
    assert [row[0] for row in reach_table(found).rows][:2] == labels[:2]
    (section,) = sections(found)
    assert [figure.name for figure in section.figures] == [
        "gradient-h-starts", "gradient-x-starts", "gradient-h-models", "gradient-x-models",
        "reach-h", "reach-x",
    ]  # fmt: skip
