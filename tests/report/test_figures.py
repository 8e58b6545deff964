"""Figures draw the numbers they are given."""

import numpy as np
import pytest

from lstm_attn import report
from lstm_attn.history import stack
from lstm_attn.runs import RunFolder
from tests.report.conftest import RATES, SEEDS


def line(figure, label):
    lines = [line for line in figure.axes[0].get_lines() if line.get_label() == label]
    assert len(lines) == 1
    return lines[0].get_xdata(), lines[0].get_ydata()


@pytest.fixture
def history(run_path):
    def of(cell):
        return stack(RunFolder(run_path).evaluations(cell), SEEDS, RATES)

    return of


def test_learning_curve_is_the_median_over_the_baseline(history):
    """Oracle: numpy's median. Catches a mean, a loss not divided, a band from other trials."""
    cell = history("adding-50-lstm")
    figure = report.learning_curves({"lstm": cell}, baseline=0.2)
    steps, ratio = line(figure, "lstm")
    np.testing.assert_array_equal(steps, [100, 200, 300])
    np.testing.assert_allclose(ratio, np.median(cell.metrics["loss"], axis=1) / 0.2, rtol=1e-6)
    band = figure.axes[0].collections[0].get_paths()[0].vertices[:, 1]
    np.testing.assert_allclose(band.min(), cell.metrics["loss"].min() / 0.2, rtol=1e-6)
    np.testing.assert_allclose(band.max(), cell.metrics["loss"].max() / 0.2, rtol=1e-6)
    assert list(line(figure, "no memory")[1]) == [1, 1]


def test_a_diverged_trial_does_not_end_the_curve(history):
    """Catches NaN that swallows the median of the other three."""
    figure = report.learning_curves({"lstm": history("copy-50-lstm")}, baseline=0.2)
    steps, ratio = line(figure, "lstm")
    assert list(steps) == [100, 200, 300]
    assert np.isfinite(ratio).all()


def test_recall_is_drawn_by_position(history):
    """Oracle: the accuracies put in. Catches positions in the wrong order, and two models that
    hide each other."""
    two = {name: history("copy-10-lstm") for name in ("lstm", "same")}
    figure = report.recall_by_position(two, chance=1 / 8)
    positions, accuracy = line(figure, "lstm")
    np.testing.assert_allclose(positions, np.arange(1, 11), atol=0.2)
    assert np.all(np.abs(positions - line(figure, "same")[0]) > 0.1)
    np.testing.assert_allclose(accuracy, np.linspace(1, 0.2, 10), rtol=1e-6)


def test_solve_rates_have_their_intervals(run_path):
    """Oracle: the records. Catches low and high exchanged, and lengths out of order."""
    records = [r for r in RunFolder(run_path).results if r["task"] == "adding"]
    figure = report.solve_rates(records[::-1])
    containers = {c.get_label(): c for c in figure.axes[0].containers}
    points, _, bars = containers["lstm"]
    np.testing.assert_allclose(points.get_ydata(), [1, 0.5])
    segments = np.array(bars[0].get_segments())[:, :, 1]
    expected = [
        [r["solve_rate_low"], r["solve_rate_high"]] for r in records if r["model"] == "lstm"
    ]
    np.testing.assert_allclose(segments, expected, atol=1e-6)


def test_steps_to_solve_leaves_out_what_was_not_solved(run_path):
    """Catches a null drawn as zero steps."""
    records = [r for r in RunFolder(run_path).results if r["task"] == "copy"]
    figure = report.steps_to_solve(records)
    assert np.isnan(line(figure, "lstm")[1]).all()
    np.testing.assert_array_equal(line(figure, "transformer")[1], [200, 200])
