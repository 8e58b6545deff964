"""The section of length generalisation shows a hand-made result of the study."""

import numpy as np
import pytest
from matplotlib.colors import to_hex

from lstm_attn.report import length_generalisation as section_of
from lstm_attn.report.length_generalisation import reach, sections, share_by_length
from lstm_attn.report.panel import colors_of

LENGTHS, SEEDS = (5, 10, 20, 40), 8


def at_length(length, remembers):
    """What eight trials do at a tested length: the first ones remember .99, the others none, the
    last one less than none and the first of them is not finite."""
    shares = [0.99] * remembers + [0.1] * (SEEDS - remembers)
    if remembers < SEEDS - 1:
        shares[remembers], shares[-1] = None, -5.0
    low, high = {0: (0.0, 0.37), 4: (0.16, 0.84), 8: (0.63, 1.0)}[remembers]
    return {
        "length": length, "trials": SEEDS, "remembers": remembers,
        "remember_rate_low": low, "remember_rate_high": high, "solved": remembers // 2,
        "per_trial": [
            {"seed": seed, "share_remembered": share, "remembers": seed < remembers}
            for seed, share in enumerate(shares)
        ],
    }  # fmt: skip


def entry(model, shortest, remember, positions=None, counts=True, t50=15.0):
    return {
        "cell": f"{model}-{shortest}", "model": model, "positions": positions, "task": "adding",
        "length": 10, "shortest": shortest, "criterion": "C", "budget": 2000,
        "learning_rate": 0.003, "log_forgotten": -3.0, "trials": SEEDS, "sequences": 500,
        "horizon": {"t50": t50, "low": 10.0, "high": 20.0, "slope": 1.0, "bounded": "inside"},
        "counts": counts,
        "at": [at_length(*pair) for pair in zip(LENGTHS, remember, strict=True)],
    }  # fmt: skip


ENTRIES = [
    entry("lstm", 10, (0, 8, 8, 0)),
    entry("transformer", 10, (0, 8, 8, 8), "rotary"),
    entry("transformer", 10, (0, 4, 8, 0), "alibi", counts=False),
    entry("lstm", 5, (8, 8, 4, 8)),
]
TESTS = [
    {
        "task": "adding", "length": 20, "what": "remembers on more seeds than",
        "first": "lstm trained on T = 10",
        "second": "lstm trained on T = 5 to 10", "first_ahead": 4, "second_ahead": 0, "pairs": 8,
        "p": 0.25, "verdict": None,
    },
    {
        "task": "adding", "length": 40, "what": "remembers on more seeds than",
        "first": "lstm trained on T = 10",
        "second": "lstm trained on T = 5 to 10", "first_ahead": 0, "second_ahead": 8, "pairs": 8,
        "p": 0.016, "verdict": "SAID",
    },
]  # fmt: skip
FOUND = {"cells": ENTRIES, "tests": TESTS}


def drawn_at(axes, label, lengths=LENGTHS):
    """The heights of the dots of a label at each length."""
    (handle,) = [line for line in axes.get_lines() if line.get_label() == label]
    color = to_hex(handle.get_color())
    dots = [
        line
        for line in axes.get_lines()
        if to_hex(line.get_color()) == color and line.get_marker() == "o" and len(line.get_xdata())
    ]
    nearest = [min(lengths, key=lambda n: abs(np.log(n / dot.get_xdata()[0]))) for dot in dots]
    assert all(line.get_linestyle() == "None" for line in dots)
    return {
        length: sorted(dot.get_ydata()) for length, dot in zip(nearest, dots, strict=True)
    }, color


def test_each_trial_is_a_dot_in_the_panel_of_its_range():
    """Oracle: the numbers put in; those below -.1 are drawn there, one that is not finite at 0.
    Catches the dots of another row or range, a trial that is left out, points that are joined, and
    another model's colour."""
    rows = [one for one in ENTRIES if one["counts"]]
    axes = share_by_length(rows, "adding, ", lambda one: one["model"]).axes
    assert [one.get_title(loc="left") for one in axes] == [
        "adding, trained on T = 10 (transformer rotary)", "adding, trained on T = 5 to 10",
    ]  # fmt: skip
    found, color = drawn_at(axes[0], "lstm")
    assert color == colors_of(["lstm"])["lstm"].lower()
    assert found == {
        5: sorted([0.0, *[0.1] * 6, -0.1]), 10: [0.99] * 8, 20: [0.99] * 8, 40: found[5],
    }  # fmt: skip
    assert drawn_at(axes[1], "lstm")[0][20] == sorted([0.99] * 4 + [0.0, 0.1, 0.1, -0.1])
    assert drawn_at(axes[0], "transformer")[0][40] == [0.99] * 8


def test_the_trained_lengths_are_shaded():
    """Oracle: by hand. Catches a range that is shaded as one length, and a length just outside."""
    for axes, (first, last) in zip(
        share_by_length(ENTRIES, "", section_of.label).axes, [(10, 10), (5, 10)], strict=True
    ):
        (patch,) = axes.patches
        low, high = patch.get_x(), patch.get_x() + patch.get_width()
        assert [length for length in LENGTHS if low < length < high] == [
            length for length in LENGTHS if first <= length <= last
        ]


def test_how_far_a_model_remembers():
    """Oracle: by hand. From the trained length on without a gap, where the interval lies above one
    half. Catches a length counted beyond a gap, one that is undecided, and the end of what was
    tested taken for an end."""
    assert [reach(one) for one in ENTRIES] == ["20", "40+", "–", "10"]


def test_each_task_has_a_section_with_its_rows():
    """Oracle: by hand. Catches two tasks in one table, shifted columns, a scheme that lost but is
    marked, and rows of one model apart."""
    other = [{**one, "task": "copy"} for one in ENTRIES]
    both = sections({"cells": ENTRIES + other, "tests": TESTS})
    assert [section.title for section in both] == [
        "Length generalisation: adding", "Length generalisation: copy",
    ]  # fmt: skip
    assert [figure.name for figure in both[1].figures] == [
        "length-generalisation-copy", "length-generalisation-copy-positions",
    ]  # fmt: skip
    ranges, remember, shares, exact, tests = both[0].tables
    assert len(both[1].tables) == 4
    assert ranges.rows == [
        ["lstm", "T = 10", "0.003", "20", "15 (10–20)"],
        ["lstm", "T = 5 to 10", "0.003", "10", "15 (10–20)"],
        ["transformer rotary (tuned)", "T = 10", "0.003", "40+", "15 (10–20)"],
        ["transformer alibi", "T = 10", "0.003", "–", "15 (10–20)"],
    ]
    assert remember.rows[1][1:] == [
        "T = 5 to 10", "8/8 (.63–1.00)", "8/8 (.63–1.00)", "4/8 (.16–.84)", "8/8 (.63–1.00)",
    ]  # fmt: skip
    assert shares.rows[0][2] == ".100 (-5.000–.100)"
    assert exact.rows[1][2:] == ["4/8", "4/8", "2/8", "4/8"]
    assert [tests.rows[0][0], *tests.rows[0][4:]] == ["20", "4", "0", "8", "0.250"]


def test_sentences_are_those_that_the_intervals_allow():
    """Oracle: by hand. Catches a sentence on a scheme that lost in tuning, one that no interval or
    test allows, and a caption without budget, seeds, rate or criterion."""
    (section,) = sections(FOUND)
    assert "lstm trained on T = 10 remembers at T = 10 and 20; does not at T = 5 and 40." in (
        section.text
    )
    assert (
        "lstm trained on T = 5 to 10 remembers at T = 5, 10 and 40; is undecided at T = 20."
        in section.text
    )
    assert "transformer rotary trained on T = 10 remembers" in section.text
    assert "alibi" not in section.text
    assert section.text.endswith("T = 40: SAID.")
    for words in ("8 seeds", "2,000 steps", "tuned on other seeds", "500 fresh", "Exact: C."):
        assert words in section.text
    (silent,) = sections({"cells": ENTRIES, "tests": TESTS[:1]})
    assert silent.text.endswith("No difference between ranges allows a sentence.")


@pytest.mark.parametrize("counts", [True, False])
def test_one_scheme_has_no_figure_of_schemes(counts):
    """Catches a figure of one scheme, and an empty one where no row counts."""
    rows = [{**one, "counts": counts} for one in ENTRIES if one["positions"] != "alibi"]
    (section,) = sections({"cells": rows, "tests": []})
    assert len(section.figures) == counts
    assert ("remembers at" in section.text) == counts
