"""The section of gradient reach shows the numbers it is given."""

import numpy as np
import pytest

from lstm_attn.report.gradient_reach import norms_by_lag, reach_table, sections
from lstm_attn.report.panel import MODEL_COLORS


def curve(rate, halves, vanishes=(None, None, None)):
    lags = np.arange(0, 40, 3)
    median = rate**lags
    statements = [
        dict(zip(("median", "low", "high"), values, strict=True)) for values in (halves, vanishes)
    ]
    return {
        "lags": lags.tolist(),
        "median": median.tolist(),
        "low": (0.5 * median).tolist(),
        "high": (2 * median).tolist(),
        "trials": 6,
        "sequences": 4,
        "length": 40,
        "halves": statements[0],
        "vanishes": statements[1],
    }


def entry(cell, phase, rate, solved=None, layers=("body",)):
    gradients = {"inputs": curve(rate, (1.0, 1.0, 3.0))}
    gradients |= {layer: curve(rate, (7.0, 6.0, 8.0), (30.5, 20.0, None)) for layer in layers}
    return {"cell": cell, "phase": phase, "length": 40, "solved": solved, "gradients": gradients}


FOUND = {
    "task": "adding",
    "lines": [
        {"group": "models", "label": "lstm", "cell": "adding-40-lstm"},
        {"group": "models", "label": "transformer", "cell": "adding-40-transformer"},
        {"group": "starts", "label": "forget bias 1", "cell": "adding-40-lstm"},
        {"group": "starts", "label": "chrono", "cell": "adding-40-lstm-chrono"},
    ],
    "measured": [
        entry("adding-40-lstm", "before", 0.8),
        entry("adding-40-lstm", "after", 0.9, "5/6"),
        entry("adding-40-transformer", "before", 0.7, layers=()),
        entry("adding-40-lstm-chrono", "before", 0.99),
    ],
}


def test_a_line_is_the_median_and_its_band_the_range():
    """Oracle: the numbers put in. Catches low for median, before for after, a model of another
    colour, and a Transformer drawn with hidden states."""
    axes = norms_by_lag(FOUND, 40, "models", "hidden").axes[0]
    lines = {line.get_label(): line for line in axes.get_lines()}
    lags = np.arange(0, 40, 3)
    np.testing.assert_array_equal(lines["lstm"].get_xdata(), lags)
    np.testing.assert_allclose(lines["lstm"].get_ydata(), 0.9**lags)
    assert lines["lstm"].get_color() == MODEL_COLORS["lstm"]
    assert "transformer" not in lines
    assert "before training" in lines
    dashed = [line for line in axes.get_lines() if line.get_linestyle() == "--"]
    np.testing.assert_allclose(dashed[0].get_ydata(), 0.8**lags)
    band = axes.collections[0].get_paths()[0].vertices[:, 1]
    np.testing.assert_allclose([band.min(), band.max()], [0.5 * 0.9**39, 2])
    assert (
        "transformer"
        in norms_by_lag(FOUND, 40, "models", "inputs").axes[0].get_legend_handles_labels()[1]
    )


def test_starts_have_their_own_colours_and_solid_lines_without_training():
    """Catches a dashed line with no solid one to compare it with, and two starts of one colour."""
    axes = norms_by_lag(FOUND, 40, "starts", "inputs").axes[0]
    lines = {line.get_label(): line for line in axes.get_lines()}
    assert lines["chrono"].get_linestyle() == "-"
    assert lines["half"].get_ydata()[0] == 0.5
    assert tuple(lines["chrono"].get_color()) != tuple(lines["forget bias 1"].get_color())


def test_the_table_has_intervals():
    """By hand. Catches a null shown as a number, and a row under another model's name."""
    rows = {(row[0], row[2]): row for row in reach_table(FOUND).rows}
    assert rows["lstm", "after"] == [
        "lstm", "40", "after", "5/6", "6", "7 (6–8)", "30.5 (20–≥ 40)", "1 (1–3)", "≥ 40",
    ]  # fmt: skip
    assert rows["transformer", "before"][5:7] == ["–", "–"]
    assert len(rows) == 6
    brief = reach_table(FOUND, intervals=False).rows[1]
    assert brief[5:] == ["7", "30.5", "1", "≥ 40"]


@pytest.mark.parametrize("layers", [("body/lstm_0", "body/lstm_1")])
def test_several_layers_have_a_line_each(layers):
    """Catches a second layer that is left out or drawn over the first."""
    found = {**FOUND, "measured": [entry("adding-40-lstm", "before", 0.8, layers=layers)]}
    labels = norms_by_lag(found, 40, "models", "hidden").axes[0].get_legend_handles_labels()[1]
    assert labels[:2] == [f"lstm, {layer}" for layer in layers]
    (section,) = sections(found)
    assert [figure.name for figure in section.figures] == [
        "gradient-h-starts-40", "gradient-x-starts-40", "gradient-h-models-40", "gradient-x-models-40",
    ]  # fmt: skip
