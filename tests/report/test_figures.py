"""Figures draw the numbers they are given."""

import numpy as np
import pytest
from matplotlib import pyplot

from lstm_attn import report
from lstm_attn.history import stack
from lstm_attn.report.panel import panel
from lstm_attn.runs import RunFolder
from tests.made_run import RATES, SEEDS


def line(figure, label):
    lines = [line for line in figure.axes[0].get_lines() if line.get_label() == label]
    assert len(lines) == 1
    return lines[0].get_xdata(), lines[0].get_ydata()


@pytest.fixture
def history(run_path):
    def of(cell):
        return stack(RunFolder(run_path).evaluations(cell), SEEDS, RATES)

    return of


def test_a_figure_is_shown_by_pyplot(monkeypatch):
    """Oracle: pyplot's own list of what it shows. Catches a figure that pyplot does not know, which a
    script shows nowhere, and one that stays open."""
    figure, shown = panel("", lambda axes: axes.plot([1, 2], [1, 2])), []
    monkeypatch.setattr(
        pyplot, "show", lambda: shown.extend(map(pyplot.figure, pyplot.get_fignums()))
    )
    figure.show()
    assert shown == [figure]
    assert not pyplot.get_fignums()


def test_learning_curves_are_those_of_every_trial(history):
    """Oracle: the losses put in. Catches a loss not divided, a trial that is left out, and a
    diverged trial that ends the curves of others."""
    cell = history("copy-50-lstm")
    figure = report.learning_curves({"lstm": cell}, baseline=0.2)
    drawn = [one.get_ydata() for one in figure.axes[0].get_lines() if len(one.get_xdata()) == 3]
    want = np.where(cell.diverged, np.nan, cell.metrics["loss"] / 0.2).T
    assert len(drawn) == len(want) == 4
    np.testing.assert_allclose(np.array(drawn), want, rtol=1e-6)
    assert list(line(figure, "no memory")[1]) == [1, 1]


def test_recall_is_drawn_by_position(history):
    """Oracle: the accuracies put in. Catches positions in the wrong order, and two models that
    hide each other."""
    two = {name: history("copy-10-lstm") for name in ("lstm", "same")}
    figure = report.recall_by_position(two, chance=1 / 8)
    positions, accuracy = line(figure, "lstm")
    np.testing.assert_allclose(positions, np.arange(1, 11), atol=0.2)
    assert np.all(np.abs(positions - line(figure, "same")[0]) > 0.1)
    np.testing.assert_allclose(accuracy, np.linspace(1, 0.2, 10), rtol=1e-6)


def test_remember_rates_have_their_intervals_and_no_line(run_path):
    """Oracle: the records. Catches low and high exchanged, lengths out of order, and points that
    are joined."""
    records = [r for r in RunFolder(run_path).results if r["task"] == "adding"]
    figure = report.remember_rates(records[::-1])
    containers = {c.get_label(): c for c in figure.axes[0].containers}
    points, _, bars = containers["lstm"]
    np.testing.assert_allclose(points.get_ydata(), [1, 0.5])
    assert points.get_linestyle() == "None"
    segments = np.array(bars[0].get_segments())[:, :, 1]
    expected = [
        [r["remember_rate_low"], r["remember_rate_high"]] for r in records if r["model"] == "lstm"
    ]
    np.testing.assert_allclose(segments, expected, atol=1e-6)


def test_every_trial_is_a_point_of_the_share_remembered(run_path):
    """Oracle: the records; a diverged trial at 0. Catches a trial that is left out."""
    records = [r for r in RunFolder(run_path).results if r["task"] == "copy"]
    figure = report.share_remembered(records)
    drawn = np.concatenate(
        [one.get_ydata() for one in figure.axes[0].get_lines() if len(one.get_xdata()) == 4]
    )
    want = [max(t["share_remembered"] or 0.0, -0.1) for r in records for t in r["per_trial"]]
    np.testing.assert_allclose(sorted(drawn), sorted(want), atol=1e-6)


def test_survival_falls_at_each_trial_and_stays_at_the_budget(run_path):
    """Oracle: by hand; two of four LSTMs remember at 200 of 300 steps. Catches a trial that never
    remembers drawn as one that does, and a curve that ends before the budget."""
    records = [r for r in RunFolder(run_path).results if (r["task"], r["length"]) == ("adding", 50)]
    figure = report.survival(records)
    steps, left = line(figure, "lstm")
    assert (list(steps), list(left)) == ([0, 200, 200, 300], [1, 0.75, 0.5, 0.5])
    assert list(line(figure, "transformer")[1])[-1] == 0
    assert figure.axes[0].get_xlim() == (0, pytest.approx(312))
