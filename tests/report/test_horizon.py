"""The horizon's figures and tables show a hand-made result of the study."""

import io

import numpy as np
import pytest
from matplotlib.colors import to_hex

from lstm_attn.report import horizon
from lstm_attn.report.panel import colors_of
from lstm_attn.report.studies import STUDIES

LENGTHS = (10, 20, 28, 40)
RATES = {
    "lstm": (1.0, 0.75, 0.25, 0.0),
    "gru": (1.0, 1.0, 1.0, 0.75),
    "transformer": (0.25, 0, 0, 0),
}


def fit(t50, low, high, bounded="inside", slope=2.0):
    return {"t50": t50, "low": low, "high": high, "slope": slope, "bounded": bounded}


def search(model, found, by_budget, line=None):
    lengths = [
        {
            "length": length, "cell": f"adding-{length}-{model}", "trials": 4,
            "remembers": int(4 * rate), "remember_rate": rate, "remember_rate_low": rate * 0.5,
            "remember_rate_high": (1 + rate) / 2, "solved": 1, "seconds": 9.4,
            "learning_rate": 0.003,
        }
        for length, rate in zip(LENGTHS, RATES[model], strict=True)
    ]  # fmt: skip
    return {
        "task": "adding", "model": model, "parameters": 4500, **found,
        "by_budget": [{"budget": budget, **one} for budget, one in by_budget.items()],
        "against_budget": line, "steps_of_tuning": 800, "seconds_of_tuning": 12.6, "seconds": 19.6,
        "lengths": lengths,
    }  # fmt: skip


def make_found():
    lstm = fit(24.0, 20.0, 28.0)
    line = {"slope": 0.93, "low": 0.7, "high": 1.2, "intercept": 1.0}
    smaller = {1600: lstm, 800: fit(12.0, 10.0, 20.0), 400: fit(10.0, 0.0, 10.0, "below")}
    above, below = fit(40.0, 40.0, None, "above", 0.0), fit(10.0, 0.0, 10.0, "below", 0.0)
    return {
        "budget": 1600, "schedule": "constant", "seeds": 4,
        "searches": [
            search("lstm", lstm, smaller, line),
            search("gru", above, {1600: above, 800: fit(21.0, 14.0, None)}),
            search("transformer", below, {1600: below}),
        ],
    }  # fmt: skip


@pytest.fixture
def found():
    return make_found()


def test_the_figure_has_the_rates_the_curve_and_the_interval(found):
    """Oracle: the numbers put in; at T50 the curve is one half, and it falls by the slope in log
    odds when T doubles. Catches a curve of natural logarithms or of a bound, points that are joined,
    another model's colour, and an interval somewhere else."""
    axes = horizon.sections(found)[0].figures[0].figure.axes[0]
    drawn = {container.get_label(): container for container in axes.containers}
    for model, rates in RATES.items():
        points, _, bars = drawn[model]
        np.testing.assert_allclose(points.get_ydata(), rates)
        np.testing.assert_allclose(points.get_xdata(), LENGTHS, rtol=0.1)
        assert points.get_linestyle() == "None"
        ends = np.array(bars[0].get_segments())[:, :, 1]
        np.testing.assert_allclose(ends, [[rate / 2, (1 + rate) / 2] for rate in rates])
    (curve,) = [line for line in axes.get_lines() if len(line.get_xdata()) > 100]
    x, y = curve.get_data()
    assert to_hex(curve.get_color()) == colors_of(["lstm"])["lstm"].lower()
    np.testing.assert_allclose(np.interp(24.0, x, y), 0.5, atol=0.01)
    odds = np.log(y / (1 - y))
    np.testing.assert_allclose(np.interp(12.0, x, odds) - np.interp(24.0, x, odds), 2, atol=0.02)
    (interval,) = [
        line for line in axes.get_lines() if len(line.get_xdata()) == 2 and line.get_ydata()[0] < 0
    ]
    assert list(interval.get_xdata()) == [20, 28]


def test_t50_is_drawn_against_budgets_where_it_is_inside(found):
    """Oracle: the numbers put in. Catches a bound drawn as a T50, budgets in the order of the
    record, and an open interval that looks closed at nothing."""
    axes = horizon.sections(found)[0].figures[1].figure.axes[0]
    drawn = {container.get_label(): container for container in axes.containers}
    np.testing.assert_allclose(drawn["lstm"][0].get_xdata(), [800, 1600], rtol=0.1)
    np.testing.assert_allclose(drawn["lstm"][0].get_ydata(), [12, 24])
    np.testing.assert_allclose(drawn["gru"][0].get_ydata(), [21])
    (segment,) = drawn["gru"][2][0].get_segments()
    np.testing.assert_allclose(segment[:, 1], [14, 21 * horizon.FURTHEST])
    for figure in horizon.sections(found)[0].figures:
        figure.figure.savefig(io.BytesIO())


def test_a_result_of_bounds_alone_is_drawn(found):
    """Catches a traceback where nothing is inside, and a second figure of one budget."""
    for one in found["searches"]:
        one["by_budget"] = one["by_budget"][:1]
    found["searches"] = found["searches"][1:]
    (section,) = horizon.sections(found)
    assert [figure.name for figure in section.figures] == ["horizon-adding"]
    section.figures[0].figure.savefig(io.BytesIO())


def test_the_tables_show_the_interval_and_the_lengths_tried(found):
    """Oracle: by hand. Catches a point instead of an interval, a bound that looks like a T50, and
    tuning that is not counted."""
    (section,) = STUDIES["horizon"](found)
    horizons, lengths = section.tables
    assert horizons.headings[:3] == ["model", "T50", "slope on steps"]
    assert [row[:3] for row in horizons.rows] == [
        ["lstm", "24 (20–28)", "0.93 (0.70–1.20)"],
        ["gru", "> 40", "–"],
        ["transformer", "< 10", "–"],
    ]
    assert horizons.rows[0][3:] == ["4", "4,500", "20", "13"]
    assert lengths.rows[1] == ["lstm", "20", "3/4", ".38–.88", "1", "0.003", "9"]
    assert len(lengths.rows) == 12
    assert "within 1,600 steps" in section.text
    assert "whose learning rate is constant" in section.text
    assert horizon.in_words(fit(21.0, 14.0, None)) == "21 (14–)"
    assert horizon.in_words(fit(21.0, 0.0, 30.0)) == "21 (–30)"
