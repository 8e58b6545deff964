"""The section of language models shows a hand-made result of the study."""

import numpy as np
import pytest

from lstm_attn import report
from lstm_attn.report import language_model
from lstm_attn.report.panel import colors_of
from lstm_attn.runs import RunFolder
from tools.pages.readme import language_model_section


def ends(mean, half=0.1):
    return {"mean": mean, "low": mean - half, "high": mean + half}


def model(name, blocks, falls, induction):
    return {
        "model": name, "cell": f"text-8-{name}", "parameters": 1000, "seconds": 12.4, "by_trial": [2.5, 3.25],
        "minus_first": None if name == "lstm" else ends(float(np.mean(blocks)) - 3, 0.25),
        "bits_per_byte": ends(float(np.mean(blocks))),
        "by_context": [
            {"context": 4 ** (i + 1), **ends(3 - fall), "fall": ends(fall, 0.05)}
            for i, fall in enumerate(falls)
        ],
        "by_position": [{"first": 1, "last": 1, **ends(4.0)}, {"first": 2, "last": 8, **ends(3.0)}],
        "induction": [
            {"distance": 4 ** (i + 1), "loss": 5.0, **ends(fall)} for i, fall in enumerate(induction)
        ],
        "curve": [{"step": 10, "bits": 4.0}, {"step": 20, "bits": None}],
        "samples": [{"prompt": {"text": "a\n  b"}, "text": "<i>c\n\nd"}],
    }  # fmt: skip


@pytest.fixture
def found():
    return {
        "source": "a text", "level": "character", "vocabulary": 5, "length": 8,
        "tokens_a_step": 64, "baseline_bits": 4.5, "passage": 4,
        "models": [
            model("lstm", [2.0, 3.0, 4.0], [0.0, 0.25], [0.5, 0.0]),
            model("gru", [1.9, 2.8, 3.7], [0.0, -0.5], [1.5, -1.0]),
        ],
    }  # fmt: skip


def test_bits_are_compared_with_those_of_the_first_model(found):
    """By hand. Catches the first model compared with itself, and a wrong sign."""
    first, second = language_model.bits_table(found["models"]).rows
    assert first == ["lstm", "1,000", "3.000\n2.900 to 3.100", "2.50, 3.25", "–", "12"]
    assert second[4] == "-0.200\n-0.450 to +0.050"


def test_falls_of_the_loss_have_their_intervals(found):
    """By hand. Catches a wrong sign, and the shortest context compared with itself."""
    table = language_model.context_table(found["models"])
    assert list(table.headings) == ["model", "loss at context 4", "fall at context 16"]
    assert table.rows[0] == ["lstm", "3.000", "+0.250\n+0.200 to +0.300"]
    assert table.rows[1] == ["gru", "3.000", "-0.500\n-0.550 to -0.450"]
    assert language_model.induction_table(found["models"]).rows[1] == [
        "gru", "+1.500\n+1.400 to +1.600", "-1.000\n-1.100 to -0.900",
    ]  # fmt: skip


def test_a_figure_shows_the_points_of_its_model(found):
    """Oracle: the numbers put in. Catches panels exchanged, positions at the end of their bin, and a
    model in another's colour."""
    color = colors_of(["lstm", "gru"])["gru"]
    figure = language_model.sections(found)[1].figures[1].figure
    position, context, induction = (axes.containers[0].lines[0] for axes in figure.axes)
    np.testing.assert_allclose(position.get_xydata(), [(1, 4), (4, 3)])
    np.testing.assert_allclose(context.get_xydata(), [(4, 0), (16, -0.5)])
    np.testing.assert_allclose(induction.get_xydata(), [(4, 1.5), (16, -1)])
    assert {line.get_color() for line in (position, context, induction)} == {color}


def test_the_curves_are_those_of_all_models(found):
    """Oracle: the numbers put in; what diverged is left out. Catches a legend in another order."""
    section = language_model.sections(found)[0]
    training, contexts = (figure.figure.axes[0] for figure in section.figures)
    assert [line.get_label() for line in training.get_lines()] == ["lstm", "gru"]
    np.testing.assert_array_equal(training.get_lines()[0].get_ydata(), [4.0, np.nan])
    np.testing.assert_allclose(contexts.get_lines()[1].get_xydata(), [(4, 3), (16, 3.5)])


def test_one_wild_loss_leaves_the_others_to_be_seen(found):
    """By hand: 2.75 to 3 within a segment of 8, 9 beyond it. Catches an axis up to 9, and an error
    for a diverged run, whose losses are null."""
    found["models"][1]["by_context"][1]["mean"] = 9.0
    top = language_model.sections(found)[0].figures[1].figure.axes[0].get_ylim()[1]
    assert 3 < top < 4
    for one in found["models"]:
        for point in one["by_context"]:
            point["mean"] = None
    language_model.sections(found)


def test_what_was_written_keeps_its_lines_and_is_no_html(found, tmp_path):
    """Oracle: the text itself. Catches live HTML tags, lines that run together, and a run folder of
    language models without a report."""
    folder = RunFolder.open(tmp_path / "run", {"models": ["lstm", "gru"]})
    folder.begin({})
    folder.write_study("language_model", found)
    html = report.write(folder.path).read_text()
    assert "a\n  b</span>&lt;i&gt;c\n\nd</pre>" in html
    assert {path.stem for path in folder.path.glob("*.png")} == {
        "text-training", "text-by-context", "text-memory-lstm", "text-memory-gru"
    }  # fmt: skip


def test_the_readme_quotes_the_best_model_as_code(found):
    """Oracle: Markdown's rule that four spaces make code. Catches a sample of the worst model, and
    a sample that ends the code block."""
    text = language_model_section(found)
    assert "gru wrote the text after ▸:\n\n    a\n      b▸<i>c\n\n    d" in text
    assert "| gru | 3.000 | -0.500<br>-0.550 to -0.450 |" in text
