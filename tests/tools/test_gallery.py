"""The gallery has every kind of figure that the report can make, once, with a picture and a sentence."""

import json
import re

import pytest

from lstm_attn import report
from lstm_attn.report import page, studies, two_runs
from lstm_attn.report.figures import PART_COLORS
from lstm_attn.runs import RunFolder
from tests.report import test_hostile
from tests.report.test_study_figures import CELL, NOISE, of_test
from tools.pages import ROOT, gallery

KINDS = [kind for kinds in gallery.KINDS.values() for kind in kinds]


@pytest.fixture(scope="module")
def names(run_path, tmp_path_factory):
    """The name of every figure of the hand-made grid with a profile, of every study, and of two
    runs."""
    folder = RunFolder(run_path)
    part = page._part(report.read(run_path), "made")
    profile = [{"cell": "a", "seconds": dict.fromkeys(PART_COLORS, 1.0)}]
    made = [figure for of_kind in part["figures"].values() for figure in of_kind]
    made += page._of_profile(profile)
    results = {**test_hostile.STUDIES, "tuning": folder.study("tuning")}
    results["inside"] = json.loads((ROOT / "results/inside/inside.json").read_text())
    for name in studies.STUDIES:
        if name in results:
            made += [f for section in studies.drawn(name, results[name]) for f in section.figures]
    cell = {
        "cell": "a",
        "compared": {"first": CELL, "second": CELL, **NOISE},
        "tests": [of_test(1)],
    }
    two = {"first": "a", "second": "b", "cells": [cell], "left_out": [], "settings": []}
    made += two_runs.section(two).figures
    return [figure.name for figure in made]


def test_every_figure_is_of_one_kind(names):
    """Oracle: the figures themselves, of each row of the STUDIES table. Catches a figure that the
    gallery does not know, and one that two of its patterns fit."""
    assert len(names) > 60
    for name in names:
        assert len(gallery.kinds_of(name)) == 1, name


def test_every_kind_is_made(names):
    """Catches a kind that no report makes any more."""
    made = {kind.title for name in names for kind in gallery.kinds_of(name)}
    # The hand-made studies of two have one scheme of positions.
    assert {kind.title for kind in KINDS} - made <= {"Schemes of positions"}


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.title)
def test_a_kind_has_a_picture_of_its_own_and_one_sentence(kind):
    """Catches another kind's picture, a picture that is not committed and has no command, and a
    paragraph."""
    name = kind.shown.partition("/")[2]
    assert gallery.kinds_of(name) == [kind]
    assert (gallery.RESULTS / f"{kind.shown}.png").exists() or kind.command
    assert len(re.findall(r"\.( |$)", kind.reading)) == 1
    assert kind.reading.endswith(".")


def test_the_page_is_what_the_command_writes():
    """Catches a page that was not made anew after its table changed."""
    written = gallery.PAGE.read_text()
    for kind in KINDS:
        assert f"### {kind.title}\n" in written
        assert kind.reading in written
    shown = re.findall(r'src="\.\./results/([^"]+)\.png"', written)
    assert set(shown) <= {kind.shown for kind in KINDS}
    assert len(shown) >= 20
