"""The section of language models shows a hand-made result of the study."""

import numpy as np
import pytest

from lstm_attn import report
from lstm_attn.report import language_model
from lstm_attn.report.panel import colors_of
from lstm_attn.runs import RunFolder
from tools.pages.readme import language_model_section


def ends(mean, half=0.1):
    """A mean, its interval, and two seeds."""
    return {
        "mean": mean,
        "low": mean - half,
        "high": mean + half,
        "by_seed": [mean - 0.5, mean + 0.5],
    }


def model(name, mean, falls, induction):
    return {
        "model": name, "cell": f"text-8-{name}", "parameters": 1000, "seconds": 12.4, "seeds": [0, 1],
        "learning_rate": 0.003, "blocks": [[mean, mean], [mean, mean]],
        "tuning": {"trials": 4, "steps": 90, "seconds": 7.6} if name == "lstm" else None,
        "bits_per_byte": ends(mean),
        "by_context": [
            {"context": 4 ** (i + 1), **ends(3 - fall), "fall": ends(fall, 0.05)}
            for i, fall in enumerate(falls)
        ],
        "by_position": [{"first": 1, "last": 1, **ends(4.0)}, {"first": 2, "last": 8, **ends(3.0)}],
        "induction": [
            {"distance": 4 ** (i + 1), "loss": 5.0, **ends(fall)} for i, fall in enumerate(induction)
        ],
        "curve": [{"step": 10, "bits": [4.0, 5.0, 4.5]}, {"step": 20, "bits": [3.0, 2.0, None]}],
        "samples": [{"prompt": {"text": "a\n  b"}, "text": "<i>c\n\nd"}],
    }  # fmt: skip


def make_found():
    return {
        "source": "a text", "level": "character", "vocabulary": 5, "length": 8, "budget": 20,
        "tokens_a_step": 64, "baseline_bits": 4.5, "passage": 4,
        "models": [
            model("lstm", 3.0, [0.0, 0.25], [0.5, 0.0]),
            model("gru", 2.8, [0.0, -0.5], [1.5, -1.0]),
            model("transformer", 2.9, [0.0, 0.5], [0.5, 0.5]),
        ],
        "pairs": [
            {"first": "lstm", "second": "gru", "mean": -0.2, "low": -0.3, "high": -0.1,
             "verdict": "gru needs 0.200 (0.100 to 0.300) fewer bits per byte than lstm"},
            {"first": "lstm", "second": "transformer", "mean": -0.1, "low": -0.3, "high": 0.1,
             "verdict": None},
            {"first": "gru", "second": "transformer", "mean": None, "low": None, "high": None,
             "verdict": None},
        ],
    }  # fmt: skip


@pytest.fixture
def found():
    return make_found()


def test_a_row_has_interval_range_rate_and_cost(found):
    """By hand. Catches the interval taken for the range of seeds, and tuning counted as a test."""
    first, second, _ = language_model.bits_table(found["models"]).rows
    assert first == [
        "lstm", "1,000", "3.000\n2.900 to 3.100", "2.500–3.500", "0.003", "12", "8",
    ]  # fmt: skip
    assert second[-1] == "–"
    found["models"][1]["bits_per_byte"] = {
        "mean": None, "low": None, "high": None, "by_seed": [2.0, None],
    }  # fmt: skip
    assert language_model.range_of_seeds(found["models"][1]) == "2.000–2.000, 1 diverged"
    assert language_model.mean_and_interval(found["models"][1]["bits_per_byte"]) == ("–", "–")
    assert language_model.count_of_seeds(found["models"]) == "2"


def test_a_sentence_is_said_where_the_interval_allows_it(found):
    """By hand, from the record alone. Catches a sentence without a verdict, and a row in colour whose
    interval holds 0."""
    section = language_model.sections(found)[0]
    assert "gru needs 0.200 (0.100 to 0.300) fewer bits per byte than lstm. One" in section.text
    assert section.text.count("fewer bits") == 1
    assert "20 steps, 2 seeds" in section.text
    differences = next(one for one in section.figures if one.name == "text-differences")
    points = [line for line in differences.figure.axes[0].get_lines() if line.get_marker() == "o"]
    filled = [point.get_markerfacecolor() != "white" for point in points]
    assert filled == [True, False, False]
    assert section.tables[1].rows[0] == ["gru minus lstm", "-0.200\n-0.300 to -0.100"]
    assert section.tables[1].rows[2] == ["transformer minus gru", "–"]  # one of them diverged
    for pair in found["pairs"]:
        pair["verdict"] = None
    assert language_model.NO_VERDICT in language_model.sections(found)[0].text


def test_every_seed_is_a_dot(found):
    """Oracle: the numbers put in. Catches a mean without its seeds, and dots at another model."""
    bits = language_model.sections(found)[0].figures[0].figure.axes[0]
    dots = [line for line in bits.get_lines() if line.get_alpha() == 0.6]
    assert [line.get_ydata().tolist() for line in dots] == [[2.5, 3.5], [2.3, 3.3], [2.4, 3.4]]
    assert [round(float(line.get_xdata()[0])) for line in dots] == [0, 1, 2]


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
    """Oracle: the numbers put in. Catches a legend in another order, and a mean over seeds that
    lacks what diverged."""
    section = language_model.sections(found)[0]
    training, contexts = (figure.figure.axes[0] for figure in section.figures[2:])
    names = ["lstm", "gru", "transformer"]
    assert training.get_legend_handles_labels()[1] == names
    # The median of seeds, of which one that diverged is the greatest.
    np.testing.assert_array_equal(training.get_lines()[0].get_ydata(), [4.5, 3.0])
    lines = [line for line in contexts.get_lines() if line.get_label() in names]
    np.testing.assert_allclose(lines[1].get_xydata(), [(4, 3), (16, 3.5)])


def test_one_wild_loss_leaves_the_others_to_be_seen(found):
    """By hand: 2.75 to 3 within a segment of 8, 9 beyond it. Catches an axis up to 9, and an error
    for a diverged run, whose losses are null."""
    found["models"][1]["by_context"][1]["mean"] = 9.0
    top = language_model.sections(found)[0].figures[3].figure.axes[0].get_ylim()[1]
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
    who = "<b>lstm, gru, transformer</b>"
    assert f'a\n  b</span>\n\n{who}\n<span class="soft">▸</span>&lt;i&gt;c\n\nd\n</pre>' in html
    assert {path.stem for path in folder.path.glob("*.png")} == {
        "text-bits", "text-differences", "text-training", "text-by-context", "text-memory-lstm",
        "text-memory-gru", "text-memory-transformer",
    }  # fmt: skip


def test_a_text_is_shown_once(found):
    """By hand. Catches a prompt that is repeated for each model, and a text that several models write,
    or one model after every prompt, shown again each time."""

    def sample(prompt, text):
        return {"prompt": {"text": prompt}, "text": text}

    lstm, gru, transformer = found["models"]
    lstm["samples"] = [sample("one", "x\ny"), sample("two", "x\ny")]
    gru["samples"] = [sample("one", "x\ny"), sample("two", "z")]
    transformer["samples"] = [sample("one", "w"), sample("two", "z")]
    assert [tuple(quote) for quote in language_model.sections(found)[-1].quotes] == [
        ("one", [("lstm, gru", "x\ny"), ("transformer", "w")]),
        ("two", [("lstm", "(as after prompt 1)"), ("gru, transformer", "z")]),
    ]


def test_the_readme_quotes_the_best_model_as_code(found):
    """Oracle: Markdown's rule that four spaces make code. Catches a sample of the worst model, and
    a sample that ends the code block."""
    text = language_model_section(found)
    assert "gru wrote the text after ▸:\n\n    a\n      b▸<i>c\n\n    d" in text
    assert "| gru | 3.000 | -0.500<br>-0.550 to -0.450 |" in text
    assert "Tuning took 0.1 minutes, training all seeds 0.6." in text
