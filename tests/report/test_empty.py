"""Where there is nothing to draw, a sentence says so."""

import copy
import json
import shutil

import numpy as np
import pytest

from lstm_attn import report
from lstm_attn.report import page, panel, studies
from lstm_attn.report.section import NamedFigure, Section, without_empty
from tests.report import test_hostile
from tests.report.test_horizon import fit, make_found

NAN = np.full(3, np.nan)
NOTHING = {
    "references": lambda axes: panel.reference(axes, "one", x=1, y=2),
    "labels": lambda axes: axes.plot([], [], label="lstm"),
    "diverged": lambda axes: panel.dots(axes, [1, 2, 3], NAN, "black"),
    "band": lambda axes: panel.line_with_band(axes, np.arange(3), NAN[:, None], "black", "lstm"),
    "intervals": lambda axes: panel.error_bars(axes, [], [], [], [], "black", "lstm"),
    "bars": lambda axes: axes.barh([], []),
}
SOMETHING = {
    "a dot": lambda axes: panel.dots(axes, 1, 0, "black"),
    "an interval": lambda axes: panel.error_bars(axes, [1], [0], [1], [2], "black", "lstm"),
    "a bar": lambda axes: axes.barh(["a"], [0.0]),
    "a histogram": lambda axes: axes.hist([1.0], [0, 1, 2]),
    "a map": lambda axes: axes.imshow(np.zeros((2, 2))),
    "a band": lambda axes: panel.line_with_band(
        axes, np.arange(3), np.array([[1.0, 2.0, 3.0]]).T, "black", "lstm"
    ),
}


@pytest.mark.parametrize("name", [*NOTHING, *SOMETHING])
def test_a_figure_is_empty_if_nothing_is_in_it_but_what_to_compare_with(name):
    """By hand. Catches a dashed line or a legend taken for data, and a value of zero for none."""
    figure = panel.panel("", {**NOTHING, **SOMETHING}[name])
    assert panel.is_empty(figure) == (name in NOTHING)


def test_one_of_several_axes_is_enough():
    """Catches a figure of three panels that is dropped for its empty first one."""
    parts = [("", NOTHING["references"]), ("", SOMETHING["a dot"])]
    assert not panel.is_empty(panel.panels(parts))


def test_a_sentence_takes_the_place_of_empty_figures():
    """By hand. Catches a figure that vanishes without a word, and the wrong one of two."""
    shown = [
        NamedFigure(name, f"alt of {name}", panel.panel("", draw))
        for name, draw in (("a", NOTHING["labels"]), ("b", SOMETHING["a bar"]))
    ]
    section = without_empty(Section("title", "Text.", shown))
    assert [figure.name for figure in section.figures] == ["b"]
    assert section.text == "Text. Nothing to draw: alt of a."
    assert without_empty(Section("title", "Text.", shown[1:])).text == "Text."


@pytest.mark.parametrize("name", test_hostile.STUDIES)
def test_no_study_draws_an_empty_figure(name):
    """Oracle: `is_empty`, tested above. Every study's hand-made result."""
    for section in studies.drawn(name, test_hostile.STUDIES[name]):
        assert not any(panel.is_empty(figure.figure) for figure in section.figures)


def test_a_horizon_that_nobody_reaches_has_no_curve_against_the_budget():
    """By hand: T50 is below every length in each budget. Catches an empty logarithmic axis."""
    found = make_found()
    for search in found["searches"]:
        below = fit(10.0, 0.0, 10.0, "below", 0.0)
        search |= below | {"by_budget": [{"budget": b, **below} for b in (400, 800)]}
    (section,) = studies.drawn("horizon", found)
    assert [figure.name for figure in section.figures] == ["horizon-adding"]
    assert section.text.endswith("Nothing to draw: T50 against the budget of steps: adding.")


@pytest.fixture
def forgetful(run_path, tmp_path):
    """The hand-made run, in which nobody remembers copy."""
    folder = tmp_path / "run"
    shutil.copytree(run_path, folder, ignore=shutil.ignore_patterns("*.png", "*.html"))
    records = json.loads((folder / "results.json").read_text())
    forgotten = {"remembers": 0, "remember_rate": 0.0, "remember_rate_low": 0.0}
    changed = copy.deepcopy(records)
    for record in changed:
        if record["task"] == "copy":
            record |= forgotten
            for trial in record["per_trial"]:
                trial["steps_to_remember"] = None
    (folder / "results.json").write_text(json.dumps(changed))
    return folder


def test_where_nobody_remembers_there_is_no_curve_of_who_does_not_yet(forgetful, monkeypatch):
    """By hand. Catches flat lines at one, and a figure that vanishes without a word."""
    names = []
    monkeypatch.setattr(page, "_drawn", lambda figure, **_: names.append(figure.name))
    html = report.write(forgetful).read_text()
    assert "<p>No trial remembers: copy, T = 10; copy, T = 50.</p>" in html
    survival = [name for name in names if name.startswith("survival")]
    assert survival == ["survival-adding-10", "survival-adding-50"]
