"""The page: self-contained, escaped, and whole in a real browser."""

import html
import json
import re
import shutil
import subprocess

import pytest

from lstm_attn import report
from tests import PATIENCE

CHROMIUM = next(
    filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None
)
PHONE_WIDTH = 500  # the narrowest window that headless Chromium makes
# 4 learning curves, 2 shares, 2 rates, 2 recall, 4 survival, 1 of tuning; 2 verdicts, costs, 2 at the
# same seconds, config, environment, tests of pairs, tuning.
FIGURES, TABLES = 15, 9
PROBE = """
<script>
addEventListener("load", () => {
  const images = [...document.images];
  document.documentElement.dataset.probe = JSON.stringify({
    tables: document.querySelectorAll("table").length,
    empty: [...document.querySelectorAll("table")].filter(t => !t.querySelector("tbody tr")).length,
    figures: images.length,
    broken: images.filter(i => !(i.complete && i.naturalWidth > 100)).length,
    heading: document.querySelector("h2").textContent,
    overflow: document.documentElement.scrollWidth - innerWidth,
    scripts: document.scripts.length,
  });
});
</script>
"""


@pytest.fixture(scope="module")
def page(run_path):
    return report.write(run_path)


def test_the_page_needs_no_network(page):
    """Catches an image, style or script that is fetched, and unescaped text."""
    text = page.read_text()
    assert not re.search(r"https?://|//cdn", text)
    assert all(source.startswith("data:") for source in re.findall(r'(?:src|href)="([^"]*)"', text))
    assert "<script" not in text
    assert "&lt;script&gt;" in text  # the commit of the hand-made run


def test_the_folder_has_the_same_figures_as_files(page):
    """Catches a figure that is only on the page."""
    files = sorted(path.name for path in page.parent.glob("*.png"))
    assert len(files) == FIGURES
    assert "loss-adding-10.png" in files
    assert all(path.read_bytes()[:8] == b"\x89PNG\r\n\x1a\n" for path in page.parent.glob("*.png"))


def test_a_diverged_trial_is_named(page):
    """Catches a divergence that shows only as a number."""
    assert "copy-50-lstm, seed 3, learning rate 0.01: by step 200" in page.read_text()


def probed_in_a_browser(page, tmp_path, width):
    """The result of PROBE, and the browser's complaints."""
    if CHROMIUM is None:
        pytest.skip("no Chromium on this machine; .ci/run installs it")
    probed = tmp_path / "report.html"
    probed.write_text(page.read_text().replace("</body>", PROBE + "</body>"))
    flags = (
        "--headless --no-sandbox --disable-gpu --disable-quic --no-first-run --disable-sync "
        "--disable-background-networking --disable-component-update --hide-scrollbars "
        "--enable-logging=stderr --virtual-time-budget=5000 --dump-dom"
    )
    result = subprocess.run(
        [CHROMIUM, *flags.split(), f"--user-data-dir={tmp_path / 'profile'}",
         f"--window-size={width},1600", probed.as_uri()],
        capture_output=True, text=True, timeout=PATIENCE, check=True,
    )  # fmt: skip
    found = re.search(r'data-probe="([^"]*)"', result.stdout)
    assert found, result.stderr
    assert "CONSOLE" not in result.stderr
    return json.loads(html.unescape(found[1]))


@pytest.mark.full
@pytest.mark.parametrize("width", [1280, PHONE_WIDTH])
def test_the_page_in_a_real_browser(page, tmp_path, width):
    """Oracle: Chromium. Catches a broken figure, an empty table, a console error, and a page
    wider than a phone."""
    assert probed_in_a_browser(page, tmp_path, width) == {
        "tables": TABLES,
        "empty": 0,
        "figures": FIGURES,
        "broken": 0,
        "heading": "Verdict",
        "overflow": 0,
        "scripts": 1,
    }


HOSTILE = '<script>alert("$x$")</script>'


@pytest.fixture(scope="module")
def hostile_path(run_path, tmp_path_factory):
    """The hand-made run, with a model, a task and a setting whose names are HTML, mathematics and a
    path out of the folder."""
    folder = tmp_path_factory.mktemp(HOSTILE.replace("/", "")) / "made"
    folder.mkdir()
    for path in run_path.glob("*.json*"):
        text = path.read_text().replace("transformer", HOSTILE.replace('"', '\\"'))
        (folder / path.name).write_text(text.replace('"copy"', '"../copy"'))
    return folder


@pytest.fixture(scope="module")
def page_of_two(run_path, hostile_path, tmp_path_factory):
    """Both runs, and a comparison of one cell."""
    rate = {"remembers": 1, "trials": 2, "remember_rate_low": 0.1, "remember_rate_high": 0.9}
    difference = {"value": 0.5, "low": -0.2, "high": 0.8, "within_noise": True}
    cell = {
        "first": rate, "second": rate, "paired": False, "remember_rate": difference, "steps": None
    }  # fmt: skip
    compared = {
        "first": "one", "second": HOSTILE, "left_out": [HOSTILE],
        "cells": [{"cell": HOSTILE, "compared": cell}],
        "settings": [{"key": HOSTILE, "first": HOSTILE, "second": "1"}],
    }  # fmt: skip
    page = tmp_path_factory.mktemp("two") / "page.html"
    return report.write_several([run_path, hostile_path], page, [compared])


@pytest.mark.full
@pytest.mark.parametrize("width", [1280, PHONE_WIDTH])
def test_a_page_of_two_runs_in_a_real_browser(page_of_two, tmp_path, width):
    """Oracle: Chromium. Catches a section with the other run's figures, unescaped names from a
    folder, and a page wider than a phone."""
    assert probed_in_a_browser(page_of_two, tmp_path, width) == {
        "tables": 2 * TABLES + 2,
        "empty": 0,
        "figures": 2 * FIGURES + 1,
        "broken": 0,
        "heading": f"{HOSTILE} compared with one",
        "overflow": 0,
        "scripts": 1,
    }


def test_runs_of_one_name_are_told_apart_by_their_paths(page_of_two, run_path, hostile_path):
    """Catches two runs under one heading."""
    text = page_of_two.read_text()
    assert f'<a href="#run-1">{run_path}</a>' in text
    assert f'<a href="#run-2">{html.escape(str(hostile_path), quote=False)}'.split('"$')[0] in text
    assert report.labels([run_path, "a/b", "c/d"]) == ["made", "b", "d"]


@pytest.mark.full
def test_figures_stay_in_their_folder(hostile_path):
    """Catches a name in a config that puts a figure outside of the folder."""
    before = set(hostile_path.parent.iterdir())
    report.write(hostile_path)
    assert (hostile_path / "loss-..-copy-10.png").exists()
    assert set(hostile_path.parent.iterdir()) == before


def test_a_run_without_copy_has_no_recall_section(run_path, tmp_path):
    """Catches an empty heading, and a page that needs both tasks."""
    folder = tmp_path / "run"
    shutil.copytree(run_path, folder)
    results = [
        r for r in json.loads((folder / "results.json").read_text()) if r["task"] == "adding"
    ]
    (folder / "results.json").write_text(json.dumps(results))
    assert "recalled position" not in report.write(folder).read_text()


@pytest.mark.full
def test_a_task_of_symbols_with_one_answer_has_no_recall_section(run_path, tmp_path):
    """Oracle: parity, whose chance is .5 and which measures accuracy alone. Catches a report that
    requires the accuracy by position from every task of symbols."""
    folder = tmp_path / "run"
    shutil.copytree(run_path, folder, ignore=shutil.ignore_patterns("*.png", "*.html"))
    for name in ("config.json", "results.json", "metrics.jsonl"):
        text = (folder / name).read_text().replace("copy", "parity").replace("0.125", "0.5")
        (folder / name).write_text(re.sub(r', "accuracy_by_position": \[.*\]\]', "", text))
    assert "accuracy_by_position" not in (folder / "metrics.jsonl").read_text()
    html = report.write(folder).read_text()
    assert "Exact: criterion of parity." in html
    assert "recalled position" not in html
    assert (folder / "loss-parity-10.png").exists()
